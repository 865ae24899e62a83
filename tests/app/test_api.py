"""Protects: every route answers what it promises; every error has one shape; bad input is never a 5xx."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import CSV, ask_for, forget, look

from app import db, queue, runs
from app.api.shapes import MAX_JSON
from app.main import create_app
from app.models import now
from app.runs import asking
from templates_engine import registry
from templates_engine.problems import Problem

JSON = {"content-type": "application/json"}


@pytest.fixture
def client(home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(queue, "send", lambda *_: True)
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


def send(client: TestClient, name: str = "school.csv", content: str | bytes = CSV, **form: str) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    return client.post("/api/v1/datasets", files={"file": (name, io.BytesIO(raw))}, data=form)


def error(answer: Any, status: int) -> dict[str, Any]:
    """The error that an answer holds, its shape checked."""
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert set(content) == {"error"}
    assert set(content["error"]) == {"code", "message", "problems"}
    assert content["error"]["code"]
    assert content["error"]["message"]
    assert all("message" in problem for problem in content["error"]["problems"])
    return content["error"]


def done(**answers: object) -> int:
    """A run carried out here; its number."""
    run = ask_for(enqueue=False, **answers)
    queue.run_here(run.id, 0)
    return run.id


def test_templates(client: TestClient) -> None:
    listed = {t["name"]: t for t in client.get("/api/v1/templates").json()}
    assert listed["Trial"]["title"].startswith("Draws")
    for name in listed:
        one = client.get(f"/api/v1/templates/{name}")
        assert one.status_code == 200, one.text
        assert one.json()["questions"] or not one.json()["examples"]  # they are found by walking the examples


def test_a_conversation(client: TestClient) -> None:
    send(client)
    body: dict[str, Any] = {"dataset": "school", "answers": {}}
    first = client.post("/api/v1/templates/Trial/walk", json=body).json()
    assert first["open"][0] == "y"
    assert not first["complete"]
    assert {"y", "x", "school"} <= {o["value"] for o in first["asked"][0]["options"]}
    while body["answers"].keys() < {q["key"] for q in first["asked"]} and first["open"]:
        body["answers"] |= {q["key"]: q["default"] or "y" for q in first["asked"] if q["open"]}
        first = client.post("/api/v1/templates/Trial/walk", json=body).json()
    assert first["complete"]
    assert first["command"].startswith("RunStatJR(template='Trial', dataset='school'")
    assert r"\sim" in first["equation"]
    wrong = client.post("/api/v1/templates/Trial/walk", json={"dataset": "school", "answers": {"y": "yy", "z": "1"}})
    assert {p["key"] for p in wrong.json()["problems"]} == {"y", "z"}


def test_datasets(client: TestClient) -> None:
    sent = send(client, name="..\\..\\my school.csv")
    assert sent.status_code == 201
    row = sent.json()
    assert row["name"] == "my_school"
    assert [c["name"] for c in row["columns"]] == ["school", "y", "x"]
    assert send(client, name="my school.csv").json()["id"] == row["id"]
    for address in (row["id"], row["name"]):
        assert client.get(f"/api/v1/datasets/{address}").json() == row
    assert {"my_school"} <= {d["name"] for d in client.get("/api/v1/datasets").json()}
    for kind in ("csv", "dta"):
        file = client.get(f"/api/v1/datasets/my_school/download?format={kind}")
        assert file.status_code == 200
        assert f"my_school.{kind}" in file.headers["content-disposition"]
        again = send(client, name=f"again.{kind}", content=file.content)
        assert again.json()["n_rows"] == 60, again.text


def test_a_run_from_asking_to_its_bundle(client: TestClient) -> None:
    send(client)
    asked = client.post(
        "/api/v1/runs", json={"template": "Trial", "dataset": "school", "answers": {"y": "y", "pictures": True}}
    )
    assert asked.status_code == 201, asked.text
    run = asked.json()
    assert (run["state"], run["dataset"], run["origin"]) == ("queued", "school", "api")
    address = f"/api/v1/runs/{run['id']}"
    error(client.get(f"{address}/bundle"), 409)
    queue.run_here(run["id"], 0)
    assert client.get(address).json()["state"] == "done"
    assert client.get(address).json()["progress"]["percent"] == 100
    assert [r["id"] for r in client.get("/api/v1/runs?state=done").json()] == [run["id"]]
    outputs = client.get(f"{address}/artifacts").json()
    assert {"Means", "Means.json", "out", "copy", "mu.svg", "Inputs", "script.py"} <= {o["name"] for o in outputs}
    for one in outputs:
        by_name, by_file = (client.get(f"{address}/artifacts/{one[key]}") for key in ("name", "file"))
        assert by_name.status_code == 200
        assert by_name.content == by_file.content or one["name"] != one["file"]
        assert len(by_name.content) == one["size"]
        assert by_name.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in by_name.headers["content-security-policy"]
        assert by_name.headers["content-disposition"].startswith("attachment")
    assert client.get(f"{address}/artifacts/Means.json").json()["columns"] == ["mean", "kept"]
    pack = client.get(f"{address}/bundle")
    names = zipfile.ZipFile(io.BytesIO(pack.content)).namelist()
    assert {n.split("/")[1] for n in names} == {o["file"] for o in outputs} | {"manifest.json", "README.txt"}
    about = next(n for n in names if n.endswith("README.txt"))
    words = zipfile.ZipFile(io.BytesIO(pack.content)).read(about).decode()
    assert "Trial (version 1) on the dataset school" in words
    assert "statgrove run Trial --dataset school --inputs @Inputs.txt --out results" in words
    assert client.get("/api/v1/datasets/school").json()["sha256"] in words
    unnamed = {o["file"] for o in outputs if not o["name"].endswith((".json", ".npz")) and o["file"] not in words}
    assert unnamed == set(), "README names every file but the second writings"
    assert "copy" in {d["name"] for d in client.get("/api/v1/datasets").json()}
    error(client.post(f"{address}/cancel"), 409)


def test_the_forms_in_which_answers_come(client: TestClient) -> None:
    send(client)
    bodies = [
        {"template": "Trial", "dataset": "school", "answers": {"y": "y", "iterations": 5, "pictures": False}},
        {"template": "Trial", "dataset": "school", "inputs": "{'y': 'y', 'iterations': '5', 'pictures': 'No'}"},
        {"command": "RunStatJR(template='Trial', dataset='school', invars = {'y': 'y', 'iterations': 5})"},
    ]
    found = [client.post("/api/v1/runs", json=body).json() for body in bodies]
    assert len({run["spec_hash"] for run in found}) == 1
    assert len({run["id"] for run in found}) == 3


def test_events_end_with_the_run_and_bear_ids(client: TestClient) -> None:
    run = done()
    lines = client.get(f"/api/v1/runs/{run}/events").text.splitlines()
    assert "event: end" in lines
    content = json.loads(next(line[6:] for line in lines if line.startswith("data: ")))
    assert content["state"] == "done"
    assert any(line.startswith("id: ") for line in lines)


def test_cancel_a_queued_run(client: TestClient) -> None:
    run = ask_for()
    assert client.post(f"/api/v1/runs/{run.id}/cancel", json={"discard": True}).json()["state"] == "cancelled"


def test_a_picture_that_is_opened_is_wanted(client: TestClient) -> None:
    from templates_engine.running.store import Artifact

    run = ask_for()
    with db.session() as session:
        runs.claim(session, run.id, 0)
        runs.add_artifacts(session, run.id, 0, [Artifact("p", "p.svg", "figure", "", state="pending")])
    assert error(client.get(f"/api/v1/runs/{run.id}/artifacts/p"), 409)["code"] == "pending"
    with db.session() as session:
        assert runs.wanted(session, run.id) == "p"


def test_what_the_rows_forbid_is_refused_at_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a wrong answer is, and nothing is kept; of data too large to be read meanwhile the run says it."""
    send(client)

    def asked(how: str, **more: Any) -> Any:
        answers = {"y": "y", "how": how, "iterations": "20"}
        return client.post("/api/v1/runs", json={"template": "Trial", "dataset": "school", "answers": answers, **more})

    found = error(asked("check"), 422)
    assert found["code"] == "invalid"
    assert [(p["key"], p["message"]) for p in found["problems"]] == [("y", "Two rows differ."), ("how", "So it is.")]
    assert client.get("/api/v1/runs").json() == []
    assert asked("notice").status_code == 201, "a notice forbids nothing"

    monkeypatch.setattr(asking, "CHECKED", 1)
    assert asked("check").status_code == 201


def test_a_run_is_found_again_before_its_rows_are_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking twice for the same gives the same run, at no cost; and a check that breaks is told by the run."""
    send(client)
    body = {"template": "Trial", "dataset": "school", "answers": {"y": "y", "iterations": "20"}, "reuse": True}
    first = client.post("/api/v1/runs", json=body).json()["id"]
    with db.session() as session:
        runs.claim(session, first, 0)
        runs.finish(session, first, 0)

    def broken(*_: Any) -> Any:
        raise RuntimeError("the kettle is empty")

    trial = type(registry.get("Trial"))
    monkeypatch.setattr(trial, "check", lambda *_: [Problem("trial", "It is forbidden now.", key="y")])
    error(client.post("/api/v1/runs", json={**body, "reuse": False}), 422)
    assert client.post("/api/v1/runs", json=body).json()["id"] == first
    monkeypatch.setattr(trial, "check", broken)
    again = client.post("/api/v1/runs", json={**body, "reuse": False})
    assert (again.status_code, again.json()["state"]) == (201, "queued")


def test_failed_runs_say_why(client: TestClient) -> None:
    run = client.get(f"/api/v1/runs/{done(how='check')}").json()
    assert run["state"] == "failed"
    assert [p["key"] for p in run["problems"]] == ["y", "how"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/nothing"),
        ("GET", "/api/v1/templates/Nothing"),
        ("POST", "/api/v1/templates/Nothing/walk"),
        ("GET", "/api/v1/datasets/nothing"),
        ("GET", "/api/v1/datasets/99999999999"),
        ("GET", "/api/v1/datasets/nothing/download"),
        ("GET", "/api/v1/runs/77"),
        ("GET", "/api/v1/runs/77/children"),
        ("POST", "/api/v1/runs/77/cancel"),
        ("GET", "/api/v1/runs/77/events"),
        ("GET", "/api/v1/runs/77/artifacts"),
        ("GET", "/api/v1/runs/77/artifacts/a"),
        ("GET", "/api/v1/runs/77/bundle"),
        ("GET", "/api/v1/runs/{run}/artifacts/nothing"),
        ("GET", "/api/v1/runs/{run}/artifacts/..%2F..%2F..%2Fstatgrove.db"),
        ("GET", "/api/v1/runs/{run}/artifacts/manifest.json"),
        ("GET", "/api/v1/datasets/a%00b"),
    ],
)
def test_what_is_not_there(client: TestClient, method: str, path: str) -> None:
    body = {"dataset": "school", "answers": {}} if path.endswith("walk") else None
    error(client.request(method, path.format(run=done()), json=body), 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/runs", {}),
        ("/api/v1/runs", {"template": "Trial"}),
        ("/api/v1/runs", {"template": "Nothing", "dataset": "school"}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "nothing"}),
        ("/api/v1/runs", {"template": "Trial", "dataset": 99999999999999999999}),
        ("/api/v1/runs", {"template": "Trial", "dataset": -1}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school"}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": "y", "z": "1"}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": None}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": {"a": 1}}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": "y\0"}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"\ud800": "y"}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": "\ud800"}}),
        ("/api/v1/runs", {"template": "Tr\0al", "dataset": "school"}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": "y", "iterations": 10**40}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "answers": {"y": "y"}, "colour": "red"}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "inputs": "{'y': "}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "inputs": "{'y': 'y'}", "answers": {"y": "y"}}),
        ("/api/v1/runs", {"template": "Trial", "dataset": "school", "inputs": "(" * 60000}),
        ("/api/v1/runs", {"command": "__import__('os').system('true')", "inputs": "{}"}),
        ("/api/v1/runs", [1, 2]),
        ("/api/v1/templates/Trial/walk", {"dataset": "nothing"}),
        ("/api/v1/templates/Trial/walk", {"answers": {}}),
    ],
)
def test_what_cannot_be_used(client: TestClient, path: str, body: object) -> None:
    send(client)
    text = json.dumps(body)
    found = error(client.post(path, content=text, headers=JSON), 422)
    assert found["problems"]
    assert client.get("/api/v1/runs").json() == []


def test_not_json_at_all(client: TestClient) -> None:
    error(client.post("/api/v1/runs", content=b"{not json", headers=JSON), 422)
    error(client.post("/api/v1/runs", content=b"\xff\xfe", headers=JSON), 422)
    error(client.get("/api/v1/runs?limit=0"), 422)
    error(client.get("/api/v1/runs?state=lost"), 422)
    error(client.get("/api/v1/runs/one"), 422)
    error(client.get("/api/v1/runs/99999999999999"), 422)
    error(client.delete("/api/v1/runs"), 405)
    error(client.post("/api/v1/datasets"), 422)
    send(client)
    error(client.get("/api/v1/datasets/school/download?format=exe"), 422)


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\0\0\0"])
def test_uploads_that_cannot_be_read(client: TestClient, content: bytes) -> None:
    assert error(send(client, content=content), 422)["problems"]


def test_what_is_too_large(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_MAX_UPLOAD", "300")
    monkeypatch.setattr("app.main.FORM_EXTRA", 5000)
    forget()
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        error(send(client), 413)  # counted by us
        error(send(client, content="a\n" * 100_000), 413)  # stopped on its way
        error(client.post("/api/v1/runs", content=b"x" * (MAX_JSON + 1), headers=JSON), 413)
        assert [d["source"] for d in client.get("/api/v1/datasets").json() if d["source"] == "upload"] == []


def test_a_page_of_another_site_can_do_nothing(client: TestClient) -> None:
    send(client)
    body = {"template": "Trial", "dataset": "school", "answers": {"y": "y"}}
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
    ):
        assert error(client.post("/api/v1/runs", json=body, headers=headers), 403)["code"] == "cross-site"
    assert client.get("/api/v1/runs").json() == []
    for headers in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "http://127.0.0.1"}):
        assert client.post("/api/v1/runs", json=body, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8600", 200), ("localhost", 200), ("[::1]:8600", 200), ("evil.example", 400), ("", 400), ("[::1", 400)],
)
def test_only_our_own_names(client: TestClient, host: str, status: int) -> None:
    assert client.get("/api/v1/templates", headers={"host": host}).status_code == status


def test_headers_on_every_answer(client: TestClient) -> None:
    for path in ("/api/v1/templates", "/api/v1/nothing", "/api/docs", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src" in headers["content-security-policy"]


def test_the_docs_page_works_offline(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert "POST /api/v1/runs" in page
    assert "<script" not in page
    assert "//cdn" not in page
    described = client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/runs/{run_id}/events", "/api/v1/templates/{name}/walk"} <= set(described["paths"])


def test_children_are_listed_with_their_parent(client: TestClient) -> None:
    run = ask_for()
    with db.session() as session:
        runs.claim(session, run.id, 0)
        runs.add_child(session, run.id, 0, template="Trial", version="1", dataset_name="d", dataset_sha256="",
                       answers={}, spec_hash="", prefix="M_")  # fmt: skip
    (child,) = client.get(f"/api/v1/runs/{run.id}/children").json()
    assert child["parent"] == run.id
    assert error(client.post(f"/api/v1/runs/{child['id']}/cancel"), 409)["code"] == "child"
    assert look(run.id).created <= now()


def test_long_answers_are_cut_in_the_list_and_whole_in_the_run(client: TestClient) -> None:
    send(client)
    table = "a;b\n" + "1;2\n" * 50_000
    asked = {"template": "LoadTextFile", "dataset": "school", "answers": {"text": table, "outdata": "pasted"}}
    run = client.post("/api/v1/runs", json=asked).json()
    assert (run["answers"]["text"], run["shortened"]) == (table.rstrip("\n"), []) or run["answers"]["text"] == table
    whole = client.get(f"/api/v1/runs/{run['id']}").json()
    assert whole["answers"] == run["answers"]
    (listed,) = (r for r in client.get("/api/v1/runs").json() if r["id"] == run["id"])
    assert listed["shortened"] == ["text"]
    n = len(whole["answers"]["text"])
    assert listed["answers"]["text"] == whole["answers"]["text"][:300] + f"… ({n:,} characters)"
    assert {k: v for k, v in listed["answers"].items() if k != "text"} == {
        k: v for k, v in whole["answers"].items() if k != "text"
    }
