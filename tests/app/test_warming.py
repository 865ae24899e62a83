"""Kernels are compiled behind the open page: once each, side by side, and a run waits for its own only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from templates_engine import registry
from templates_engine.template import Template
from workers import warming

CALLS: list[str] = []


class Quick(Template):
    name = "Quick"

    def warm(self) -> None:
        CALLS.append(self.name)


class Lost(Template):
    name = "Lost"

    def warm(self) -> None:
        CALLS.append(self.name)
        raise RuntimeError("no compiler")


class Plain(Template):
    name = "Plain"


@pytest.fixture(autouse=True)
def _three(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    CALLS.clear()
    found: dict[str, Any] = {each.name: each() for each in (Quick, Lost, Plain)}
    monkeypatch.setenv("STATGROVE_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "all", lambda: found)
    monkeypatch.setattr(registry, "get", found.__getitem__)


def test_each_is_compiled_once_and_what_fails_does_not_stop_the_others() -> None:
    assert warming.compiled_templates() == ["Quick", "Lost"]
    assert warming.progress() == (0, 2)
    warming.main()
    assert warming.complete()
    warming.main()
    assert sorted(CALLS) == ["Lost", "Quick"]


def test_who_need_not_wait_leaves_what_another_is_at() -> None:
    assert not warming.done("Quick")
    with warming._locked("Quick", wait=True):
        assert not warming.warm_one("Quick", wait=False)
        waiting = threading.Thread(target=warming.warm_one, args=("Quick",))
        waiting.start()
        assert CALLS == []
    waiting.join()
    assert CALLS == ["Quick"]


def test_another_program_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    warming.main()
    monkeypatch.setattr(warming, "_program", lambda: "another")
    assert warming.progress() == (0, 2)
