"""Protects: a database or broker that is away, frozen or full of old messages costs no run and hangs nobody."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import (
    ask_for,
    at_work,
    forget,
    let_go,
    look,
    past,
    quick,
    ready,
    start,
    stop,
    until,
    wait_for,
)
from servers import Postgres
from sqlalchemy import event, exc, update

from app import datasets, db, messages, queue, runs, worker_process
from app.main import create_app
from app.models import Run, now
from app.runs import lost


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own(cluster: Postgres, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """The application on a PostgreSQL that may be stopped and frozen."""
    quick(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", cluster.new_database())
    forget()
    db.upgrade()
    yield cluster
    cluster.thaw()
    forget()


def test_a_frozen_database_is_told_and_asked_no_more(
    own: Postgres, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATGROVE_DATABASE_TIMEOUT", "0.5")
    forget()
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert client.get("/runs").status_code == 200
        own.freeze()
        assert client.get("/runs").status_code == 503
        asked: list[Any] = []
        event.listen(db.engine(), "do_connect", lambda *arguments: asked.append(arguments))
        for address in ("/runs", "/api/v1/runs", "/"):
            answer = client.get(address)
            assert answer.status_code == 503
            assert "does not answer" in answer.text
        assert asked == []
        own.thaw()
        wait_for(lambda: client.get("/runs").status_code == 200)
    said = [r for r in caplog.records if r.name == "statgrove.outage"]
    assert [r.levelno for r in said] == [logging.ERROR, logging.WARNING], [r.getMessage() for r in said]
    assert not [r for r in caplog.records if r.exc_info]


def test_a_run_outlives_a_restart_of_the_database(own: Postgres) -> None:
    """The database is away while the run ends: it waits, nothing is done twice, its datasets are in the list."""
    worker = start("worker", "--concurrency", "1")
    ready(worker)
    run = ask_for(how="held", seed=7)
    at_work(run.id)
    own.stop()
    let_go(7)
    own.start()
    ended = until(run.id, "done")
    assert (ended.attempt, ended.crashes) == (0, 0)
    with db.session() as session:
        assert "copy" in {row.name for row in datasets.list_all(session)}
    said = stop(worker)
    assert "Traceback" not in said, said
    assert said.count("the database does not answer") <= 2, said  # the worker's process and the one that watches it


def test_a_run_is_given_back_when_the_database_stays_away(own: Postgres) -> None:
    worker = start("worker", "--concurrency", "1", STATGROVE_OUTAGE="0.5", STATGROVE_LEASE="1")
    ready(worker)
    run = ask_for(how="held", seed=8)
    at_work(run.id)
    own.stop()
    assert worker.stdout is not None
    for line in worker.stdout:
        if b"its chains are kept" in line:
            break
    own.start()
    let_go(8)
    assert until(run.id, "done").attempt == 1
    stop(worker)


def test_what_was_done_unheard_is_not_done_twice(database: str, sent: list[Any]) -> None:
    """The answer to a write is lost: the second try finds what the first has done."""
    tries = []

    def claim(session: Any, again: bool) -> Run | None:
        found = runs.claim(session, run.id, 0, again=again)
        tries.append(again)
        if not again:
            raise exc.OperationalError("", {}, Exception("connection lost"))
        return found

    run = ask_for()
    found = db.patiently(claim)
    assert found is not None
    assert (found.state, tries) == ("running", [False, True])
    with db.session() as session:
        assert runs.claim(session, run.id, 0) is None
        assert runs.finish(session, run.id, 0)
        assert runs.finish(session, run.id, 0, again=True)
        assert not runs.stop(session, run.id, 0, "keep", again=True)


def test_a_fault_of_the_program_is_no_outage(home: Path) -> None:
    from sqlalchemy import text

    with pytest.raises(exc.OperationalError, match="no such table"):
        db.patiently(lambda session, _: session.execute(text("SELECT * FROM absent")))


@pytest.fixture(params=["filesystem", "redis"])
def broker(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    quick(monkeypatch)
    if request.param == "redis":
        monkeypatch.setenv("BROKER_URL", request.getfixturevalue("redis_server"))
    forget()
    with db.session() as session:
        messages.tidy(session)
    return str(request.param)


def tasks() -> list[str]:
    return sorted(message.task for message in messages.standing() or ())


def test_one_message_a_run_and_none_of_those_that_ended(broker: str) -> None:
    run, gone = ask_for(), ask_for()
    for _ in range(3):
        queue.send(run.id, 0, "cpu")
        past(run.id, "sent")
        with db.session() as session:
            assert runs.sweep(session) == []  # it stands there: it is not sent again
    with db.session() as session:
        runs.cancel(session, gone.id)
        assert messages.tidy(session) == 4
    assert tasks() == [queue.task_id(run.id, 0)]
    assert look(run.id).sends == 1


def test_a_message_that_a_dead_worker_took_is_sent_again(broker: str) -> None:
    run = ask_for()
    with queue.connection() as connection:
        channel = connection.channel()
        got = channel.basic_get("cpu")  # and never acknowledged
        assert json.loads(got.body)[0] == [run.id, 0]
        past(run.id, "sent")
        with db.session() as session:
            assert runs.sweep(session) == [f"run {run.id}: sent to the queue again"]
        assert tasks() == [queue.task_id(run.id, 0)]
        channel.qos._delivered.clear()  # what is closed in order gives its messages back


def test_the_wait_for_a_message_never_exceeds_five_minutes(
    database: str, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask_for()
    with db.session() as session:
        before = now() - timedelta(seconds=lost.LONGEST_WAIT + 1)
        session.execute(update(Run).where(Run.id == run.id).values(sends=40, sent=before))
        session.commit()
        assert runs.sweep(session)


def test_a_worker_that_takes_nothing_is_replaced(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick(monkeypatch)
    forget()
    monkeypatch.setattr(worker_process, "TAKES_NOTHING", 1.0)
    monkeypatch.setattr(worker_process, "LOOK", 0.1)
    worker = worker_process.Worker(1)
    try:
        until(ask_for().id, "done")
        first = worker._process.pid
        os.kill(first, signal.SIGSTOP)
        run = ask_for()

        def taken() -> bool:
            with db.session() as session:
                worker.watch(session)
            return look(run.id).state == "done"

        wait_for(taken)
        assert worker._process.pid != first
        assert "takes nothing" in caplog.text
        held = ask_for(how="held", seed=9)  # one that is busy is no reason to replace it
        at_work(held.id)
        ask_for()
        now_there = worker._process.pid
        for _ in range(40):
            with db.session() as session:
                worker.watch(session)
            assert worker._idle_since == 0.0
        assert worker._process.pid == now_there
    finally:
        worker.stop()
