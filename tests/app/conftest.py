"""Databases, brokers, workers and a trial template for the tests of the run service.

Each test has a data folder of its own. PostgreSQL and Redis are looked for on this machine: under CI their absence
is a failure, at a desk the tests that need them are skipped.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TEMPLATES = Path(__file__).parent / "templates"
os.environ["STATGROVE_TEMPLATES"] = str(TEMPLATES)  # before model_templates is imported, and for child processes

import model_templates  # noqa: E402

if str(TEMPLATES) not in list(model_templates.__path__):  # another test has imported it already
    model_templates.__path__.append(str(TEMPLATES))

from app import datasets, db, queue, runs  # noqa: E402
from app.models import Dataset, Run  # noqa: E402
from app.settings import settings  # noqa: E402
from templates_engine import registry  # noqa: E402

ROOT = Path(__file__).parents[2]
CSV = "school,y,x\n" + "".join(f"{i % 5},{i * 0.37 - 3:.3f},{i % 2}\n" for i in range(60))


def absent(what: str) -> None:
    """Fail under CI, skip at a desk."""
    message = f"{what} is not there"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def forget() -> None:
    """Read the settings anew, with new connections."""
    if db._engine.cache_info().currsize:
        db.engine().dispose()
    db._engine.cache_clear()
    queue.forget()
    settings.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def _with_trial() -> None:
    registry.all.cache_clear()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """Address of a PostgreSQL server that takes a new database, without the database's name."""
    import psycopg

    base = os.environ.get("STATGROVE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
    for attempt in range(2):
        try:
            psycopg.connect(f"{base}/postgres", connect_timeout=3).close()
            return base
        except psycopg.OperationalError:
            if attempt == 0 and shutil.which("pg_ctlcluster"):
                start = ["pg_ctlcluster", "--skip-systemctl-redirect", "15", "main", "start"]
                subprocess.run(start, check=False, capture_output=True, timeout=60)
                time.sleep(2)
    absent("PostgreSQL (127.0.0.1:5432, or STATGROVE_TEST_POSTGRES)")
    return ""


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """An empty PostgreSQL database, dropped afterwards."""
    import psycopg

    name = f"statgrove_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{postgres_server}/{name}"
    forget()
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server() -> str:
    """Address of a Redis server."""
    import redis

    address = os.environ.get("STATGROVE_TEST_REDIS", "redis://127.0.0.1:6379/9")
    try:
        client = redis.Redis.from_url(address, socket_connect_timeout=2)
        client.ping()
        client.flushdb()
        client.close()
    except redis.exceptions.RedisError:
        absent("Redis (127.0.0.1:6379, or STATGROVE_TEST_REDIS)")
    return address


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, with a new SQLite database; quick heartbeats."""
    for name in ("DATABASE_URL", "BROKER_URL", "STATGROVE_DATABASE_URL", "STATGROVE_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATGROVE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STATGROVE_HEARTBEAT", "0.1")
    forget()
    db.upgrade()
    yield tmp_path / "data"
    forget()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same test on both databases."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres"))
        forget()
        db.upgrade()
    return str(request.param)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """The messages that would have been sent; none is."""
    messages: list[tuple[int, int, str]] = []

    def send(run_id: int, attempt: int, name: str) -> bool:
        messages.append((run_id, attempt, name))
        return True

    monkeypatch.setattr(queue, "send", send)
    monkeypatch.setattr(queue, "kill", lambda run_id, attempt: messages.append((run_id, attempt, "kill")))
    return messages


def school() -> Dataset:
    """The trial data as a dataset of this database."""
    with db.session() as session:
        return datasets.upload(session, "school.csv", io.BytesIO(CSV.encode()))


def ask_for(enqueue: bool = True, **answers: object) -> Run:
    """A trial run, submitted."""
    with db.session() as session:
        given = {"y": "y", **{key: str(value) for key, value in answers.items()}}
        return runs.submit(session, "Trial", school(), given, origin="test", enqueue=enqueue)


def look(run_id: int) -> Run:
    with db.session() as session:
        found = runs.get(session, run_id)
    assert found is not None
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Wait until the condition is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


def until(run_id: int, *states: str, seconds: float = 60.0) -> Run:
    """Wait until the run is in one of these states."""
    wait_for(lambda: look(run_id).state in states, seconds, f"run {run_id} is {look(run_id).state}, not {states}")
    return look(run_id)


def start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The command statgrove as a process of its own, its output in one pipe."""
    command = [sys.executable, "-W", "error::SyntaxWarning", "-m", "app.cli", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> str:
    """End a process; what it printed."""
    process.send_signal(how)
    try:
        return process.communicate(timeout=20)[0].decode()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
