"""Protects: a zip of images sent to the page or over REST becomes a dataset that BagNet runs on, and its results are on
the page and in the bundle; other templates are not offered for it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import KEY
from fastapi.testclient import TestClient
from PIL import Image
from run_service import look

from app import datasets, db, queue, runs
from app.main import create_app

ANSWERS = {
    "networks": "SmallBagNet9", "size": "32", "epochshead": "0", "epochsall": "1", "optimiser": "AdamW", "mask": "0",
    "augment": "None", "window": "1", "split": "60,20,20",
}  # fmt: skip


@pytest.fixture
def client(home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(queue, "send", lambda *_: True)
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


def pictures() -> bytes:
    rng = np.random.default_rng(1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for k in range(32):
            out = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(out, "PNG")
            opened.writestr(
                f"{'no' if k % 2 else 'yes'}/{k // 2}_{'left' if k % 4 < 2 else 'right'}.png", out.getvalue()
            )
    return packed.getvalue()


def send(client: TestClient, content: bytes, name: str = "faces.zip") -> Any:
    return client.post("/api/v1/datasets", files={"file": (name, io.BytesIO(content))})


def test_from_a_zip_to_results(client: TestClient, home: Path) -> None:
    sent = send(client, pictures())
    assert sent.status_code == 201, sent.text
    row = sent.json()
    assert (row["name"], row["n_rows"]) == ("faces", 32)
    assert send(client, pictures()).json()["id"] == row["id"]  # the same zip again is the same dataset
    assert len(list((home / "datasets").glob("images-*.zip"))) == 1

    shown = client.get(f"/datasets/{row['id']}").text
    offered = shown[shown.index("use-template") :]
    offered = offered[: offered.index("</select>")]
    assert "BagNet" in offered
    assert "2LevelImpute" not in offered
    walked = client.post("/api/v1/templates/BagNet/walk", json={"dataset": "faces", "answers": {}}).json()
    assert "images" in walked["open"] or walked["answers"].get("images") == "faces"

    with db.session() as session:
        run = runs.submit(session, "BagNet", datasets.get(session, "faces"), ANSWERS, origin="test", enqueue=False,
                          rows=datasets.open)  # fmt: skip
    queue.run_here(run.id, run.attempt)
    assert look(run.id).state == "done", look(run.id).message
    page = client.get(f"/runs/{run.id}").text
    assert "Performance" in page
    for name in ("Performance", "evidence_SmallBagNet9.svg", "weights_SmallBagNet9.safetensors", "ModelCard.md"):
        assert client.get(f"/runs/{run.id}/output/{name}").status_code == 200, name
    packed = client.get(f"/api/v1/runs/{run.id}/bundle")
    assert packed.status_code == 200
    with zipfile.ZipFile(io.BytesIO(packed.content)) as bundle:
        names = {Path(n).name for n in bundle.namelist()}
    assert {"Performance.csv", "Evidence.csv", "Predictions.csv", "Split.csv", "Excluded.csv"} <= names
    assert "weights_SmallBagNet9.safetensors" in names


def test_hostile_zips_leave_nothing_behind(client: TestClient, home: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("../../outside.png", b"x")
    answer = send(client, packed.getvalue())
    assert answer.status_code == 422
    assert answer.json()["error"]["problems"][0]["code"] == "path-escapes"
    assert list((home / "datasets").glob("*.zip")) == []
    assert list((home / "incoming").iterdir()) == []


def test_a_folder_of_the_server_is_used_where_it_may_be_read(client: TestClient, home: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(pictures())) as opened:
        opened.extractall(home / "files" / "set")
    made = client.post("/api/v1/datasets/folder", data={"folder": "set"})
    assert made.status_code == 201, made.text
    assert made.json()["n_rows"] == 32
    page = client.post("/datasets/folder", data={"folder": str(home / "files" / "set")}, follow_redirects=True)
    assert page.status_code == 200
    for outside in ("/etc", "../datasets", "gone"):
        refused = client.post("/api/v1/datasets/folder", data={"folder": outside})
        assert refused.status_code == 422, outside
        assert client.post("/datasets/folder", data={"folder": outside}).status_code == 422
