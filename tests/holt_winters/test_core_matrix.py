"""The Gauss-Newton matrix against differences of the errors, and the joint optimum against statsmodels'."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from beside import data_file

from templates_engine.smoothing import Model, fit_many
from templates_engine.smoothing.gradients import settle, squared_errors
from templates_engine.smoothing.layout import layout
from templates_engine.smoothing.recursions import errors_only

MODELS = [
    Model(True, True, "none"),
    Model(True, True, "additive", (4,)),
    Model(True, True, "multiplicative", (4,)),
    Model(True, True, "additive", (2, 6)),
    Model(True, True, "multiplicative", (2, 6)),
]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("start", ["decompose", "optimal"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.title)
def test_matrix(model: Model, start: str, relative: bool) -> None:
    """Protects J'J, on which the speed of the search rests but not its gradient: central differences, to 1e-5."""
    many = model.seasonal == "multiplicative"
    if relative and not many:
        pytest.skip("relative errors are for multiplicative seasons")
    rng = np.random.default_rng(7)
    t = np.arange(40)
    y = 100 + 0.3 * t + 3 * rng.standard_normal(40) + 6 * np.sin(2 * np.pi * t / max(model.longest, 3))
    y[20] = np.nan
    lay = layout(model, None, None, None, None)
    z = np.zeros(lay.size)
    z[: lay.constants] = [0.35, 0.15, 0.9, *[0.25] * len(model.periods)]
    z[lay.constants], z[lay.constants + 1] = 98.0, 0.4
    z[lay.constants + 2 :] = 1.0 if many else 0.0
    columns, seen = lay.columns(start), ~np.isnan(y)

    def errors(at: np.ndarray) -> np.ndarray:
        found, at = np.empty(len(y)), at.copy()
        settle(at, lay.constants, lay.periods, lay.offsets, lay.kind)
        states = (at[lay.constants], at[lay.constants + 1], at[lay.constants + 2 :].copy())
        errors_only(y, 0, *states, lay.periods, lay.offsets, lay.kind, at[: lay.constants], found)
        x = (y - found)[seen]
        return found[seen] / x * np.exp(np.log(x).mean()) if relative else found[seen]

    slopes = []
    for e in columns:
        h = 1e-5 * max(1.0, abs(z[e]))
        up, down = z.copy(), z.copy()
        up[e] += h
        down[e] -= h
        slopes.append((errors(up) - errors(down)) / (2 * h))
    exact = np.array(slopes) @ np.array(slopes).T
    gradient, matrix = np.empty(len(columns)), np.empty(exact.shape)
    shape = (lay.constants, lay.periods, lay.offsets, lay.kind, relative, columns, gradient, matrix)
    squared_errors(y, 0, z, *shape)
    size = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(matrix / np.outer(size, size), exact / np.outer(size, size), atol=1e-5)


def test_joint_optimum_is_no_worse_than_statsmodels() -> None:
    """Protects the places of the joint search: on 40 series, at most one squared error above statsmodels' (1e-6).

    Over the whole panel one series in a thousand was, so that two of 40 are there by chance once in a thousand sets of
    40; these 40 are always the same.
    """
    holtwinters = pytest.importorskip("statsmodels.tsa.holtwinters")
    y = np.loadtxt(data_file("ts/hw_panel_1000x120.csv.gz"), delimiter=",", max_rows=40)
    found = fit_many(y, Model(True, False, "additive", (12,)), start="optimal", threads=1).sse
    options = {"trend": "add", "seasonal": "add", "seasonal_periods": 12, "initialization_method": "estimated"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.array([holtwinters.ExponentialSmoothing(row, **options).fit().sse for row in y])
    assert np.sum(found > theirs * (1 + 1e-6)) <= 1
