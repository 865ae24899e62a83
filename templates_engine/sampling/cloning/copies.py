"""Data cloning of binomial and Poisson models with several classifications: the copies written out.

Effects of crossed units can be integrated neither in closed form nor by quadrature, so there are K copies of the rows,
each with units of its own in every classification, and all of them share β and Ω_c (Lele, Dennis and Lutscher 2007).
glm.sampler draws from their posterior; an iteration passes over K n rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling import GAMMA, WISHART
from templates_engine.sampling.cloning import priors as cloning_priors
from templates_engine.sampling.cloning.normal import Cloned
from templates_engine.sampling.glm import LaplaceFit, fixed_only, grouped, sampler as glm_sampler
from templates_engine.sampling.normal import Factor, Floats, Priors, priors as mixed_priors
from templates_engine.sampling.saving import Saved
from templates_engine.sampling.starts import FLOOR, raised, scattered


@dataclass(frozen=True)
class Target:
    """The posterior of K copies."""

    rows: glm_sampler.Rows  # of all copies, K n
    priors: Priors
    clones: int


@dataclass(frozen=True)
class Start:
    """Where chains begin: about the maximum likelihood estimate of the Laplace approximation."""

    beta: Floats  # (p,)
    spread: Floats  # (p, p) factor of a covariance matrix of β, at one copy
    omega: tuple[Floats, ...]  # (q, q) by classification, positive definite
    modes: tuple[Floats, ...]  # (J, q) of the effects of one copy


def start(
    near: LaplaceFit, link: str, y: Floats, x: Floats, factors: Sequence[Factor], *, trials: Floats, offset: Floats
) -> Start:
    """Variances at zero are raised, for a chain needs a covariance matrix that it can invert."""
    one = fixed_only(grouped(link, y, x, trials=trials, offset=offset))
    wider = max(1.0, float(np.nanmedian(np.append(near.beta_se / np.maximum(one.beta_se, 1e-300), 1.0))))
    design = grouped(link, y, x).coordinates
    spread = wider * design.inverse @ np.linalg.cholesky(one.gamma_covariance + 1e-12 * np.eye(x.shape[1]))
    known = [w if np.all(np.isfinite(w)) else np.zeros_like(w) for w in near.omega]
    omega = tuple(raised(w, f.z, FLOOR) for w, f in zip(known, factors, strict=True))
    return Start(near.beta, spread, omega, near.modes)


def priors(prior: cloning_priors.Prior, omega: Sequence[Floats]) -> Priors:
    """Normal priors of the coefficients; Gamma(0.001, 0.001) on the precision of a single variance, an inverse Wishart
    with q degrees of freedom around the estimate for a matrix. omega: the estimates, by classification."""
    each = [mixed_priors.named(GAMMA if len(w) == 1 else WISHART, len(w), w) for w in omega]
    of_omega = tuple(one.omega for one in each)
    return Priors(each[0].sigma2, of_omega, prior.mean, np.diag(1.0 / prior.variance))


def copied(factors: Sequence[Factor], clones: int) -> list[Factor]:
    """The classifications of the rows written `clones` times, no unit shared between copies."""
    return [
        Factor(
            np.concatenate([f.codes + k * f.groups for k in range(clones)]).astype(np.int64), np.tile(f.z, (clones, 1))
        )
        for f in factors
    ]


def target(
    link: str, y: Floats, x: Floats, factors: Sequence[Factor], of: Priors, clones: int, *, trials: Floats,
    offset: Floats,
) -> Target:  # fmt: skip
    """y, trials and offset (n,), x (n, p), of one copy."""
    rows = glm_sampler.prepare(
        link, np.tile(y, clones), np.tile(x, (clones, 1)), copied(factors, clones), trials=np.tile(trials, clones),
        offset=np.tile(offset, clones),
    )  # fmt: skip
    return Target(rows, of, clones)


def run_chain(
    of: Target,
    begin: Start,
    rng: np.random.Generator,
    progress: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    resume: Saved | None = None,
) -> Cloned:
    """`iterations` after `burnin`, every `thin`-th kept, from an overdispersed start. resume: go on from there, to
    `iterations` in all; rng is then not used."""
    width = 1.0 / math.sqrt(of.clones)
    beta = begin.beta + 2.0 * width * (begin.spread @ rng.standard_normal(len(begin.beta)))
    omega = [scattered(rng, 1.0, w, 0.5 * width)[1] for w in begin.omega]
    effects = [np.tile(u, (f.groups // len(u), 1)) for f, u in zip(of.rows.factors, begin.modes, strict=True)]
    triangle = of.rows.coordinates.triangle
    chain = glm_sampler.run_chain(
        of.rows, of.priors, rng, progress, burnin=burnin, iterations=iterations, thin=thin, gamma=triangle @ beta,
        effects=effects, omega=omega, resume=resume,
    )  # fmt: skip
    gamma = np.asarray(chain.beta @ triangle.T, dtype=float)
    theta = np.concatenate([gamma, chain.omega], axis=1)
    return Cloned(
        chain.beta,
        chain.omega,
        np.full(len(gamma), np.nan),
        theta,
        gamma,
        float(chain.acceptance[0]),
        saved=chain.saved,
    )
