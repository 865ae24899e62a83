"""Protects: the migrations make the tables that the models describe, on both databases; starting twice does no harm."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from run_service import forget
from sqlalchemy import inspect

from app import db
from app.models import Base


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


def test_down_and_up_again(database: str) -> None:
    """The first migration can be undone and made again."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(db.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with db.engine().begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert "runs" not in inspect(db.engine()).get_table_names()
    db.upgrade()
    assert "runs" in inspect(db.engine()).get_table_names()
