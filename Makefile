# StatGrove. `make` lists what there is.
# Everything is installed into .venv; nothing outside this folder is changed, but for the data folder
# (~/.local/share/statgrove) and the compiled kernels (~/.cache/statgrove).

SHELL := /bin/bash
# The first Python that runs and is new enough: a name on the path may be a shim with nothing behind it.
SUITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p $(SUITS) >/dev/null 2>&1 && { command -v $$p; break; }; done)
EXTRAS ?= parquet
# PyTorch, for BagNet: `make serve` brings it in behind the open page; NETWORKS=0 leaves it out.
NETWORKS ?= 1
BIN := .venv/bin

# One thread a process for linear algebra: chains are the unit of parallel work (small matrices lose by threads).
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup serve test test-all fuzz faults check bench first-start dist clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/installed ## make .venv with the command .venv/bin/statgrove
	@$(BIN)/statgrove --version

serve: .venv/installed ## set everything up and open the application on this machine (NETWORKS=0: without PyTorch)
	@if [ "$(NETWORKS)" != 0 ] && [ ! -e .venv/installed-networks ]; then \
	  echo installing > .venv/networks.state; \
	  echo "PyTorch, for BagNet, is installed in the background (.venv/networks.log); everything else works meanwhile"; \
	  nohup $(MAKE) --no-print-directory .venv/installed-networks > .venv/networks.log 2>&1 < /dev/null & \
	fi
	@$(BIN)/statgrove serve $(ARGS)

JOBS ?= 2
test: .venv/installed-test ## set up and run the tests (long calibrations left out; see test-all)
	@$(BIN)/python tests/system_packages.py
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-all: .venv/installed-test ## all tests, with the long calibrations
	@$(BIN)/python tests/system_packages.py
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

fuzz: .venv/installed-test ## 2,000 damaged files of every type are uploaded
	STATGROVE_FUZZ=2000 $(BIN)/python -m pytest tests/pages/test_damaged_uploads.py -q $(ARGS)

faults: .venv/installed-test ## fifty faults, one after the other, hit runs that go on (an hour); prints what became of them
	STATGROVE_FAULTS=$${STATGROVE_FAULTS:-50} $(BIN)/python -m pytest tests/faults -q --timeout 14400 $(ARGS)

check: .venv/installed-test ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet . || (echo "run: $(BIN)/ruff format ." && exit 1)
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCH ?= worked_example
bench: .venv/installed-test ## time the worked example beside its peers; BENCH=mixed_models, holt_winters, data_cloning or bagnet
	$(BIN)/python benchmarks/$(BENCH).py $(ARGS)

first-start: ## time a fresh clone: to the first page, to the first finished example, to all samplers
	@python3 benchmarks/first_start.py

dist: .venv/installed ## make a wheel in dist/, which serves the pages wherever it is installed
	@rm -rf build dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove .venv and caches (data and results stay)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/made:
	@test -n "$(PYTHON)" || { echo "StatGrove needs Python 3.11, 3.12 or 3.13: install one and try again." >&2; exit 1; }
	@$(PYTHON) $(SUITS) \
	  || { echo "StatGrove needs Python 3.11 to 3.13, which $(PYTHON) is not: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "Python's venv module is missing (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@touch $@

.venv/installed: pyproject.toml | .venv/made
	@echo "Installing StatGrove into .venv (about a minute the first time)"
	@$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

# PyPI's PyTorch for Linux brings gigabytes for graphics cards. Without one, and where pip has no index of its own, the
# processor's build is taken from PyTorch's index.
TORCH_INDEX = $$(command -v nvidia-smi >/dev/null 2>&1 || $(BIN)/pip config list | grep -q index-url \
  || [ -n "$$PIP_INDEX_URL" ] || echo --extra-index-url https://download.pytorch.org/whl/cpu)

# The extra's libraries alone, and not the application again: it is running while they come.
.venv/installed-networks: pyproject.toml | .venv/installed
	@echo installing > .venv/networks.state
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["networks"], sep="\n")' \
	  | $(BIN)/pip install -r /dev/stdin $(TORCH_INDEX) \
	  || { echo failed > .venv/networks.state; exit 1; }
	@rm -f .venv/networks.state
	@touch $@

.venv/installed-test: pyproject.toml | .venv/installed
	@echo "Installing PyTorch and the test tools"
	@$(BIN)/pip install --quiet --editable '.[$(EXTRAS),networks,test]' $(TORCH_INDEX)
	@touch .venv/installed-networks
	@touch $@
