"""Answers carried over to another template from its model, from a run's results, and through REST."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient
from reading import Page

from app import db, leads, runs
from app.models import Dataset, Run
from templates_engine import inputs, registry


def published() -> dict[str, str]:
    example = next(e for e in registry.get("2LevelImpute").examples if e.name == "published")
    return dict(inputs.read(example.inputs).answers)


def example(client: TestClient) -> str:
    answer = client.post("/ask", data={"template": "2LevelImpute", "example": "published"})
    return answer.url.path


def test_from_the_model_to_three_answers(client: TestClient) -> None:
    """One button of the model page opens the model of the other template, every question answered."""
    here = example(client)
    model = client.get(f"{here}/model").text
    assert "Three answers side by side" in model
    assert "Open 2LevelMissingOnePass" not in model  # no notice calls for it
    answer = client.post(here, data={"do": "lead compare"})
    assert answer.status_code == 200
    assert re.fullmatch(r"/ask/[^/]+/model", answer.url.path)
    text = Page(answer.text).text
    assert "2LevelMissingOnePass on tutmiss" in text
    assert "There is a problem" not in text
    refused = client.post(here, data={"do": "lead nowhere"})
    assert refused.status_code == 422
    assert "leads with these answers to" in refused.text


def test_from_a_run(client: TestClient) -> None:
    example(client)
    with db.session() as session:
        row = session.query(Dataset).filter(Dataset.name == "tutmiss").one()
        run = runs.submit(session, "2LevelImpute", row, published(), rows=None)
        number = run.id
        session.get_one(Run, number).state = "done"
        session.commit()
    assert f'action="/runs/{number}/lead"' in client.get(f"/runs/{number}").text
    answer = client.post(f"/runs/{number}/lead", data={"lead": "one-pass"})
    assert answer.status_code == 200
    assert answer.url.path.endswith("/model")


def test_rest_gives_the_answers(client: TestClient) -> None:
    body = {"dataset": "tutmiss", "answers": published(), "lead": "one-pass"}
    found = client.post("/api/v1/templates/2LevelImpute/carried", json=body).json()
    assert found["template"] == "2LevelMissingOnePass"
    assert found["answers"]["xvars"] == "cons,standlrtmiss,girlmiss,schgendmiss:cat"
    assert dict(inputs.read(found["inputs"]).answers) == found["answers"]
    wrong = client.post("/api/v1/templates/2LevelImpute/carried", json={**body, "lead": "other"})
    assert wrong.status_code == 422
    unknown = client.post("/api/v1/templates/2LevelMod/carried", json={**body, "answers": {}})
    assert unknown.status_code == 422


def test_every_lead_has_a_template() -> None:
    for template in registry.all().values():
        for example in template.examples:
            for lead in template.leads(dict(inputs.read(example.inputs).answers)):
                assert lead in leads.offered(template, dict(inputs.read(example.inputs).answers))
