"""Files as people have them, from upload to a finished run by clicks alone, with no visit to Generate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest
from playwright.sync_api import Error, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

LONG = 540_000  # milliseconds: on a machine that is new, or busy, the first run compiles the kernels


def spss(folder: Path) -> Path:
    """Labelled codes 1 and 2 with user-missing 9, an income whose codes 97 to 99 are missing, no column of ones."""
    generator = np.random.default_rng(1)
    n = 200
    school, x = np.repeat(np.arange(1.0, 21.0), 10), generator.standard_normal(n)
    sex = np.where(x + generator.standard_normal(n) > 0, 2.0, 1.0)
    score = np.round(50 + 5 * x + 3 * (sex == 2) + generator.standard_normal(20)[school.astype(int) - 1] * 4, 2)
    sex[generator.random(n) < 0.1] = 9.0
    income = np.round(40 + 8 * x + generator.standard_normal(n) * 3)
    income[generator.random(n) < 0.1] = 98.0
    frame = pd.DataFrame({"school": school, "sex": sex, "income": income, "score": score})
    pyreadstat.write_sav(
        frame,
        str(folder / "pupils.sav"),
        column_labels={"income": "Household income, thousands", "sex": "Sex of pupil"},
        variable_value_labels={"sex": {1.0: "boy", 2.0: "girl", 9.0: "not said"}},
        missing_ranges={"sex": [9], "income": [{"lo": 97, "hi": 99}]},
    )
    return folder / "pupils.sav"


def semicolons(folder: Path) -> Path:
    """Decimal commas, thousands points, blanks for what is missing, text groups, letters of Windows-1252, a title."""
    generator = np.random.default_rng(2)
    lines = ["Umsätze der Filialen 2023", "", "Filiale;Fläche (m²);Umsatz"]
    for i in range(160):
        size = 100 + 50 * generator.random()
        sales = 900 + 20 * size + 300 * np.sin(i // 8) + 200 * generator.standard_normal()
        written = f"{sales:,.2f}".replace(",", "'").replace(".", ",").replace("'", ".")
        gap = generator.random() < 0.05
        town = ("Köln", "Nürnberg", "Fürth")[i // 8 % 3]
        lines.append(f"{town} {i // 8};{f'{size:.1f}'.replace('.', ',')};{'' if gap else written}")
    path = folder / "umsatz.csv"
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return path


def stata(folder: Path) -> Path:
    """Text identifiers of groups, a yes/no text."""
    generator = np.random.default_rng(3)
    n = 200
    town = np.array([f"Town {chr(65 + i)}" for i in range(20)])
    at = np.repeat(np.arange(20), 10)
    x = generator.standard_normal(n)
    frame = pd.DataFrame(
        {
            "town": town[at],
            "age": np.round(40 + 10 * x),
            "weight": 70 + 3 * x + generator.standard_normal(20)[at] * 4 + generator.standard_normal(n),
        }
    )
    frame.to_stata(folder / "weights.dta", write_index=False, version=118)
    return folder / "weights.dta"


def workbook(folder: Path) -> Path:
    """A title, two rows of names with merged cells, months as dates."""
    generator = np.random.default_rng(4)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Sales of the shop"])
    sheet.append([])
    sheet.append(["Time", "Sold", None])
    sheet.append(["month", "pieces", "value"])
    for i in range(48):
        pieces = round(500 + 5 * i + 80 * np.sin(2 * np.pi * i / 12) + 10 * float(generator.standard_normal()), 1)
        sheet.append([pd.Timestamp(2019 + i // 12, i % 12 + 1, 1).to_pydatetime(), pieces, round(pieces * 2.5, 2)])
    sheet.merge_cells("B3:C3")
    book.save(folder / "shop.xlsx")
    return folder / "shop.xlsx"


class Clicks:
    """Counts what is pressed, beyond choosing variables."""

    def __init__(self, page: Page):
        self.page, self.count = page, 0

    def press(self, name: str) -> None:
        self.count += 1
        self.page.get_by_role("button", name=name, exact=True).last.click()

    def start(self, server: str, file: Path, template: str) -> None:
        self.page.goto(server)
        self.page.set_input_files("#upload-file", file)
        self.press("Upload a dataset")
        expect(self.page.locator("#use-template")).to_be_visible()
        self.count += 1
        self.page.select_option("#use-template", template)
        self.press("Use")

    def answer(
        self,
        variables: Mapping[str, str | tuple[str, ...]],
        radios: Mapping[str, str] = MappingProxyType({}),
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Next, and what has no default, until the model is there."""
        page = self.page
        for _ in range(20):
            for key, value in variables.items():
                self.choose(key, value)
            for key, value in texts.items():
                field = page.locator(f"input[name={key}]")
                if field.count() and field.input_value() != value:
                    self.count += 1
                    field.fill(value)
            for key, value in radios.items():
                button = page.locator(f"input[type=radio][name={key}][value='{value}']")
                if button.count() and not button.is_checked():
                    self.count += 1
                    button.check()
            page.evaluate("document.getElementById('main').dataset.old = ''")  # goes with what the answer replaces
            self.press("Next")
            self.wait("!('old' in (document.getElementById('main') ?? document.body).dataset)")
            self.wait("!document.querySelector('.htmx-request, .htmx-settling, .htmx-swapping')")
            if "/model" in page.url:
                return
        pytest.fail(f"never came to the model: {page.locator('#faults').all_inner_texts()}")

    def choose(self, key: str, value: str | tuple[str, ...]) -> None:
        field = self.page.locator(f"select[name={key}]")
        if field.count() and isinstance(value, str):
            field.select_option(value)
        box = self.page.locator(f"[data-picker][data-key={key}]")
        for name in value if isinstance(value, tuple) and box.count() else ():
            if box.locator(f'li[data-name="{name}"]').count():
                continue
            fold = self.page.locator(f"details.fold:not([open]):has([data-key={key}]) summary")
            if fold.count():
                fold.first.click()
            box.locator(f'.name-row[data-name="{name}"]').click()

    def wait(self, expression: str) -> None:
        end = time.monotonic() + LONG / 1000
        while time.monotonic() < end:
            try:
                if self.page.evaluate(expression):
                    return
            except Error as error:  # another page has come in its place
                if "context" not in error.message:
                    raise
            self.page.wait_for_timeout(20)
        pytest.fail(f"never true: {expression}")

    def run(self) -> None:
        self.press("Run")
        expect(self.page.locator(".gauge")).to_contain_text("Ready", timeout=LONG)


def test_labelled_spss_with_user_missing_codes_to_imputation(server: str, page: Page, tmp_path: Path) -> None:
    """At most 25 clicks; imputed values have the codes 1 and 2."""
    way = Clicks(page)
    way.start(server, spss(tmp_path), "2LevelImpute")
    way.answer(
        {"L2ID": "school", "y": "score", "x": ("sex", "income"), "yimp1": ("score", "sex", "income")},
        {"numlevs": "Yes", "want2": "No"},
    )
    way.run()
    expect(page.get_by_text("cons").first).to_be_visible()
    assert way.count <= 25, way.count


def test_semicolons_decimal_commas_and_thousands_points_to_a_model(server: str, page: Page, tmp_path: Path) -> None:
    way = Clicks(page)
    way.start(server, semicolons(tmp_path), "2LevelMod")
    way.answer({"L2ID": "Filiale", "y": "Umsatz", "x": ("Fläche (m²)",)})
    way.run()
    expect(page.get_by_role("row", name="Fläche (m²)")).not_to_have_count(0)
    assert way.count <= 12, way.count


def test_stata_with_text_groups_to_a_model(server: str, page: Page, tmp_path: Path) -> None:
    way = Clicks(page)
    way.start(server, stata(tmp_path), "2LevelMod")
    way.answer({"L2ID": "town", "y": "weight", "x": ("age",)})
    way.run()
    expect(page.get_by_role("row", name="age")).not_to_have_count(0)
    assert way.count <= 12, way.count


def test_a_workbook_with_two_rows_of_names_to_forecasts(server: str, page: Page, tmp_path: Path) -> None:
    way = Clicks(page)
    way.start(server, workbook(tmp_path), "HoltWinters")
    way.answer({"y": "Sold pieces", "time": "Time month"}, {}, {"period": "12"})
    way.run()
    assert way.count <= 12, way.count
