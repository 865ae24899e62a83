"""Intervals that allow for estimated constants, against dense least squares and against quadrature over the constants.

The oracle writes every observation as a linear function of the start states and the errors, by the recursion of
Holt and Winters row by row, and solves with dense matrices. Comparisons at given constants are exact to rounding.
Quantiles are compared with quadrature in units of the standard error of importance sampling, sqrt(sum w^2 (F - p)^2) /
density: one with one constant, where the evenly spread points of the draws err by a tenth of that, three with two.
Points and series are fixed, so nothing here fails by chance; only the simulated futures are random, at five standard
errors at 24 limits: a false alarm in 70,000 seeds. Seen to fail without the start states' spread (in the mixture, in
the simulation), with n in place of n - p degrees of freedom, with the sign of the start states' correction turned,
without |X'X|, without a prior, with the best draw alone, with a normal for Student's distribution, with a known sigma
in the simulation, with a wrong sign in a multiplicative derivative, and with the damping one step late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from templates_engine.smoothing import Constants, Fit, Model, Start, fit, forecast
from templates_engine.smoothing.intervals.forecasts import mixed
from templates_engine.smoothing.intervals.marginal import marginal
from templates_engine.smoothing.intervals.mixture import LIGHT, forecasts
from templates_engine.smoothing.intervals.sampled import Draws, draws_of, estimates, layout_of
from templates_engine.smoothing.layout import put_start

SES, HOLT = Model(False, False, "none"), Model(True, False, "none")
HORIZON = 12


def series(n: int, seed: int, period: int = 1, constants: tuple[float, float, float] = (0.3, 0.1, 0.2)) -> np.ndarray:
    """Additive Holt-Winters with errors N(0, 1)."""
    alpha, beta, gamma = constants
    rng = np.random.default_rng(seed)
    level, trend, season = 20.0, 0.1, 3.0 * np.cos(np.arange(period)) * (period > 1)
    y = np.empty(n)
    for t in range(n):
        e, s = rng.standard_normal(), season[t % period]
        y[t] = level + trend + s + e
        level, trend = level + trend + alpha * e, trend + alpha * beta * e
        season[t % period] = s + gamma * (1 - alpha) * e
    return y


def known_constants(y: np.ndarray, model: Model, c: Constants, horizon: int) -> tuple[float, int, float, list, list]:
    """(S, degrees of freedom, log likelihood of the constants, forecasts, their variances for sigma 1), dense."""
    n, beta, phi = len(y), c.beta or 0.0, 1.0 if c.phi is None else c.phi
    sizes = [m - 1 for m in model.periods]
    p = 1 + model.trend + sum(sizes)
    unit = np.eye(p + n + horizon)
    level, trend = unit[0], unit[1] if model.trend else 0.0 * unit[0]
    seasons, at = [], 1 + model.trend
    for m in model.periods:
        free = [unit[at + k] for k in range(m - 1)]
        seasons.append([*free, -np.sum(free, axis=0)])
        at += m - 1
    rows = []
    for t in range(n + horizon):
        now = [s[t % len(s)] for s in seasons]
        base, total = level + phi * trend, np.sum(now, axis=0) if now else 0.0 * unit[0]
        value = base + total + unit[p + t]
        rows.append(value)
        if t < n and np.isnan(y[t]):
            level, trend = base, phi * trend
            continue
        new = c.alpha * (value - total) + (1 - c.alpha) * base
        trend = beta * (new - level) + (1 - beta) * phi * trend
        level = new
        for s, gamma, old in zip(seasons, c.gamma, now, strict=True):
            s[t % len(s)] = gamma * (value - level - (total - old)) + (1 - gamma) * old
    whole = np.array(rows)
    seen = np.flatnonzero(np.isfinite(y))
    start, errors = whole[:, :p], whole[:, p:]
    x = np.linalg.solve(errors[np.ix_(seen, seen)], start[seen])
    e = np.linalg.solve(errors[np.ix_(seen, seen)], y[seen])
    inverse = np.linalg.inv(x.T @ x)
    best = inverse @ x.T @ e
    left = e - x @ best
    future = slice(n, n + horizon)
    slope = start[future] - errors[future][:, seen] @ x
    point = start[future] @ best + errors[future][:, seen] @ left
    variance = np.sum(errors[future, n:] ** 2, axis=1) + np.sum(slope @ inverse * slope, axis=1)
    squares, free_ = float(left @ left), len(seen) - p
    log = -0.5 * np.linalg.slogdet(x.T @ x)[1] - 0.5 * free_ * np.log(squares)
    return squares, free_, float(log), list(point), list(variance)


def drawn(found: Fit) -> Draws:
    draws = draws_of(found)
    assert draws is not None
    return draws


@pytest.mark.parametrize(
    "model",
    [
        SES,
        Model(True, True, "none"),
        Model(False, False, "additive", (4,)),
        Model(True, False, "additive", (12,)),
        Model(True, True, "additive", (5,)),
    ],
    ids=lambda m: m.title,
)
def test_every_draw_is_least_squares_at_its_constants(model: Model) -> None:
    """Squares, degrees of freedom, forecasts and variances of draws with values missing are those of dense algebra."""
    y = series(60, 3, model.longest)
    y[[0, 7, 30, 31, 59]] = np.nan
    draws = drawn(fit(y, model))
    assert draws.weights.sum() == pytest.approx(1)
    assert draws.rows == 59, "the first value is missing"
    means, sds = np.empty((len(draws.weights), HORIZON)), np.empty((len(draws.weights), HORIZON))
    lay = draws.layout
    forecasts(
        draws.rows, draws.weights, draws.thetas, draws.lasts, draws.spreads, draws.scales, lay.periods, lay.offsets,
        lay.kind, means, sds,
    )  # fmt: skip
    for k in np.argsort(-draws.weights)[:5]:
        constants = lay.constants_of(np.concatenate([draws.thetas[k], np.zeros(lay.size)]))
        squares, free, _, point, variance = known_constants(y[1:], model, constants, HORIZON)
        assert draws.free == free
        assert draws.scales[k] == pytest.approx(squares / free, rel=1e-9)
        assert means[k] == pytest.approx(point, rel=1e-9)
        assert sds[k] ** 2 == pytest.approx(squares / free * np.array(variance), rel=1e-9)


@pytest.mark.parametrize("periods", [(4,), (3, 5)])
def test_multiplicative_start_states_are_linear_about_their_optimum(periods: tuple[int, ...]) -> None:
    """Squares, last states and their covariance at the joint optimum, by finite differences about it."""
    rng = np.random.default_rng(4)
    y = (20 + 0.3 * np.arange(70)) * (1 + 0.2 * np.cos(np.arange(70) * np.pi / 2)) + 0.4 * rng.standard_normal(70)
    y[[9, 40]] = np.nan
    model = Model(True, True, "multiplicative", periods)
    given = {"alpha": 0.2, "beta": 0.1, "gamma": [0.3, 0.1][: len(periods)], "phi": 0.9}
    best = fit(y, model, start="optimal", **given)

    def after(move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(errors, last states) with the free start states moved."""
        seasons, at = [], 2
        for s in best.start.seasons:
            free = move[at : at + len(s) - 1]
            seasons.append(s + np.append(free, -free.sum()))
            at += len(s) - 1
        start = Start("user", best.start.level + move[0], best.start.trend + move[1], tuple(seasons))
        one = fit(y, model, start=start, **given)
        return one.residuals[np.isfinite(y)], np.concatenate([[one.last_level, one.last_trend], *one.last_seasons])

    p = 2 + sum(m - 1 for m in periods)
    size = 1e-5 * np.array([best.start.level, *[1.0] * (p - 1)])
    sides = [(after(h), after(-h)) for h in np.diag(size)]
    x = np.column_stack([(down[0] - up[0]) / (2 * s) for (up, down), s in zip(sides, size, strict=True)])
    d = np.column_stack([(up[1] - down[1]) / (2 * s) for (up, down), s in zip(sides, size, strict=True)])
    covariance = d @ np.linalg.inv(x.T @ x) @ d.T

    lay = layout_of(model, best.constants, best.fixed)
    z = estimates(lay, best.constants)
    put_start(lay, z, best.start, 0)
    states = lay.columns("optimal")
    many = lay.size - lay.constants
    last, spread, step = np.empty(many), np.empty((many, p)), np.empty(p)
    log, squares, free = marginal(
        y, z, lay.constants, lay.periods, lay.offsets, lay.kind, states, 0.0, np.empty((70, p + 1)),
        np.empty((many, p)), last, spread, step,
    )  # fmt: skip
    assert free == 68 - p
    assert squares == pytest.approx(best.sse, rel=1e-8)
    assert log == pytest.approx(-0.5 * np.linalg.slogdet(x.T @ x)[1] - 0.5 * free * np.log(squares), abs=1e-4)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((spread @ spread.T - covariance) / np.outer(sd, sd)).max() <= 1e-5
    there = np.concatenate([[best.last_level, best.last_trend], *best.last_seasons])
    assert np.abs((last - there) / sd).max() <= 1e-3 * np.sqrt(best.mse)


def quadrature(
    y: np.ndarray, model: Model, grids: list[tuple[Constants, float]], tails: tuple[float, ...]
) -> np.ndarray:
    """(tails, horizon) quantiles of the forecasts' distribution by a sum over constants with their prior masses."""
    found = [(known_constants(y, model, c, HORIZON), mass) for c, mass in grids]
    logs = np.array([one[2] + np.log(mass) for one, mass in found])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    means = np.array([one[3] for one, _ in found])
    sds = np.sqrt(np.array([one[0] / one[1] * np.array(one[4]) for one, _ in found]))
    free = found[0][0][1]

    def distribution(h: int) -> Callable[[float], float]:
        return lambda x: float(weights @ stats.t.cdf((x - means[:, h]) / sds[:, h], free))

    wide = 50 * sds.max()
    middle = float(weights @ means[:, 0])
    return np.array(
        [
            [
                optimize.brentq(lambda x, h=h, q=q: distribution(h)(x) - q, middle - wide, middle + wide)
                for h in range(HORIZON)
            ]
            for q in tails
        ]
    )


V = (np.arange(200) + 0.5) / 200  # square roots of a constant: there the prior is flat
COARSE = (np.arange(40) + 0.5) / 40
CASES = {
    "alpha": (SES, {}, [(Constants(v * v), 1.0) for v in V], 30),
    "beta": (HOLT, {"alpha": 0.4}, [(Constants(0.4, v * v), 1.0) for v in V], 30),
    "gamma": (
        Model(False, False, "additive", (4,)),
        {"alpha": 0.3},
        [(Constants(0.3, None, (v * v,)), 1.0) for v in V],
        30,
    ),
    "phi": (
        Model(True, True, "none"),
        {"alpha": 0.5, "beta": 0.4},
        [(Constants(0.5, 0.4, (), f), (1 - f * f) ** -0.5) for f in 0.8 + 0.18 * V],
        30,
    ),
    "alpha and beta": (HOLT, {}, [(Constants(v * v, w * w), 1.0) for v in COARSE for w in COARSE], 24),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_limits_are_those_of_quadrature(case: str, seed: int) -> None:
    model, given, grid, n = CASES[case]
    y = series(n, seed, model.longest, (0.4, 0.3, 0.3))
    draws = drawn(fit(y, model, **given))
    assert draws.effective > 40
    tails = (0.025, 0.975)
    _, mine = mixed(draws, HORIZON, tails)
    exact = quadrature(y, model, grid, tails)
    lay = draws.layout
    means, sds = np.empty((len(draws.weights), HORIZON)), np.empty((len(draws.weights), HORIZON))
    forecasts(
        draws.rows, draws.weights, draws.thetas, draws.lasts, draws.spreads, draws.scales, lay.periods, lay.offsets,
        lay.kind, means, sds,
    )  # fmt: skip
    use = draws.weights > 1e-4
    w = draws.weights[use] / draws.weights[use].sum()
    for q, p in enumerate(tails):
        t = (mine[q] - means[use]) / sds[use]
        below, density = stats.t.cdf(t, draws.free), w @ (stats.t.pdf(t, draws.free) / sds[use])
        error = np.sqrt(np.sum((w[:, None] * (below - p)) ** 2, axis=0)) / density
        assert np.all(np.abs(mine[q] - exact[q]) <= (1 if len(grid) == len(V) else 3) * error)


def test_draws_of_no_weight_are_left_out_for_good() -> None:
    """A draw just too light to be forecast is not taken in again when the other weights are made to sum to 1."""
    draws = drawn(fit(series(40, 7), HOLT))
    heavy = np.argsort(-draws.weights)[:3]
    weights = np.full(len(draws.weights), 0.999 * LIGHT)
    weights[heavy] = 0.1
    alone = np.zeros(len(weights))
    alone[heavy] = 1 / 3
    for one, other in zip(
        mixed(replace(draws, weights=weights), HORIZON, (0.025, 0.975)),
        mixed(replace(draws, weights=alone), HORIZON, (0.025, 0.975)),
        strict=True,
    ):
        assert one == pytest.approx(other, rel=1e-9)


def test_simulated_limits_are_those_of_the_mixture() -> None:
    """Futures from the draws, and the mixture of their Student distributions: one distribution, made in two ways."""
    y = series(24, 5, 4)  # so short that the start states matter much
    found = fit(y, Model(True, False, "additive", (4,)), alpha=0.1, beta=0.05)
    draws = drawn(found)
    paths = 40_000
    formula = forecast(found, HORIZON, method="analytic", draws=draws)
    simulated = forecast(
        found, HORIZON, method="simulate", n_paths=paths, generator=np.random.default_rng(6), draws=draws
    )
    error = 5 * np.sqrt(0.025 * 0.975 / paths) / stats.norm.pdf(stats.norm.ppf(0.025)) * formula.sd
    assert np.all(np.abs(simulated.lower - formula.lower) <= 1.3 * error)  # tails of t and of mixtures are thinner
    assert np.all(np.abs(simulated.upper - formula.upper) <= 1.3 * error)
    assert simulated.sd == pytest.approx(formula.sd, rel=5 * 2 / np.sqrt(2 * paths))
