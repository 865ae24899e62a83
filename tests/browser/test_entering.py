"""Protects: a browser is let in by the address that the server prints, and stays in; without it, it is told how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import beside
import pytest
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_way_in(server: str, browser: Browser, tmp_path: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})  # bears no key
    try:
        page = context.new_page()
        page.goto(f"{server}/runs")
        expect(page.get_by_role("heading", name="This server is private")).to_be_visible()
        page.screenshot(path=tmp_path / "private.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Token").fill("not the token at all")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_text("This is not the token")).to_be_visible()
        page.get_by_label("Token").fill(beside.TOKEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("private")
        page.goto(f"{server}/runs")
        expect(page.get_by_role("heading", name="History")).to_be_visible()
    finally:
        context.close()


def test_the_address_that_is_printed(browser: Browser, server: str, data_folder: Path) -> None:
    """As `statgrove address` prints it; good once."""
    command = [sys.executable, "-m", "app.cli", "address"]
    environment = {"STATGROVE_DATA": str(data_folder), "PATH": "/usr/bin:/bin", "STATGROVE_TOKEN": beside.TOKEN}
    root = Path(__file__).resolve().parents[2]
    address = subprocess.run(
        command, cwd=root, env=environment, check=True, capture_output=True, text=True, timeout=600
    ).stdout.strip()
    assert address.startswith(server)
    for expected in ("StatGrove", "This server is private"):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        if expected == "StatGrove":
            assert page.url == f"{server}/"
        else:
            expect(page.get_by_role("heading", name=expected)).to_be_visible()
        context.close()
