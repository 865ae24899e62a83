"""Protects: what the page shows of chains that grow is computed from draws that can be compared."""

from __future__ import annotations

import numpy as np

from templates_engine.running.live import Watched
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
