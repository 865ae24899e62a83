"""Protects: a run's state changes only as the diagram says, by one process at a time; none stays running for ever."""

from __future__ import annotations

import subprocess
import threading
from datetime import timedelta
from typing import Any

import pytest
from run_service import ask_for, forget, look, school
from sqlalchemy import select, update

from app import db, folders, queue, runs
from app.models import Artifact, Run, now
from templates_engine.problems import Problem, Refused
from templates_engine.running.store import Artifact as Output

Sent = list[tuple[int, int, str]]


def put(run_id: int, **values: Any) -> None:
    """Set what a test needs to be so."""
    with db.session() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**values))
        session.commit()


def sweep() -> list[str]:
    with db.session() as session:
        return runs.sweep(session)


def claim(run_id: int, attempt: int = 0) -> Run | None:
    with db.session() as session:
        return runs.claim(session, run_id, attempt)


def output(name: str, state: str = "ready") -> Output:
    return Output(name, f"{name}.csv", "table", name, "0" * 64, 1, state, 1)


# What each event makes of each state: the whole table.
EVENTS = {
    "claim": lambda s, r: runs.claim(s, r.id, r.attempt),
    "finish": lambda s, r: runs.finish(s, r.id, r.attempt),
    "fail": lambda s, r: runs.fail(s, r.id, r.attempt, "why"),
    "stop": lambda s, r: runs.stop(s, r.id, r.attempt, "keep"),
    "cancel": lambda s, r: runs.cancel(s, r.id),
    "sweep": lambda s, r: runs.sweep(s),
}
AFTER = {
    "queued": {"claim": "running", "cancel": "cancelled"},
    "running": {"finish": "done", "fail": "failed", "stop": "cancelled"},
    "done": {},
    "failed": {},
    "cancelled": {},
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", AFTER)
def test_every_event_in_every_state(database: str, sent: Sent, state: str, event: str) -> None:
    run = ask_for()
    put(run.id, state=state, heartbeat=now() if state == "running" else None)
    with db.session() as session:
        EVENTS[event](session, run)
    assert look(run.id).state == AFTER[state].get(event, state)


def test_the_message_is_sent_after_the_row_is_there(
    database: str, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(queue, "send", lambda run_id, attempt, name: seen.append((look(run_id).state, attempt, name)))
    ask_for()
    assert seen == [("queued", 0, "cpu")]


def test_a_broker_that_is_down_leaves_the_run_queued(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1/0")
    forget()
    assert look(ask_for().id).state == "queued"


def test_one_of_many_claims_wins(database: str, sent: Sent) -> None:
    run, won = ask_for(), []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        if claim(run.id):
            won.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_late_worker_writes_into_nothing(database: str, sent: Sent) -> None:
    """The fencing token: after a run was taken up again, nothing of the first worker arrives."""
    run = ask_for()
    assert claim(run.id)
    put(run.id, heartbeat=now() - timedelta(hours=1))
    assert "attempt 1" in sweep()[0]
    assert sent[-2:] == [(run.id, 0, "kill"), (run.id, 1, "cpu")]
    with db.session() as session:
        assert runs.heartbeat(session, run.id, 0, {"percent": 99}) is None
        assert not runs.add_artifacts(session, run.id, 0, [output("late")])
        assert not runs.finish(session, run.id, 0)
        assert not runs.fail(session, run.id, 0, "late")
        assert runs.artifacts(session, look(run.id)) == []
    assert claim(run.id, 0) is None
    assert claim(run.id, 1) is not None
    assert look(run.id).progress == {}
    with db.session() as session:
        assert not runs.finish(session, run.id, 0)
        assert runs.finish(session, run.id, 1)


def test_lost_three_times_is_failed_with_a_reason(database: str, sent: Sent) -> None:
    run = ask_for()
    for attempt in range(3):
        assert claim(run.id, attempt)
        put(run.id, heartbeat=now() - timedelta(hours=1))
        sweep()
    ended = look(run.id)
    assert (ended.state, ended.attempt) == ("failed", 2)
    assert "lost 3 times" in ended.message
    assert ended.finished is not None


def test_a_dead_process_is_noticed_before_its_lease_ends(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    process = subprocess.Popen(["true"])
    process.wait()
    put(run.id, worker=f"{runs.me().rpartition('#')[0]}#{process.pid}")
    sweep()
    assert (look(run.id).state, look(run.id).attempt) == ("queued", 1)


@pytest.mark.parametrize(("worker", "gone"), [("elsewhere/#1", False), ("", False), ("no-number#x", False)])
def test_a_process_elsewhere_is_never_thought_dead(worker: str, gone: bool) -> None:
    assert runs.worker_gone(worker) is gone
    assert runs.worker_gone(runs.me()) is False


def test_stopping_workers_on_purpose_is_no_crash(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    with db.session() as session:
        assert runs.release(session) == []  # its process (this one) is there
    process = subprocess.Popen(["true"])
    process.wait()
    put(run.id, worker=f"{runs.me().rpartition('#')[0]}#{process.pid}")
    with db.session() as session:
        assert runs.release(session) == [run.id]
    again = look(run.id)
    assert (again.state, again.attempt, again.crashes) == ("queued", 1, 0)


def test_a_lost_message_is_sent_again_ever_more_seldom(database: str, sent: Sent) -> None:
    run = ask_for()
    del sent[:]
    sweep()
    assert sent == []
    put(run.id, sent=now() - timedelta(seconds=16))
    sweep()
    assert sent == [(run.id, 0, "cpu")]
    put(run.id, sent=now() - timedelta(seconds=16))
    sweep()
    assert len(sent) == 1  # now after 30 s
    put(run.id, sent=now() - timedelta(seconds=31))
    sweep()
    assert len(sent) == 2


def test_a_run_for_a_graphics_card_that_is_not_there_goes_to_the_processors(database: str, sent: Sent) -> None:
    first, second = ask_for(), ask_for()
    del sent[:]
    late = now() - timedelta(seconds=16)
    put(first.id, queue="gpu", state="running", heartbeat=now(), started=now())
    put(second.id, queue="gpu", sent=late)
    sweep()
    assert sent == [(second.id, 0, "gpu")]  # the card is there, and busy
    put(first.id, state="done")
    put(second.id, sent=late, sends=1)
    sweep()
    assert sent[1:] == [(second.id, 0, "cpu")]
    assert look(second.id).queue == "cpu"


def test_a_command_that_is_gone_fails_its_run(database: str, sent: Sent) -> None:
    waiting, working = ask_for(enqueue=False), ask_for(enqueue=False)
    assert sent == []
    claim(working.id)
    put(waiting.id, sent=now() - timedelta(minutes=10))
    put(working.id, heartbeat=now() - timedelta(minutes=10))
    sweep()
    for run in (waiting, working):
        assert look(run.id).state == "failed"
        assert "command" in look(run.id).message
    assert (working.id, 1, "cpu") not in sent


def test_a_run_that_ignores_its_cancellation_is_ended(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    with db.session() as session:
        runs.add_artifacts(session, run.id, 0, [output("table"), output("picture", "pending")])
        runs.cancel(session, run.id)
    assert look(run.id).state == "running"
    sweep()
    assert look(run.id).state == "running"  # it has ten seconds
    put(run.id, cancel_asked=now() - timedelta(seconds=20))
    sweep()
    assert look(run.id).state == "cancelled"
    assert sent[-1] == (run.id, 0, "kill")
    with db.session() as session:
        assert [a.name for a in runs.artifacts(session, run)] == ["table"]  # what is ready is kept


def test_cancelled_and_then_lost_is_cancelled(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    with db.session() as session:
        runs.cancel(session, run.id)
    put(run.id, heartbeat=now() - timedelta(hours=1))
    sweep()
    assert look(run.id).state == "cancelled"


def test_too_long_is_failed(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    put(run.id, started=now() - timedelta(hours=25))
    sweep()
    assert look(run.id).state == "failed"
    assert "24 hours" in look(run.id).message


def test_discard_throws_files_and_rows_away(database: str, sent: Sent) -> None:
    run = claim(ask_for().id)
    assert run is not None
    (folders.folder(run) / "table.csv").write_text("a\n1\n")
    with db.session() as session:
        runs.add_artifacts(session, run.id, 0, [output("table")])
        assert runs.cancel(session, run.id, discard=True).cancel == "discard"
        assert runs.cancel(session, run.id).cancel == "discard"  # asked again: it stays to be discarded
        assert runs.heartbeat(session, run.id, 0) == "discard"
        assert runs.stop(session, run.id, 0, "discard")
        assert session.scalars(select(Artifact).where(Artifact.run_id == run.id)).all() == []
    assert not (folders.folder(run) / "table.csv").exists()


def test_children_end_with_their_parent_and_share_its_files(database: str, sent: Sent) -> None:
    run = claim(ask_for().id)
    assert run is not None
    with db.session() as session:
        about = {"template": "Trial", "version": "1", "dataset_name": "made", "dataset_sha256": "", "spec_hash": "x"}
        runs.add_child(session, run.id, 0, answers={"y": "y"}, prefix="Model1_", **about)
        runs.add_artifacts(session, run.id, 0, [output("Model1_a"), output("b")])
        (child,) = runs.children(session, run)
        assert child.state == "running"
        assert [a.name for a in runs.artifacts(session, child)] == ["Model1_a"]
        assert runs.folder(child) == runs.folder(run)
        runs.cancel(session, child.id)  # a child is cancelled with its parent only
        assert look(child.id).cancel == ""
        runs.finish(session, run.id, 0)
    assert look(child.id).state == "done"
    with db.session() as session:
        assert [one.id for one in runs.recent(session)] == [run.id]


def test_outputs_are_brought_up_to_date_by_name(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    with db.session() as session:
        runs.add_artifacts(session, run.id, 0, [output("p", "pending"), output("q", "pending"), output("t")])
        assert runs.wanted(session, run.id) is None
        runs.want(session, run.id, "q")
        runs.want(session, run.id, "t")
        assert runs.wanted(session, run.id) == "q"
        runs.add_artifacts(session, run.id, 0, [output("q")])
        assert runs.wanted(session, run.id) is None
        assert {a.name: a.state for a in runs.artifacts(session, run)} == {"p": "pending", "q": "ready", "t": "ready"}


def test_wrong_answers_are_refused_all_at_once(database: str, sent: Sent) -> None:
    with pytest.raises(Refused) as refused:
        ask_for(y="yy", how="badly", iterations="many", nonsense="1")
    assert {p.key for p in refused.value.problems} == {"y", "how", "iterations", "nonsense"}
    with db.session() as session:
        assert runs.recent(session) == []
        with pytest.raises(Refused) as refused:
            runs.submit(session, "Trail", school(), {}, origin="test")
    assert refused.value.problems[0].nearest == "Trial"
    assert sent == []


def test_the_same_specification_is_found_again(database: str, sent: Sent) -> None:
    first = ask_for(seed=7)
    with db.session() as session:
        assert runs.find_same(session, first.spec_hash) is None  # it has not ended
        claim(first.id)
        runs.finish(session, first.id, 0)
        again = {"y": "y", "seed": "7", "iterations": "50"}  # a default written out is no difference
        assert runs.submit(session, "Trial", school(), again, origin="test", reuse=True).id == first.id
        assert runs.submit(session, "Trial", school(), again, origin="test").id != first.id
        assert runs.submit(session, "Trial", school(), {**again, "seed": "8"}, origin="test", reuse=True).id != first.id


def test_notices_are_kept_with_the_run(database: str, sent: Sent) -> None:
    run = ask_for()
    claim(run.id)
    notice = Problem("n", "Worth knowing.", level="notice")
    with db.session() as session:
        runs.add_notices(session, run.id, 0, [notice])
        runs.add_notices(session, run.id, 0, [notice])
    assert look(run.id).problems == [notice.as_dict()]
