"""The page of a dataset shows how its file was read, and reads it again."""

from __future__ import annotations

import json

from fastapi.testclient import TestClient

from app import datasets, db

CSV = b"school,x\n007,1.5\n07,2.5\n12,3.5\n"


def send(client: TestClient, name: str, content: bytes = CSV) -> str:
    page = client.post("/datasets", files={"file": (name, content)})
    assert page.status_code == 200
    return str(page.url.path)


def test_one_click_changes_the_same_dataset_while_nothing_uses_it(client: TestClient) -> None:
    path = send(client, "again_a.csv")
    page = client.get(path).text
    assert "How it was read" in page
    assert 'value="number:school"' in page
    after = client.post(f"{path}/reading", data={"as": "number:school"})
    assert after.url.path == path
    number = int(path.rpartition("/")[2])
    with db.session() as session:
        row = datasets.get(session, number)
        assert datasets.open(row)["school"].tolist() == [7, 7, 12]
        assert datasets.source(row) is not None
    back = client.post(f"{path}/reading", data={"kind:school": ""})
    assert "007" in back.text
    assert back.url.path == path


def test_a_dataset_in_use_stays(client: TestClient) -> None:
    path = send(client, "again_b.csv")
    number = path.rpartition("/")[2]
    client.post("/ask", data={"template": "SummaryStats", "dataset": number})
    after = client.post(f"{path}/reading", data={"names": "0"})
    assert after.url.path != path
    assert "again_b_2" in after.text
    assert "V1" in after.text
    assert "How it was read" in after.text
    assert "V1" not in client.get(path).text


def test_what_cannot_be_read_so_is_told_on_the_page(client: TestClient) -> None:
    path = send(client, "again_c.csv", b"k,x\na,1\nb,2\n")
    answer = client.post(f"{path}/reading", data={"kind:k": "number"})
    assert answer.status_code == 422
    assert "k does not hold numbers." in answer.text
    assert client.post(f"{path}/reading", data={"first": "x"}).status_code == 422


def test_a_supplied_dataset_has_no_file_to_read(client: TestClient) -> None:
    with db.session() as session:
        number = next(row.id for row in datasets.list_all(session) if row.source == "supplied")
    assert "How it was read" not in client.get(f"/datasets/{number}").text
    assert client.post(f"/datasets/{number}/reading", data={"names": "0"}).status_code == 422


def test_rest_takes_the_same_options(client: TestClient) -> None:
    sent = client.post(
        "/api/v1/datasets",
        files={"file": ("again_d.csv", b"school;x\n007;1,500\n12;2,250\n")},
        data={"reading": json.dumps({"kind:school": "number", "decimal": "comma"})},
    )
    assert sent.status_code == 201
    name = sent.json()["name"]
    assert sent.json()["columns"][0]["maximum"] == 12
    assert sent.json()["columns"][1]["maximum"] == 2.25
    how = client.get(f"/api/v1/datasets/{name}/reading").json()
    assert how["told"] == {"decimal": "comma", "kind:school": "number"}
    again = client.post(f"/api/v1/datasets/{name}/reading", json={"kind:school": "text"})
    assert again.status_code == 200
    assert again.json()["columns"][0]["kind"] == "text"
    wrong = client.post("/api/v1/datasets", files={"file": ("a.csv", CSV)}, data={"reading": "[1]"})
    assert wrong.status_code == 422
