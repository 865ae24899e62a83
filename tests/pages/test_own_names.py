"""Names as people give them, through the pages: uploaded, picked, marked as categories, written, told."""

from __future__ import annotations

import html

import numpy as np
import pytest
from fastapi.testclient import TestClient

SIZE, SCORE, TOWN, SCHOOL = "Größe (cm)", 'Score, "adjusted" in %', "Town: of birth", "Schule & Ort"


@pytest.fixture(scope="module")
def uploaded(client: TestClient) -> int:
    generator = np.random.default_rng(1)
    quoted = SCORE.replace('"', '""')
    lines = [f'{SCHOOL},{SIZE},"{quoted}",{TOWN}']
    for i in range(80):
        town = ("Ely", '"York, North"', "Łódź")[i % 3]
        lines.append(f"{i // 8},{170 + generator.standard_normal():.3f},{generator.standard_normal():.4f},{town}")
    content = ("\n".join(lines) + "\n").encode()
    answer = client.post("/datasets", files={"file": ("own names.csv", content)})
    assert answer.status_code == 200
    return int(answer.url.path.rpartition("/")[2])


def test_they_are_shown(client: TestClient, uploaded: int) -> None:
    page = html.unescape(client.get(f"/datasets/{uploaded}").text)
    assert all(name in page for name in (SIZE, SCORE, TOWN, SCHOOL))
    columns = client.get(f"/api/v1/datasets/{uploaded}").json()["columns"]
    assert [c["name"] for c in columns] == [SCHOOL, SIZE, SCORE, TOWN]


def test_they_are_picked_moved_and_marked(client: TestClient, uploaded: int) -> None:
    page = client.post("/ask", data={"template": "2LevelMod", "dataset": str(uploaded)})
    address = page.url.path
    page = client.post(
        address, data={"shown y": "1", "y": SIZE, "L2ID": SCHOOL, "shown D": "1", "D": "Normal", "do": "next"}
    )
    shown = {"shown x": "1", "x": ["cons"]}
    client.post(address, data={**shown, "do": f"add x {SCORE}"})
    client.post(address, data={"shown x": "1", "x": ["cons", SCORE], "do": f"add x {TOWN}"})
    client.post(address, data={"shown x": "1", "x": ["cons", SCORE, TOWN], "cat x": [TOWN], "do": f"up x {TOWN}"})
    page = client.get(address)
    order = [
        html.unescape(part.partition('"')[0]) for part in page.text.split('<input type="hidden" name="x" value="')[1:]
    ]
    assert order == ["cons", TOWN, SCORE]
    given = {"shown x": "1", "x": order, "cat x": [TOWN], "shown priors": "1", "priors": "Gamma(0.001, 0.001)"}
    page = client.post(address, data={**given, "do": "next"})
    assert page.status_code == 200
    text = html.unescape(page.text)
    assert '"Town: of birth":cat,"Score, ""adjusted"" in %"' in text
    assert "the column is kept as text" not in text


def test_a_run_by_rest_prints_them(client: TestClient, uploaded: int) -> None:
    answers = {
        "y": SIZE, "L2ID": SCHOOL, "D": "Normal", "x": 'cons,"Score, ""adjusted"" in %","Town: of birth":cat',
        "nchains": "1", "burnin": "50", "iterations": "100",
    }  # fmt: skip
    told = client.post("/api/v1/runs", json={"template": "2LevelMod", "dataset": uploaded, "answers": answers})
    assert told.status_code in (200, 201, 202), told.text
    assert told.json()["answers"]["x"] == answers["x"]
    as_list = {**answers, "x": ["cons", SIZE]}
    refused = client.post("/api/v1/runs", json={"template": "2LevelMod", "dataset": uploaded, "answers": as_list})
    assert refused.status_code in (200, 201, 202, 422)


def test_a_stata_file_has_safe_names_and_the_own_ones_as_labels(client: TestClient, uploaded: int) -> None:
    content = client.get(f"/datasets/{uploaded}/download.dta").content
    again = client.post("/api/v1/datasets", files={"file": ("again.dta", content)}).json()["columns"]
    assert [c["title"] for c in again] == [SCHOOL, SIZE, SCORE, TOWN]
    plain = client.get(f"/datasets/{uploaded}/download.csv").content
    same = client.post("/api/v1/datasets", files={"file": ("again.csv", plain)}).json()["columns"]
    assert [c["name"] for c in same] == [SCHOOL, SIZE, SCORE, TOWN]
