"""Protects: a change in a function that a kernel calls starts a fresh cache; a change elsewhere keeps the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from templates_engine import sources as reading
from templates_engine.sampling import compiled


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that calls a helper, which uses a constant of a third module; and a module beside them."""
    folder = tmp_path / "templates_engine" / "sampling"
    folder.mkdir(parents=True)
    (folder / "kernel.py").write_text(
        "def f():\n    from templates_engine.sampling import helper\n    return helper.g()\n"
    )
    (folder / "helper.py").write_text("from .constant import K\n\ndef g():\n    return K\n")
    (folder / "constant.py").write_text("K = 1\n")
    (folder / "beside.py").write_text("K = 1\n")
    monkeypatch.setattr(reading, "_ROOT", tmp_path)
    return folder


def _digest(file: Path) -> str:
    compiled._digest.cache_clear()
    reading._imports.cache_clear()
    return compiled._digest(file)


def test_a_change_below_is_noticed_and_one_beside_is_not(sources: Path) -> None:
    kernel = sources / "kernel.py"
    first = _digest(kernel)
    (sources / "beside.py").write_text("K = 2\n")
    assert _digest(kernel) == first
    (sources / "constant.py").write_text("K = 2\n")
    second = _digest(kernel)
    assert second != first
    (sources / "helper.py").write_text("from .constant import K\n\ndef g():\n    return -K\n")
    assert _digest(kernel) not in (first, second)


def test_modules_that_import_one_another(sources: Path) -> None:
    """A ring of imports ends."""
    (sources / "constant.py").write_text("from templates_engine.sampling import kernel\nK = 1\n")
    assert _digest(sources / "kernel.py")
