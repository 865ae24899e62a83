"""What a regression template fits and from where it samples: likelihood fit, priors, starting values, by family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from templates_engine.outputs import Cell, Table
from templates_engine.sampling import (
    glm_data,
    glm_fit,
    glm_laplace,
    glm_sampler,
    mixed_ml,
    mixed_normal,
    mixed_priors,
    nlevel_normal,
)
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.mixed_data import Rows
from templates_engine.sampling.mixed_normal import Chain
from templates_engine.sampling.mixed_questions import NEGATIVE_BINOMIAL, NORMAL, Model
from templates_engine.sampling.mixed_stats import Floats, Statistics, statistics
from templates_engine.sampling.nlevel_stats import Factor
from templates_engine.sampling.saving import Live, Saved

FLOOR = 0.05  # least variance on the linear predictor that a start, or the centre of a prior, has


# (random stream, progress, iterations in all, room for effects, where to go on from, who looks on)
Task = Callable[[np.random.Generator, Progress, int, int, Saved | None, Live], Chain]
Plug = Callable[[Floats, Floats, float], float]  # deviance at (beta, group effects, sigma2 or alpha)


def fitted(model: Model, rows: Rows) -> tuple[Task, Plug, Table]:
    """(what draws a chain, the deviance at given values, the table of estimates)."""
    return _normal(model, rows) if model.family == NORMAL else _general(model, rows)


def _normal(model: Model, rows: Rows) -> tuple[Task, Plug, Table]:
    """The sampler on sufficient statistics, started around the REML estimate."""
    stats = statistics(rows.y, rows.x, rows.codes, rows.z)
    fit = mixed_ml.fit(stats)
    priors = mixed_priors.named(model.prior, stats.q if model.group else 0, _guess(fit, stats))
    options = model.mcmc

    sigma2, omega, width = fit.sigma2, _guess(fit, stats), 0.5
    if options.starts is not None:
        given = dict(options.starts.variances)
        sigma2, omega, width = given["sigma2"], _started(given, len(omega)), 0.1

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        first, start = scattered(rng, sigma2, omega, width)
        return mixed_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations,
            thin=options.thinning, sigma2=first, omega=start, room=room, resume=resume, live=live,
        )  # fmt: skip

    def deviance(beta: Floats, effects: Floats, sigma2: float) -> float:
        return mixed_normal.deviance_at(stats, beta, effects, sigma2)

    return task, deviance, _mle(model, rows, fit)


def scattered(rng: np.random.Generator, sigma2: float, omega: Floats, width: float = 0.5) -> tuple[float, Floats]:
    """Starting variances of one chain: around the estimate by factors of e^±½ or so, so that R-hat can see a chain
    that does not forget its start; around a user's own value by less."""
    factors = np.exp(width * rng.standard_normal(len(omega)))
    return float(sigma2 * np.exp(width * rng.standard_normal())), omega * np.outer(factors, factors)


def _started(given: dict[str, float], q: int) -> Floats:
    """Ω of the user's starting values: the same variance for each random coefficient, no covariances."""
    return np.eye(q) * given.get("sigma2_u", given.get("omega_u", 1.0))


def _guess(fit: mixed_ml.Fit, stats: Statistics) -> Floats:
    """A positive definite Ω near the estimate, for starting values and as the centre of the inverse Wishart prior.

    Where REML is on the boundary, each random coefficient's scaled variance is raised to 1 % of the residual
    variance, on the scale on which the coefficient moves its rows.
    """
    q = len(fit.omega)
    if q == 0:
        return np.eye(1)
    unit = np.sqrt(stats.n / np.maximum(np.sum(stats.triangles**2, axis=(0, 1)), 1e-300))
    scaled = fit.omega / np.outer(unit, unit)
    values, vectors = np.linalg.eigh(scaled)
    values = np.maximum(values, 0.01 * fit.sigma2 if fit.singular else 0.0)
    raised: Floats = (vectors * values) @ vectors.T * np.outer(unit, unit)
    return raised


@dataclass(frozen=True)
class Estimates:
    """Maximum likelihood for a binomial or count response, whatever way it was found."""

    beta: Floats  # (p,)
    beta_se: Floats
    spread: Floats  # (p, p) root of the covariance matrix of γ, about as wide as its posterior
    omega: Floats  # (q, q); (0, 0) without groups
    omega_se: Floats  # packed
    alpha: float  # NaN but for a negative binomial response
    alpha_se: float
    modes: Floats  # (J, q)
    how: str
    method: str
    deviance: float
    singular: bool


def estimates(model: Model, rows: Rows, factors: list[Factor]) -> Estimates:
    """By Fisher scoring or adaptive quadrature where these can; random slopes and negative binomial responses by the
    Laplace approximation."""
    nan, negative = float("nan"), model.family == NEGATIVE_BINOMIAL
    plain = glm_data.grouped(
        model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset,
        codes=None if model.x2 or negative else rows.codes, z=rows.z,
    )  # fmt: skip
    fit = glm_fit.fit(plain)
    spread: Floats = np.linalg.cholesky(fit.gamma_covariance + 1e-12 * np.eye(plain.p)).astype(float)
    if not model.x2 and not negative:
        grouped = plain.groups > 0
        how = f"adaptive quadrature, {glm_fit.NODES} points" if grouped else "Fisher scoring"
        omega = np.full((1, 1), fit.sigma2_u) if grouped else np.zeros((0, 0))
        error = np.full(1, fit.sigma2_u_se) if grouped else np.zeros(0)
        modes = fit.modes[:, None] if grouped else np.zeros((0, 0))
        return Estimates(
            fit.beta, fit.beta_se, spread, omega, error, nan, nan, modes, how, "Maximum likelihood", fit.deviance,
            fit.singular,
        )  # fmt: skip
    found = glm_laplace.fit(
        model.link, rows.y, rows.x, factors, trials=rows.trials, offset=rows.offset, negative_binomial=negative
    )
    omega, error, modes = np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0))
    how, method = "exact", "Maximum likelihood"
    if factors:
        omega, error, modes = found.omega[0], found.omega_se[0], found.modes[0]
        how, method = "Laplace approximation", "Laplace approximation"
    wider = found.beta_se / np.maximum(fit.beta_se, 1e-300)  # than without group effects and dispersion
    if np.isfinite(wider).all():
        spread = spread * max(1.0, float(np.median(wider)))
    return Estimates(
        found.beta, found.beta_se, spread, omega, error, found.alpha, found.alpha_se, modes, how, method,
        found.deviance, found.singular,
    )  # fmt: skip


def raised(omega: Floats, z: Floats, least: float) -> Floats:
    """Ω with each variance at least so large, on the scale on which the coefficient moves its rows; positive definite
    for least > 0."""
    unit = 1.0 / np.sqrt(np.maximum(np.mean(z**2, axis=0), 1e-300))
    values, vectors = np.linalg.eigh(omega / np.outer(unit, unit))
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T * np.outer(unit, unit), dtype=float)


def _general(model: Model, rows: Rows) -> tuple[Task, Plug, Table]:
    """The sampler for binomial and count responses, started around the maximum likelihood estimate."""
    factors = [] if rows.codes is None or rows.z is None else [Factor(rows.codes, rows.z)]
    negative = model.family == NEGATIVE_BINOMIAL
    fit = estimates(model, rows, factors)
    arrays = glm_sampler.prepare(
        model.link, rows.y, rows.x, factors, trials=rows.trials, offset=rows.offset, negative_binomial=negative
    )
    guess = [raised(fit.omega, factor.z, FLOOR) for factor in factors]
    prior = mixed_priors.named(model.prior, len(fit.omega), guess[0] if guess else None)
    priors = nlevel_normal.Priors(prior.sigma2, (prior.omega,) * len(factors))
    options = model.mcmc
    modes = [fit.modes] * len(factors)

    beta, variances, width, metric = fit.beta.copy(), guess, 0.5, None
    alpha = max(fit.alpha, 0.05) if negative else 1.0
    if options.starts is not None:
        given = dict(options.starts.variances)
        metric = arrays.eta(_gamma(arrays, beta), modes)
        beta[: len(options.starts.beta)] = options.starts.beta
        variances, width, alpha = [_started(given, factor.q) for factor in factors], 0.1, given.get("alpha", alpha)
    centre = _gamma(arrays, beta)

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        factor, omega = scattered(rng, 1.0, variances[0] if factors else np.eye(1), width)
        gamma = centre + (2.0 * width) * (fit.spread @ rng.standard_normal(len(centre)))
        chain = glm_sampler.run_chain(
            arrays, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations,
            thin=options.thinning, gamma=gamma, effects=modes, omega=[omega] * len(factors), alpha=alpha * factor,
            metric=metric, room=room, resume=resume, live=live,
        )  # fmt: skip
        return one_classification(chain)

    def deviance(beta: Floats, effects: Floats, alpha: float) -> float:
        return glm_sampler.deviance_at(arrays, beta, [effects] * len(factors), alpha)

    places = mixed_normal.packed(len(fit.omega))
    tail = [(float(fit.omega[i, j]), float(fit.omega_se[k])) for k, (i, j) in enumerate(places)]
    if negative:
        tail.append((fit.alpha, fit.alpha_se))
    notes = [f"-2 log likelihood {fit.deviance:.6f} ({fit.how})."]
    return task, deviance, _mle_table(model, rows, fit.beta, fit.beta_se, tail, fit.method, notes, fit.singular)


def _gamma(arrays: glm_sampler.Rows, beta: Floats) -> Floats:
    gamma: Floats = arrays.coordinates.triangle @ (beta - arrays.coordinates.centre)
    return gamma


def one_classification(chain: nlevel_normal.Chain) -> Chain:
    """A chain of the sampler for any number of classifications in the form of those with one or none."""
    beta, none = chain.beta, np.zeros((0, 0))
    grouped = len(chain.effect_mean) > 0
    return Chain(
        beta, chain.omega, chain.sigma2, chain.deviance,
        chain.effect_mean[0] if grouped else none, chain.effect_sd[0] if grouped else none,
        beta.mean(axis=0) if len(beta) else np.full(beta.shape[1], np.nan), chain.acceptance, chain.kept_at,
        chain.kept_effects[0] if grouped else np.zeros((len(chain.kept_at), 0, 0)), chain.saved,
        chain.dispersion,
    )  # fmt: skip


def _mle(model: Model, rows: Rows, fit: mixed_ml.Fit) -> Table:
    q = len(fit.omega)
    tail = [(float(fit.omega[i, j]), float(fit.omega_se[k])) for k, (i, j) in enumerate(mixed_normal.packed(q))]
    tail.append((fit.sigma2, fit.sigma2_se))
    notes = [f"REML criterion {fit.deviance:.6f}."]
    return _mle_table(model, rows, fit.beta, fit.beta_se, tail, "REML", notes, fit.singular)


def _mle_table(
    model: Model,
    rows: Rows,
    beta: Floats,
    beta_se: Floats,
    tail: list[tuple[float, float]],
    method: str,
    notes: list[str],
    singular: bool,
) -> Table:
    """Coefficients, then the variances (value, standard error) in `tail`."""
    records: list[tuple[Cell, ...]] = [
        (f"beta_{k}", name, float(beta[k]), float(beta_se[k])) for k, name in enumerate(rows.names)
    ]
    for (name, variable), (value, se) in zip(variance_names(model, rows), tail, strict=True):
        records.append((name, variable, value, se if np.isfinite(se) else None))
    if singular:
        what = "a variance" if model.family != NEGATIVE_BINOMIAL else "a variance or alpha"
        notes.append(f"The likelihood is highest on the boundary, with {what} of zero: no standard errors there.")
    return Table(
        ("parameter", "variable", "estimate", "se"), tuple(records), f"{method} estimates, as a check", tuple(notes)
    )


def variance_names(model: Model, rows: Rows) -> list[tuple[str, str]]:
    """(parameter, variable) of the variances, in the order of the draws."""
    names: list[tuple[str, str]] = []
    if model.x2:
        names += [(f"omega_u_{k}", "") for k in range(len(mixed_normal.packed(len(rows.z_names))))]
    elif model.group is not None:
        names.append(("sigma2_u", ""))
    if model.family == NORMAL:
        names.append(("sigma2", ""))
    elif model.family == NEGATIVE_BINOMIAL:
        names.append(("alpha", ""))
    return names


def parameter_names(model: Model, rows: Rows) -> list[str]:
    """The parameters in the order of the draws."""
    return [f"beta_{k}" for k in range(len(rows.names))] + [name for name, _ in variance_names(model, rows)]
