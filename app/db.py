"""The database: one engine a process, short sessions, migrations at start.

SQLite runs in WAL mode with a busy timeout, so that pages read while workers write. Transactions are short and
never span slow work: a session is opened, used and closed around one step.

A database that does not answer must not hang whoever asks. A page waits a few seconds, and after one miss the next
pages are refused at once until the database answers (`hurry`, outages.Gate); a worker waits longer and tries again
(`patiently`). The time is kept here, by the client: a server that is frozen keeps none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, exc, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.outages import Gate, Outage
from app.settings import settings

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
PATIENT = 30.0  # seconds that a process waits for one answer which nobody watches
T = TypeVar("T")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # an escape, and not the text that looks like one
outage = Outage("the database")
_gates: dict[str, Gate] = {}
_hurried = False  # this process answers pages
_unlimited = ContextVar("unlimited", default=False)


class Away(exc.OperationalError):
    """The database has not answered before, and is not asked now."""

    def __init__(self) -> None:
        super().__init__("", {}, Exception("the database does not answer"))


def hurry(on: bool = True) -> None:
    """This process answers pages: it waits for the database as long as the setting says, and then refuses at once."""
    global _hurried
    _hurried = on


def limit() -> float:
    """Seconds that this process waits for one answer of the database."""
    return settings().database_timeout if _hurried else PATIENT


def away(error: BaseException) -> bool:
    """Did the database not answer, or break off, so that the same may succeed later?"""
    if isinstance(error, exc.TimeoutError):  # no connection of the pool became free
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    said = str(getattr(error, "orig", ""))  # SQLite has one class for a lock and for a fault of the program
    return isinstance(error, exc.OperationalError) and not re.match(r"no such|near |unrecognized|too many SQL", said)


def _dumps(value: Any) -> str:
    # PostgreSQL refuses NaN in JSON, and so does every browser: better to fail where it is written. NUL, which it
    # refuses too, is no character of any text that people read.
    text = _NUL.sub(r"\1", json.dumps(value, allow_nan=False, ensure_ascii=False))
    return text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    kind = make_url(url).get_backend_name()
    if kind == "sqlite":
        made = create_engine(url, json_serializer=_dumps, connect_args={"timeout": PATIENT, "check_same_thread": False})

        @event.listens_for(made, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute(f"PRAGMA busy_timeout={round(1000 * limit())}")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

        return made
    made = create_engine(url, json_serializer=_dumps, pool_pre_ping=True, pool_timeout=PATIENT)
    if made.dialect.driver == "psycopg":
        gate = _gates[url] = Gate(outage, lambda: _ask(url))

        @event.listens_for(made, "do_connect")
        def _connect(_dialect: Any, _record: Any, arguments: Any, more: Any) -> Any:
            import psycopg

            if gate.shut and _hurried:
                raise psycopg.OperationalError("the database does not answer")
            try:
                return _limited(url).connect(*arguments, **more, connect_timeout=max(2, round(limit())))
            except psycopg.OperationalError as error:
                if _hurried:
                    gate.miss(error)
                raise

    return made


@cache
def _limited(url: str) -> Any:
    """psycopg's connection with a time for every answer, kept by this side; afterwards it is closed."""
    import psycopg
    from psycopg.errors import _WaitTimeout

    class Limited(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            if timeout is None and not _unlimited.get():
                timeout = limit()
            try:
                return super().wait(gen, interval, timeout)
            except _WaitTimeout:
                self.pgconn.finish()  # what it is doing is not known: nothing more may be asked of it
                error = psycopg.OperationalError(f"no answer within {timeout:g} s")
                if _hurried:
                    _gates[url].miss(error)
                raise error from None

    return Limited


def _ask(url: str) -> None:
    """Ask the server something by a connection of its own."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with _limited(url).connect(address, connect_timeout=max(2, round(limit()))) as connection:
        connection.execute("SELECT 1")


def engine() -> Engine:
    """The engine of the configured database."""
    return _engine(settings().database)


def session() -> Session:
    """A new session, to be used as `with session() as s:`. Rows stay readable after commit.

    Away, at once, in a process that answers pages, while the database is known not to answer.
    """
    chosen = engine()
    if _hurried and (gate := _gates.get(settings().database)) is not None and gate.shut:
        raise Away
    return Session(chosen, expire_on_commit=False)


def patiently(do: Callable[[Session, bool], T], seconds: float | None = None) -> T:
    """do(session, again), again and again while the database does not answer; what it gives.

    again: it was tried before, and may have been done without our having heard of it. seconds: how long to try
    (None: the setting `outage`); then the last error is raised.
    """
    from kombu.utils.functional import retry_over_time

    tried = False

    def once() -> T:
        nonlocal tried
        again, tried = tried, True
        try:
            with session() as one:
                done = do(one, again)
        except exc.SQLAlchemyError as error:
            if not away(error):
                raise
            outage.missed(error.__cause__ or error)
            raise _Miss(error) from error
        outage.over()
        return done

    longest = settings().outage if seconds is None else seconds
    try:
        if longest <= 0:
            return once()
        wait: Any = retry_over_time
        found: T = wait(once, (_Miss,), interval_start=0.2, interval_step=0.3, interval_max=2.0, timeout=longest)
        return found
    except _Miss as miss:
        raise miss.error from None


class _Miss(Exception):
    def __init__(self, error: exc.SQLAlchemyError):
        super().__init__(str(error))
        self.error = error


@contextmanager
def _without_limit() -> Iterator[None]:
    token = _unlimited.set(True)
    try:
        yield
    finally:
        _unlimited.reset(token)


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
    with _without_limit(), engine().begin() as connection:
        if engine().dialect.name == "postgresql":  # two processes that start at once take turns
            connection.execute(text("SELECT pg_advisory_xact_lock(8600)"))
        elif engine().dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
