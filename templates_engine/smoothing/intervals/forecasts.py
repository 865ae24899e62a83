"""Forecasts with prediction intervals: by formula for additive seasons, by simulation for multiplicative ones.

One-step errors have variance sigma^2 (sample variance, mean removed); an error moves the forecast j steps later by
psi_j = alpha (1 + beta (phi + ... + phi^j)) + sum over periods m that divide j of gamma_m (1 - alpha), psi_0 = 1.

    additive        var(h) = sigma^2 sum_{j < h} psi_j^2                         (exact)
    multiplicative  var(h) = sigma^2 sum_{j < h} (psi_j s_h / s_{h-j})^2         (s_k: season used for horizon k)
    relative errors var(h) = sigma^2 s_h^2 sum_{j < h} (c_j mu_{h-j} + d_j mu_h)^2 (robust, multiplicative seasons):
                    c_j the trend's part of psi_j and d_j the season's, mu_k forecasts without season, to first order
                    in sigma; unlike class 3 of Hyndman et al. (2008), level and season share their error, as they do

R's HoltWinters takes psi_0 = alpha + gamma (1 - alpha) for multiplicative seasons, which is wrong and not repeated.

These take constants and states as known. Given draws of sampled.py, the distribution of a forecast is the mixture over
constants, start states and sigma that the series leaves possible: of the formula's Student distributions, or of futures
simulated from each draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from templates_engine.smoothing.intervals import mixture
from templates_engine.smoothing.intervals.sampled import Draws
from templates_engine.smoothing.layout import layout
from templates_engine.smoothing.models import Array, Constants, Fit, Forecast, Model
from templates_engine.smoothing.recursions import ahead, simulate


def forecast(
    fit: Fit,
    horizon: int,
    level: float = 95.0,
    *,
    method: str = "auto",
    n_paths: int = 20_000,
    generator: np.random.Generator | None = None,
    errors: str = "normal",
    draws: Draws | None = None,
) -> Forecast:
    """Forecasts of the `horizon` rows after the series' last, with central intervals of `level` per cent.

    method: "analytic", "simulate", or "auto": simulate for multiplicative seasons where a generator is given.
    errors of a simulation: "normal" with the fit's sigma, or "bootstrap", the fit's own one-step errors about their
    mean. draws: what is left possible by the series (sampled.draws_of), so that the intervals allow for constants,
    start states and sigma having been estimated; None takes them as known. Point forecasts are the same either way:
    intervals with draws lie about the mean over these, not about the point.
    Raises ValueError for an unusable horizon, level or method.
    """
    if horizon < 1 or not 0 < level < 100:
        raise ValueError("the horizon is at least 1 and the level lies between 0 and 100 per cent")
    if method not in ("auto", "analytic", "simulate") or (method == "simulate" and generator is None):
        raise ValueError("the method is auto, analytic or simulate, and a simulation needs a generator")
    lay = layout(fit.model, None, None, None, None)
    season = np.concatenate([*fit.last_seasons, np.zeros(0)])
    theta = _theta(fit.constants)
    point, totals = np.empty(horizon), np.empty(horizon)
    shape = (len(fit.y), fit.last_level, fit.last_trend, season, lay.periods, lay.offsets, lay.kind)
    ahead(*shape, theta[2], point, totals)
    relative = fit.robust is not None and fit.model.relative
    tail, _ = tails(level)
    steps, known = np.arange(1, horizon + 1), draws is None
    if method == "simulate" or (method == "auto" and fit.model.seasonal == "multiplicative" and generator is not None):
        assert generator is not None
        shocks = _shocks(fit, relative, (n_paths, horizon), errors, generator)
        paths = np.empty((n_paths, horizon))
        if draws is None:
            simulate(*shape, theta, shocks, relative, paths)
        else:
            unit = fit.sigma if errors == "normal" else float(_centred(fit, relative).std(ddof=1))
            _futures(draws, shocks / unit, generator, paths)
        sd = paths.std(axis=0, ddof=1)
        lower, upper, median = np.quantile(paths, (*tails(level), 0.5), axis=0)
        return Forecast(steps, point, lower, upper, sd, level, "simulated", known, None if known else median)
    if draws is not None:
        sd, (lower, upper, median) = mixed(draws, horizon, (*tails(level), 0.5))
        return Forecast(steps, point, lower, upper, sd, level, "analytic", known, median)
    if relative:
        sd = relative_sd(fit.model, fit.constants, fit.sigma, point, totals)
    else:
        ratio = totals if fit.model.seasonal == "multiplicative" else None
        sd = fit.sigma * np.sqrt(unit_variance(fit.model, fit.constants, horizon, ratio))
    half = -ndtri(tail) * sd
    return Forecast(steps, point, point - half, point + half, sd, level, "analytic", known)


def mixed(draws: Draws, horizon: int, tails: Sequence[float]) -> tuple[Array, Array]:
    """Standard deviation (horizon,) and quantiles (tails, horizon) of the forecasts' distribution over the draws."""
    lay = draws.layout
    means, sds = np.empty((len(draws.weights), horizon)), np.empty((len(draws.weights), horizon))
    mixture.forecasts(
        draws.rows, draws.weights, draws.thetas, draws.lasts, draws.spreads, draws.scales, lay.periods, lay.offsets,
        lay.kind, means, sds,
    )  # fmt: skip
    centres, sd, found = np.empty(horizon), np.empty(horizon), np.empty((len(tails), horizon))
    mixture.limits_of(draws.weights, means, sds, draws.free, np.array(tails), centres, sd, found)
    return sd, found


def _futures(draws: Draws, shocks: Array, generator: np.random.Generator, paths: Array) -> None:
    """Simulated futures into `paths`: draws in proportion to their weights, sigma and states drawn for each path.

    shocks: errors in units of sigma, (paths, horizon).
    """
    lay, many = draws.layout, len(paths)
    places = (np.arange(many) + generator.random()) / many
    picked = np.minimum(np.searchsorted(np.cumsum(draws.weights), places), np.flatnonzero(draws.weights)[-1])
    scales = np.sqrt(draws.scales[picked] * draws.free / generator.chisquare(draws.free, many))
    normals = generator.standard_normal((many, draws.spreads.shape[2]))
    mixture.futures(
        draws.rows, picked, draws.thetas, draws.lasts, draws.spreads, scales, normals, shocks, lay.periods,
        lay.offsets, lay.kind, paths,
    )  # fmt: skip


def tails(level: float) -> tuple[float, float]:
    """The shares below the two limits of central intervals of `level` per cent."""
    return (100.0 - level) / 200.0, (100.0 + level) / 200.0


def _theta(constants: Constants) -> Array:
    beta = 0.0 if constants.beta is None else constants.beta
    return np.array([constants.alpha, beta, 1.0 if constants.phi is None else constants.phi, *constants.gamma])


def _shocks(fit: Fit, relative: bool, shape: tuple[int, int], errors: str, generator: np.random.Generator) -> Array:
    """One-step errors of future rows, (paths, horizon)."""
    if errors == "normal":
        return fit.sigma * generator.standard_normal(shape)
    return generator.choice(_centred(fit, relative), size=shape)


def _centred(fit: Fit, relative: bool) -> Array:
    """The fit's one-step errors about their mean, without those that the robust recursion cut."""
    e = fit.residuals / fit.fitted if relative else fit.residuals
    if fit.robust is not None:
        e = np.where(fit.robust.flags, np.nan, e)
    e = e[np.isfinite(e)]
    return np.asarray(e - e.mean())


def psi(model: Model, constants: Constants, horizon: int) -> Array:
    """(horizon,) effect of an error on the forecast j = 0, 1, ... steps later; psi_0 = 1."""
    weights = trend_weights(model, constants, horizon)
    j = np.arange(horizon)
    if model.seasonal != "none":
        for m, gamma in zip(model.periods, constants.gamma, strict=True):
            weights = weights + np.where((j % m == 0) & (j > 0), gamma * (1.0 - constants.alpha), 0.0)
    weights[0] = 1.0
    return weights


def trend_weights(model: Model, constants: Constants, horizon: int) -> Array:
    """psi_j without the season: alpha (1 + beta (phi + ... + phi^j))."""
    phi = constants.phi if constants.phi is not None else 1.0
    grown = np.concatenate([[0.0], np.cumsum(phi ** np.arange(1.0, horizon))])
    beta = constants.beta if model.trend and constants.beta is not None else 0.0
    return constants.alpha * (1.0 + beta * grown)


def unit_variance(model: Model, constants: Constants, horizon: int, totals: Array | None) -> Array:
    """Forecast variance at h = 1..horizon for sigma = 1; totals (horizon,): seasons used, None for additive ones."""
    squares = psi(model, constants, horizon) ** 2
    if totals is None:
        return np.cumsum(squares)
    return np.array([totals[h] ** 2 * np.sum(squares[: h + 1] / totals[h::-1] ** 2) for h in range(horizon)])


def relative_sd(model: Model, constants: Constants, sigma: float, point: Array, totals: Array) -> Array:
    """Standard errors at h = 1..horizon for relative errors of sd sigma; point and season totals (horizon,)."""
    horizon = len(point)
    mean = point / totals
    c = trend_weights(model, constants, horizon)
    seasonal = psi(model, constants, horizon) - c
    c[0], seasonal[0] = 1.0, 0.0
    variance = [np.sum((c[: h + 1] * mean[h::-1] + seasonal[: h + 1] * mean[h]) ** 2) for h in range(horizon)]
    return sigma * np.abs(totals) * np.sqrt(np.array(variance))


def limits(point: Array, sd: Array, level: float) -> tuple[Array, Array]:
    """Central normal limits of `level` per cent."""
    half = -float(ndtri((100.0 - level) / 200.0)) * sd
    return point - half, point + half
