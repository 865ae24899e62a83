"""Protects: the migrations make the tables that the models describe, on both databases; starting twice does no harm."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from run_service import ask_for, forget
from sqlalchemy import inspect

from app import db, runs
from app.models import Base


def migrate(how: str, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(db.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with db.engine().begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, how)(config, to)


def test_migrations_make_the_models_tables(database: str) -> None:
    with db.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        assert db.engine().dialect.name == database


def test_upgrade_twice_changes_nothing(database: str) -> None:
    before = db.current()
    db.upgrade()
    assert before == db.current() == db._head()


def test_processes_that_start_at_once_migrate_once(
    home: object, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATGROVE_DATA", f"{tmp_path}/other")
    forget()
    faults: list[BaseException] = []

    def start() -> None:
        try:
            db.upgrade()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {"runs", "datasets", "artifacts", "conversations"} <= set(inspect(db.engine()).get_table_names())


def test_runs_and_their_outputs_outlast_the_migrations(database: str) -> None:
    """SQLite changes a table by copying it and dropping the old one, which would take what points at its rows along."""
    from app.models import Artifact

    run = ask_for(enqueue=False)
    with db.session() as session:
        session.add(Artifact(run_id=run.id, name="a", file="a.csv", kind="table"))
        session.commit()
    migrate("downgrade", "0001")
    assert "continues" not in {column["name"] for column in inspect(db.engine()).get_columns("runs")}
    db.upgrade()
    with db.session() as session:
        kept = runs.get(session, run.id)
        assert kept is not None
        assert kept.continues is None
        assert [one.name for one in runs.artifacts(session, kept)] == ["a"]


def test_down_and_up_again(database: str) -> None:
    """Every migration can be undone and made again."""
    migrate("downgrade", "base")
    assert "runs" not in inspect(db.engine()).get_table_names()
    db.upgrade()
    assert "runs" in inspect(db.engine()).get_table_names()
