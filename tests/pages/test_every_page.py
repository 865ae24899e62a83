"""Protects: every page is there, accessible in its bones, without inline scripts; bad input is never a 5xx."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from reading import Page, press

PAGES = (
    "/",
    "/datasets",
    "/datasets/1",
    "/templates/2LevelImpute",
    "/templates/Regression1",
    "/inputs",
    "/runs",
    "/settings",
    "/about",
    "/manual",
    "/?with=imputation",
    "/?with=MCMC&without=imputation",
)


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_sound(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    page = Page(answer.text)
    assert page.faults() == []
    assert "<title>" in answer.text
    assert 'lang="en-GB"' in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("address", PAGES)
def test_links_lead_somewhere(client: TestClient, address: str) -> None:
    page = Page(client.get(address).text)
    for link in {href.split("#")[0] for href in page.links if href.startswith("/")} - {""}:
        assert client.get(link).status_code == 200, link
    for name in {href[1:] for href in page.links if href.startswith("#")}:
        assert name in page.ids


BAD = (
    "/nothing",
    "/datasets/99",
    "/datasets/abc",
    "/datasets/1?start=x",
    "/datasets/1/download.exe",
    "/templates/Nope",
    "/ask/none",
    "/ask/" + "x" * 500,
    "/runs/7",
    "/runs/abc",
    "/runs/99999999999999999999",
    "/runs/7/output/a",
    "/runs/7/file/../../x",
    "/runs/7/bundle.zip",
    "/inputs?run=abc",
    "/datasets/-1",
)


@pytest.mark.parametrize("address", BAD)
def test_bad_addresses_are_explained(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert 400 <= answer.status_code < 500
    assert "<title>Error: " in answer.text
    assert "Traceback" not in answer.text


def test_harmless_oddities_are_read_around(client: TestClient) -> None:
    for address in (
        "/datasets/1?start=-5",
        "/datasets/1?start=999999999",
        "/runs?page=x",
        "/runs?page=99999999",
        "/?with=nonsense",
        "/inputs?run=99",
        "/inputs?template=Nope&conversation=none",
    ):
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize(
    ("address", "data"),
    [
        ("/ask", {}),
        ("/ask", {"template": "Nope", "dataset": "1"}),
        ("/ask", {"template": "Regression1"}),
        ("/ask", {"template": "Regression1", "dataset": "nowhere"}),
        ("/ask", {"template": "Regression1", "example": "x"}),
        ("/ask/none", {"do": "next"}),
        ("/runs/7/stop", {}),
        ("/runs/7/again", {}),
        ("/datasets", {}),
    ],
)
def test_bad_forms_are_explained(client: TestClient, address: str, data: dict[str, str]) -> None:
    answer = client.post(address, data=data)
    assert 400 <= answer.status_code < 500
    assert "Error: " in answer.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("cut.dta", b"<stata_dta><header>"),
        ("../../x.csv", b"\x00\x01\x02"),
        ("a.exe", b"MZ"),
        ("x.sav", b"$FL2"),
    ],
)
def test_bad_uploads_say_why(client: TestClient, name: str, content: bytes) -> None:
    before = client.get("/api/v1/datasets").json()
    answer = client.post("/datasets", files={"file": (name, content)})
    assert answer.status_code == 422
    page = Page(answer.text)
    assert "There is a problem" in page.text
    assert page.faults() == []
    assert client.get("/api/v1/datasets").json() == before


def test_upload_leads_to_the_dataset(client: TestClient) -> None:
    answer = client.post("/datasets", files={"file": ("small.csv", b"id,my score,sex\n1,2.5,f\n2,,m\n3,-4.25,f\n")})
    page = Page(answer.text)
    assert answer.status_code == 200
    assert str(answer.url.path).startswith("/datasets/")
    assert "3 rows, 3 variables" in page.text
    assert "−4.25" in page.text
    assert page.faults() == []
    for extension in ("dta", "csv", "parquet"):
        file = client.get(f"{answer.url.path}/download.{extension}")
        assert file.status_code == 200
        assert f"small.{extension}" in file.headers["content-disposition"]


def test_colours_are_kept_without_scripts(client: TestClient) -> None:
    page = Page(client.get("/settings").text)
    assert "data-theme" not in page.source
    assert 'data-theme="dark"' in press(client, page, "/settings", theme="dark").text
    assert 'data-theme="dark"' in client.get("/").text
    press(client, page, "/settings", theme="system")
    assert "data-theme" not in client.get("/").text
    press(client, page, "/settings", theme='"><script>')
    assert "data-theme" not in client.get("/").text


def test_tags_narrow_the_list_in_three_states(client: TestClient) -> None:
    def listed(address: str) -> bool:
        return 'href="/templates/2LevelImpute"' in client.get(address).text.split('id="templates"')[1]

    assert listed("/?with=imputation")
    assert not listed("/?without=imputation")
    page = Page(client.get("/").text)
    required = next(h for h in page.links if h.startswith("/?with=imputation"))
    left_out = next(h for h in Page(client.get(required).text).links if "without=imputation" in h)
    assert "templates not shown" in Page(client.get(left_out).text).text
    cleared = [h for h in Page(client.get(left_out).text).links if h == "/#templates"]
    assert cleared


def test_another_site_cannot_press_buttons(client: TestClient) -> None:
    answer = client.post(
        "/ask", data={"template": "Regression1", "dataset": "1"}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_a_slip_that_made_a_column_text_stands_out(client: TestClient) -> None:
    slip = "id;mark\n" + "".join(f"{i};{'k.A.' if i == 7 else f'{i},5'}\n" for i in range(1, 30))
    for name, text, seen in (("slip.csv", slip, True), ("clean.csv", slip.replace("k.A.", ""), False)):
        answer = client.post("/datasets", files={"file": (name, text.encode())})
        assert answer.status_code == 200
        assert ("Worth a look." in answer.text and "row 7 holds" in answer.text) is seen
