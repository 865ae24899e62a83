"""Protects: a real worker, on both brokers: quick to start runs, killed without loss, cancelled, never twice.

One worker serves all these tests. None depends on how quick it is: what must be met at work is held there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from run_service import (
    ask_for,
    at_work,
    end_all,
    let_go,
    look,
    past,
    quick,
    ready,
    start,
    stop,
    trial_template,
    until,
    wait_for,
)

from app import datasets, db, queue, runs


@pytest.fixture(scope="module", params=["filesystem", "redis"])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A worker with two processes on this broker, ready to work; the broker's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATGROVE_DATA", str(tmp_path_factory.mktemp(request.param)))
        quick(patch)
        if request.param == "redis":
            patch.setenv("BROKER_URL", request.getfixturevalue("redis_server"))
        with trial_template(patch):
            db.upgrade()
            process = start("worker", "--concurrency", "2")
            try:
                ready(process)
                yield request.param
                said = stop(process)
            finally:
                end_all()
        assert "Traceback" not in said, said


def test_a_run_starts_at_once(worker: str) -> None:
    """By its message, which a worker looks for ten times a second; not by the sweep, which would send it again."""
    for _ in range(5):
        run = until(ask_for().id, "done")
        assert (run.sends, run.attempt, run.crashes) == (1, 0, 0)
    with queue.make("reader").connection() as connection:
        assert worker == "redis" or connection.transport.polling_interval <= 0.1


def test_a_killed_process_loses_nothing(worker: str) -> None:
    """SIGKILL in the middle of a run: it is taken up again, and gives what it would have given."""
    calm, run = ask_for(milliseconds=1, iterations=100), ask_for(how="held", iterations=100)
    os.kill(at_work(run.id), signal.SIGKILL)
    let_go(1)
    ended = until(run.id, "done")
    assert (ended.attempt, ended.crashes) == (1, 1)
    until(calm.id, "done")  # the other process was not disturbed
    with db.session() as session:
        means = [(runs.folder(r) / "Means.csv").read_text() for r in (look(calm.id), ended)]
        assert means[0] == means[1]
        assert {a.state for a in runs.artifacts(session, ended)} == {"ready"}
        assert "copy" in {d.name for d in datasets.list_all(session)}
    assert [p.name for p in runs.folder(ended).parent.iterdir()] == ["1"]  # the first attempt's files are gone


def test_what_kills_its_process_every_time_is_given_up(worker: str) -> None:
    run = until(ask_for(how="killed").id, "failed")
    assert "lost 3 times" in run.message
    until(ask_for().id, "done")  # the worker goes on


def drawn(run_id: int) -> int:
    """Iterations of the first chain, as the worker has told."""
    return int((look(run_id).progress.get("chains") or [[0]])[0][0])


def test_cancel_keeps_what_is_drawn(worker: str) -> None:
    run = ask_for(how="held", iterations=200, nchains=1, seed=2)
    wait_for(lambda: drawn(run.id) == 100, "progress")
    with db.session() as session:
        runs.cancel(session, run.id)
    ended = until(run.id, "cancelled")
    assert 100 <= int((runs.folder(ended) / "Means.csv").read_text().split()[1].split(",")[1]) < 200
    assert (runs.folder(ended) / "manifest.json").exists()


def test_discard_leaves_nothing(worker: str) -> None:
    run = ask_for(how="held", seed=3)
    at_work(run.id)
    with db.session() as session:
        runs.cancel(session, run.id, discard=True)
        ended = until(run.id, "cancelled")
        assert runs.artifacts(session, ended) == []
    wait_for(lambda: not list(runs.folder(ended).iterdir()), "an empty folder")


def test_a_run_that_does_not_listen_is_ended(worker: str) -> None:
    run = ask_for(how="deaf")
    process = at_work(run.id)
    with db.session() as session:
        runs.cancel(session, run.id)
    past(run.id, "cancel_asked")
    assert "was ended" in until(run.id, "cancelled").message
    wait_for(lambda: not runs.alive(process), "its process is still there")
    until(ask_for().id, "done")


def test_delivered_twice_is_done_once(worker: str) -> None:
    run = ask_for(milliseconds=5)
    for _ in range(3):
        queue.send(run.id, 0, "cpu")
    ended = until(run.id, "done")
    for _ in range(2):  # these come after the second and third message, which would have done the run by then
        until(ask_for(milliseconds=5).id, "done")
    assert look(run.id).finished == ended.finished
    assert look(run.id).attempt == 0


def test_a_lost_message_is_sent_again(worker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, lost = queue.send, []
    monkeypatch.setattr(queue, "send", lambda *message: lost.append(message) or True)
    run = ask_for()
    monkeypatch.setattr(queue, "send", real)
    assert lost
    past(run.id, "sent")
    assert until(run.id, "done").sends == 2


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("raise", "the kettle is empty"),
        ("singular", "covariance matrix"),
        ("memory", "memory"),
        ("refuse", "It cannot be fitted."),
        ("check", "Two rows differ."),
    ],
)
def test_failures_are_told_in_words(worker: str, how: str, says: str) -> None:
    run = until(ask_for(how=how).id, "failed")
    assert says in run.message
    if how in ("refuse", "check"):
        assert [p["key"] for p in run.problems] == ["y", "how"]
        assert run.trace == ""
    else:
        assert "Traceback" in run.trace
        assert "Traceback" not in run.message


def test_notices_and_missing_numbers(worker: str) -> None:
    run = until(ask_for(how="notice").id, "done")
    assert [p["message"] for p in run.problems] == ["Something worth knowing."]
    until(ask_for(how="nan").id, "done")


def test_tables_can_be_read_before_pictures_are_drawn(worker: str) -> None:
    run = ask_for(how="held-after", pictures="Yes", seed=4)

    def tables_first() -> bool:
        with db.session() as session:
            state = {a.name: a.state for a in runs.artifacts(session, run)}
        return state.get("Means") == "ready" and state.get("mu.svg") == "pending"

    wait_for(tables_first, "the tables waited for the pictures")
    let_go(4)
    until(run.id, "done")
    with db.session() as session:
        assert {a.state for a in runs.artifacts(session, run)} == {"ready"}
