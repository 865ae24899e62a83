"""HoltWinters run as the application runs it, for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "templates"))

from running import Ran, run, shared_data

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import SUPPLIED

MANY = {"y": "sales", "time": "month", "series": "shop", "period": "12", "horizon": "6"}

__all__ = ["MANY", "Ran", "coefficients", "holt_winters", "run", "series", "shops"]


def holt_winters(folder: Path, data: Dataset, **answers: str) -> Ran:
    return run("HoltWinters", data, {"y": "value", "period": "1", **answers}, folder)


def series(name: str) -> Dataset:
    return shared_data(f"ts/{name}.csv")


def shops() -> Dataset:
    return SUPPLIED["many_series"]()


def coefficients(ran: Ran) -> dict[str, float]:
    table = ran.table("Coefficients")
    return dict(zip(table["parameter"], table["value"], strict=True))
