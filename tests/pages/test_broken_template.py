"""A template that cannot be imported takes nothing with it: it is named with the reason, the others work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import model_templates
from app import db
from app.models import Conversation
from templates_engine import registry

REASON = "ModuleNotFoundError: No module named &#39;no_such_module_here&#39;"
BAD = """
from no_such_module_here import what

from templates_engine.template import Template


class Bad(Template):
    name = "My/Bad"
    title = "Cannot be imported"
"""
NAMELESS = "class Half(\n"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for folder, text in (("broken_import", BAD), ("broken_syntax", NAMELESS)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / "template.py").write_text(text)
    monkeypatch.setattr(model_templates, "__path__", [*model_templates.__path__, str(tmp_path)])
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()


def test_every_template_of_ours_can_be_imported() -> None:
    registry.forget()
    assert registry.broken() == ()


@pytest.mark.usefixtures("broken")
def test_the_others_work_and_the_reason_is_told(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="statgrove.templates"):
        start = client.get("/")
    assert start.status_code == 200
    assert "The template My/Bad cannot be used here" in start.text
    assert REASON in start.text
    assert "The template broken_syntax cannot be used here" in start.text
    assert [record.exc_info is not None for record in caplog.records] == [True, True], "the log has the traceback"
    assert set(registry.all()) >= {"2LevelMod", "HoltWinters"}
    assert "My/Bad" not in registry.all()

    for path in ("/manual", "/templates/2LevelMod", "/inputs", "/api/v1/templates", "/runs"):
        assert client.get(path).status_code == 200, path
    assert "My/Bad" in client.get("/manual").text
    for path in ("/templates/My/Bad", "/templates/My_Bad", "/templates/broken_import"):
        shown = client.get(path)
        assert shown.status_code == 503, path
        assert REASON in shown.text
    assert client.get("/templates/NoSuch").status_code == 404


@pytest.mark.usefixtures("broken")
def test_programs_are_told_too(client: TestClient) -> None:
    answer = client.get("/api/v1/templates/My_Bad")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable-template"
    assert "no_such_module_here" in answer.json()["error"]["message"]
    assert client.get("/api/v1/templates/NoSuch").status_code == 404
    (row, *_) = client.get("/api/v1/datasets").json()
    asked = client.post("/api/v1/runs", json={"template": "My/Bad", "dataset": row["name"], "answers": {}})
    assert asked.status_code == 422
    assert asked.json()["error"]["problems"][0]["code"] == "unavailable-template"


@pytest.mark.usefixtures("broken")
def test_a_conversation_with_it_says_why_it_cannot_go_on(client: TestClient) -> None:
    (row, *_) = client.get("/api/v1/datasets").json()
    with db.session() as session:
        made = Conversation(template="My/Bad", dataset_id=row["id"], answers={}, aside={"kept": {}, "undo": []})
        session.add(made)
        session.commit()
        token = made.id
    shown = client.get(f"/ask/{token}")
    assert shown.status_code == 503
    assert REASON in shown.text
