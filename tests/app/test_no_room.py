"""Protects: a disk that is full, or can only be read, is told in a sentence; nothing half written stays."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import CSV, ask_for, look
from sqlalchemy import exc

from app import datasets, db, queue, runs
from app.main import create_app
from templates_engine.running import store as stored
from workers.faults import sentence

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
LOCKED = OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


def raising(error: BaseException) -> Any:
    def raise_(*_: Any, **__: Any) -> Any:
        raise error

    return raise_


def files(home: Path) -> set[str]:
    return {str(p) for part in ("incoming", "datasets") for p in (home / part).rglob("*") if p.is_file()}


@pytest.mark.parametrize(("fault", "says"), [(FULL, "The disk is full"), (LOCKED, "can only be read")])
def test_an_upload(client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, says: str) -> None:
    before = files(home)
    monkeypatch.setattr("numpy.savez", raising(fault))
    for address in ("/api/v1/datasets", "/datasets"):
        answer = client.post(address, files={"file": ("own.csv", io.BytesIO(CSV.encode()))})
        assert answer.status_code == 507, answer.text
        assert says in answer.text
    assert files(home) == before


def test_a_form_that_cannot_be_received(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", raising(FULL))
    for address in ("/api/v1/datasets", "/datasets"):
        answer = client.post(address, files={"file": ("own.csv", io.BytesIO(CSV.encode()))})
        assert answer.status_code == 507, answer.text


def test_a_submission(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    full = exc.OperationalError("INSERT", {}, Exception("database or disk is full"))
    monkeypatch.setattr(runs, "submit", raising(full))
    dataset = client.post("/api/v1/datasets", files={"file": ("own.csv", io.BytesIO(CSV.encode()))}).json()
    body = {"template": "Trial", "dataset": dataset["name"], "answers": {"y": "y"}}
    answer = client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "no-room")


def test_a_run_fails_with_whole_outputs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full from the third file on."""
    real, written = os.replace, []

    def replace(source: Any, target: Any) -> None:
        if "/runs/" in str(target):
            written.append(str(target))
            if len(written) > 2:
                raise FULL
        real(source, target)

    monkeypatch.setattr(stored.os, "replace", replace)
    run = ask_for(enqueue=False)
    queue.run_here(run.id, 0)
    monkeypatch.setattr(stored.os, "replace", real)
    ended = look(run.id)
    assert ended.state == "failed"
    assert "could not be written (No space left on device)" in ended.message
    with db.session() as session:
        listed = {one.file for one in runs.artifacts(session, ended)}
        assert "copy" not in {row.name for row in datasets.list_all(session)}
    assert {p.name for p in runs.folder(ended).iterdir()} == listed
    assert len(listed) == 2


def test_other_faults_of_files_are_not_taken_for_it() -> None:
    assert "could not be read or written" in sentence(FileNotFoundError(errno.ENOENT, "No such file"))
