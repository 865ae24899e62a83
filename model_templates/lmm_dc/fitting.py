"""The fits: exact likelihood first, then chains at every clone number, all side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from templates_engine import Draws
from templates_engine.asking import McmcOptions
from templates_engine.regression import Rows
from templates_engine.sampling import Progress, Saved, streams
from templates_engine.sampling.cloning import (
    NODES,
    Cloned,
    Prior,
    copies as cloning_copies,
    glm as cloning_glm,
    normal as cloning_normal,
    priors as cloning_priors,
)
from templates_engine.sampling.glm import (
    GlmFit,
    Grouped,
    data as glm_data,
    laplace as glm_laplace,
    quadrature_fit as glm_fit,
)
from templates_engine.sampling.normal import (
    Coordinates,
    Factor,
    Floats,
    Statistics,
    statistics,
    two_level_ml as mixed_ml,
)
from templates_engine.sampling.sparse import Classes, RemlFit, Surface, classes, fit_reml

from .names import classification, effect_names, natural, variance_names
from .rows import Parts
from .spec import EFFECT_VARIANCE, FIRST, NORMAL, SECOND, Spec

TOTAL = "sigma2_u+sigma2"
APPROXIMATE = "Laplace approximation, which errs where units tell little; cloned estimates have no such error"


@dataclass(frozen=True)
class Exact:
    """Maximum likelihood without simulation. NaN where the likelihood has no single maximum, or a boundary."""

    beta: Floats
    beta_se: Floats
    variances: Floats  # packed Ω, one classification after the other, then σ² for a Normal response
    variances_se: Floats
    reml: Floats  # β then variances; empty unless Normal
    reml_se: Floats
    deviance: float  # -2 log likelihood
    reml_criterion: float
    singular: bool
    total: float  # σ²_u + σ² (Normal, random intercept)
    total_se: float
    how: str
    edges: tuple[int, ...] = ()  # classifications with a variance of zero


@dataclass
class Fitted:
    """Everything that the reports need."""

    spec: Spec
    parts: Parts
    names: tuple[str, ...]  # parameters
    variables: tuple[str, ...]
    exact: Exact
    prior: Prior
    stats: Statistics | None  # Normal, one classification
    crossed: Classes | None  # Normal, several
    data: Grouped | None  # binomial and Poisson, one
    fit: GlmFit | None = None
    near: glm_laplace.LaplaceFit | None = None  # binomial and Poisson, several
    chains: dict[int, list[Cloned]] = field(default_factory=dict)  # by clone number
    bayes: dict[str, list[Cloned]] = field(default_factory=dict)  # by the documents' prior
    effects: dict[int, list[Floats]] = field(default_factory=dict)  # no smoothing: first and last effect

    @property
    def rows(self) -> Rows:
        return self.parts.rows

    @property
    def singles(self) -> bool:
        """Every group has one row: with a Normal response the two variances cannot be told apart."""
        return self.spec.family == NORMAL and not self.spec.several and self.rows.n == self.parts.groups

    @property
    def totals(self) -> bool:
        """Whether the sum of the variances is reported."""
        plain = not self.spec.slopes and not self.spec.several
        return self.spec.family == NORMAL and self.spec.smoothing and plain

    @property
    def omegas(self) -> list[Floats]:
        """Ω_1, Ω_2, … as estimated by maximum likelihood."""
        return [matrix[0] for matrix in self.matrices(self.exact.variances[None])]

    def matrices(self, packed: Floats) -> list[Floats]:
        """(S, q, q) by classification of packed lower triangles (S, ·), one classification after the other."""
        found, at = [], 0
        for factor in self.parts.factors:
            rows, columns = np.tril_indices(factor.q)
            matrix = np.zeros((len(packed), factor.q, factor.q))
            matrix[:, rows, columns] = matrix[:, columns, rows] = packed[:, at : at + len(rows)]
            found.append(matrix)
            at += len(rows)
        return found

    @cached_property
    def coordinates(self) -> Coordinates:
        """Orthonormal ones, in which predictions have their coefficients."""
        if self.data is not None:
            return self.data.coordinates
        if self.near is not None:
            return glm_data.grouped(self.spec.link, self.rows.y, self.rows.x).coordinates
        return self.normal(self.prior, 1).coordinates

    def normal(self, prior: Prior, clones: int) -> cloning_normal.Target:
        """The target of a Normal response."""
        if self.crossed is not None:
            return cloning_normal.target(self.crossed, prior, clones)
        assert self.stats is not None
        return cloning_normal.target(self.stats, prior, clones, fixed=0.0 if self.spec.smoothing else EFFECT_VARIANCE)

    def values(self, clones: int) -> Floats:
        """(chain, draw, parameter) at one clone number."""
        chains = self.chains[clones]
        kept = min(len(chain.theta) for chain in chains)
        extra = self.effects.get(clones)
        parts = []
        for k, chain in enumerate(chains):
            more = None if extra is None else extra[k][:kept]
            parts.append(natural(self.spec, chain, kept, more))
        return np.stack(parts)

    def draws(self, clones: int) -> Draws:
        options = self.spec.mcmc
        return Draws(
            self.names, self.variables, self.values(clones), options.burnin + options.thinning, options.thinning
        )


def prepare(spec: Spec, parts: Parts) -> Fitted:
    """Statistics, exact likelihood, prior and names; no sampling yet."""
    rows = parts.rows
    names = [f"beta_{k}" for k in range(len(rows.names))] + variance_names(spec, parts)
    names += effect_names(spec, parts)
    variables = (*rows.names, *(classification(spec, name) for name in names[len(rows.names) :]))
    if spec.copied:
        near = approximated(spec, parts, rows.x, parts.factors)
        exact = _approximate(near)
        return Fitted(spec, parts, tuple(names), variables, exact, _prior(spec, exact), None, None, None, near=near)
    if spec.several:
        crossed = classes(rows.y, rows.x, parts.factors)
        exact = _crossed(crossed)
        return Fitted(spec, parts, tuple(names), variables, exact, _prior(spec, exact), None, crossed, None)
    if spec.family == NORMAL:
        stats = statistics(rows.y, rows.x, rows.codes, rows.z)
        exact = _normal(spec, rows, stats)
        return Fitted(spec, parts, tuple(names), variables, exact, _prior(spec, exact), stats, None, None)
    data, fit = quadrature(spec, parts, rows.x, parts.factors[0])
    exact = _general(fit, data.q)
    return Fitted(spec, parts, tuple(names), variables, exact, _prior(spec, exact), None, None, data, fit)


def _prior(spec: Spec, exact: Exact) -> Prior:
    p = len(exact.beta)
    if spec.prior == FIRST:
        return cloning_priors.first(p)
    if spec.prior == SECOND:
        return cloning_priors.second(p)
    return cloning_priors.weak(exact.beta, np.nan_to_num(exact.beta_se, nan=1.0))


def _normal(spec: Spec, rows: Rows, stats: Statistics) -> Exact:
    nan = float("nan")
    if not spec.smoothing:
        # Every effect a parameter: σ̂² = what is left within the groups over n (Neyman and Scott 1948).
        one = mixed_ml.fit(statistics(rows.y, rows.x), reml=False)
        sigma2 = stats.within_rss / stats.n
        deviance = stats.n * (1.0 + math.log(2.0 * math.pi * sigma2))
        variances, se = np.array([sigma2]), np.array([sigma2 * math.sqrt(2.0 / stats.n)])
        none = np.zeros(0)
        beta = np.where(stats.in_span, nan, stats.coordinates.beta(stats.within_centre))
        beta = np.where(np.isnan(beta), one.beta if stats.p == 1 else beta, beta)
        beta = np.nan_to_num(beta, nan=0.0)
        return Exact(
            beta, one.beta_se, variances, se, none, none, deviance, nan, False, nan, nan, "least squares within groups"
        )
    ml, reml = mixed_ml.fit(stats, reml=False), mixed_ml.fit(stats)
    q = stats.q
    rows_, columns = np.tril_indices(q)
    variances = np.append(ml.omega[rows_, columns], ml.sigma2)
    variances_se = np.append(ml.omega_se, ml.sigma2_se)
    other = np.concatenate([reml.beta, reml.omega[rows_, columns], [reml.sigma2]])
    other_se = np.concatenate([reml.beta_se, reml.omega_se, [reml.sigma2_se]])
    total, total_se, singular = nan, nan, ml.singular
    how = "exact likelihood, profiled over the coefficients and the residual variance"
    if rows.n == rows.J and not spec.slopes:
        total = float(variances.sum())
        total_se = total * math.sqrt(2.0 / stats.n)
        variances, variances_se = np.full(2, nan), np.full(2, nan)
        other[stats.p :], other_se[stats.p :] = nan, nan
        singular = False
    elif not spec.slopes:
        total = float(variances.sum())
        if not singular:
            total_se = _total_se(stats, ml)
    return Exact(
        ml.beta, ml.beta_se, variances, variances_se, other, other_se, ml.deviance, reml.deviance, singular, total,
        total_se, how, (0,) if singular else (),
    )  # fmt: skip


def _crossed(data: Classes) -> Exact:
    """Several classifications, by one sparse factorisation an evaluation."""
    surface = Surface(data)
    ml, reml = fit_reml(surface, reml=False), fit_reml(surface, reml=True)
    nan = float("nan")

    def variances(fit: RemlFit) -> Floats:
        return np.concatenate([*(w[np.tril_indices(len(w))] for w in fit.omega), [fit.sigma2]])

    def errors(fit: RemlFit) -> Floats:
        return np.concatenate([*fit.omega_se, [fit.sigma2_se]])

    return Exact(
        ml.beta, ml.beta_se, variances(ml), errors(ml), np.concatenate([reml.beta, variances(reml)]),
        np.concatenate([reml.beta_se, errors(reml)]), ml.deviance, reml.deviance, any(ml.singular), nan, nan,
        "exact likelihood by sparse factorisation, profiled over the coefficients and the residual variance",
        tuple(c for c, edge in enumerate(ml.singular) if edge),
    )  # fmt: skip


def _total_se(stats: Statistics, ml: mixed_ml.Fit) -> float:
    """Of σ²_u + σ², by the expected information of (σ², σ²_u); T² the squared length of a group's column."""
    t2 = stats.triangles[:, 0, 0] ** 2
    share = ml.sigma2 + t2 * float(ml.omega[0, 0])
    rest = stats.n - int(np.sum(t2 > 0))
    a = 0.5 * (rest / ml.sigma2**2 + np.sum((t2 > 0) / share**2))
    b, c = 0.5 * np.sum(t2 / share**2), 0.5 * np.sum(t2**2 / share**2)
    inverse = np.linalg.inv(np.array([[a, b], [b, c]]))
    return float(math.sqrt(max(inverse.sum(), 0.0)))


def quadrature(spec: Spec, parts: Parts, x: Floats, factor: Factor) -> tuple[Grouped, GlmFit]:
    """Maximum likelihood of a binomial or Poisson model with this fixed part and classification."""
    rows = parts.rows
    more = {"trials": rows.trials, "offset": rows.offset}
    data = glm_data.grouped(spec.link, rows.y, x, codes=factor.codes, z=factor.z, **more)
    return data, glm_fit.fit(data)


def _general(fit: GlmFit, q: int) -> Exact:
    nan, none = float("nan"), np.zeros(0)
    rows, columns = np.tril_indices(q)
    each = " in each direction" if q > 1 else ""
    how = f"adaptive Gauss-Hermite quadrature with {NODES[q]} nodes{each}"
    return Exact(
        fit.beta, fit.beta_se, fit.omega[rows, columns], fit.omega_se, none, none, fit.deviance, nan, fit.singular, nan,
        nan, how + _doubt(fit.finite, fit.sure), (0,) if fit.singular else (),
    )  # fmt: skip


def _doubt(finite: bool, sure: bool) -> str:
    if not finite:
        return "; the likelihood has no maximum at finite values, so there are no estimates"
    return "" if sure else "; no maximum with a positive definite Hessian was found: no standard errors"


def approximated(spec: Spec, parts: Parts, x: Floats, factors: Sequence[Factor]) -> glm_laplace.LaplaceFit:
    """The Laplace approximation of a model with this fixed part and these classifications."""
    return glm_laplace.fit(spec.link, parts.rows.y, x, factors, trials=parts.rows.trials, offset=parts.rows.offset)


def _approximate(near: glm_laplace.LaplaceFit) -> Exact:
    nan, none = float("nan"), np.zeros(0)
    return Exact(
        near.beta, near.beta_se, np.concatenate([w[np.tril_indices(len(w))] for w in near.omega]),
        np.concatenate(near.omega_se), none, none, near.deviance, nan, near.singular, nan, nan,
        APPROXIMATE + _doubt(near.finite, near.sure), near.edges,
    )  # fmt: skip


Task = Callable[[Saved | None, Progress], Cloned]


def tasks(fitted: Fitted) -> list[Task]:
    """Every chain of every clone number, then those of the documents' priors; all may run at once."""
    spec = fitted.spec
    options = spec.mcmc
    plan: list[tuple[Any, Any]] = [_target(fitted, clones, fitted.prior) for clones in spec.clones]
    plan += [_target(fitted, 1, prior) for prior in bayesian(fitted).values()]
    random = streams(options.seed, options.nchains * len(plan) + 1)
    found: list[Task] = []
    for k, (target, approximation) in enumerate(plan):
        run: Callable[..., Cloned] = cloning_normal.run_chain
        if spec.family != NORMAL:
            run = cloning_copies.run_chain if spec.copied else cloning_glm.run_chain
        for c in range(options.nchains):
            rng = random[k * options.nchains + c]

            found.append(partial(_sample, run, target, approximation, rng, options))
    return found


def _sample(
    run: Callable[..., Cloned], target: Any, approximation: Any, rng: np.random.Generator, options: McmcOptions,
    resume: Saved | None, progress: Progress,
) -> Cloned:  # fmt: skip
    return run(
        target, approximation, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
        thin=options.thinning, resume=resume,
    )  # fmt: skip


def bayesian(fitted: Fitted) -> dict[str, Prior]:
    """The documents' priors, for the Normal model with a random intercept."""
    spec, p = fitted.spec, len(fitted.exact.beta)
    if not fitted.totals:
        return {}
    found = {FIRST: cloning_priors.first(p)}
    total = fitted.exact.total
    if p == 1 and 0.001 < total < 5:
        found[SECOND] = cloning_priors.second(p)
    return found if spec.smoothing else {}


def _target(fitted: Fitted, clones: int, prior: Prior) -> tuple[Any, Any]:
    exact, spec = fitted.exact, fitted.spec
    if fitted.near is not None:
        r, factors = fitted.rows, fitted.parts.factors
        more = {"trials": r.trials, "offset": r.offset}
        begin = cloning_copies.start(fitted.near, spec.link, r.y, r.x, factors, **more)
        priors = cloning_copies.priors(prior, begin.omega)
        return cloning_copies.target(spec.link, r.y, r.x, factors, priors, clones, **more), begin
    if fitted.data is not None:
        assert fitted.fit is not None
        target = cloning_glm.target(fitted.data, prior, clones)
        omega = np.where(
            np.isnan(fitted.fit.omega), 0.25 * np.eye(target.q), fitted.fit.omega
        )  # something to start from
        return target, cloning_glm.approximate(target, fitted.fit.gamma, fitted.fit.gamma_covariance, omega)
    normal = fitted.normal(prior, clones)
    if not spec.smoothing:
        return normal, cloning_normal.approximate(normal, np.eye(1), float(exact.variances[0]))
    if np.all(np.isfinite(exact.variances)):
        return normal, cloning_normal.approximate(normal, fitted.omegas, float(exact.variances[-1]))
    return normal, cloning_normal.approximate(normal, np.full((1, 1), exact.total / 2), exact.total / 2)


def gather(fitted: Fitted, chains: list[Cloned]) -> None:
    """Put the chains, in the order of `tasks`, where the reports look for them."""
    count = fitted.spec.mcmc.nchains
    parts = [chains[k : k + count] for k in range(0, len(chains), count)]
    for clones, part in zip(fitted.spec.clones, parts, strict=False):
        fitted.chains[clones] = part
    for name, part in zip(bayesian(fitted), parts[len(fitted.spec.clones) :], strict=True):
        fitted.bayes[name] = part
    if not fitted.spec.smoothing:
        assert fitted.stats is not None
        random = streams(fitted.spec.mcmc.seed + 1, count * len(fitted.spec.clones))
        for k, clones in enumerate(fitted.spec.clones):
            fitted.effects[clones] = [
                _effects(fitted.stats, chain, clones, random[k * count + c])
                for c, chain in enumerate(fitted.chains[clones])
            ]


def _effects(stats: Statistics, chain: Cloned, clones: int, rng: np.random.Generator) -> Floats:
    """(draw, 2) first and last effect as parameters that K clones share: N(0, v) prior, exact given γ and σ²."""
    out = np.empty((len(chain.theta), 2))
    for k, j in enumerate((0, stats.groups - 1)):
        t = float(stats.triangles[j, 0, 0])
        precision = clones * t * t / chain.sigma2 + 1.0 / EFFECT_VARIANCE
        mean = clones * t * (stats.t[j, 0] - chain.gamma @ stats.c[j, 0]) / chain.sigma2 / precision
        out[:, k] = mean + rng.standard_normal(len(mean)) / np.sqrt(precision)
    return out
