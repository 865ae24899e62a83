"""The numbers beside a picture: what they hold, and that the page finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from templates_engine.figures.interactive import Axis, Figure, Panel, Rule, Trace, as_json
from templates_engine.running.job import Job
from templates_engine.running.store import Store


def read(figure: Figure) -> Any:
    return json.loads(as_json(figure))


def test_equal_steps_are_written_short_and_others_in_full() -> None:
    found = read(Figure("a", [], Axis(np.arange(3, 1003) / 4)))["x"]
    assert found == {"from": 0.75, "step": 0.25, "n": 1000}
    minutes = 19_358 + np.arange(600) / 1440  # since 1970, in days
    found = read(Figure("a", [], Axis(minutes, kind="time")))["x"]
    assert found["from"] + 599 * found["step"] == pytest.approx(minutes[-1], abs=1e-6)
    found = read(Figure("a", [], Axis(np.delete(minutes, 5), kind="time")))["x"]
    assert found["values"] == pytest.approx(np.delete(minutes, 5), abs=1e-6), "a tenth of a second"
    uneven = read(Figure("a", [], Axis([1.0, 2.0, 4.0], ["x", "y", "z"], "time")))["x"]
    assert uneven == {"values": [1, 2, 4], "labels": ["x", "y", "z"], "kind": "time"}


def test_a_trace_begins_at_its_first_value_and_gaps_are_null() -> None:
    y = np.array([np.nan, np.nan, 1.5, np.nan, 2.0, np.inf])
    (trace,) = read(Figure("a", [Panel([Trace("line", "y", y, first=10)])], Axis(np.arange(20.0))))["panels"][0][
        "traces"
    ]
    assert (trace["first"], trace["y"]) == (12, [1.5, None, 2])
    (band,) = read(Figure("a", [Panel([Trace("band", "b", y, low=y - 1)])], Axis(np.arange(6.0))))["panels"][0][
        "traces"
    ]
    assert (band["first"], band["y"], band["low"]) == (2, [1.5, None, 2], [0.5, None, 1])


def test_numbers_keep_nine_digits_and_zero_stays() -> None:
    trace = Trace("points", "p", [123456.78901, -1e-12, 0.0, 1e20], at=[0, 3, 5, 6])
    panel = Panel([trace], rules=[Rule(y=0.0), Rule(x=1234567.25, label="here")])
    found = read(Figure("a", [panel], Axis(np.arange(7.0)), view=(0.0, 3.5)))
    assert found["panels"][0]["traces"][0]["y"] == [123456.789, -1e-12, 0, 1e20]
    assert found["panels"][0]["traces"][0]["at"] == [0, 3, 5, 6]
    assert found["panels"][0]["rules"] == [{"y": 0}, {"x": 1234567.25, "label": "here"}]
    assert found["view"] == [0, 3.5]


def test_an_axis_that_falls_or_has_too_few_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="rise"):
        as_json(Figure("a", [], Axis([2.0, 1.0])))
    with pytest.raises(ValueError, match="1 labels for 2 places"):
        as_json(Figure("a", [], Axis([1.0, 2.0], ["one"])))


def test_a_job_keeps_the_numbers_beside_the_picture(tmp_path: Path) -> None:
    """Also where two pictures want the same name: each has its own numbers."""
    with Job(Store(tmp_path)) as job:
        for k in range(2):
            job.figure("f.svg", b"<svg/>" + b" " * k, "f", data=Figure(f"picture {k}", []))
        job.figure("plain.svg", b"<svg></svg>")
        names = [a.name for a in job.store.artifacts]
    assert names == ["f.svg", "f.svg.json", "f-2.svg", "f-2.svg.json", "plain.svg"]
    assert json.loads((tmp_path / "f-2.svg.json").read_text())["title"] == "picture 1"
