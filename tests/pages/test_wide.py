"""A dataset of 2,000 variables: every page and answer is small, variables are found by a search."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app import datasets, db
from templates_engine.data import Dataset

MOST = 150_000  # bytes of any answer
VARIABLES = 2_000


@pytest.fixture(scope="module")
def wide(client: TestClient) -> int:
    """The number of the dataset."""
    generator = np.random.default_rng(1)
    n = 120
    columns = {"school": np.repeat(np.arange(12.0), 10), "y": generator.standard_normal(n)}
    for i in range(VARIABLES - 2):
        values = generator.standard_normal(n).round(3)
        values = (values > 0).astype(float) if i % 3 == 0 else values
        columns[f"item_{i:04d}"] = np.where(generator.random(n) < 0.1, np.nan, values) if i % 2 else values
    with db.session() as session:
        return datasets.add(session, Dataset("wide", columns), "upload").id


def test_the_page_of_the_dataset_shows_its_variables_in_pages(client: TestClient, wide: int) -> None:
    first = client.get(f"/datasets/{wide}")
    assert len(first.content) < MOST
    assert "Variables 1 to 40 of 2,000." in first.text
    last = client.get(f"/datasets/{wide}?column=1999&start=51")
    assert "item_1997" in last.text
    assert "Rows 51 to 100" in last.text
    assert "item_0001" not in last.text
    assert len(last.content) < MOST
    assert client.get(f"/datasets/{wide}?column=99999").status_code == 200


@pytest.mark.parametrize("template", ["2LevelMod", "2LevelImpute", "LMM/DC", "SummaryStats", "XYPlot"])
def test_every_question_and_answer_is_small(client: TestClient, wide: int, template: str) -> None:
    page = client.post("/ask", data={"template": template, "dataset": str(wide)})
    for _ in range(8):
        assert page.status_code in (200, 422)
        assert len(page.content) < MOST, page.url
        if page.url.path.endswith("/model"):
            break
        given: dict[str, str | list[str]] = {"do": "next"}
        for key in re.findall(r'name="shown ([^"]+)"', page.text):
            answers = {
                "y": "y",
                "L2ID": "school",
                "C1": "school",
                "x": ["cons", "item_0002"],
                "yimp1": ["y", "item_0001"],
            }
            given[f"shown {key}"] = "1"
            value = re.search(rf'name="{key}"[^>]*value="([^"]+)"[^>]*checked', page.text)
            given[key] = answers.get(key) or (value[1] if value else "item_0004")
        page = client.post(page.url.path, data=given)


def test_a_search_finds_by_name_and_label(client: TestClient, wide: int) -> None:
    page = client.post("/ask", data={"template": "2LevelMod", "dataset": str(wide)})
    address = page.url.path + "/names"
    found = client.get(address, params={"key": "y", "find": "0123"})
    assert re.findall(r'<option value="([^"]+)"', found.text) == ["item_0123"]
    assert client.get(address, params={"key": "nothing", "find": "x"}).status_code == 404
    assert client.get(address, params={"key": "y", "find": "<b>"}).text.strip() == ""
    everything = client.get(address, params={"key": "y"})
    assert len(everything.content) < MOST
    client.post(page.url.path, data={"shown y": "1", "y": "y", "L2ID": "school", "D": "Normal", "do": "next"})
    rows = client.get(address, params={"key": "x", "find": "ITEM_199"})
    assert "item_1990" in rows.text
    assert "item_0001" not in rows.text
    made = client.get(address, params={"key": "x", "find": "column of ones"})
    assert 'data-name="cons"' in made.text


def test_a_variable_that_is_not_listed_can_be_chosen(client: TestClient, wide: int) -> None:
    page = client.post("/ask", data={"template": "SummaryStats", "dataset": str(wide)})
    given = {"shown vars": "1", "vars": "item_1997", "do": "next"}
    page = client.post(page.url.path, data=given)
    assert "item_1997" in page.text


def test_pages_are_compressed_and_datasets_are_not(client: TestClient, wide: int) -> None:
    page = client.get("/", headers={"accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    data = client.get(f"/datasets/{wide}/download.csv", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in data.headers


def test_the_first_page_is_small(client: TestClient) -> None:
    """80 kB over the wire and 160 kB unpacked, with all that it loads but fonts; scripts that it imports as well."""
    packed = unpacked = 0
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
        packed += len(raw)
        content = client.get(address)
        unpacked += len(content.content)
        if address == "/":
            waiting += re.findall(r'(?:<link rel="(?:stylesheet|icon)" href|<script src)="([^"]+)"', content.text)
        elif "javascript" in content.headers["content-type"]:
            base = address.rpartition("/")[0]
            waiting += [f"{base}/{name}" for name in re.findall(r'^import .* from "\./([^"]+)";', content.text, re.M)]
    assert packed < 80_000, (packed, seen)
    assert unpacked < 160_000, (unpacked, seen)
    assert not any("katex" in address for address in seen)
