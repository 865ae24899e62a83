"""A real `statgrove serve` on a free port with an empty data folder, and a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

LONGEST = 600.0  # seconds that anything is waited for that is no run: only a hang takes so long
PATIENT = 1000 * 120  # milliseconds for an element, a page, an answer
expect.set_options(timeout=PATIENT)
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import beside  # noqa: E402 - found by the line above


def absent(what: str) -> None:
    """Fail under CI, skip at a desk."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; as root on Debian one is installed."""
    import system_packages

    if not system_packages.browser():
        system_packages.main()
    path = system_packages.browser()
    if path is None:
        absent("Chromium is not installed (Debian: apt install chromium)")
    return str(path)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `server`."""
    return tmp_path_factory.mktemp("serve") / "data"


@pytest.fixture(scope="module")
def server(data_folder: Path) -> Iterator[str]:
    """Address of an application that has seen nobody yet."""
    folder = data_folder.parent
    kept = {k: v for k, v in os.environ.items() if not re.match(r"(STATGROVE_|DATABASE_URL|BROKER_URL)", k)}
    command = [shutil.which("statgrove", path=str(Path(sys.executable).parent)) or "statgrove", "serve", "--no-browser"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", "0"],
            env={**kept, "STATGROVE_DATA": str(data_folder), "STATGROVE_TOKEN": beside.TOKEN},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(process, folder / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the pages are, once they can be read."""
    end = time.monotonic() + LONGEST
    while process.poll() is None and time.monotonic() < end:
        if found := re.search(r"StatGrove is at (http://\S+)", log.read_text()):
            with urllib.request.urlopen(f"{found[1]}/about", timeout=LONGEST):
                return found[1]
        time.sleep(0.1)
    pytest.fail(f"statgrove serve did not start:\n{log.read_text()[-3000:]}")


class Watched:
    """What a page's console says: errors of scripts and of the content security policy."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def watch(self, page: Page) -> Page:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if "Security Policy" in m.text else None)
        page.on("response", lambda r: self.errors.append(f"{r.status} {r.url}") if r.status >= 500 else None)
        return page


def let_in(context: BrowserContext, server: str) -> None:
    """Give a browser the cookie that it gets by entering: a download bears no header of the test's."""
    entered = context.request.post(f"{server}/enter", form={"token": beside.TOKEN}, headers={"origin": server})
    assert entered.ok, entered.status


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """A page 1280 pixels wide whose scripts must not fail."""
    watched = Watched()
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, extra_http_headers=beside.KEY
    )
    context.set_default_timeout(PATIENT)
    let_in(context, server)
    context.on("page", watched.watch)
    yield context.new_page()
    context.close()
    assert watched.errors == []


@pytest.fixture
def plain_page(browser: Browser, server: str) -> Iterator[Page]:
    """A page without JavaScript, as narrow as a phone."""
    context = browser.new_context(
        viewport={"width": 390, "height": 800},
        java_script_enabled=False,
        accept_downloads=True,
        extra_http_headers=beside.KEY,
    )
    context.set_default_timeout(PATIENT)
    let_in(context, server)
    yield context.new_page()
    context.close()
