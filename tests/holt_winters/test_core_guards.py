"""Rows at which multiplicative seasons have no meaning, and simulated paths, against the equations in Python numbers;
derivatives there against differences.

A level at or below 0 and an index at or below 0 come from steep falls, which the search tries too. There seasons stay,
and what has no relative error counts as far off: see recursions.py and robust.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from templates_engine.smoothing import Model
from templates_engine.smoothing.gradients import settle, squared_errors
from templates_engine.smoothing.layout import Layout, layout
from templates_engine.smoothing.optimise import ROBUST, criterion_value
from templates_engine.smoothing.recursions import errors_only, simulate, smooth
from templates_engine.smoothing.robust import ROBLIK, TAU2, robust_errors, robust_smooth, tau_square

ALPHA, BETA, PHI, K, LAMBDA, SIGMA = 0.3, 0.2, 0.9, 2.0, 0.1, 0.05
FIRST = 5  # the recursion begins inside the period
LOW = (1.1, -0.4, 0.95, 1.05)  # one index below 0
SEASONS = {
    "none": [],
    "one": [[1.1, 0.9, 0.95, 1.05]],
    "one low": [list(LOW)],
    "one zero": [[1.1, 0.0, 0.95, 1.05]],
    "two": [[1.1, 0.9, 0.95, 1.05], [0.98, 1.0, 1.02]],
    "two zero": [[1.1, 0.9, 0.95, 1.05], [0.98, 0.0, 1.02]],
    "two low": [list(LOW), [0.98, 1.0, 1.02]],
}
# (first level, size of the series): trends begin at -0.5 sizes, so that the first forecasts are 0 and just below twice
LEVELS = [(50.0, 1.0), (0.45, 1.0), (0.44, 1.0), (-30.0, 1.0), (-0.3, 0.01)]
GAMMAS = (0.4, 0.25)


def bounded(z: float) -> float:
    return 1 - (1 - min(1.0, (z / K) ** 2)) ** 3


# E rho(Z) = 1 for a standard normal Z
C = 1 / (2 * (integrate.quad(lambda z: bounded(z) * stats.norm.pdf(z), 0, K, epsabs=1e-13)[0] + stats.norm.sf(K)))


def data() -> np.ndarray:
    rng = np.random.default_rng(5)
    y = 50 + 2 * rng.standard_normal(30)
    y[[11, 16]] = np.nan
    y[20] = 90.0
    return y


def kernel(seasons: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(season, periods, offsets, theta)."""
    periods = np.array([len(s) for s in seasons], np.int64)
    offsets = (np.cumsum(periods) - periods).astype(np.int64)
    flat = np.array([v for s in seasons for v in s])
    return flat, periods, offsets, np.array([ALPHA, BETA, PHI, *GAMMAS[: len(seasons)]])


def classical(
    y: np.ndarray, first: int, level: float, b: float, seasons: list[list[float]], product: bool
) -> dict[str, np.ndarray]:
    s = [list(one) for one in seasons]
    rows = []
    for t in range(first, len(y)):
        q = level + PHI * b
        now = [one[t % len(one)] for one in s]
        total = math.prod(now) if product else sum(now)
        x = q * total if product else q + total
        if math.isnan(y[t]):
            rows.append((x, q, PHI * b))
            level, b = q, PHI * b
            continue
        clean = y[t] - total if not product else (y[t] / total if total else q)
        new = ALPHA * clean + (1 - ALPHA) * q
        b = BETA * (new - level) + (1 - BETA) * PHI * b
        level = new
        for i, one in enumerate(s):
            if not product:
                one[t % len(one)] = GAMMAS[i] * (y[t] - level - (total - now[i])) + (1 - GAMMAS[i]) * now[i]
            elif level > 0 and now[i] > 0 and total > 0:
                own = y[t] * now[i] / (level * total)
                one[t % len(one)] = GAMMAS[i] * own + (1 - GAMMAS[i]) * now[i]
        rows.append((x, level, b))
    fitted, levels, trends = np.array(rows).T
    return {"fitted": fitted, "levels": levels, "trends": trends, "season": np.array([v for one in s for v in one])}


def robust(y: np.ndarray, first: int, level: float, b: float, seasons: list[list[float]]) -> dict[str, np.ndarray]:
    s, sigma = [list(one) for one in seasons], SIGMA
    rows, errors, forecasts = [], [], []
    for t in range(first, len(y)):
        q = level + PHI * b
        now = [one[t % len(one)] for one in s]
        total = math.prod(now)
        x, clean, flag = q * total, float(y[t]), False
        if math.isnan(y[t]):
            clean, level, b = x, q, PHI * b
        else:
            if x > 0:
                e = (y[t] - x) / x
                sigma *= math.sqrt(LAMBDA * C * bounded(e / sigma) + 1 - LAMBDA)
                flag = abs(e / sigma) > K
                clean = x * (1 + max(-K * sigma, min(K * sigma, e)))
            else:
                e = (y[t] - x) / max(-x, y[t] / 1000)
            errors.append(e)
            forecasts.append(abs(x))
            new = q + ALPHA * (clean / total - q) if total > 0 else q
            b = PHI * b + BETA * (new - level - PHI * b)
            level = new
            for i, one in enumerate(s):
                if q > 0 and now[i] > 0 and total > 0:
                    one[t % len(one)] += (1 - ALPHA) * GAMMAS[i] * (clean * now[i] / (q * total) - now[i])
        rows.append((x, level, b, sigma, clean, flag))
    names = ("fitted", "levels", "trends", "scale", "cleaned", "flags")
    found = dict(zip(names, np.array(rows, float).T, strict=True))
    season = np.array([v for one in s for v in one])
    return found | {"errors": np.array(errors), "forecasts": np.array(forecasts), "season": season}


@pytest.mark.parametrize(("level", "size"), LEVELS)
@pytest.mark.parametrize(("case", "kind"), [(c, k) for c in SEASONS for k in ((1, 2) if SEASONS[c] else (0,))])
def test_classical_rows_without_meaning(case: str, kind: int, level: float, size: float) -> None:
    """Protects both passes and the guards of multiplicative seasons: every row and the last states as written out."""
    y, (season, periods, offsets, theta) = size * data(), kernel(SEASONS[case])
    exact = classical(y, FIRST, level, -0.5 * size, SEASONS[case], kind == 2)
    n, moved = len(y), season.copy()
    fitted, levels, trends, errors = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    shape = (periods, offsets, kind, theta)
    last = smooth(y, FIRST, level, -0.5 * size, moved, *shape, fitted, levels, trends, np.empty((n, len(periods))))
    for found, name in ((fitted, "fitted"), (levels, "levels"), (trends, "trends")):
        np.testing.assert_allclose(found[FIRST:], exact[name], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(moved, exact["season"], rtol=1e-10)
    assert last == (levels[-1], trends[-1])
    moved = season.copy()
    again = errors_only(y, FIRST, level, -0.5 * size, moved, *shape, errors)
    np.testing.assert_allclose(errors[FIRST:], y[FIRST:] - exact["fitted"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(moved, exact["season"], rtol=1e-10)
    assert again == pytest.approx((exact["levels"][-1], exact["trends"][-1]), rel=1e-10)


@pytest.mark.parametrize(("level", "size"), LEVELS)
@pytest.mark.parametrize("case", list(SEASONS)[1:])
def test_robust_rows_without_meaning(case: str, level: float, size: float) -> None:
    """The same of the robust recursion: a forecast that is not positive gives a far-off error, an uncleaned value and
    no new scale."""
    y, (season, periods, offsets, theta) = size * data(), kernel(SEASONS[case])
    exact = robust(y, FIRST, level, -0.5 * size, SEASONS[case])
    n, moved = len(y), season.copy()
    fitted, levels, trends, scale, cleaned = (np.empty(n) for _ in range(5))
    flags = np.zeros(n, np.bool_)
    shape = (periods, offsets, 2, theta, SIGMA, K, LAMBDA)
    rows = (fitted, levels, trends, np.empty((n, len(periods))), scale, cleaned, flags)
    robust_smooth(y, FIRST, level, -0.5 * size, moved, *shape, *rows)
    for found, name in ((fitted, "fitted"), (levels, "levels"), (trends, "trends"), (scale, "scale")):
        np.testing.assert_allclose(found[FIRST:], exact[name], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(cleaned[FIRST:], exact["cleaned"], rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(flags[FIRST:], exact["flags"])
    np.testing.assert_allclose(moved, exact["season"], rtol=1e-8)
    moved, room = season.copy(), np.empty((2, n))
    count = robust_errors(y, FIRST, level, -0.5 * size, moved, *shape, room[0], room[1])
    assert count == len(exact["errors"])
    np.testing.assert_allclose(room[0, :count], exact["errors"], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(room[1, :count], exact["forecasts"], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moved, exact["season"], rtol=1e-8)


def test_tau_scale_of_many_zeros() -> None:
    """With a median of 0 there is no scale to cut at: the mean square; infinite where an error is."""
    errors = np.array([0.0, 3.0, 0.0, -1.0, 0.0, 0.0, 99.0])
    assert tau_square(errors, 6) == pytest.approx(10 / 6)
    assert tau_square(np.array([1.0, np.inf, 2.0]), 3) == math.inf


def test_robust_criterion_of_few_values_and_of_none() -> None:
    """Of one value: log tau^2, which is log e^2 + log(1.482602^2 rho(1 / 1.482602)) with the biweight of k = 3; of
    errors that are all 0: 0, and a finite logarithm below that of any other; of no value: infinite."""
    none = np.zeros(0, np.int64)

    def value(y: list[float], criterion: int) -> float:
        z = np.array([ALPHA, 0.0, 1.0, 5.0, 0.0])
        more = (ROBUST, (SIGMA, K, LAMBDA, criterion), np.empty((2, len(y))))
        return float(criterion_value(np.array(y), 0, z, 3, none, none, 0, *more))

    c = integrate.quad(lambda v: (1 - (1 - (v / 3) ** 2) ** 3) * stats.norm.pdf(v), -3, 3)[0] + 2 * stats.norm.sf(3)
    rho = (1 - (1 - (1 / (3 * 1.482602)) ** 2) ** 3) / c
    tau2 = 0.5**2 * 1.482602**2 * rho
    assert value([5.5, math.nan], TAU2) == pytest.approx(tau2, rel=1e-9)
    assert value([5.5, math.nan], ROBLIK) == pytest.approx(math.log(tau2), rel=1e-9)
    assert value([5.0, 5.0], TAU2) == 0.0
    assert -math.inf < value([5.0, 5.0], ROBLIK) < -1000.0
    assert value([math.nan, math.nan], TAU2) == math.inf
    assert value([math.nan, math.nan], ROBLIK) == math.inf


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("case", SEASONS)
@pytest.mark.parametrize("kind", [1, 2])
def test_paths_as_written_out(kind: int, case: str, relative: bool) -> None:
    """Protects simulated futures: each row's forecast plus its error (times one plus it) is the next value of the
    recursion; after relative errors seasons move by level + trend at the rate of the robust recursion. Wild errors
    take the level below 0."""
    if kind == 1 and relative:
        pytest.skip("relative errors are for multiplicative seasons")
    seasons = SEASONS[case]
    season, periods, offsets, theta = kernel(seasons)
    kind = kind if len(periods) else 0
    rng = np.random.default_rng(8)
    shocks = rng.standard_normal((3, 12)) * np.array([0.05, 0.5, 3.0])[:, None] * (1.0 if relative else 20.0)
    paths, n = np.empty((3, 12)), 7
    simulate(n, 20.0, 0.7, season, periods, offsets, kind, theta, shocks, relative, paths)
    for path, errors in zip(paths, shocks, strict=True):
        level, b, s = 20.0, 0.7, [list(one) for one in seasons]
        for h, e in enumerate(errors):
            q = level + PHI * b
            now = [one[(n + h) % len(one)] for one in s]
            total = math.prod(now) if kind == 2 else sum(now)
            x = q * total if kind == 2 else q + total
            y = x * (1 + e) if relative else x + e
            assert path[h] == pytest.approx(y, rel=1e-10, abs=1e-10)
            clean = y - total if kind != 2 else (y / total if total else q)
            new = ALPHA * clean + (1 - ALPHA) * q
            b = BETA * (new - level) + (1 - BETA) * PHI * b
            level = new
            by, share = (q, 1 - ALPHA) if relative else (level, 1.0)
            for i, one in enumerate(s):
                rate = GAMMAS[i] * share
                if kind == 1:
                    one[(n + h) % len(one)] += rate * (y - level - (total - now[i]) - now[i])
                elif by > 0 and now[i] > 0 and total > 0:
                    one[(n + h) % len(one)] += rate * (y * now[i] / (by * total) - now[i])
    np.testing.assert_array_equal(season, kernel(seasons)[0])


def vector(model: Model, level: float) -> tuple[Layout, np.ndarray]:
    lay = layout(model, None, None, None, None)
    z = np.zeros(lay.size)
    z[: lay.constants] = [0.35, 0.15, 0.9 if model.damped else 1.0, *[0.25] * len(model.periods)]
    z[lay.constants], z[lay.constants + 1] = level, 0.3 if model.trend else 0.0
    z[lay.constants + 2 :] = 1.0 if model.seasonal == "multiplicative" else 0.0
    settle(z, lay.constants, lay.periods, lay.offsets, lay.kind)
    return lay, z


def derivatives(
    y: np.ndarray, lay: Layout, z: np.ndarray, columns: np.ndarray, relative: bool = False
) -> tuple[float, np.ndarray, np.ndarray]:
    gradient, matrix = np.empty(len(columns)), np.empty((len(columns), len(columns)))
    shape = (lay.constants, lay.periods, lay.offsets, lay.kind, relative, columns, gradient, matrix)
    return squared_errors(y, 0, z, *shape), gradient, matrix


MULTIPLICATIVE = [Model(True, True, "multiplicative", (4,)), Model(True, True, "multiplicative", (2, 6))]


@pytest.mark.parametrize("size", [1.0, 0.01])
@pytest.mark.parametrize("start", ["decompose", "optimal"])
@pytest.mark.parametrize("model", MULTIPLICATIVE, ids=lambda m: m.title)
def test_derivatives_while_the_level_is_negative(model: Model, start: str, size: float) -> None:
    """The season stays while the new level is not positive, and so do its derivatives: central differences of the
    errors, to 1e-5. A forecast without relative error, and an index that is not positive, cost infinitely much."""
    y, (lay, z) = size * data(), vector(model, -90.0 * size)
    columns, c = lay.columns(start), lay.constants

    def errors(at: np.ndarray) -> np.ndarray:
        found, at = np.empty(len(y)), at.copy()
        settle(at, c, lay.periods, lay.offsets, lay.kind)
        errors_only(y, 0, at[c], at[c + 1], at[c + 2 :].copy(), lay.periods, lay.offsets, 2, at[:c], found)
        return found[~np.isnan(y)]

    slopes = []
    for e in columns:
        h = 1e-5 * max(size, abs(z[e]))
        up, down = z.copy(), z.copy()
        up[e] += h
        down[e] -= h
        slopes.append((errors(up) - errors(down)) / (2 * h))
    jacobian = np.array(slopes)
    cost, gradient, matrix = derivatives(y, lay, z, columns)
    norm = np.sqrt(np.sum(jacobian**2, axis=1))
    assert cost == pytest.approx(float(np.sum(errors(z) ** 2)), rel=1e-10)
    np.testing.assert_allclose(gradient / norm, jacobian @ errors(z) / norm, atol=1e-5 * np.sqrt(cost))
    np.testing.assert_allclose(matrix / np.outer(norm, norm), jacobian @ jacobian.T / np.outer(norm, norm), atol=1e-5)
    assert derivatives(y, lay, z, columns, relative=True)[0] == math.inf
    z[c] = 50.0 * size
    assert derivatives(y, lay, z, columns, relative=True)[0] < math.inf
    for low in (0.0, -0.2):
        z[c + 3] = low
        assert derivatives(y, lay, z, columns)[0] == math.inf


@pytest.mark.parametrize(
    "model",
    [*MULTIPLICATIVE, Model(True, True, "none"), Model(True, True, "additive", (4,)), Model(False, False, "none")],
    ids=lambda m: m.title,
)
@pytest.mark.parametrize("relative", [False, True])
def test_each_unknown_alone(model: Model, relative: bool) -> None:
    """With all others known, the derivatives of one are what they are among all (test_gradient has these)."""
    y, (lay, z) = data(), vector(model, 48.0)
    whole = lay.columns("optimal")
    cost, gradient, matrix = derivatives(y, lay, z, whole, relative)
    for j, e in enumerate(whole):
        one = derivatives(y, lay, z, np.array([e]), relative)
        assert one[0] == pytest.approx(cost, rel=1e-12)
        assert one[1][0] == pytest.approx(gradient[j], rel=1e-9, abs=1e-9 * np.abs(gradient).max())
        assert one[2][0, 0] == pytest.approx(matrix[j, j], rel=1e-9)
