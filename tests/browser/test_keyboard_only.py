"""Protects: the whole way from the start page to the bundle by keyboard alone, with the focus always seen."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import Page, expect
from test_in_chromium import LONG, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

MOST = 400  # presses of a key, more than any page has stops


def tab_to(page: Page, selector: str, words: str = "") -> None:
    """Press Tab until the focus is on such an element; every stop on the way can be seen to have the focus."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        found, seen, text = page.evaluate(
            """selector => {
                const e = document.activeElement
                if (e === document.body) return [false, true, '']
                return [e.matches(selector), e.matches(':focus-visible'), (e.textContent + ' ' + (e.ariaLabel ?? ''))]
            }""",
            selector,
        )
        assert seen, f"the focus on the way to {selector} cannot be seen"
        if found and words in text:
            return
    pytest.fail(f"Tab never comes to {selector} {words}")


def choose(page: Page, value: str) -> None:
    """The focused select, by the arrow keys."""
    page.keyboard.press("Home")
    for _ in range(MOST):
        if page.evaluate("document.activeElement.value") == value:
            return
        page.keyboard.press("ArrowDown")
    pytest.fail(f"{value} cannot be chosen")


def enter(page: Page) -> None:
    """Press Enter on what sends or leads away, and wait for what comes in the page's place."""
    page.evaluate("document.getElementById('main').dataset.old = ''")  # goes with what the answer replaces
    page.keyboard.press("Enter")
    wait_until(page, "!('old' in (document.getElementById('main')?.dataset ?? {}))")
    wait_until(page, "document.readyState === 'complete'")
    wait_until(page, "!document.querySelector('.htmx-request, .htmx-settling, .htmx-swapping')")


def test_from_the_start_page_to_the_bundle(server: str, page: Page) -> None:
    page.goto(server)
    tab_to(page, "a.skip")
    page.keyboard.press("Enter")
    wait_until(page, "document.activeElement.id === 'main'")

    # The template, on a dataset that is not the one offered first.
    tab_to(page, "a[href='/templates/Regression1']")
    enter(page)
    tab_to(page, ".use-with select")
    choose(page, page.locator(".use-with option", has_text="breeding, ").get_attribute("value") or "")
    tab_to(page, ".use-with .button")
    enter(page)

    # The response is left out: the faults get the focus, and lead to its field.
    tab_to(page, ".picker [data-find]")
    page.keyboard.type("male")
    tab_to(page, ".name-row[data-name=male]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-order] li[data-name=male]")).to_have_count(1)
    tab_to(page, ".go .button.main")
    enter(page)
    wait_until(page, "document.activeElement.id === 'faults'")
    tab_to(page, "#faults a")
    page.keyboard.press("Enter")
    wait_until(page, "document.activeElement.matches('select[name=y]')")
    choose(page, "weight")
    for _ in range(6):
        if "/model" in page.url:
            break
        tab_to(page, ".go .button.main")
        enter(page)
    expect(page.get_by_role("heading", name="The model")).to_be_visible()

    tab_to(page, "button[value=run]")
    enter(page)
    expect(page.locator(".objects table.journal")).to_be_visible(timeout=LONG)
    expect(page.locator(".gauge")).to_contain_text("Ready", timeout=LONG)

    # Another output, and the bundle.
    tab_to(page, "a[href*='output=beta_1.svg']")
    enter(page)
    expect(page.locator(".objects .object-head, .objects").first).to_contain_text("beta_1")
    tab_to(page, "a", "Download bundle")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert zipfile.is_zipfile(waiting.value.path())
