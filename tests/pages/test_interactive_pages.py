"""Protects: a figure with numbers beside it stands in the page as a picture, and says where its numbers are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from reading import Page

from app import datasets, db, queue, runs
from app.models import Artifact, Run
from app.pages.objects import _figure

ANSWERS = {"y": "sales_clean", "time": "quarter", "period": "4", "method": "SES", "alpha": "0.4", "horizon": "2"}


@pytest.fixture(scope="module")
def done(client: TestClient) -> Run:
    with db.session() as session:
        row = datasets.get(session, "quarterly_sales")
        number = runs.submit(session, "HoltWinters", row, ANSWERS, origin="test").id
    queue.run_here(number, 0)
    with db.session() as session:
        run = runs.get(session, number)
    assert run is not None
    assert run.state == "done", run.message
    return run


def test_the_picture_names_its_numbers_and_stays_without_javascript(client: TestClient, done: Run) -> None:
    answer = client.get(f"/runs/{done.id}", params={"output": "forecast.svg"})
    page = Page(answer.text)
    assert page.faults() == []
    address = re.search(r'data-plot="([^"]+)"', answer.text)
    assert address is not None
    assert f'<img src="/runs/{done.id}/file/forecast.svg"' in answer.text
    found = client.get(address[1])
    assert found.headers["content-type"] == "application/json"
    assert found.json()["title"] == "sales_clean: series and forecast"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_the_numbers_are_in_the_bundle_and_not_in_the_list(client: TestClient, done: Run) -> None:
    page = client.get(f"/runs/{done.id}").text
    assert "forecast.svg.json" not in re.sub(r'data-plot="[^"]+"', "", page)
    with db.session() as session:
        assert "forecast.svg.json" in [a.file for a in runs.artifacts(session, done)]
    alone = client.get(f"/runs/{done.id}", params={"output": "forecast.svg.json"})
    assert alone.status_code == 200
    assert "<pre" in alone.text, "asked for by name it is a text"


def test_a_photograph_keeps_its_colours_in_the_dark(tmp_path: Path) -> None:
    """A drawing is turned round; an SVG with an image in it, or a PNG, is not."""
    for name, content, as_is in (
        ("a.svg", "<svg><path/></svg>", False),
        ("b.svg", '<svg><image href="data:"/></svg>', True),
        ("c.png", "", True),
    ):
        (tmp_path / name).write_text(content)
        artifact = Artifact(name=name, file=name, kind="figure", title="", state="ready")
        assert _figure(artifact, tmp_path / name, []).as_is is as_is


def test_what_a_picture_says_itself_is_not_said_twice(tmp_path: Path) -> None:
    for name, inside, said in (("a.svg", "3 values: mean 2 &amp; more.", True), ("b.svg", "another word", False)):
        words = "<desc>3 values: mean 2 &amp; more.</desc>"
        (tmp_path / name).write_text(f'<svg>{words}<text x="0">{inside}</text></svg>')
        shown = _figure(Artifact(name=name, file=name, kind="figure", title="", state="ready"), tmp_path / name, [])
        assert (shown.words, shown.said) == ("3 values: mean 2 & more.", said)


def test_a_script_without_a_mark_is_asked_for_anew(client: TestClient) -> None:
    """Scripts name one another without the mark of their content: an old one must not stay beside a new one."""
    marked = client.get("/static/js/app.js?v=12345678")
    plain = client.get("/static/js/figure/panel.js")
    assert (marked.headers["cache-control"], plain.headers["cache-control"]) == ("public, max-age=86400", "no-cache")
    again = client.get("/static/js/figure/panel.js", headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304
