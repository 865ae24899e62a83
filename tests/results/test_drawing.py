"""The pictures of a run: announced at once, drawn after the tables."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listening import Listener

from templates_engine.outputs import Draws, Table
from templates_engine.running import Run, pictures as drawing
from templates_engine.running.job import Job
from templates_engine.running.store import Store


def _draws(k: int) -> Draws:
    values = np.random.default_rng(3).normal(size=(2, 60, k))
    return Draws(tuple(f"beta_{i}" for i in range(k)), ("cons",) * k, values)


def test_tables_come_first_and_the_opened_picture_before_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are announced at once and drawn later; one that somebody opens jumps the queue.

    The order is that in which drawing begins: two are drawn at a time, and either may be ready first.
    """
    begun: list[str] = []
    in_turn = threading.Lock()
    following = drawing.following

    def noted(run: Run) -> Any:
        with in_turn:
            picture = following(run)
            begun.extend([picture[0]] if picture else [])
        return picture

    monkeypatch.setattr(drawing, "following", noted)
    listener = Listener()
    listener.want = ["no such picture", "beta_5.svg"]
    with Job(Store(tmp_path), listener) as job:
        job.diagnostics("", _draws(6), "Model")
        job.table("T", Table(("a",), ((1,),)))
        assert [(a.name, a.state) for a in listener.told[:2]] == [("beta_0.svg", "pending"), ("beta_1.svg", "pending")]
        job.draw_pictures()
    ready = [a.name for a in listener.told if a.state == "ready"]
    assert ready[:2] == ["T", "T.json"]
    assert begun == [f"beta_{i}.svg" for i in (0, 5, 1, 2, 3, 4)]
    assert sorted(ready[2:]) == [f"beta_{i}.svg" for i in range(6)]
    assert job.state()["steps"] == [] or job.state()["steps"][-1]["state"] == "done"
    assert {a.title for a in job.store.artifacts if a.kind == "figure"} == {f"Model: beta_{i} cons" for i in range(6)}


def test_a_picture_that_is_drawn_already_is_an_output_at_once(tmp_path: Path) -> None:
    listener = Listener()
    with Job(Store(tmp_path), listener) as job:
        job.figure("pattern", b"<svg/>", "Missing values")
    (told,) = listener.told
    assert (told.file, told.kind, told.state, told.title) == ("pattern.svg", "figure", "ready", "Missing values")


def test_pictures_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Whichever process draws them."""
    manifests = []
    for name in ("a", "b"):
        with Job(Store(tmp_path / name)) as job:
            job.diagnostics("", _draws(3))
            job.draw_pictures()
            manifests.append(job.store.manifest())
    assert manifests[0] == manifests[1]


def test_a_run_whose_drawers_are_killed_draws_on(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Out of memory, or a system without subprocesses: the pictures are drawn in the run's own process."""

    class Killer(Listener):
        def wanted(self) -> str | None:
            for process in list(job._run.drawers._processes if job._run.drawers else []):
                process.kill()
            return None

    listener = Killer()
    with Job(Store(tmp_path), listener) as job:
        job.diagnostics("", _draws(3))
        job.draw_pictures()
    assert sum(a.state == "ready" for a in listener.told) == 3
    assert job.notes == []


def test_a_picture_that_cannot_be_drawn_costs_a_note_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from templates_engine.figures import drawers, sixway

    def broken(*args: object) -> bytes:
        raise RuntimeError("no ink")

    monkeypatch.setattr(drawers, "_start", lambda: None)  # drawn here, where it can be broken
    monkeypatch.setattr(sixway, "sixway", broken)
    with Job(Store(tmp_path)) as job:
        job.diagnostics("", _draws(1))
        job.draw_pictures()
    assert "no ink" in job.notes[0].message
    assert job.notes[0].level == "notice"
    assert b"no ink" in job.store.path("beta_0.svg").read_bytes()


def test_a_stopped_run_does_not_draw_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_GRACE", 0.0)
    with Job(Store(tmp_path)) as job:
        job.diagnostics("", _draws(20))
        job.stop()
        time.sleep(0.01)
        job.draw_pictures()
    assert all(a.state == "ready" for a in job.store.artifacts)  # nothing stays announced for ever
    assert b"the run was stopped" in job.store.path("beta_7.svg").read_bytes()
    assert job.notes == []
