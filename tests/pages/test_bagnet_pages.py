"""Protects: where PyTorch is missing, or still being installed, BagNet's page says so and what to do."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from fastapi.testclient import TestClient


def test_the_page_says_that_pytorch_is_missing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == "torch" else found(name, *more)

    def page(template: str) -> str:
        return client.get(f"/templates/{template}").text

    assert "pip install" not in page("BagNet")
    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert "graphics card: pip install" in page("BagNet")
    assert "pip install" not in page("2LevelMod")
