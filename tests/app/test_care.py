"""Protects: whoever watches over the server learns whether it works, and of which run a line of its log speaks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from run_service import forget

from app import db, logs
from app.main import create_app


def test_health_and_ready(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ok"}

        def away() -> None:
            raise db.Away

        monkeypatch.setattr(db, "session", away)
        assert client.get("/health").status_code == 200
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "the database does not answer"})


def test_lines_of_json_name_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()

    def line(message: str, *arguments: object) -> dict[str, object]:
        record = logging.LogRecord("statgrove.worker", logging.WARNING, "", 1, message, arguments, None)
        return dict(json.loads(logs.Lines().format(record)))

    assert line("run %s: sent again", 7)["run"] == 7
    assert "run" not in line("the database answers again")
    logs.about(8)
    try:
        assert line("a checkpoint of %s cannot be used", "chain-1")["run"] == 8
    finally:
        logs.about(None)
