"""The shared cases whose times are day counts of a spreadsheet and years of two digits, each with its right value."""

from __future__ import annotations

from dataclasses import replace

import beside
import pytest

from model_templates.holt_winters.spec import Spec
from model_templates.holt_winters.timeline import arrange
from templates_engine.data import readers

SPEC = Spec(
    y="y", time="time", series="", periods=(12,), method="Holt-Winters", damped=False, seasonal="Additive",
    robust=False, k=2.0, start="optimal", alpha=None, beta=None, gamma=None, phi=None,
    outside=False, horizon=12, level=95.0, seed=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "first", "after"),
    [("88-excel-serials-monthly", "2015-01-01", 12 * 2015), ("89d-two-digit-years", "Jan-98", 12 * 1998)],
)
def test_months(case: str, first: str, after: int) -> None:
    """The right outcome: months from January 2015, and from January 1998; none taken for a gap."""
    data = readers.read(beside.case(case.partition("-")[0]))
    line = arrange(replace(SPEC), data)
    (series,) = line.series
    assert (line.clock.unit, line.clock.step, line.clock.origin) == ("month", 1, after)
    assert series.values.tolist() == data["y"].tolist()
    assert line.words(0) == first
    assert not any(n.code in ("gaps", "unequal-steps", "period-and-time") for n in line.notices)
