"""Protects: a figure in a real browser is read by pointer and keys, zoomed, and falls back to the stored picture."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
LONG = 540  # seconds: on a machine that is new, or busy, the first run compiles the kernels
ANSWERS = {"y": "sales_clean", "time": "quarter", "period": "4", "seasonal": "Multiplicative", "horizon": "8"}


def _json(address: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=LONG) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def results(server: str) -> str:
    """Address of a finished run of HoltWinters."""
    body = {"template": "HoltWinters", "dataset": "quarterly_sales", "answers": ANSWERS}
    number = _json(f"{server}/api/v1/runs", body)["id"]
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        state = _json(f"{server}/api/v1/runs/{number}")["state"]
        if state not in ("queued", "running"):
            assert state == "done"
            return f"{server}/runs/{number}"
        time.sleep(0.5)
    pytest.fail("the run did not end")


def numbers(results: str, name: str) -> Any:
    return _json(f"{results}/file/{name}.json")


def test_pointing_says_the_date_and_the_values(results: str, page: Page) -> None:
    page.goto(f"{results}?output=forecast.svg")
    frame = page.locator(".plot-frame")
    expect(frame).to_be_visible()
    expect(page.locator(".picture img")).to_be_hidden()
    content = numbers(results, "forecast.svg")
    traces = {t["name"]: t for t in content["panels"][0]["traces"] if "x" not in t}
    assert traces["fitted"]["first"] == 4, "a period without fitted values: read from another place than it is stored"
    box = frame.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 120)
    tip = page.locator(".plot-tip")
    expect(tip).to_be_visible()
    line = page.locator(".plot-cross line").first.get_attribute("x1")
    assert line is not None
    assert abs(float(line) - 0.5 * box["width"]) < 9, "the place nearest to the pointer; they are 13 pixels apart"
    when = tip.locator("b").inner_text()
    place = content["x"]["labels"].index(when)
    for name in ("observed", "fitted"):
        value = traces[name]["y"][place - traces[name].get("first", 0)]
        said = tip.locator(".plot-reading", has_text=name).locator(".number").inner_text()
        assert float(said) == pytest.approx(value, rel=1e-4), name


def test_keys_read_and_zoom_and_the_key_takes_traces_out(results: str, page: Page) -> None:
    page.goto(f"{results}?output=components.svg")
    reader = page.get_by_role("slider").first
    reader.focus()
    page.keyboard.press("End")
    words = reader.get_attribute("aria-valuetext") or ""
    assert words.startswith("2024-Q4: Series ")
    assert "Level " in words
    page.keyboard.press("ArrowLeft")
    assert (reader.get_attribute("aria-valuetext") or "").startswith("2024-Q3: ")
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()

    page.goto(f"{results}?output=forecast.svg")
    key = page.get_by_role("button", name="fitted")
    lines = page.locator(".plot-frame path.plot-line")
    expect(lines).not_to_have_count(0)
    before = lines.count()
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    expect(lines).to_have_count(before - 1)


def test_the_normal_curve_is_read_beside_the_bars(results: str, page: Page) -> None:
    """The curve has 160 places of its own: at a bar's middle it is read between two of them."""
    page.goto(f"{results}?output=residuals.svg")
    page.get_by_role("slider").nth(1).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    panel = numbers(results, "residuals.svg")["panels"][1]
    bars, curve = panel["traces"]
    middle = panel["x"]["from"] + panel["x"]["step"]
    near = min(range(len(curve["x"])), key=lambda j: abs(curve["x"][j] - middle))
    tip = page.locator(".plot-tip .plot-reading")
    expect(tip).to_have_count(2)
    assert tip.nth(0).locator(".number").inner_text() == f"{bars['y'][1]}"
    assert float(tip.nth(1).locator(".number").inner_text()) == pytest.approx(curve["y"][near], rel=0.05)


def test_dragging_across_zooms(results: str, page: Page) -> None:
    page.goto(f"{results}?output=forecast.svg")
    frame = page.locator(".plot-frame")
    expect(frame).to_be_visible()
    box = frame.bounding_box()
    assert box is not None
    before = frame.locator("text").all_inner_texts()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 320, box["y"] + 100, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    assert frame.locator("text").all_inner_texts() != before
    page.get_by_role("button", name="Show all").click()
    assert frame.locator("text").all_inner_texts() == before


def test_the_stored_picture_is_a_button_away_and_stands_without_javascript(
    results: str, page: Page, plain_page: Page
) -> None:
    page.goto(f"{results}?output=residuals.svg")
    page.get_by_role("button", name="Stored picture").click()
    expect(page.locator(".picture img")).to_be_visible()
    page.get_by_role("button", name="Interactive figure").click()
    expect(page.locator(".picture img")).to_be_hidden()

    plain_page.goto(f"{results}?output=residuals.svg")
    assert plain_page.locator(".picture img").is_visible()
    assert plain_page.locator(".plot").count() == 0


def test_numbers_that_cannot_be_had_leave_the_stored_picture(results: str, page: Page) -> None:
    page.route("**/*.svg.json", lambda route: route.fulfill(status=404))
    page.goto(f"{results}?output=forecast.svg")
    page.wait_for_load_state("networkidle")
    expect(page.locator(".picture img")).to_be_visible()
    expect(page.locator(".plot")).to_have_count(0)


def test_a_narrow_dark_page_shows_no_white_and_does_not_scroll_sideways(results: str, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 320, "height": 800})
    for name in ("forecast.svg", "residuals.svg", "seasons.svg"):
        page.goto(f"{results}?output={name}")
        expect(page.locator(".plot-frame").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        size = page.evaluate("getComputedStyle(document.querySelector('.plot-tick')).fontSize")
        assert size == "12px", "drawn at its real width"
    page.get_by_role("button", name="Stored picture").click()
    assert "invert" in page.evaluate("getComputedStyle(document.querySelector('.picture img')).filter")
