"""Simulated data from a model of interest and the model of its incomplete covariates, in plain NumPy.

Written apart from the sampler: parameters from their priors, complete data from the parameters, then cells deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.special
import scipy.stats
from joint_cases import Case, simulate as simulate_covariates
from ranking import KEPT, Fit

from templates_engine.sampling.joint import JointModel, Response
from templates_engine.sampling.onepass import (
    Factor,
    Interest,
    InterestPrior,
    OnePass,
    Product,
    Scale,
    Selection,
    run_chain,
)


@dataclass(frozen=True)
class Term:
    factors: tuple[Factor, ...] = ()
    complete: str = "cons"  # or "x": varies within groups


@dataclass(frozen=True)
class Study:
    covariates: Case  # its own `missing` is not used
    terms: tuple[Term, ...]
    random: tuple[int, ...] = ()
    missing: float = 0.25
    response_missing: float = 0.1
    beta_mean: float = 0.3
    beta_precision: float = 2.0
    link: str = "identity"
    negative_binomial: bool = False
    scales: tuple[tuple[str, Scale], ...] = ()  # of Normal variables
    selected: tuple[str, ...] = ()  # variables that are missing by a probit on the response, x and themselves
    shifts: tuple[tuple[str, float], ...] = ()  # what is added to the Normal of a missing value


def prior_of(study: Study) -> InterestPrior:
    """Proper on everything, with a correlated scale so that a lost off-diagonal element shows."""
    q = len(study.random)
    signs = (-1.0) ** np.arange(q)
    scale = (q + 4.0) * (0.5 * np.eye(q) + 0.3 * np.outer(signs, signs))
    return InterestPrior(study.beta_mean, study.beta_precision, q + 5.0, scale, 4.0, 3.0)


def simulate(study: Study, rng: np.random.Generator) -> tuple[OnePass, np.ndarray]:
    """(model with data, true parameters in the order of onepass.names)."""
    full, truth = simulate_covariates(replace(study.covariates, missing=0.0), rng)
    n, groups, prior, q = full.n_rows, full.groups, prior_of(study), len(study.random)
    J = 1 if groups is None else int(groups.max()) + 1
    complete = {"cons": np.ones(n), "x": rng.standard_normal(n) + 0.5}
    scales, shifts, truth = dict(study.scales), dict(study.shifts), list(truth)
    names = [r.name for r in (*full.level1, *full.level2)]
    gone = {r.name: deleted(r.values.size, study.missing, rng) for r in (*full.level1, *full.level2)}
    latent = {r.name: r.values + shifts.get(r.name, 0.0) * gone[r.name] for r in (*full.level1, *full.level2)}
    measured = {n: scaled(scales[n], latent[n]) if n in scales else latent[n] for n in names}
    values = {r.name: measured[r.name] for r in full.level1} | {r.name: measured[r.name][groups] for r in full.level2}
    columns = []
    for term in study.terms:
        column = complete[term.complete].copy()
        for f in term.factors:
            x = values[f.variable]
            if f.mean:
                x = (np.bincount(groups, x) / np.bincount(groups))[groups]
            column *= x**f.power if f.category < 0 else (x == f.category)
        columns.append(column)
    T = np.column_stack(columns)
    beta = study.beta_mean + rng.standard_normal(T.shape[1]) / np.sqrt(study.beta_precision)
    sigma2 = float(scipy.stats.invgamma.rvs(prior.shape, scale=prior.rate, random_state=rng))
    mean, omega = T @ beta, np.zeros((0, 0))
    if q:
        omega = np.atleast_2d(scipy.stats.invwishart.rvs(prior.df, prior.scale, random_state=rng))
        u = rng.multivariate_normal(np.zeros(q), omega, J, method="cholesky")
        mean = mean + np.sum(T[:, study.random] * u[groups], axis=1)
    trials = rng.integers(1, 5, n).astype(float)
    offset = 0.4 * rng.standard_normal(n)
    y = response(study, rng, mean, sigma2, trials, offset)
    chosen = []
    for name in study.selected:
        alpha = rng.standard_normal(4) * np.array([0.5, 0.4, 0.4, 0.4]) + np.array([-0.8, 0.0, 0.0, 0.0])
        design = np.column_stack([complete["cons"], y, complete["x"]])
        gone[name] = design @ alpha[:3] + alpha[3] * values[name] + rng.standard_normal(n) > 0
        gone[name][:2] = False
        prior_mean, precision = np.array([-0.8, 0.0, 0.0, 0.0]), 1.0 / np.array([0.5, 0.4, 0.4, 0.4]) ** 2
        chosen.append(Selection(name, design, ("cons", "y", "x"), (name,), prior_mean, precision))
        truth += list(alpha)
    y[rng.random(n) < (0.0 if study.selected else study.response_missing)] = np.nan

    def holed(response: Response) -> Response:
        x = measured[response.name]
        scale = scales.get(response.name)
        seen = response.values.copy() if scale is None else scale.inverse(x)
        seen[gone[response.name]] = np.nan
        return replace(response, values=seen, latent=scale is not None and scale.kind == "count")

    covariates = JointModel(
        tuple(holed(r) for r in full.level1),
        tuple(replace(c, responses=tuple(holed(r) for r in c.responses)) for c in full.classes),
        full.latent_covariance, full.prior, full.algorithm,
    )  # fmt: skip
    terms = tuple(Product(f"t{k}", complete[t.complete], t.factors) for k, t in enumerate(study.terms))
    interest = Interest(
        y, terms, tuple(range(len(terms))), study.random, groups if q else None, study.link, study.negative_binomial,
        trials if study.link in ("logit", "probit") else None, offset if study.link == "log" else None, prior,
    )  # fmt: skip
    packed = [omega[i, j] for i in range(q) for j in range(i + 1)]
    spread = [sigma2] if study.link == "identity" or study.negative_binomial else []
    model = OnePass(interest, covariates, scales=scales, selections=tuple(chosen), shifts=shifts)
    return model, np.array([*beta, *packed, *spread, *truth])


def deleted(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) True where a value is deleted; the first two are kept."""
    gone = rng.random(n) < share
    gone[:2] = False
    return gone


def scaled(scale: Scale, z: np.ndarray) -> np.ndarray:
    """The measurement of a latent, written apart from the kernels."""
    if scale.kind == "count":
        return np.floor(np.exp(z))
    if scale.kind == "skewed":
        return scale.low + np.exp(z)
    return scale.low + (scale.high - scale.low) * scipy.special.expit(z)


def response(
    study: Study, rng: np.random.Generator, eta: np.ndarray, spread: float, trials: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """(n,) of the study's family at the linear predictor."""
    if study.link == "identity":
        return eta + np.sqrt(spread) * rng.standard_normal(eta.size)
    if study.link == "logit":
        return rng.binomial(trials.astype(int), scipy.special.expit(eta)).astype(float)
    if study.link == "probit":
        return rng.binomial(trials.astype(int), scipy.special.ndtr(eta)).astype(float)
    mu = np.exp(np.minimum(eta + offset, 25.0))
    if study.negative_binomial:
        mu = mu * rng.gamma(1.0 / spread, spread, eta.size)
    return rng.poisson(np.minimum(mu, 1e9)).astype(float)


def fitting(study: Study, thin: int) -> Fit:
    """One simulated set and a short fit to it."""

    def fit(rng: np.random.Generator, generator: np.random.Generator) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        model, truth = simulate(study, rng)
        chain = run_chain(model, generator, np.zeros(2, np.int64), burnin=9 * thin, iterations=thin * KEPT, thin=thin)
        return chain.parameters, chain.values, truth

    return fit
