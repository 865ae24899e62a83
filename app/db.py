"""The database: one engine a process, short sessions, migrations at start.

SQLite runs in WAL mode with a busy timeout, so that pages read while workers write. Transactions are short and
never span slow work: a session is opened, used and closed around one step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.settings import settings

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


def _dumps(value: Any) -> str:
    # PostgreSQL refuses NaN in JSON, and so does every browser: better to fail where it is written.
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    kind = make_url(url).get_backend_name()
    if kind == "sqlite":
        made = create_engine(url, json_serializer=_dumps, connect_args={"timeout": 30, "check_same_thread": False})

        @event.listens_for(made, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute("PRAGMA busy_timeout=30000")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

        return made
    return create_engine(url, json_serializer=_dumps, pool_pre_ping=True)


def engine() -> Engine:
    """The engine of the configured database."""
    return _engine(settings().database)


def session() -> Session:
    """A new session, to be used as `with session() as s:`. Rows stay readable after commit."""
    return Session(engine(), expire_on_commit=False)


def get_session() -> Iterator[Session]:
    """A session for one request (FastAPI dependency)."""
    with session() as one:
        yield one


def forget() -> None:
    """Drop the connections inherited over a fork without closing them for the parent."""
    if _engine.cache_info().currsize:
        engine().dispose(close=False)
    _engine.cache_clear()


def _head() -> str:
    """The newest revision in migrations/versions, found without importing Alembic (a third of a second)."""
    revisions, parents = set(), set()
    for file in (MIGRATIONS / "versions").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        if found := re.search(r'^revision(?:: str)? = "(\w+)"', source, re.M):
            revisions.add(found[1])
        if found := re.search(r'^down_revision(?:: [^=]+)? = "(\w+)"', source, re.M):
            parents.add(found[1])
    (head,) = revisions - parents
    return head


def current() -> str:
    """The revision that the database is at, "" for an empty one."""
    with engine().connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def upgrade() -> None:
    """Bring the database to the newest revision; nothing is done, and quickly, when it is there."""
    if current() == _head():
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine().begin() as connection:
        if engine().dialect.name == "postgresql":  # two processes that start at once take turns
            connection.execute(text("SELECT pg_advisory_xact_lock(8600)"))
        elif engine().dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
