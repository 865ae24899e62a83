"""Shared files and helpers for the tests of data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import beside
import pytest

from templates_engine.data import readers
from templates_engine.data.dataset import Dataset


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real tutorial data, which are not part of the product."""
    return beside.data_file("tutmiss.csv").parent


@pytest.fixture
def read_text(tmp_path: Path) -> Callable[..., Dataset]:
    """Reads a file with this content under this name."""

    def read(content: str | bytes, filename: str = "file.csv") -> Dataset:
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return readers.read(path, filename)

    return read


@pytest.fixture(scope="session")
def case() -> Callable[[str], Path]:
    """The file of a case: "01", or "95b/schools.csv" where there are several."""
    return beside.case
