"""The same answers give the same bytes: in two processes, and with one processor as with all.

tests/digests.py makes the digests; run before and after a change by hand, it shows whether the change left all numbers
alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUICK = "1LevelMod/normal_starts,2LevelMod/binomial,2LevelImpute/one_level,HoltWinters/quarterly_robust,LMM/DC/pairs"


def digests(*options: str) -> dict[str, Any]:
    found = subprocess.run(
        [sys.executable, "tests/digests.py", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(json.loads(found.stdout))


@pytest.mark.parametrize("only", [pytest.param(QUICK, id="quick"), pytest.param("", id="all", marks=pytest.mark.slow)])
def test_processes_and_processors_change_no_number(only: str) -> None:
    with_all, with_one = digests("--only", only), digests("--only", only, "--one-core")
    assert len(with_all) >= 5
    assert not [name for name, files in with_all.items() if "failed" in files or "refused" in files]
    assert with_one == with_all
