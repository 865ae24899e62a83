"""Start states at their optimum: cost, derivatives and search of projection.py against NumPy and differences.

The errors come from the recursion itself (errors_only), the optimum from numpy.linalg.lstsq on differences of errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from templates_engine.smoothing import Model, fit, fit_many
from templates_engine.smoothing.layout import Layout, layout
from templates_engine.smoothing.projection import projected
from templates_engine.smoothing.recursions import errors_only

MODELS = [
    Model(False, False, "none"),
    Model(True, False, "none"),
    Model(True, True, "none"),
    Model(False, False, "additive", (4,)),
    Model(True, False, "additive", (2,)),
    Model(True, False, "additive", (5,)),
    Model(True, True, "additive", (12,)),
]
CONSTANTS = {"alpha": 0.35, "beta": 0.15, "gamma": 0.25, "phi": 0.9}


def data(n: int = 61) -> np.ndarray:
    """No multiple of the four rows that are summed at a time, nor of a period."""
    rng = np.random.default_rng(17)
    t = np.arange(n)
    return 100 + 0.3 * t + 3 * rng.standard_normal(n) + 6 * np.sin(2 * np.pi * t / 5)


def place(lay: Layout) -> np.ndarray:
    z = np.zeros(lay.size)
    z[2] = 1.0
    for name, entry in lay.entries().items():
        z[entry] = CONSTANTS[name]
    z[lay.constants] = 90.0
    return z


def errors(y: np.ndarray, lay: Layout, z: np.ndarray) -> np.ndarray:
    found, season = np.empty(len(y)), z[lay.constants + 2 :].copy()
    c = lay.constants
    errors_only(y, 0, z[c], z[c + 1], season, lay.periods, lay.offsets, lay.kind, z[:c], found)
    return found


def design(y: np.ndarray, lay: Layout, z: np.ndarray) -> np.ndarray:
    """(n, states): what each start state adds to the errors; exact, as they are linear.

    The level acts as all indices together do: lstsq is told (rcond) that one column less is independent.
    """
    base, columns = errors(y, lay, z), []
    trend = [lay.constants + 1] if lay.model.trend else []
    for entry in [lay.constants, *trend, *range(lay.constants + 2, lay.size)]:
        moved = z.copy()
        moved[entry] += 1.0
        columns.append(errors(y, lay, moved) - base)
    return np.column_stack(columns)


def run(y: np.ndarray, lay: Layout, z: np.ndarray, least: float = math.inf) -> tuple[float, np.ndarray, np.ndarray]:
    columns = lay.columns("decompose")
    gradient, matrix = np.empty(len(columns)), np.empty((len(columns), len(columns)))
    linear = (int(lay.periods[0]) if len(lay.periods) else 1) + lay.model.trend
    return projected(y, z, lay.constants, lay.periods, linear, columns, least, gradient, matrix), gradient, matrix


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_start_states_are_least_squares(model: Model) -> None:
    """Protects the optimum over the start states: its cost is that of lstsq, the states written give that cost, and the
    indices sum to 0."""
    y, lay = data(), layout(model, None, None, None, None)
    z = place(lay)
    at = errors(y, lay, z)
    shift = np.linalg.lstsq(design(y, lay, z), -at, rcond=1e-9)[0]
    exact = float(np.sum((at + design(y, lay, z) @ shift) ** 2))
    for least in (math.inf, -math.inf):  # with derivatives and without
        moved = z.copy()
        assert run(y, lay, moved, least)[0] == pytest.approx(exact, rel=1e-9)
        assert float(np.sum(errors(y, lay, moved) ** 2)) == pytest.approx(exact, rel=1e-9)
        assert abs(moved[lay.constants + 2 :].sum()) < 1e-9
        np.testing.assert_array_equal(moved[: lay.constants], z[: lay.constants])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_derivatives_of_what_is_left(model: Model) -> None:
    """Protects the gradient of the cost as a function of the constants alone (differences of lstsq's cost), and the
    matrix: J'J of the constants, at the optimal states, after what the states can follow is projected out."""
    y, lay = data(), layout(model, None, None, None, None)
    z = place(lay)
    _, gradient, matrix = run(y, lay, z)

    def cost(at: np.ndarray) -> float:
        e, x = errors(y, lay, at), design(y, lay, at)
        return float(np.sum((e - x @ np.linalg.lstsq(x, e, rcond=1e-9)[0]) ** 2))

    slopes, changes, h = [], [], 1e-5
    for entry in lay.columns("decompose"):
        up, down = z.copy(), z.copy()
        up[entry] += h
        down[entry] -= h
        slopes.append((cost(up) - cost(down)) / (2 * h))
        changes.append((errors(y, lay, up) - errors(y, lay, down)) / (2 * h))
    np.testing.assert_allclose(2 * gradient, slopes, rtol=1e-5, atol=1e-5 * np.abs(slopes).max())
    x, columns = design(y, lay, z), np.array(changes).T
    left = columns - x @ np.linalg.lstsq(x, columns, rcond=1e-9)[0]
    exact = left.T @ left
    size = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(matrix / np.outer(size, size), exact / np.outer(size, size), atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_no_start_states_are_better(model: Model) -> None:
    """Protects the joint search: at its constants, lstsq finds no better start states, and no small change of the
    constants within the box is better (a minimum)."""
    y, lay = data(), layout(model, None, None, None, None)
    done = fit(y, model, start="optimal")
    z = place(lay)
    named = done.constants.named()
    for name, entry in lay.entries().items():
        z[entry] = named[name]

    def cost(at: np.ndarray) -> float:
        e, x = errors(y, lay, at), design(y, lay, at)
        return float(np.sum((e - x @ np.linalg.lstsq(x, e, rcond=1e-9)[0]) ** 2))

    assert done.sse == pytest.approx(cost(z), rel=1e-9)
    for entry in lay.columns("decompose"):
        for change in (-1e-3, 1e-3):
            moved = z.copy()
            moved[entry] = min(max(moved[entry] + change, lay.lower[entry]), lay.upper[entry])
            assert cost(moved) >= done.sse * (1 - 1e-9)


@pytest.mark.parametrize("n", [9, 10, 11, 12, 40])
def test_wild_series_are_fitted(n: int) -> None:
    """Protects the joint search: finite data of any size, smooth, wild or nearly constant, give finite states in the
    box; the squared error is that of the constants and states returned."""
    rng = np.random.default_rng(n)
    t = np.arange(n)
    rows = np.concatenate(
        [
            np.exp(3 * rng.standard_normal((20, n))),
            1e9 + rng.standard_normal((20, n)),
            1e100 * rng.standard_normal((20, n)),
            rng.poisson(0.5, (20, n)) + (t == 0),
            np.cumsum(np.cumsum(rng.standard_normal((20, n)), axis=1), axis=1),
            10 + 0.5 * t + rng.random((20, 1)) * (t % 4),
        ]
    )
    for model in (Model(True, False, "additive", (4,)), Model(True, True, "additive", (4,)), Model(True, True, "none")):
        found = fit_many(rows, model, start="optimal", threads=1)
        assert set(found.status) == {""}
        assert np.isfinite(found.sse).all()
        assert np.isfinite(found.last_level).all()
        assert ((found.constants >= 0) & (found.constants <= 1)).all()
        assert found.converged.all()
