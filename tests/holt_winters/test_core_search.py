"""The search for constants at given start states, against SciPy's minimisers from many places and against grids.

The errors at constants come from errors_only, which test_core_guards.py compares with the equations.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize

from templates_engine.smoothing import Fit, Model, fit
from templates_engine.smoothing.layout import Layout, layout, put_start
from templates_engine.smoothing.recursions import errors_only
from templates_engine.smoothing.search import figures, known, place, usable

PLACES = [(0.3, 0.1, 0.1), (0.9, 0.9, 0.9), (0.02, 0.9, 0.5), (0.6, 0.02, 0.6), (0.1, 0.4, 0.9), (0.05, 0.05, 0.05)]
MODELS = [
    Model(False, False, "none"),
    Model(True, True, "none"),
    Model(True, False, "additive", (4,)),
    Model(True, False, "multiplicative", (4,)),
    Model(False, False, "additive", (2, 6)),
]
CHARACTERS = ["noise about a line", "random walk", "walking slope", "season of last year"]


def series(character: str, n: int = 42) -> np.ndarray:
    """All positive; the optimum of most lies in a corner of the box."""
    rng = np.random.default_rng(3)
    e, t = rng.standard_normal(n), np.arange(n)
    if character == "noise about a line":
        return 60 + 0.5 * t + 3 * np.cos(np.pi * t / 2) + e
    if character == "random walk":
        return 60 + np.cumsum(e)
    if character == "walking slope":
        return 200 + np.cumsum(np.cumsum(e)) + 0.2 * rng.standard_normal(n)
    season = np.zeros(n)
    for k in range(4, n):
        season[k] = season[k - 4] + 2 * e[k]
    return 60 + season + 0.1 * rng.standard_normal(n)


def errors_at(done: Fit, lay: Layout) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Entries of the constants estimated, and the errors as a function of them at the start states of the fit."""
    z, columns, y = np.zeros(lay.size), lay.columns("decompose"), done.y
    z[2] = 1.0
    for name, value in done.constants.named().items():
        z[lay.entries()[name]] = value
    put_start(lay, z, done.start, 0)
    c, first = lay.constants, done.start.first

    def errors(at: np.ndarray) -> np.ndarray:
        moved, found = z.copy(), np.empty(len(y))
        moved[columns] = at
        errors_only(y, first, z[c], z[c + 1], z[c + 2 :].copy(), lay.periods, lay.offsets, lay.kind, moved[:c], found)
        return found[first:]

    return columns, errors


@pytest.mark.parametrize("criterion", ["sse", "likelihood"])
@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_squares_are_no_larger_than_by_scipy(model: Model, character: str, criterion: str) -> None:
    """Protects the minimiser on the box: no sum of squares above that of SciPy's from six places (1e-7); the value is
    that of the constants returned, and which of these are said to lie on a bound do so."""
    relative = criterion == "likelihood"
    if relative and model.seasonal != "multiplicative":
        pytest.skip("relative errors are for multiplicative seasons")
    y, lay = series(character), layout(model, None, None, None, None)
    done = fit(y, model, criterion=criterion)
    columns, errors = errors_at(done, lay)

    def residuals(at: np.ndarray) -> np.ndarray:
        e = errors(at)
        x = y[done.start.first :] - e
        return e / x * math.exp(np.mean(np.log(x))) if relative else e

    ours = np.array([done.constants.named()[name] for name in lay.entries()])
    box = lay.lower[columns], lay.upper[columns]
    value = float(np.sum(residuals(ours) ** 2))
    if not relative:
        assert done.sse == pytest.approx(value, rel=1e-10)
    for corner in PLACES:
        share = np.array([(*corner[:2], 0.5, *([corner[2]] * len(model.periods)))[e] for e in columns])
        begun = box[0] + share * (box[1] - box[0])
        theirs = optimize.least_squares(residuals, begun, bounds=box, xtol=1e-12, ftol=1e-12, gtol=1e-12)
        assert value <= 2 * theirs.cost * (1 + 1e-7)
    near = np.minimum(ours - box[0], box[1] - ours) <= 1e-6 * (box[1] - box[0])
    assert done.at_bound == tuple(name for name, on in zip(lay.entries(), near, strict=True) if on)
    assert done.converged


@pytest.mark.parametrize("character", CHARACTERS)
def test_absolute_errors_are_no_larger_than_on_a_grid(character: str) -> None:
    """Protects the search without derivatives: the sum of absolute errors of SES and of Holt is not above that at any
    point of a grid of 2,001 and of 61 by 61 constants by more than 1e-6."""
    y = series(character)
    for model, grid in (
        (MODELS[0], np.linspace(0, 1, 2001)[:, None]),
        (Model(True, False, "none"), np.stack(np.meshgrid(*[np.linspace(0, 1, 61)] * 2), -1).reshape(-1, 2)),
    ):
        done = fit(y, model, criterion="mae")
        _, errors = errors_at(done, layout(model, None, None, None, None))
        named = done.constants.named()
        value = float(np.abs(errors(np.array(list(named.values())))).sum())
        assert done.mae * done.n_used == pytest.approx(value, rel=1e-10)
        assert value <= min(np.abs(errors(at)).sum() for at in grid) * (1 + 1e-6)
        assert done.converged


def test_places_that_run_into_one_another() -> None:
    """Protects when a place is not followed: constants within 0.03 of those of an earlier rank, alpha's distance
    relative to 0.05 + 0.95 of the larger, and a cost that is not lower."""
    spots = np.array([[0.5, 0.2, 1.0, 0.3], [0.51, 0.22, 1.0, 0.32]])
    order, costs = np.array([0, 1]), np.array([2.0, 2.0])

    def is_known(spot: list[float], cost: float = 2.0) -> bool:
        return bool(known(np.array([spots[0], spot]), np.array([2.0, cost]), order, 1, 4))

    assert known(spots, costs, order, 1, 4)
    assert not known(spots, costs, order, 0, 4)
    assert known(spots[::-1], costs[::-1], order[::-1], 1, 4)
    assert is_known([0.5, 0.2, 1.0, 0.3], 3.0)
    assert not is_known([0.5, 0.2, 1.0, 0.3], 1.9)
    assert not is_known([0.53, 0.2, 1.0, 0.3])  # 0.03 / (0.05 + 0.95 * 0.53)
    assert is_known([0.514, 0.2, 1.0, 0.3])  # 0.014 / 0.538 = 0.026
    assert not is_known([0.5, 0.24, 1.0, 0.3])
    assert not is_known([0.5, 0.2, 1.0, 0.26])
    spots[0, 0] = 0.005
    assert not is_known([0.05, 0.2, 1.0, 0.3])  # 0.045 / 0.0975
    assert is_known([0.0064, 0.2, 1.0, 0.3])  # 0.0014 / 0.056 = 0.025
    assert not is_known([0.0068, 0.2, 1.0, 0.3])  # 0.0018 / 0.0565 = 0.032


def test_places_lie_at_shares_of_the_ranges() -> None:
    """Protects where a search begins: alpha, beta and the seasons at the place's shares, the damping at 0.9 of its
    range; what is fixed stays, and only what is not is moved."""
    lay = layout(Model(True, True, "additive", (2, 3)), None, None, (None, 0.2), None)
    z = np.full(lay.size, 7.0)
    place(z, np.array([0.5, 0.3, 0.8]), lay.constants, lay.lower, lay.upper)
    assert z[:5] == pytest.approx([0.5, 0.3, 0.8 + 0.9 * 0.18, 0.8, 0.2], rel=1e-7)
    assert np.all(z[5:] == 7.0)
    assert usable(np.arange(7), lay.lower, lay.upper, lay.constants).tolist() == [0, 1, 2, 3, 5, 6]


def test_figures_that_are_not_defined() -> None:
    """Protects figures of fit by hand: no percentage with a zero, no scaled error where the naive forecast has none,
    no spread of one error, and means of no error."""
    room = np.empty(6)
    figures(np.array([9.0, 2.0, np.nan, 0.0, 4.0]), 1, np.array([9.0, 1.0, 9.0, -2.0, 4.0]), 1, room)
    np.testing.assert_allclose(room, [3, 21, 7, np.nan, (7 / 3) / (11 / 2), 3.0])
    figures(np.array([9.0, 2.0, 2.0, 4.0]), 1, np.array([9.0, 1.0, -2.0, 4.0]), 2, room)
    np.testing.assert_allclose(room, [3, 21, 7, 100 * (0.5 + 1 + 1) / 3, (7 / 3) / (9 / 2), 3.0])
    figures(np.array([5.0, 5.0]), 1, np.array([0.0, 2.0]), 1, room)
    np.testing.assert_allclose(room, [1, 4, 2, 40, np.nan, np.nan])
    figures(np.array([5.0, np.nan]), 1, np.array([0.0, np.nan]), 1, room)
    np.testing.assert_allclose(room, [0, 0, 0, np.nan, np.nan, np.nan])
