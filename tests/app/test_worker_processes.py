"""Protects: whatever process is ended, and however, no run is lost and no process is left behind."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from run_service import (
    LONGEST,
    ask_for,
    at_work,
    forget,
    let_go,
    look,
    quick,
    ready,
    school,
    start,
    stop,
    until,
    wait_for,
)

from app import datasets, db, folders, queue, runs


@pytest.fixture(autouse=True)
def _quick(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    forget()


def test_a_whole_worker_killed(home: Path) -> None:
    """The worker and all its children die; another one, started later, takes the run up again."""
    first = start("worker", "--concurrency", "1")
    ready(first)
    run, waiting = ask_for(how="held"), ask_for()
    child = at_work(run.id)
    first.kill()
    first.communicate(timeout=LONGEST)
    wait_for(lambda: not runs.alive(child), "the child outlived its parents")
    assert look(run.id).state == "running"
    let_go(1)
    second = start("worker", "--concurrency", "1")
    until(run.id, "done")
    until(waiting.id, "done")
    assert look(run.id).attempt == 1
    stop(second)


def test_a_worker_stopped_on_purpose_gives_its_run_back(home: Path) -> None:
    process = start("worker", "--concurrency", "1")
    ready(process)
    run = ask_for(how="held")
    at_work(run.id)
    stop(process)
    assert (look(run.id).state, look(run.id).crashes) == ("queued", 0), look(run.id).message + look(run.id).trace


def test_a_run_goes_on_from_where_a_stopped_or_killed_worker_left_it(home: Path) -> None:
    """Once stopped, once killed; each time the chains have kept where they stood, and all files are the same at the
    end as those of a run that nobody disturbed."""
    answers = {"x": "cons,x", "L2ID": "school", "D": "Normal", "nchains": "2", "iterations": "1000000"}
    answers |= {"thinning": "500"}  # a few seconds of work and small files
    with db.session() as session:
        row = datasets.find(session, school().name)
        assert row is not None
        alone = runs.submit(session, "2LevelMod", row, {"y": "y", **answers}, origin="test", enqueue=False)
        run = runs.submit(session, "2LevelMod", row, {"y": "y", **answers}, origin="test")
    queue.run_here(alone.id, 0)
    how = (signal.SIGTERM, signal.SIGKILL)
    for attempt, signal_ in enumerate(how):
        worker = start("worker", "--concurrency", "1", STATGROVE_CHECKPOINT_EVERY="0.2")
        child = wait_for(lambda: runs.process_of(look(run.id).worker))
        began = wait_for(lambda: look(run.id).started).timestamp()
        wait_for(lambda began=began: folders.checkpointed(run) > began or look(run.id).ended)
        assert not look(run.id).ended, "the run is too short for this test"
        if signal_ == signal.SIGTERM:
            stop(worker)
            assert look(run.id).state == "queued"
        else:
            os.kill(child, signal.SIGKILL)
            wait_for(lambda attempt=attempt: look(run.id).attempt > attempt, "the sweep did not see it")
            stop(worker)
        assert look(run.id).crashes == 0, "it had got further"
    worker = start("worker", "--concurrency", "1")
    ended = until(run.id, "done")
    wait_for(lambda: not folders.checkpoints(ended).exists(), "the checkpoints are not removed")
    stop(worker)
    assert ended.attempt >= 2
    same = [{f.name: f.read_bytes() for f in runs.folder(one).iterdir()} for one in (alone, ended)]
    assert same[0] == same[1]


def test_the_same_tables_whatever_the_number_of_workers(home: Path) -> None:
    found = []
    for concurrency in ("1", "2"):
        process = start("worker", "--concurrency", concurrency)
        asked = [ask_for(seed=seed, nchains=3, milliseconds=1) for seed in (1, 2, 3)]
        ended = [until(run.id, "done") for run in asked]
        found.append([(runs.folder(run) / "out.dta").read_bytes() for run in ended])
        stop(process)
    assert found[0] == found[1]


def test_served_as_a_whole(home: Path) -> None:
    """`statgrove serve`: one server a folder, its pages without the numerics, everything ends with it."""
    import urllib.request

    process = start("serve", "--no-browser", "--port", "0")
    try:
        assert process.stdout is not None
        found = None
        while found is None:  # the worker may say that it is ready before
            line = process.stdout.readline().decode()
            assert line, "the server ended"
            found = re.search(r"(http://127\.0\.0\.1:\d+).*ready in [\d.]+ s", line)
        numerics = re.compile(rb"/(numba|llvmlite|scipy|matplotlib)/")  # they would take seconds
        assert not numerics.search(Path(f"/proc/{process.pid}/maps").read_bytes())
        with urllib.request.urlopen(f"{found[1]}/api/v1/templates", timeout=LONGEST) as answer:
            assert b"Trial" in answer.read()
        again = start("serve", "--no-browser")
        assert found[1] in again.communicate(timeout=LONGEST)[0].decode()
        assert again.returncode == 0
        ready(process)
        run = ask_for(how="held")
        child = at_work(run.id)
    except BaseException:
        process.kill()
        raise
    said = stop(process, signal.SIGINT)  # the run, which is held, does not delay it
    assert process.returncode == 0, said
    assert "Traceback" not in said, said
    assert not runs.alive(child)
    assert look(run.id).state == "queued"


def test_a_server_killed_leaves_no_worker_behind(home: Path) -> None:
    process = start("serve", "--no-browser", "--port", "0")
    ready(process)
    run = ask_for(how="held")
    child = at_work(run.id)
    process.kill()
    process.communicate(timeout=LONGEST)
    wait_for(lambda: not runs.alive(child), "the worker outlived the server")
