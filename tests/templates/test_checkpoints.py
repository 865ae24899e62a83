"""Protects: a run whose process is lost goes on from its last checkpoint to the bytes of an undisturbed one.

Death is tried at every place that matters: an exception that nothing catches, raised while a checkpoint is written, so
that the work since the one before is lost. Noticed when tried: a state that is not read again; the file in the making
taken for a whole one; chains drawn by another program gone on with; a pause that is taken for the user's stop.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.running import run as running
from templates_engine.running.checkpoints import Checkpoints, HandedBack
from templates_engine.running.job import Job, Silent
from templates_engine.running.store import Store
from templates_engine.sampling import Saved, kept_effects
from templates_engine.sampling.saving import saved

MCMC = {"seed": "3", "burnin": "300", "iterations": "3000", "nchains": "2", "outdata": "draws"}
MODEL = {"y": "y", "x": "cons,x", **MCMC}
IMPUTE = {
    "numlevs": "Yes", "L2ID": "school", "MOIlevel": "2 levels", "MOIdist": "Normal", "y": "y", "x": "cons,gap",
    "yimp1": "gap", "bin1_1": "Normal", "ximp1_0": "cons,y", "want2": "No", "numimpute": "3", "nchainsimp": "2",
}  # fmt: skip
CASES: list[tuple[str, dict[str, str]]] = [
    ("2LevelMod", {**MODEL, "L2ID": "school", "makepred": "Yes"}),
    ("2LevelMod", {**MODEL, "y": "count", "D": "Poisson", "L2ID": "school"}),
    ("NLevelMod", {**MODEL, "numclass": "2", "C1": "school", "C2": "area"}),
    ("LMM/DC", {"y": "y", "C1": "school", "x": "cons", "clones": "1,2,4", **MCMC, "tests": "No", "profile": "none"}),
    ("2LevelImpute", IMPUTE),
]


class Killed(BaseException):
    """As the end of the process would be: nothing handles it."""


class Dying(Checkpoints):
    """Kept as often as can be; the process dies while the n-th is written."""

    def __init__(self, folder: Path, dies_at: int):
        super().__init__(folder, 0.0)
        self.written, self._dies_at = 0, dies_at

    def write(self, name: str, state: Saved, template: Any) -> None:
        self.written += 1
        if self.written == self._dies_at:
            assert self.folder is not None
            self.folder.mkdir(exist_ok=True)
            (self.folder / ".half-1-2").write_bytes(b"half a file")
            raise Killed
        super().write(name, state, template)


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(5)
    school = rng.integers(0, 12, 120)
    x, e = rng.normal(size=(2, 120))
    y = 0.5 * x + rng.normal(size=12)[school] + e
    columns = {"school": school.astype(float), "area": school % 4.0, "cons": np.ones(120), "x": x, "y": y}
    columns["gap"] = np.where(rng.random(120) < 0.2, np.nan, x)
    columns["count"] = rng.poisson(np.exp(0.3 * x)).astype(float)
    return Dataset("pupils", columns)


def carry_out(template: str, answers: dict[str, str], data: Dataset, folder: Path, kept: Checkpoints | None) -> None:
    form = registry.get(template)
    walked = walk(form, answers, data.schema(), strict_keys=False)
    with Job(Store(folder), checkpoints=kept, template=form) as job:
        spec, rows = job.begin(form, walked, data)
        form.run(spec, rows, job)


def files(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())}


@pytest.mark.parametrize(("template", "answers"), CASES, ids=[f"{t}-{k}" for k, (t, _) in enumerate(CASES)])
def test_a_lost_run_goes_on_to_the_same_bytes(
    template: str, answers: dict[str, str], data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(template, answers, data, tmp_path / "undisturbed", None)
    monkeypatch.setattr(running, "BEAT", 0.002)  # so that chains of a moment are paused many times
    monkeypatch.setattr("templates_engine.running.checkpoints.SHORT", 0.0)  # and kept when they end, however soon
    deaths = 0
    for attempt, dies_at in enumerate((1, 2, 3, 5, 8, 1_000_000)):
        kept = Dying(tmp_path / "kept", dies_at)
        try:
            carry_out(template, answers, data, tmp_path / str(attempt), kept)
        except Killed:
            deaths += 1
        else:
            break
    assert deaths, "the run was never lost: nothing is proved"
    assert files(tmp_path / str(attempt)) == files(tmp_path / "undisturbed")


def test_what_has_ended_is_not_drawn_again(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains that were complete at the last checkpoint begin where they ended."""
    monkeypatch.setattr(running, "BEAT", 0.002)
    monkeypatch.setattr("templates_engine.running.checkpoints.SHORT", 0.0)
    template, answers = CASES[0]
    carry_out(template, answers, data, tmp_path / "first", Checkpoints(tmp_path / "kept", 0.0))
    begun = []
    whole = kept_effects.Shelf.restore

    def restore(self: Any, before: Saved) -> None:
        begun.append(before.sweeps)
        whole(self, before)

    monkeypatch.setattr(kept_effects.Shelf, "restore", restore)
    carry_out(template, answers, data, tmp_path / "second", Checkpoints(tmp_path / "kept", 1000.0))
    assert begun == [3300, 3300]
    assert files(tmp_path / "second") == files(tmp_path / "first")


class Leaving(Silent):
    """The process is to end as soon as a chain has begun."""

    job: Job

    def progress(self, state: dict[str, Any]) -> None:
        if any(done > 100 for done, _ in state["chains"]):
            self.job.hand_back()


def test_a_run_that_is_to_leave_keeps_its_chains_first(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, answers = CASES[0]
    answers = {**answers, "iterations": "200000", "makepred": "No"}
    form = registry.get(template)
    walked = walk(form, answers, data.schema())
    monkeypatch.setattr(running, "BEAT", 0.002)

    listener = Leaving()
    with Job(Store(tmp_path / "a"), listener, checkpoints=Checkpoints(tmp_path / "kept")) as job:
        listener.job = job
        spec, rows = job.begin(form, walked, data)
        with pytest.raises(HandedBack):
            form.run(spec, rows, job)
    read = [Checkpoints(tmp_path / "kept").read(f"chains-{k}", None) for k in range(2)]
    assert any(one is not None and 100 < one.sweeps < 200_300 for one in read)


def state(sweeps: int) -> Saved:
    return saved(sweeps, np.random.Generator(np.random.PCG64DXSM(1)), draws=np.arange(float(sweeps)))


def test_a_file_is_whole_or_the_one_before_it_is_taken(tmp_path: Path) -> None:
    form = registry.get("2LevelMod")
    kept = Checkpoints(tmp_path / "kept")
    assert kept.read("chains-0", form) is None
    for sweeps in (5, 9):
        kept.write("chains-0", state(sweeps), form)
    found = kept.read("chains-0", form)
    assert found is not None
    assert (found.sweeps, found.arrays["draws"].tolist()) == (9, list(range(9)))
    file = tmp_path / "kept" / "chains-0.npz"
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", whole[:200] + bytes([whole[200] ^ 255]) + whole[201:]):
        file.write_bytes(broken)
        before = kept.read("chains-0", form)
        assert before is not None
        assert before.sweeps in (5, 9)
    file.unlink()  # as between the two renames
    before = kept.read("chains-0", form)
    assert before is not None
    assert before.sweeps == 5


def test_another_program_begins_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = registry.get("2LevelMod")
    kept = Checkpoints(tmp_path / "kept")
    kept.write("chains-0", state(5), form)
    monkeypatch.setattr("templates_engine.running.kept_chains.program", lambda _: "another")
    assert kept.read("chains-0", form) is None


def test_a_full_disk_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path / "kept")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    kept.write("chains-0", state(5), None)
    assert kept.fault is not None
    assert "No space left on device" in kept.fault.message
    assert list((tmp_path / "kept").iterdir()) == []  # nothing half-made stays


def test_the_time_that_earlier_attempts_took_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path / "kept")
    monkeypatch.setattr(kept, "_before", 3600.0)
    kept.write("chains-0", state(5), None)
    again = Checkpoints(tmp_path / "kept")
    assert again.seconds < 1800
    again.read("chains-0", None)
    assert again.seconds >= 3600
