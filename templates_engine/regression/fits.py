"""What a regression template fits and from where it samples: likelihood fit, priors, starting values, by family."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from templates_engine.outputs import Table
from templates_engine.regression.data import Rows
from templates_engine.regression.questions import NEGATIVE_BINOMIAL, NORMAL, Model
from templates_engine.regression.tables import estimates_table, packed_tail
from templates_engine.sampling import FLOOR, Live, Progress, Saved, at_least, raised, scattered
from templates_engine.sampling.glm import (
    data as glm_data,
    laplace as glm_laplace,
    quadrature_fit as glm_fit,
    sampler as glm_sampler,
)
from templates_engine.sampling.normal import (
    Chain,
    Factor,
    Floats,
    Priors,
    Statistics,
    classified as nlevel_normal,
    classified_stats as nlevel_stats,
    priors as mixed_priors,
    statistics,
    two_level as mixed_normal,
    two_level_ml as mixed_ml,
)
from templates_engine.sampling.sparse import Classes, Surface, TooDense, affordable, classes, fit_reml

LAPLACE = "Laplace approximation"


# (random stream, progress, iterations in all, room for effects, where to go on from, who looks on)
Task = Callable[[np.random.Generator, Progress, int, int, Saved | None, Live], Chain]
Plug = Callable[[Floats, Sequence[Floats], float], float]  # deviance at (beta, effects, sigma2 or alpha)
Fitted = tuple[Task, Plug, Table | None]  # what draws a chain, the deviance, the estimates where they take seconds


def fitted(model: Model, rows: Rows) -> Fitted:
    """By the sampler that suits the family and the classifications."""
    if model.family != NORMAL:
        return _general(model, rows)
    return _several(model, rows) if model.numbered else _one(model, rows)


def _one(model: Model, rows: Rows) -> Fitted:
    """A Normal response with one classification or none: on statistics by group, started around the REML estimate."""
    stats = statistics(rows.y, rows.x, rows.codes, rows.z)
    fit = mixed_ml.fit(stats)
    guess, options, grouped = _guess(fit, stats), model.mcmc, bool(rows.factors)
    priors = mixed_priors.named(model.prior, stats.q if grouped else 0, guess)
    sigma2, omega, width = fit.sigma2, guess, 0.5
    if options.starts is not None:
        sigma2, width = dict(options.starts.variances)["sigma2"], 0.1
        omega = _started(model, rows)[0] if grouped else np.eye(1)

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        first, start = scattered(rng, sigma2, omega, width)
        chain = mixed_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations,
            thin=options.thinning, sigma2=first, omega=start, room=room, resume=resume, live=live,
        )  # fmt: skip
        return classified(chain, grouped)

    def deviance(beta: Floats, effects: Sequence[Floats], sigma2: float) -> float:
        return mixed_normal.deviance_at(stats, beta, effects[0] if grouped else np.zeros((0, stats.q)), sigma2)

    tail = [*packed_tail([fit.omega], [fit.omega_se]), (fit.sigma2, fit.sigma2_se)]
    notes = [f"REML criterion {fit.deviance:.6f}."]
    return task, deviance, estimates_table(model, rows, fit.beta, fit.beta_se, tail, "REML", notes, fit.singular)


def classified(chain: mixed_normal.Chain, grouped: bool) -> Chain:
    """A chain of the sampler for one classification or none in the form of those for any number."""

    def each(effects: Floats) -> tuple[Floats, ...]:
        return (effects,) if grouped else ()

    return Chain(
        chain.beta, chain.omega if grouped else chain.omega[:, :0], chain.sigma2, chain.deviance,
        each(chain.effect_mean), each(chain.effect_sd), np.zeros(0), np.zeros(0), chain.kept_at,
        each(chain.kept_effects), chain.saved,
    )  # fmt: skip


def _several(model: Model, rows: Rows) -> Fitted:
    """A Normal response with several classifications: on sparse statistics, started around the REML estimate."""
    y, x, factors, options = rows.y, rows.x, rows.factors, model.mcmc
    stats = nlevel_stats.statistics(y, x, factors)
    mle = None
    reduced = _reduced(rows)
    if reduced is not None:
        fit = fit_reml(Surface(reduced), reml=True)
        sigma2 = fit.sigma2
        guesses = [raised(w, f.z, 0.01 * sigma2) for w, f in zip(fit.omega, factors, strict=True)]
        tail = [*packed_tail(fit.omega, fit.omega_se), (fit.sigma2, fit.sigma2_se)]
        notes = [f"REML criterion {fit.deviance:.6f}."] + ([] if fit.sure else [_doubt(True, False)])
        mle = estimates_table(model, rows, fit.beta, fit.beta_se, tail, "REML", notes, fit.singular)
    else:
        # One classification at a time: enough to start from and to centre a prior on.
        fits = [mixed_ml.fit(statistics(y, x, f.codes, f.z)) for f in factors]
        sigma2 = min(fit.sigma2 for fit in fits)
        guesses = [raised(fit.omega, f.z, 0.01 * fit.sigma2) for fit, f in zip(fits, factors, strict=True)]
    priors = named_priors(model.prior, factors, guesses)
    first, omegas, width = sigma2, guesses, 0.5
    if options.starts is not None:
        first, omegas, width = dict(options.starts.variances)["sigma2"], _started(model, rows), 0.1

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        start = [scattered(rng, first, omega, width) for omega in omegas]
        return nlevel_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations, thin=options.thinning,
            sigma2=start[0][0], omega=tuple(omega for _, omega in start), room=room, resume=resume, live=live,
        )  # fmt: skip

    def deviance(beta: Floats, effects: Sequence[Floats], variance: float) -> float:
        left = y - x @ beta
        for factor, u in zip(factors, effects, strict=True):
            left = left - np.sum(factor.z * u[factor.codes], axis=1)
        return float(len(y) * math.log(2 * math.pi * variance) + left @ left / variance)

    return task, deviance, mle


def _reduced(rows: Rows) -> Classes | None:
    """The likelihood reduced by a sparse factorisation; none where a search would take minutes."""
    try:
        found = classes(rows.y, rows.x, rows.factors)
    except TooDense:
        return None
    return found if affordable(found) else None


def _general(model: Model, rows: Rows) -> Fitted:
    """The sampler for binomial and count responses, started around the maximum likelihood estimate."""
    factors, options, negative = rows.factors, model.mcmc, model.family == NEGATIVE_BINOMIAL
    fit = estimates(model, rows)
    arrays = glm_sampler.prepare(
        model.link, rows.y, rows.x, factors, trials=rows.trials, offset=rows.offset, negative_binomial=negative
    )
    guesses = [raised(w, f.z, FLOOR) for w, f in zip(fit.omega, factors, strict=True)]
    priors = named_priors(model.prior, factors, guesses)
    triangle, beta, omegas, width, metric = arrays.coordinates.triangle, fit.beta.copy(), guesses, 0.5, None
    alpha = max(float(np.nan_to_num(fit.alpha)), 0.05) if negative else 1.0
    if options.starts is not None:
        metric = arrays.eta(triangle @ beta, fit.modes)
        beta[: len(options.starts.beta)] = options.starts.beta
        omegas, width = _started(model, rows), 0.1
        alpha = dict(options.starts.variances).get("alpha", alpha)
    centre = triangle @ beta

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        start = [scattered(rng, alpha, omega, width) for omega in omegas or [np.eye(1)]]
        gamma = centre + (2.0 * width) * (fit.spread @ rng.standard_normal(len(centre)))
        return glm_sampler.run_chain(
            arrays, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations, thin=options.thinning,
            gamma=gamma, effects=fit.modes, omega=[omega for _, omega in start[: len(factors)]], alpha=start[0][0],
            metric=metric, room=room, resume=resume, live=live,
        )  # fmt: skip

    def deviance(beta: Floats, effects: Sequence[Floats], alpha: float) -> float:
        return glm_sampler.deviance_at(arrays, beta, effects, alpha)

    if not fit.how:
        return task, deviance, None
    tail = packed_tail(fit.omega, fit.omega_se) + ([(fit.alpha, fit.alpha_se)] if negative else [])
    notes = [fit.doubt] if fit.doubt else []
    if np.isfinite(fit.deviance):
        notes = [f"-2 log likelihood {fit.deviance:.6f} ({fit.how}).", *notes]
    method = fit.how if fit.how == LAPLACE else "Maximum likelihood"
    return task, deviance, estimates_table(model, rows, fit.beta, fit.beta_se, tail, method, notes, fit.singular)


@dataclass(frozen=True)
class Estimates:
    """Maximum likelihood for a binomial or count response, whatever way it was found; tuples by classification."""

    beta: Floats  # (p,)
    beta_se: Floats
    spread: Floats  # (p, p) root of the covariance matrix of γ, about as wide as its posterior
    omega: tuple[Floats, ...]  # (q, q)
    omega_se: tuple[Floats, ...]  # packed
    modes: tuple[Floats, ...]  # (J, q)
    deviance: float
    singular: bool
    how: str  # "": no estimates, something to start from
    alpha: float = float("nan")  # of a negative binomial response
    alpha_se: float = float("nan")
    doubt: str = ""  # why there are no estimates, or no standard errors


def root_of(covariance: Floats) -> Floats:
    """Some R with R R' = covariance, in which rounding below zero counts as zero."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return np.asarray(scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))


def _doubt(finite: bool, sure: bool) -> str:
    if not finite:
        return "The likelihood has no maximum at finite values: there are no estimates."
    return "" if sure else "No maximum with a positive definite Hessian was found: there are no standard errors."


def estimates(model: Model, rows: Rows) -> Estimates:
    """By Fisher scoring or adaptive quadrature where these can; the others by the Laplace approximation, where that
    would take minutes with one classification at a time."""
    factors, negative = rows.factors, model.family == NEGATIVE_BINOMIAL
    exact = not negative and not model.numbered and not any(each.terms for each in model.classifications)
    plain = glm_data.grouped(
        model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset, codes=rows.codes if exact else None,
        z=rows.z,
    )  # fmt: skip
    one = glm_fit.fit(plain)
    spread = root_of(one.gamma_covariance)
    if exact:
        beta, how = (one.beta, one.beta_se, spread), f"adaptive quadrature, {glm_fit.NODES} points"
        if not factors:
            return Estimates(*beta, (), (), (), one.deviance, one.singular, "Fisher scoring")
        doubt = _doubt(one.finite, one.sure)
        return Estimates(
            *beta, (one.omega,), (one.omega_se,), (one.modes,), one.deviance, one.singular, how, doubt=doubt
        )

    def likely(some: Sequence[Factor]) -> glm_laplace.LaplaceFit:
        return glm_laplace.fit(
            model.link, rows.y, rows.x, some, trials=rows.trials, offset=rows.offset, negative_binomial=negative
        )

    if not model.numbered or glm_laplace.affordable(plain.p, factors):
        found, how = likely(factors), LAPLACE if factors else "exact"
    else:
        fits = [likely([factor]) for factor in factors]
        modes, how = tuple(np.zeros((f.groups, f.q)) for f in factors), ""
        widest = max(fits, key=lambda fit: float(np.nan_to_num(np.trace(fit.omega[0]), nan=-1.0)))
        found = replace(widest, omega=tuple(fit.omega[0] for fit in fits), modes=modes)
    spread = root_of(found.gamma_covariance)
    return Estimates(
        found.beta, found.beta_se, spread, found.omega, found.omega_se, found.modes, found.deviance, found.singular,
        how, found.alpha, found.alpha_se, _doubt(found.finite, found.sure) if how else "",
    )  # fmt: skip


def named_priors(choice: str, factors: Sequence[Factor], guesses: Sequence[Floats]) -> Priors:
    """The priors behind an answer, one Ω a classification."""
    each = [mixed_priors.named(choice, factor.q, guess) for factor, guess in zip(factors, guesses, strict=True)]
    variance = each[0] if each else mixed_priors.named(choice, 0)
    return Priors(variance.sigma2, tuple(prior.omega for prior in each))


def _started(model: Model, rows: Rows) -> list[Floats]:
    """Ω's of the user's starting values: the same variance for each random coefficient, no covariances."""
    given = dict(model.mcmc.starts.variances) if model.mcmc.starts is not None else {}
    return [np.eye(f.q) * given[each.variance] for each, f in zip(model.classifications, rows.factors, strict=True)]


def _guess(fit: mixed_ml.Fit, stats: Statistics) -> Floats:
    """A positive definite Ω near the estimate, for starting values and as the centre of the inverse Wishart prior.

    Where REML is on the boundary, each random coefficient's scaled variance is raised to 1 % of the residual
    variance, on the scale on which the coefficient moves its rows.
    """
    if len(fit.omega) == 0:
        return np.eye(1)
    unit = np.sqrt(stats.n / np.maximum(np.sum(stats.triangles**2, axis=(0, 1)), 1e-300))
    return at_least(fit.omega, unit, 0.01 * fit.sigma2 if fit.singular else 0.0)
