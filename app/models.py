"""The tables: datasets, runs, artifacts, and conversations that are still going on.

A run's state is changed by app.runs alone; a dataset is written by app.datasets alone.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from templates_engine.data import Schema


def now() -> datetime:
    return datetime.now(UTC)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, with its time zone also where the database keeps none (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def plain(text: str) -> str:
    """Without what PostgreSQL takes in no text: NUL and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


class Line(TypeDecorator[str]):
    """A short text that every database takes."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return plain(value) if value is not None else None


class Prose(Line):
    """A text of any length that every database takes."""

    impl = Text
    cache_ok = True


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Dataset(Base):
    """A dataset in the list: its rows are in `file`, its columns described in `schema`."""

    __tablename__ = "datasets"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Line(200), unique=True)
    source: Mapped[str] = mapped_column(Line(20))  # supplied, upload, run
    note: Mapped[str] = mapped_column(Prose, default="")  # where it comes from, what was changed on reading
    created: Mapped[datetime] = mapped_column(Instant, default=now)
    n_rows: Mapped[int] = mapped_column(BigInteger)
    n_columns: Mapped[int]
    schema: Mapped[dict[str, Any]] = mapped_column(JSON)
    sha256: Mapped[str] = mapped_column(Line(64), index=True)  # of the content, whatever its name
    file: Mapped[str] = mapped_column(Line(200))  # inside the folder datasets/
    # The run that made it. No foreign key: runs point at datasets, and two tables that point at each other can
    # neither be created nor emptied in any order.
    run_id: Mapped[int | None] = mapped_column(index=True)

    def as_schema(self) -> Schema:
        return Schema.from_dict({**self.schema, "name": self.name})


class Run(Base):
    """One run of a template on a dataset. States: queued, running, done, failed, cancelled."""

    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_state_heartbeat", "state", "heartbeat"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    template: Mapped[str] = mapped_column(Line(100), index=True)
    version: Mapped[str] = mapped_column(Line(40))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))
    dataset_name: Mapped[str] = mapped_column(Line(200))
    dataset_sha256: Mapped[str] = mapped_column(Line(64))
    answers: Mapped[dict[str, str]] = mapped_column(JSON)  # canonical, in asking order
    title: Mapped[str] = mapped_column(Line(400), default="")
    spec_hash: Mapped[str] = mapped_column(Line(64), index=True)
    origin: Mapped[str] = mapped_column(Line(20))  # page, api, cli, python, run (a child)
    queue: Mapped[str] = mapped_column(Line(20), default="cpu")  # "" : carried out by the process that asked
    state: Mapped[str] = mapped_column(Line(20), default="queued")
    attempt: Mapped[int] = mapped_column(default=0)  # fencing token: every write of a worker carries it
    crashes: Mapped[int] = mapped_column(default=0)  # workers lost in the middle of it
    cancel: Mapped[str] = mapped_column(Line(20), default="")  # "", keep (what is drawn), discard
    cancel_asked: Mapped[datetime | None] = mapped_column(Instant)
    worker: Mapped[str] = mapped_column(Line(200), default="")  # machine and process that carry it out
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    message: Mapped[str] = mapped_column(Prose, default="")  # why it failed, or what was kept
    trace: Mapped[str] = mapped_column(Prose, default="")  # full trace of an unexpected failure
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)  # errors and notices
    created: Mapped[datetime] = mapped_column(Instant, default=now)
    sent: Mapped[datetime | None] = mapped_column(Instant)  # when its message was last sent
    sends: Mapped[int] = mapped_column(default=0)
    started: Mapped[datetime | None] = mapped_column(Instant)
    finished: Mapped[datetime | None] = mapped_column(Instant)
    heartbeat: Mapped[datetime | None] = mapped_column(Instant)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    prefix: Mapped[str] = mapped_column(Line(200), default="")  # a child's outputs bear it in the parent's folder
    # The run whose chains this one makes longer. No foreign key: SQLite adds none to a table that is there.
    continues: Mapped[int | None] = mapped_column(index=True)

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class Artifact(Base):
    """An output of a run: a file in the run's folder, or a picture still to be drawn."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("run_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Line(300))
    file: Mapped[str] = mapped_column(Line(300))
    kind: Mapped[str] = mapped_column(Line(20))
    title: Mapped[str] = mapped_column(Line(400), default="")
    sha256: Mapped[str] = mapped_column(Line(64), default="")
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[str] = mapped_column(Line(20), default="ready")  # ready, pending
    position: Mapped[int] = mapped_column(default=0)  # order in the list of outputs
    wanted: Mapped[datetime | None] = mapped_column(Instant)  # someone has opened it: drawn first


class Conversation(Base):
    """Answers given so far on the page, before they become a run."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(Line(32), primary_key=True, default=lambda: secrets.token_hex(8))
    template: Mapped[str] = mapped_column(Line(100))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    answers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    aside: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # set aside when an earlier answer changed
    updated: Mapped[datetime] = mapped_column(Instant, default=now, onupdate=now)
