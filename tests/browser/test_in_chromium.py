"""Protects: the whole way in a real browser, from an empty database to the bundle, with and without JavaScript."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from beside import SHARED
from playwright.sync_api import Error, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

LONG = 540_000  # milliseconds: on a machine that is new, or busy, the first run compiles the kernels
PUBLISHED = """{'numlevs': 'Yes', 'L2ID': 'school', 'MOIlevel': '2 levels', 'MOOldist': 'Normal', 'MOIslope': 'No',
'y': 'normexam', 'x': 'cons,standlrtmiss,girlmiss,schgendmiss:cat', 'yimp1': 'normexam,standlrtmiss,girlmiss',
'bin1_1': 'Normal', 'bin1_2': 'Normal', 'bin1_3': 'Binary', 'ximp1_0': 'cons', 'ximp1_1': 'cons,vrband:cat',
'ximp1_2': 'cons', 'want2': 'Yes', 'yimp2': 'schgendmiss', 'bin2_1': 'Unordered', 'ncatsschgendmiss': '3',
'ximp2_0_0': 'cons', 'ximp2_0_1': 'cons', 'condmarg': 'Yes', 'numimpute': '4', 'imputefirst': '60',
'imputeevery': '10', 'burnin': '30', 'iterations': '80'}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial data; a simulated file of the same shape where they are not at hand."""
    real = SHARED / "data" / "tutmiss.csv"
    if real.exists():
        return real
    from templates_engine.data.simulate import tutmiss
    from templates_engine.data.writers import write

    made = tmp_path_factory.mktemp("data") / "tutmiss.csv"
    write(tutmiss(), made)
    return made


def wait_until(page: Page, expression: str) -> None:
    """Wait until it is true in the page, which may change meanwhile."""
    end = time.monotonic() + LONG / 1000
    while time.monotonic() < end:
        try:
            if page.evaluate(expression):
                return
        except Error as error:  # another page has come in its place
            if "context" not in error.message:
                raise
        page.wait_for_timeout(20)
    pytest.fail(f"never true: {expression}")


def leave(page: Page, press: Callable[[], object]) -> None:
    """Press what sends a form, and wait for the page that answers."""
    with page.expect_navigation():
        press()


def narrow_enough(page: Page) -> None:
    """No sideways scroll at 320 pixels."""
    before = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 800})
    wait_until(page, "document.documentElement.scrollWidth <= 320")
    assert before is not None
    page.set_viewport_size(before)


def test_an_empty_installation_leads_to_the_worked_example_in_three_clicks(server: str, page: Page) -> None:
    page.goto(server)
    expect(page.get_by_text("No runs yet.")).to_be_visible()
    narrow_enough(page)
    page.get_by_role("button", name="Open the example").click()
    expect(page.get_by_text("Every question is answered")).to_be_visible()
    expect(page.locator("#side .katex").first).to_be_visible()
    narrow_enough(page)
    page.get_by_role("button", name="Next").last.click()
    expect(page.get_by_role("heading", name="The model")).to_be_visible()
    expect(page.locator(".model-first .katex").first).to_be_visible()
    narrow_enough(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".percent, .verdicts")).not_to_have_count(0)
    narrow_enough(page)
    expect(page.locator("th .span", has_text="Complete cases")).to_be_visible(timeout=LONG)


def test_upload_questions_run_results_popout_download(server: str, page: Page, file: Path, tmp_path: Path) -> None:
    page.goto(server)
    page.set_input_files("#upload-file", file)
    page.get_by_role("button", name="Upload a dataset").click()
    expect(page.get_by_text("4,059 rows")).to_be_visible()
    narrow_enough(page)
    page.select_option("#use-template", "2LevelMod")
    page.get_by_role("button", name="Use", exact=True).click()

    # Nothing answered: the faults get the focus, and each leads to its field.
    page.get_by_role("button", name="Next").last.click()
    expect(page.locator("#faults")).to_be_focused()
    assert page.title().startswith("Error:")
    page.locator("#faults a").first.click()
    wait_until(page, "document.activeElement.closest('.question') !== null")

    answer_two_level_model(page)
    expect(page.get_by_role("heading", name="The model")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Table 1.")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("row", name="standlrt")).not_to_have_count(0)
    narrow_enough(page)

    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open in a tab").first.click()
    tab = opened.value
    expect(tab.locator("table.journal")).to_be_visible()
    assert "/output/" in tab.url
    tab.close()

    expect(page.locator(".gauge")).to_contain_text("Ready", timeout=LONG)
    inside = download(page, tmp_path)
    assert {"ModelParameters.csv", "manifest.json", "equation.tex", "beta_0.svg"} <= set(inside)
    make_longer(page)


def make_longer(page: Page) -> None:
    """By keyboard: the old run stays, the new one goes on from its chains."""
    first = page.url.split("?")[0]
    field = page.get_by_label("More iterations per chain")
    expect(field).to_have_value("200")  # comes by itself when the last picture is drawn
    field.fill("a few")
    field.press("Enter")
    expect(page.locator("#more-fault")).to_be_visible()
    expect(page.locator("#more")).to_be_focused()
    narrow_enough(page)
    page.locator("#more").fill("40000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Goes on from")).to_be_visible()
    expect(page.get_by_text("3 chains of 40,200 iterations")).to_be_visible(timeout=LONG)
    narrow_enough(page)
    page.goto(first)
    expect(page.get_by_text("3 chains of 200 iterations")).to_be_visible()
    expect(page.get_by_text("Made longer in")).to_be_visible()


def answer_two_level_model(page: Page) -> None:
    """Response, explanatory variables by keyboard and mouse, group; the rest as offered."""
    picker = page.locator("[data-picker]").first
    for _ in range(12):
        if "/model" in page.url:
            return
        for key, value in (("y", "normexam"), ("L2ID", "school")):
            field = page.locator(f"select[name={key}]")
            if field.count():
                field.select_option(value)
        if picker.count() and not picker.locator("li[data-name=standlrt]").count():
            fold = page.locator("details.fold:not([open]) summary")
            if fold.count():
                fold.first.click()
            if picker.locator("li[data-name=cons]").count():  # offered: taken out and added again by keyboard
                picker.get_by_role("button", name="Take out cons").click()
            picker.locator("[data-find]").fill("cons")
            picker.locator("[data-find]").press("Enter")
            picker.locator("[data-find]").press("ArrowDown")
            picker.locator(".name-row[data-name=standlrt]").focus()
            page.keyboard.press("Enter")
            expect(picker.locator("[data-order] li")).to_have_count(2)
            expect(page.locator("#same-string")).to_contain_text("cons,standlrt")  # follows the fields
        for name, value in (("iterations", "200"), ("burnin", "50")):
            if page.locator(f"input[name={name}]").count():
                page.locator(f"input[name={name}]").fill(value)
        page.evaluate("document.getElementById('main').dataset.old = ''")  # goes with what the answer replaces
        page.get_by_role("button", name="Next").last.click()
        wait_until(page, "!('old' in (document.getElementById('main') ?? document.body).dataset)")
        wait_until(page, "!document.querySelector('.htmx-request, .htmx-settling, .htmx-swapping')")


def download(page: Page, folder: Path) -> dict[str, bytes]:
    """The bundle's files, checked against its manifest."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download bundle").click()
    path = folder / "bundle.zip"
    waiting.value.save_as(path)
    with zipfile.ZipFile(path) as bundle:
        inside = {name.partition("/")[2]: bundle.read(name) for name in bundle.namelist()}
    listed = {a["file"] for a in json.loads(inside["manifest.json"])["artifacts"]}
    assert listed == set(inside) - {"manifest.json", "README.txt"}
    return inside


def test_a_pasted_string_with_javascript(server: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server}/inputs")
    page.fill("#text", PUBLISHED.replace("'Binary'", "'Binery'"))
    page.select_option("#pick-dataset", label="tutmiss, 4,059 rows")
    page.get_by_role("button", name="Next").last.click()
    expect(page.locator("#faults")).to_be_focused()
    page.get_by_role("button", name="Use Binary").click()
    page.get_by_role("button", name="Next").last.click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("th .span", has_text="Complete cases")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="ResultsTable:CompleteCases").click()
    expect(page.get_by_text("Table 1.")).to_be_visible()
    page.goto(page.url.split("?")[0])
    expect(page.locator(".gauge")).to_contain_text("Ready", timeout=LONG)
    inside = download(page, tmp_path)
    wanted = {"ResultsTable_Imputation.csv", "ResultsTable_CompleteCases.csv", "script.py", "CombinedResults.csv"}
    assert wanted <= set(inside)
    header = inside["ResultsTable_Imputation.csv"].decode().splitlines()[0]
    assert header == "parameter,variable,estimate,se,df,lower,upper,fmi,riv,mcse"
    assert sum(name.startswith("impute_datafile_") and name.endswith(".dta") for name in inside) >= 4


def test_without_javascript_up_to_run_and_results(server: str, plain_page: Page) -> None:
    page = plain_page
    page.goto(server)
    page.click("text=Regression1")
    page.locator(".use-with .button").click()
    page.select_option("select[name=y]", "normexam")
    for name in ("cons", "standlrt", "vrband"):
        add = page.locator(f"button[value='add x {name}']")
        if add.is_enabled():  # cons is offered as chosen already
            leave(page, add.click)
    page.check("input[name='cat x'][value=vrband]")
    leave(page, page.locator("button[value='up x vrband']").click)
    assert page.locator("input[name=x]").evaluate_all("all => all.map(e => e.value)") == ["cons", "vrband", "standlrt"]
    for _ in range(8):
        if "/model" in page.url:
            break
        leave(page, page.locator(".go .button.main").click)
    assert "/model" in page.url
    assert r"\begin{aligned}" in page.inner_text(".model-first")  # the source, where nothing draws it
    page.locator("button[value=run]").click()
    page.wait_for_selector(".objects table.journal", timeout=LONG)  # the page loads itself again meanwhile
    assert "vrband" in page.inner_text(".objects")
    with page.expect_download() as waiting:
        page.locator("a", has_text="Download bundle").click()
    assert zipfile.is_zipfile(waiting.value.path())
