"""Parts of the intervals that allow for estimated constants, each against SciPy or its equations written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from templates_engine.smoothing import Constants, Model, fit, forecast
from templates_engine.smoothing.intervals.forecasts import limits, psi, relative_sd, unit_variance
from templates_engine.smoothing.intervals.marginal import put_reference
from templates_engine.smoothing.intervals.mixture import forecasts, futures, limits_of, student, unit_variances
from templates_engine.smoothing.intervals.sampled import ENOUGH, TAIL, density, draws_of, next_stage, points
from templates_engine.smoothing.layout import Layout, layout
from templates_engine.smoothing.recursions import ahead, errors_only

CONSTANTS = {"alpha": 0.3, "beta": 0.2, "phi": 0.9}
GAMMAS = (0.4, 0.25)


def laid(model: Model) -> Layout:
    return layout(model, None, None, None, None)


def vector(lay: Layout) -> np.ndarray:
    z = np.zeros(lay.size)
    z[2] = 1.0
    for name, entry in lay.entries().items():
        z[entry] = CONSTANTS[name] if name in CONSTANTS else GAMMAS[entry - 3]
    return z


@pytest.mark.parametrize("free", [3, 4, 7, 30, 500])
def test_student_distribution_function(free: int) -> None:
    """Protects the approximation: within the 1.1e-5 that it promises, both tails."""
    for t in np.linspace(-12, 12, 97):
        found = student(float(t), free, math.log1p(t * t / free))
        assert abs(found - stats.t.cdf(t, free)) <= 1.1e-5


def test_quantiles_and_moments_of_a_mixture() -> None:
    """Protects quantiles, mean and sd of Student mixtures, far apart and near, skew and with parts of no weight: the
    distribution function of SciPy at the quantiles is their share to 2e-5, as that of the function used is 1.1e-5."""
    weights = np.array([0.55, 0.0, 0.3, 0.15, 1e-6])
    means = np.array([[0.0, 1e3], [np.nan, np.nan], [1.0, 1e3 - 40], [-8.0, 1e3 + 90], [np.nan, 1e6]])
    sds = np.array([[1.0, 2.0], [1.0, 1.0], [3.0, 0.5], [0.2, 9.0], [1.0, 1.0]])
    tails = np.array([0.005, 0.1, 0.5, 0.975, 0.9995])
    kept = [0, 2, 3]
    for free, size in ((5, 1.0), (60, 1.0), (5, 1e-3)):
        means, sds = size * means, size * sds
        centres, spread, found = np.empty(2), np.empty(2), np.empty((5, 2))
        limits_of(weights, means, sds, free, tails, centres, spread, found)
        for h in range(2):
            w, m, s = weights[kept], means[kept, h], sds[kept, h]
            assert centres[h] == pytest.approx(w @ m, rel=1e-12)
            second = w @ (s**2 * stats.t.var(free) + m**2) - (w @ m) ** 2
            assert spread[h] == pytest.approx(math.sqrt(second), rel=1e-9)
            below = [w @ stats.t.cdf((x - m) / s, free) for x in found[:, h]]
            np.testing.assert_allclose(below, tails, atol=2e-5)


@pytest.mark.parametrize("periods", [(), (3,), (2, 3)])
@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_variances_as_written_out(kind: str, periods: tuple[int, ...]) -> None:
    """Protects the weights psi and the variance of future errors, as Python numbers and as compiled, and that of
    relative errors."""
    model = Model(True, True, kind if periods else "none", periods)  # type: ignore[arg-type]
    lay, horizon = laid(model), 9
    c = Constants(0.3, 0.2, GAMMAS[: len(periods)], 0.9)
    totals = np.array([1.2, 0.8, 1.1, 0.7, 1.4, 0.9, 1.05, 1.3, 0.6])
    point = 50 * totals * (1 + 0.1 * np.arange(horizon))
    trend = [0.3 * (1 + 0.2 * sum(0.9**i for i in range(1, j + 1))) for j in range(horizon)]
    season = [sum(g * 0.7 for g, m in zip(GAMMAS, periods, strict=False) if j % m == 0) for j in range(horizon)]
    weights = [1.0] + [trend[j] + season[j] for j in range(1, horizon)]
    np.testing.assert_allclose(psi(model, c, horizon), weights, rtol=1e-12)
    many = kind == "multiplicative" and bool(periods)
    variance, relative = [], []
    for h in range(horizon):
        shares = [totals[h] / totals[h - j] if many else 1.0 for j in range(h + 1)]
        variance.append(sum((weights[j] * shares[j]) ** 2 for j in range(h + 1)))
        mean = point / totals
        terms = [mean[h]] + [trend[j] * mean[h - j] + season[j] * mean[h] for j in range(1, h + 1)]
        relative.append(0.05 * totals[h] * math.sqrt(sum(v * v for v in terms)))
    np.testing.assert_allclose(unit_variance(model, c, horizon, totals if many else None), variance, rtol=1e-12)
    found = np.empty(horizon)
    unit_variances(np.array([0.3, 0.2, 0.9, *c.gamma]), lay.periods, totals, lay.kind, found)
    np.testing.assert_allclose(found, variance, rtol=1e-12)
    if many:
        np.testing.assert_allclose(relative_sd(model, c, 0.05, point, totals), relative, rtol=1e-12)


@pytest.mark.parametrize("periods", [(3,), (2, 3)])
@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_forecasts_of_each_draw(kind: str, periods: tuple[int, ...]) -> None:
    """Protects mean and scale of the forecasts from a draw: sigma^2 (unit variance + |B'd|^2), d by central differences
    of the point forecasts in the last states (exact: these are products of different states), and that draws lighter
    than 1e-5 are passed over."""
    lay = laid(Model(True, True, kind, periods))  # type: ignore[arg-type]
    rng, n, horizon = np.random.default_rng(9), 8, 7
    many = lay.size - lay.constants
    base = 1.0 if kind == "multiplicative" else 0.0
    lasts = np.concatenate([[[40.0, 1.5]] * 3, base + 0.2 * rng.standard_normal((3, many - 2))], axis=1)
    thetas = np.tile(vector(lay)[: lay.constants], (3, 1))
    spreads, scales = 0.3 * rng.standard_normal((3, many, 4)), np.array([4.0, 9.0, 1.0])
    means, sds = np.full((3, horizon), 7.0), np.full((3, horizon), 7.0)
    shape = (lay.periods, lay.offsets, lay.kind)
    forecasts(n, np.array([0.6, 0.9e-5, 0.4]), thetas, lasts, spreads, scales, *shape, means, sds)

    def point(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, totals = np.empty(horizon), np.empty(horizon)
        ahead(n, states[0], states[1], states[2:].copy(), *shape, 0.9, found, totals)
        return found, totals

    for k in (0, 2):
        expected, totals = point(lasts[k])
        moves = 1e-3 * np.eye(many)
        d = np.array([(point(lasts[k] + h)[0] - point(lasts[k] - h)[0]) / 2e-3 for h in moves])
        unit = np.empty(horizon)
        unit_variances(thetas[k], lay.periods, totals, lay.kind, unit)
        np.testing.assert_allclose(means[k], expected, rtol=1e-12)
        np.testing.assert_allclose(sds[k] ** 2, scales[k] * (unit + np.sum((spreads[k].T @ d) ** 2, axis=0)), rtol=1e-7)
    assert np.all(means[1] == 7.0)
    assert np.all(sds[1] == 7.0)


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_futures_begin_at_the_states_drawn(kind: str) -> None:
    """Protects simulated futures: without future errors a path is the forecast from the draw's states moved by scale
    times spread times normals, and from these alone where a factor would not be positive; the first value then moves by
    the scale times its error."""
    lay = laid(Model(True, True, kind, (3,)))  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    base = 1.0 if kind == "multiplicative" else 0.0
    seasons = base + np.array([0.2, -0.3, 0.1])
    lasts = np.array([[0.0] * 5, [40.0, 1.5, *seasons], [45.0, -1.0, *seasons[::-1]]])
    thetas = np.tile(vector(lay)[: lay.constants], (3, 1))
    thetas[2, 2] = 0.8
    spreads = 0.05 * rng.standard_normal((3, 5, 4))
    picked, scales = np.array([1, 2, 2, 1]), np.array([0.5, 2.0, 1.0, 0.1])
    normals, shocks = rng.standard_normal((4, 4)), np.zeros((4, 7))
    spreads[2, 3:] = 0.0
    normals[2] = -1e3 * np.sign(spreads[2, 2])  # takes the first index far below 0
    paths, n = np.empty((4, 7)), 11
    shape = (lay.periods, lay.offsets, lay.kind)
    futures(n, picked, thetas, lasts, spreads, scales, normals, shocks, *shape, paths)
    for p, k in enumerate(picked):
        states = lasts[k] + scales[p] * spreads[k] @ normals[p]
        if kind == "multiplicative" and states[2:].min() <= 0:
            assert p == 2
            states = lasts[k]
        for h in range(7):
            line = states[0] + sum(thetas[k, 2] ** i for i in range(1, h + 2)) * states[1]
            s = states[2 + (n + h) % 3]
            expected = line * s if kind == "multiplicative" else line + s
            assert paths[p, h] == pytest.approx(expected, rel=1e-9)
    before, shocks[:, 0] = paths[:, 0].copy(), 3.0
    futures(n, picked, thetas, lasts, spreads, scales, normals, shocks, *shape, paths)
    np.testing.assert_allclose(paths[:, 0], before + 3.0 * scales, rtol=1e-12)


@pytest.mark.parametrize("periods", [(4,), (2, 6)])
def test_reference_is_near_the_best_start_states(periods: tuple[int, ...]) -> None:
    """Protects the reference about which multiplicative models are linear: its squared error is at most 0.1 % above
    that of SciPy's search for the start states at these constants."""
    rng = np.random.default_rng(2)
    t = np.arange(50)
    y = (40 + 0.8 * t) * (1 + 0.25 * np.cos(2 * np.pi * t / max(periods) + 0.4)) + 2 * rng.standard_normal(50)
    y[[3, 21]] = np.nan
    lay = laid(Model(True, True, "multiplicative", periods))
    states, c, many = lay.columns("optimal"), lay.constants, lay.size - lay.constants
    states = states[states >= c]
    p = len(states)
    z = vector(lay)
    put_reference(
        y, z, c, lay.periods, lay.offsets, lay.kind, True, False, states, 0.0, np.empty((50, p + 1)),
        np.empty((many, p)), np.empty(many), np.empty((many, p)), np.empty(p),
    )  # fmt: skip

    def errors(free: np.ndarray) -> np.ndarray:
        at, found = z.copy(), np.empty(50)
        at[states] = free
        for m, offset in zip(lay.periods, lay.offsets, strict=True):
            begin = c + 2 + offset
            at[begin + m - 1] = m - at[begin : begin + m - 1].sum()
        errors_only(y, 0, at[c], at[c + 1], at[c + 2 :].copy(), lay.periods, lay.offsets, 2, at[:c], found)
        return found[~np.isnan(y)]

    best = 2 * optimize.least_squares(errors, z[states]).cost
    assert float(np.sum(errors(z[states]) ** 2)) <= best * 1.001
    for m, offset in zip(lay.periods, lay.offsets, strict=True):
        assert z[c + 2 + offset : c + 2 + offset + m].mean() == pytest.approx(1.0)


@pytest.mark.parametrize("width", [1, 3])
def test_points_are_student(width: int) -> None:
    """Protects the numbers behind the draws: each coordinate's shares below SciPy's quantiles of Student's t with 5
    degrees of freedom, to 0.01 of 512 points (evenly spread: a random sample would err by 0.02), coordinates
    uncorrelated but of dependent size, as of one chi-square."""
    found = points(width)
    assert found.shape == (512, width)
    for column in found.T:
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert abs(np.mean(column <= stats.t.ppf(share, 5)) - share) <= 0.01
    if width > 1:
        ranks = stats.spearmanr(found).statistic
        assert np.abs(ranks - np.eye(width)).max() < 0.1
        sizes = stats.spearmanr(np.abs(found)).statistic
        assert sizes[np.triu_indices(width, 1)].min() > 0.0


def test_a_stage_has_the_moments_of_the_draws_so_far() -> None:
    """Protects where a stage draws: the weighted mean, and Cholesky's root of the weighted covariance whose pivots are
    made a fifth and 0.002 larger; weights that rest on fewer than 12 draws (two constants) are flattened, by powers
    1 / 1.4^k, until they rest on as many. Its density is SciPy's Student density but for a factor."""
    stage, student_density = (getattr(f, "py_func", f) for f in (next_stage, density))
    rng = np.random.default_rng(6)
    etas = rng.standard_normal((40, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]]) + 3.0
    for logs in (0.3 * rng.standard_normal(41), 6.0 * rng.standard_normal(41)):
        flat = 1.0
        while True:
            w = np.exp(logs[:40] / flat)
            w /= w.sum()
            if 1 / np.sum(w**2) >= 12:
                break
            flat *= 1.4
        assert (flat > 1) == (np.std(logs) > 1)
        mean, root = np.full(2, 9.0), np.full((2, 2), 9.0)
        stage(etas, logs, 40, mean, root)
        np.testing.assert_allclose(mean, w @ etas, rtol=1e-10)
        c = np.cov(etas.T, aweights=w, ddof=0)
        first = math.sqrt(1.2 * c[0, 0] + 0.002)
        second = math.sqrt(1.2 * (c[1, 1] - (c[1, 0] / first) ** 2) + 0.002)
        np.testing.assert_allclose(np.tril(root), [[first, 0.0], [c[1, 0] / first, second]], rtol=1e-9)
        lower = np.tril(root)
        exact = stats.multivariate_t(mean, lower @ lower.T, df=TAIL).pdf(etas[:6])
        found = [student_density(eta, mean, root, np.empty(2)) for eta in etas[:6]]
        np.testing.assert_allclose(found / exact, np.full(6, found[0] / exact[0]), rtol=1e-9)


@pytest.mark.parametrize(
    "model", [Model(True, False, "none"), Model(True, True, "additive", (4,))], ids=["Holt", "all"]
)
def test_enough_draws_are_made(model: Model) -> None:
    """Protects the end of the sampling: stages of 32 draws until they are worth 60, (sum w)^2 / sum w^2; with a density
    as smooth as these half of the most that are made is far more than needed."""
    t = np.arange(60)
    y = 50 + 0.3 * t + 2 * np.cos(np.pi * t / 2) + np.random.default_rng(4).standard_normal(60)
    draws = draws_of(fit(y, model))
    assert draws is not None
    made = np.flatnonzero(draws.weights)[-1] + 1
    assert draws.effective == pytest.approx(1 / np.sum(draws.weights**2), rel=1e-9)
    assert draws.effective >= ENOUGH
    assert made <= 256
    assert np.all(draws.weights[-(-made // 32) * 32 :] == 0)


def test_formula_is_that_of_normal_errors() -> None:
    """Protects limits at known constants: point -+ z sd, sd = sigma sqrt(sum psi^2), at 80 %."""
    y = 50 + np.random.default_rng(1).standard_normal(40)
    done = fit(y, Model(True, False, "none"), alpha=0.3, beta=0.2)
    ahead = forecast(done, 3, 80.0)
    assert done.sigma == pytest.approx(np.nanstd(done.residuals, ddof=1), rel=1e-12)
    sd = done.sigma * np.sqrt(np.cumsum([1.0, (0.3 * 1.2) ** 2, (0.3 * 1.4) ** 2]))
    np.testing.assert_allclose(ahead.sd, sd, rtol=1e-12)
    np.testing.assert_allclose(ahead.upper - ahead.point, stats.norm.ppf(0.9) * sd, rtol=1e-9)
    np.testing.assert_allclose(ahead.point - ahead.lower, stats.norm.ppf(0.9) * sd, rtol=1e-9)
    np.testing.assert_allclose(np.diff(ahead.point), done.last_trend, rtol=1e-9)
    np.testing.assert_allclose(limits(ahead.point, sd, 80.0), (ahead.lower, ahead.upper), rtol=1e-9)
    assert forecast(done, 1).level == 95.0
    assert forecast(done, 1, generator=np.random.default_rng(1)).method == "analytic"


def test_errors_that_were_cut_are_not_resampled() -> None:
    """Protects resampled futures of a robust fit: no value lies farther from the point than the largest error that was
    not cut, about the mean of these; the sd is theirs to 2 % (20,000 draws of 57 errors: its standard error 0.4 %)."""
    y = 50 + np.random.default_rng(1).standard_normal(60)
    y[[20, 40]] += 30.0
    done = fit(y, Model(False, False, "none"), robust=True)
    assert done.robust is not None
    assert done.robust.flags[[20, 40]].all()
    kept = done.residuals[np.isfinite(done.residuals) & ~done.robust.flags]
    kept = kept - kept.mean()
    ahead = forecast(done, 1, 99.99, method="simulate", errors="bootstrap", generator=np.random.default_rng(2))
    assert ahead.sd[0] == pytest.approx(kept.std(), rel=0.02)
    assert ahead.upper[0] - ahead.point[0] == pytest.approx(kept.max(), rel=1e-9)
    assert ahead.lower[0] - ahead.point[0] == pytest.approx(kept.min(), rel=1e-9)
