"""A chain that goes on from where it stood gives bit for bit what it would have given in one go."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from templates_engine import registry, sources
from templates_engine.problems import Refused
from templates_engine.running import kept_chains
from templates_engine.sampling import saving
from templates_engine.sampling.normal import (
    priors as mixed_priors,
    two_level as mixed_normal,
    two_level_stats as mixed_stats,
)
from templates_engine.sampling.normal.two_level import Chain
from templates_engine.sampling.prior_names import UNIFORM
from templates_engine.sampling.rng import streams

BURNIN = 40
FIELDS = ("beta", "omega", "sigma2", "deviance", "effect_mean", "effect_sd", "kept_at", "kept_effects")


def two_level(slopes: bool) -> mixed_stats.Statistics:
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(15), 5)
    x = np.column_stack([np.ones(75), rng.normal(size=75)])
    y = x @ [1.0, 2.0] + rng.normal(size=15)[codes] + rng.normal(size=75)
    return mixed_stats.statistics(y, x, codes, x if slopes else x[:, :1])


def chain(
    stats: mixed_stats.Statistics,
    iterations: int,
    *,
    thin: int = 1,
    resume: saving.Saved | None = None,
    live: saving.Live | None = None,
    cells: np.ndarray | None = None,
) -> Chain:
    cells = np.zeros(2, np.int64) if cells is None else cells
    rng = streams(3, 1)[0] if resume is None else np.random.default_rng(99)  # a resumed chain brings its own stream
    return mixed_normal.run_chain(
        stats, mixed_priors.named(UNIFORM, stats.q), rng, cells, burnin=BURNIN, iterations=iterations, thin=thin,
        room=16, resume=resume, live=live,
    )  # fmt: skip


def assert_same(one: Chain, other: Chain) -> None:
    for name in FIELDS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def through_file(chains: list[saving.Saved], folder: Path) -> list[saving.Saved]:
    file = folder / "state.npz"
    file.write_bytes(kept_chains.pack({"key": "iterations", "reached": 7}, {"chains": chains}))
    about = kept_chains.read_about(file)
    assert (about["key"], about["reached"]) == ("iterations", 7)
    return kept_chains.unpack(file)["chains"]


@pytest.mark.parametrize("slopes", [False, True])
@pytest.mark.parametrize("thin", [1, 3])
def test_the_very_draws(slopes: bool, thin: int, tmp_path: Path) -> None:
    stats = two_level(slopes)
    whole = chain(stats, 500, thin=thin)
    first = chain(stats, 100, thin=thin)
    assert first.saved is not None
    second = chain(stats, 350, thin=thin, resume=through_file([first.saved], tmp_path)[0])
    assert second.saved is not None
    assert_same(whole, chain(stats, 500, thin=thin, resume=second.saved))


def stopped_after(sweeps: int, run: Callable[[np.ndarray], Chain]) -> Chain:
    """Set the cell that a cancellation sets, once so many sweeps are done."""
    cells = np.zeros(2, np.int64)
    ended: list[Chain] = []
    thread = threading.Thread(target=lambda: ended.append(run(cells)))
    thread.start()
    while cells[0] < sweeps and thread.is_alive():
        pass
    cells[1] = 1
    thread.join()
    return ended[0]


@pytest.mark.parametrize("sweeps", [0, 1, BURNIN, 5000])
def test_a_chain_that_was_stopped_anywhere_goes_on(sweeps: int) -> None:
    """In the burn-in or after it; where exactly the stop falls is left to the machine."""
    stats = two_level(True)
    stopped = stopped_after(sweeps, lambda cells: chain(stats, 10_000_000, thin=100, cells=cells))
    assert stopped.saved is not None
    enough = 100 * (stopped.saved.sweeps // 100 + 3)
    assert_same(chain(stats, enough, thin=100), chain(stats, enough, thin=100, resume=stopped.saved))


def test_what_is_shown_while_it_runs_are_the_draws() -> None:
    stats, live = two_level(True), saving.Live()
    assert live.draws().size == 0
    whole = chain(stats, 100, live=live)
    np.testing.assert_allclose(live.draws()[:, :2], whole.beta, rtol=1e-12)
    assert np.array_equal(live.draws()[:, 2:5], whole.omega)
    assert np.array_equal(live.draws()[:, 5], whole.sigma2)
    assert np.array_equal(live.draws(30)[:, 5], whole.sigma2[::4])


def test_nothing_is_shown_that_is_not_drawn() -> None:
    live, rows = saving.Live(), np.full((10, 2), np.nan)
    rows[:4] = np.arange(8).reshape(4, 2)
    rows[4, 0] = 1.0  # half written
    live.show(rows, lambda some: some[:, :1])
    assert live.draws().tolist() == [[0.0], [2.0], [4.0], [6.0]]


def test_chains_of_another_program_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.npz"
    file.write_bytes(kept_chains.pack({"key": "iterations", "reached": 7}, {}))
    monkeypatch.setattr(kept_chains, "program", lambda _: "another")
    with pytest.raises(Refused, match="Another version"):
        kept_chains.unpack(file)


def test_a_chain_does_not_go_on_in_another_model() -> None:
    first = chain(two_level(True), 50).saved
    with pytest.raises(ValueError, match="was saved"):
        chain(two_level(False), 100, resume=first)
    with pytest.raises(ValueError, match="was saved"):
        chain(two_level(True), 20, resume=first)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template that reaches a sampler by way of a run, a picture, another template, and a page."""
    texts = {
        "model_templates/mine/template.py": "def run():\n    from templates_engine.sampling import carry\n",
        "model_templates/mine/tables.py": "",
        "model_templates/other/template.py": "from templates_engine.sampling import unrelated\n",
        "templates_engine/sampling/carry.py": "from . import sampler\nfrom templates_engine.figures import plot\n",
        "templates_engine/sampling/sampler.py": "STEP = 1.0\n",
        "templates_engine/sampling/unrelated.py": "STEP = 1.0\n",
        "templates_engine/figures/plot.py": "INK = 1\n",
        "app/pages/runs.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    module = ModuleType("model_templates.mine.template")
    module.__file__ = str(tmp_path / "model_templates/mine/template.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sources, "_ROOT", tmp_path)
    return tmp_path


def program_now() -> str:
    """The digest of the template of `project`, read anew."""
    kept_chains._program.cache_clear()
    sources._imports.cache_clear()
    found = kept_chains.program(type("Mine", (), {"__module__": "model_templates.mine.template"})())  # type: ignore[arg-type]
    kept_chains._program.cache_clear()
    sources._imports.cache_clear()
    return found


@pytest.mark.parametrize(
    ("changed", "another"),
    [
        ("model_templates/mine/template.py", True),
        ("model_templates/mine/tables.py", True),
        ("templates_engine/sampling/carry.py", True),
        ("templates_engine/sampling/sampler.py", True),
        ("templates_engine/sampling/unrelated.py", False),
        ("templates_engine/figures/plot.py", False),
        ("model_templates/other/template.py", False),
        ("app/pages/runs.py", False),
    ],
)
def test_only_what_the_draws_rest_on_makes_another_program(project: Path, changed: str, another: bool) -> None:
    before = program_now()
    with (project / changed).open("a") as file:
        file.write("# changed\n")
    assert (program_now() != before) is another


@pytest.mark.parametrize("library", ["numpy", "scipy", "numba"])
def test_another_library_makes_another_program(project: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = program_now(), kept_chains.version
    monkeypatch.setattr(kept_chains, "version", lambda name: "0.0" if name == library else real(name))
    assert program_now() != before


def keepers() -> dict[str, set[Path]]:
    """The templates that keep their chains, and the sources that these rest on."""
    reached = {}
    for name, template in registry.all().items():
        own = Path(str(sys.modules[type(template).__module__].__file__)).parent.rglob("*.py")
        reached[name] = sources.closure(own, without=kept_chains.PICTURES)
    return {name: files for name, files in reached.items() if any(file.stem == "saving" for file in files)}


def test_templates_that_keep_chains_rest_on_their_sampler() -> None:
    found = {name: {file.stem for file in files} for name, files in keepers().items()}
    samplers = {"2LevelMod": "two_level", "2LevelImpute": "sweep", "LMM/DC": "normal_kernel"}
    for name, sampler in samplers.items():
        assert {"rng", sampler} <= found[name], name
        assert "sixway" not in found[name], name


def test_no_source_that_draws_rest_on_is_imported_by_a_computed_name() -> None:
    """Such an import cannot be read in the sources. Three are known: of templates, of which none rests on another, of
    readers of files, whose rows are compared with those of the earlier run, and faces, which sources reads by itself.
    """
    files = set().union(*keepers().values())
    computed = {file for file in files if "import_module" in (text := file.read_text()) or "__import__" in text}
    assert {f"{file.parent.name}/{file.name}" for file in computed} <= {
        "templates_engine/faces.py",
        "templates_engine/registry.py",
        "readers/__init__.py",
    }
