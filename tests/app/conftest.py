"""Databases, brokers, workers and a trial template for the tests of the run service.

Each test has a data folder of its own. PostgreSQL and Redis are looked for on this machine: under CI their absence
is a failure, at a desk the tests that need them are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_service import LONGEST, STARTED, absent, end_all, forget, trial_template

from app import db, queue


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    before = len(STARTED)
    yield
    end_all(before)


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """Address of a PostgreSQL server that takes a new database, without the database's name."""
    import psycopg

    base = os.environ.get("STATGROVE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
    started = False
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        try:
            psycopg.connect(f"{base}/postgres", connect_timeout=60).close()
            return base
        except psycopg.OperationalError:
            if not started and not shutil.which("pg_ctlcluster"):
                break
            if not started:
                start = ["pg_ctlcluster", "--skip-systemctl-redirect", "15", "main", "start"]
                started = subprocess.run(start, check=False, capture_output=True, timeout=LONGEST).returncode == 0
                if not started:
                    break
            time.sleep(0.2)  # it has begun, and is not ready yet
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

    address, _, number = os.environ.get("STATGROVE_TEST_REDIS", "redis://127.0.0.1:6379/9").rpartition("/")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    address = f"{address}/{(int(number) + 7 * worker) % 16}"  # tests side by side have a database each
    try:
        client = redis.Redis.from_url(address, socket_connect_timeout=60)
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
    with trial_template(monkeypatch):
        db.upgrade()
        yield tmp_path / "data"


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
