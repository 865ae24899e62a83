"""Where the tests' numbers and data lie.

tests/reference holds the figures of independent programs, and public data whose terms allow it. What cannot be in the
repository (the tutorial and the Scottish data) stands beside the checkout, in ../shared/data. A test that needs it is
skipped where it is missing, and told in one line of the summary; with STATGROVE_REQUIRE_DATA set it fails.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REFERENCE = Path(__file__).resolve().parent / "reference"
SHARED = Path(__file__).resolve().parents[2] / "shared"
TOKEN = "a-token-for-the-tests"  # of every server that tests start: tests/conftest.py puts it into the environment
KEY = {"authorization": f"Bearer {TOKEN}"}  # what a request must bear
MISSED: set[str] = set()  # the files that tests looked for in vain


def figures(name: str) -> Any:
    """The content of tests/reference/<name>.json; its README says how each figure was got."""
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def data_file(name: str) -> Path:
    """A data file by its place, such as lmm/cbpp.csv or tutorial.csv."""
    here, there = REFERENCE / "data" / name, SHARED / "data" / name
    if here.exists():
        return here
    if not there.exists():
        absent(f"data/{name}")
    return there


def absent(what: str) -> None:
    """Fail where the data are required, else skip."""
    MISSED.add(what)
    if os.environ.get("STATGROVE_REQUIRE_DATA"):
        pytest.fail(f"../shared/{what} is not there, and STATGROVE_REQUIRE_DATA is set")
    pytest.skip(f"needs ../shared/{what}, which is no part of the repository")


def case(name: str) -> Path:
    """The file of a case of ../shared/cases: "01", or "95b/schools.csv" where there are several."""
    if not (SHARED / "cases").is_dir():
        absent("cases")
    number, _, file = name.partition("/")
    found = sorted((SHARED / "cases").glob(f"{number}-*"))
    assert found, f"no case {number}"
    return found[0] / file if file else next(p for p in sorted(found[0].iterdir()) if p.stem == "d")
