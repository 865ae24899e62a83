"""Protects: what the page shows of chains that grow is computed from draws that can be compared."""

from __future__ import annotations

import numpy as np
import pytest

from app.pages.trace import HEIGHT, curves_of
from templates_engine.outputs import Curve
from templates_engine.running.live import POINTS, Curves, Watched
from templates_engine.sampling.saving import Live


def live(drawn: int, room: int = 500, seed: int = 1) -> Live:
    rows = np.full((room, 2), np.nan)
    rows[:drawn] = np.random.default_rng(seed).normal(size=(drawn, 2))
    one = Live()
    one.show(rows, lambda some: some)
    return one


def converging(*chains: Live) -> dict[str, tuple[float, float]]:
    report = Watched("b", ("a", "b"), chains).report()
    return {row["parameter"]: (row["rhat"], row["ess"]) for row in report["converging"]}


def test_a_chain_that_has_not_begun_is_left_out() -> None:
    """With two cores the third chain waits for the first: R-hat is that of the two which are there."""
    two = live(400), live(380, seed=2)
    assert converging(*two, Live()) == converging(*two) == converging(*two, live(100, seed=3))
    assert set(converging(*two)) == {"a", "b"}
    assert converging(*two, live(300, seed=3)) != converging(*two)  # long enough to be compared


def test_too_few_draws_say_nothing() -> None:
    assert converging(live(19)) == {}
    assert converging(Live(), Live()) == {}


def test_the_worst_stands_first() -> None:
    apart = np.zeros((500, 2))
    rng = np.random.default_rng(4)
    apart[:, 0], apart[:, 1] = rng.normal(size=500), rng.normal(5, size=500)
    other = Live()
    other.show(apart, lambda some: some)
    rows = Watched("a", ("a", "b"), (live(500), other)).report()["converging"]
    assert [row["parameter"] for row in rows] == ["b", "a"]
    assert rows[0]["rhat"] > 1.5 > 1.01 > rows[1]["rhat"]  # chains that share no value: 1.83 after ranking


LOSS, AUC = Curve("loss", "Loss", "Epoch"), Curve("auc", "Validation AUC", "Epoch")


def test_curves_in_the_order_of_their_declaration_and_no_others() -> None:
    curves = Curves((LOSS, AUC))
    assert curves.report() == []
    for epoch in (1, 2, 3):
        curves.add("auc", "net", epoch, 0.5 + epoch / 10)
        curves.add("loss", "training", epoch, 1 / epoch)
    assert [c["title"] for c in curves.report()] == ["Loss", "Validation AUC"]
    assert curves.report()[0]["lines"] == [{"name": "training", "points": [[1, 1], [2, 0.5], [3, 0.3333]]}]
    with pytest.raises(ValueError, match="no curve speed"):
        curves.add("speed", "net", 1, 1)


def test_a_long_curve_is_thinned_and_ends_where_it_ends() -> None:
    curves = Curves((LOSS,))
    for k in range(1001):
        curves.add("loss", "training", k, float("nan") if k == 500 else k)
    points = curves.report()[0]["lines"][0]["points"]
    assert len(points) <= POINTS
    assert points[-1] == [1000, 1000]
    assert all(b == b for _, b in points)


def test_a_curve_is_drawn_downwards_as_the_loss_falls() -> None:
    """The picture's places, in an SVG's coordinates: more to the right is later, lower down is less."""
    curves = Curves((LOSS,))
    curves.add("loss", "training", 1, 0.9)
    assert curves_of(curves.report()) == []  # one point is no line
    curves.add("loss", "training", 2, 0.5)
    curves.add("loss", "training", 3, 0.1)
    (drawn,) = curves_of(curves.report())
    ((name, points, last),) = drawn.lines
    places = [tuple(map(float, p.split(","))) for p in points.split()]
    assert (name, last) == ("training", "0.100")
    assert places == sorted(places)
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert all(0 < y < HEIGHT for _, y in places)
    assert [text for _, text in drawn.along] == ["1", "2", "3"]
