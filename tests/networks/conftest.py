"""The reference of the published networks, and one thread: sums in one order, and nothing lost on a busy machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    file = SHARED / "reference" / "bagnet.json"
    if not file.is_file():
        pytest.skip("the reference files are not here")
    return dict(json.loads(file.read_text()))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
