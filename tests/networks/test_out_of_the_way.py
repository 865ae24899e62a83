"""Protects: the server, the questions and other templates start without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = "import sys; print([m for m in ('torch', 'safetensors', 'openTSNE', 'sklearn') if m in sys.modules])"

ASKED = """
from templates_engine import registry, inputs
from templates_engine.asking import walk
from templates_engine.data.simulate import SUPPLIED
bag = registry.get("BagNet")
data = {n: SUPPLIED[n].make() for n in ("fundus", "fundus_clinic")}
schemas = {n: d.schema() for n, d in data.items()}
answers = inputs.read(next(e for e in bag.examples if e.name == "fundus").inputs).answers
found = walk(bag, answers, schemas["fundus"], datasets=schemas, strict_keys=True)
assert found.spec is not None, found.problems
assert [p for p in bag.check(found.spec, data["fundus"]) if p.level == "error"] == []
"""


PRELOADED = "import importlib, workers.preload as p; [importlib.import_module(m) for m in p.MODULES]"
WARMED = "from templates_engine import registry; registry.get('BagNet').warm()"


@pytest.mark.parametrize(
    "code", ["import app.main, app.cli", PRELOADED, WARMED, ASKED], ids=["server", "worker", "templates", "questions"]
)
def test_it_is_not_loaded(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_without_it_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib.util

    from templates_engine.networks import availability

    assert availability.missing() == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    said = availability.missing()
    assert "processor" in said
    assert "graphics card" in said
    assert said.count("pip install") >= 2
    (tmp_path / availability.STATE).write_text("installing\n")
    assert "being installed" in availability.missing()
    (tmp_path / availability.STATE).write_text("failed\n")
    assert "did not succeed" in availability.missing()


def test_the_pinned_version_is_told_and_installed() -> None:
    from importlib.metadata import version

    from templates_engine.networks.availability import TORCH

    assert f'"torch=={TORCH}"' in (ROOT / "pyproject.toml").read_text()
    assert version("torch").partition("+")[0] == TORCH
