"""Protects: texts that PostgreSQL refuses, in names, labels, notes and titles, are kept without what it refuses."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import CSV, ask_for, look

from app import datasets, db, queue, runs
from app.main import create_app
from templates_engine.data.dataset import Dataset

ODD = "a\0b \ud800 é"
CLEAN = "ab ? é"


@pytest.fixture
def client(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(queue, "send", lambda *_: True)
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


def test_names_labels_and_notes(database: str) -> None:
    data = Dataset("own\0name", {"y": np.arange(3.0)}, titles={"y": ODD}, notes=(ODD,))
    with db.session() as session:
        row = datasets.add(session, data, "upload")
        session.expire_all()
        assert datasets.get(session, row.id).note == CLEAN
        assert CLEAN in str(row.schema["columns"])
        assert datasets.find(session, "none\0of this name") is None


def test_what_looks_like_an_escape_is_kept(database: str) -> None:
    text = "a\\u0000b \\\\u0000"
    data = Dataset("own", {"y": np.arange(3.0)}, titles={"y": text + "\0"})
    with db.session() as session:
        row = datasets.add(session, data, "upload")
        session.expire_all()
        assert row.schema["columns"][0]["title"] == text


def test_a_run_that_fails_with_odd_words(database: str, sent: list[Any]) -> None:
    run = ask_for()
    with db.session() as session:
        runs.claim(session, run.id, 0)
        assert runs.fail(session, run.id, 0, ODD, trace=ODD)
    assert look(run.id).message == look(run.id).trace == CLEAN


def test_uploads_with_odd_bytes(client: TestClient) -> None:
    for content in (CSV.replace("school", "sch\0ool"), CSV.replace("school", "s\0"), CSV + "\0,1,2\n"):
        for address in ("/api/v1/datasets", "/datasets"):
            answer = client.post(address, files={"file": ("o\0dd.csv", io.BytesIO(content.encode()))})
            assert answer.status_code < 500, answer.text
    named = client.post(
        "/api/v1/datasets", files={"file": ("own.csv", io.BytesIO(CSV.encode()))}, data={"name": "a\0b"}
    )
    assert named.status_code < 500


def test_statuses_are_documented(client: TestClient) -> None:
    """Every error has its shape in the description; the answers of care have none of theirs."""
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, route in methods.items():
            assert {"401", "404", "409", "413", "422", "503", "507"} <= set(route["responses"]), (method, path)
    for path in ("/api/v1/runs", "/api/v1/datasets/1", "/"):
        answer = client.request("PROPFIND", path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
