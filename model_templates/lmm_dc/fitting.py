"""The fits: exact likelihood first, then chains at every clone number, all side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from templates_engine.outputs import Draws
from templates_engine.sampling import cloning_glm, cloning_normal, cloning_priors, glm_data, glm_fit, mixed_ml
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.cloning_cells import cells
from templates_engine.sampling.cloning_moves import Laplace
from templates_engine.sampling.cloning_normal import Cloned
from templates_engine.sampling.cloning_priors import Prior
from templates_engine.sampling.glm_data import Grouped
from templates_engine.sampling.mixed_data import Rows
from templates_engine.sampling.mixed_normal import packed
from templates_engine.sampling.mixed_stats import Floats, Statistics, statistics
from templates_engine.sampling.rng import streams

from .spec import EFFECT_VARIANCE, FIRST, NORMAL, SECOND, Spec

TOTAL = "sigma2_u+sigma2"


@dataclass(frozen=True)
class Exact:
    """Maximum likelihood without simulation. NaN where the likelihood has no single maximum, or a boundary."""

    beta: Floats
    beta_se: Floats
    variances: Floats  # packed Ω, then σ² for a Normal response
    variances_se: Floats
    reml: Floats  # β then variances; empty unless Normal
    reml_se: Floats
    deviance: float  # -2 log likelihood
    reml_criterion: float
    singular: bool
    total: float  # σ²_u + σ² (Normal, random intercept)
    total_se: float
    how: str


@dataclass
class Fitted:
    """Everything that the reports need."""

    spec: Spec
    rows: Rows
    names: tuple[str, ...]  # parameters
    variables: tuple[str, ...]
    exact: Exact
    prior: Prior
    stats: Statistics | None
    data: Grouped | None
    fit: glm_fit.GlmFit | None = None
    chains: dict[int, list[Cloned]] = field(default_factory=dict)  # by clone number
    bayes: dict[str, list[Cloned]] = field(default_factory=dict)  # by the documents' prior
    effects: dict[int, list[Floats]] = field(default_factory=dict)  # no smoothing: first and last effect

    @property
    def singles(self) -> bool:
        """Every group has one row: with a Normal response the two variances cannot be told apart."""
        return self.spec.family == NORMAL and self.rows.n == self.rows.J

    @property
    def totals(self) -> bool:
        """Whether the sum of the variances is reported."""
        return self.spec.family == NORMAL and self.spec.smoothing and not self.spec.slopes

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


def natural(spec: Spec, chain: Cloned, kept: int, effects: Floats | None = None) -> Floats:
    """(draw, parameter): coefficients, variances, and the shown effects without smoothing."""
    columns = [chain.beta[:kept]]
    if spec.smoothing:
        columns.append(chain.omega[:kept])
    if spec.family == NORMAL:
        columns.append(chain.sigma2[:kept, None])
    if effects is not None:
        columns.append(effects)
    return np.concatenate(columns, axis=1)


def prepare(spec: Spec, rows: Rows) -> Fitted:
    """Statistics, exact likelihood, prior and names; no sampling yet."""
    variances: list[str] = []
    if spec.smoothing and spec.slopes and spec.family == NORMAL:
        variances += [f"omega_u_{k}" for k in range(len(packed(len(rows.z_names))))]
    elif spec.smoothing:
        variances.append("sigma2_u")
    if spec.family == NORMAL:
        variances.append("sigma2")
    names = [f"beta_{k}" for k in range(len(rows.names))] + variances
    if not spec.smoothing:
        names += ["u_1", f"u_{rows.J}"]
    variables = (*rows.names, *[""] * (len(names) - len(rows.names)))
    if spec.family == NORMAL:
        stats = statistics(rows.y, rows.x, rows.codes, rows.z)
        exact = _normal(spec, rows, stats)
        return Fitted(spec, rows, tuple(names), variables, exact, _prior(spec, exact), stats, None)
    data = glm_data.grouped(
        spec.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset, codes=rows.codes, z=rows.z
    )
    fit = glm_fit.fit(data)
    exact = _general(fit)
    return Fitted(spec, rows, tuple(names), variables, exact, _prior(spec, exact), None, data, fit)


def _prior(spec: Spec, exact: Exact) -> Prior:
    p = len(exact.beta)
    if spec.prior == FIRST:
        return cloning_priors.first(p)
    if spec.prior == SECOND:
        return cloning_priors.second(p)
    return cloning_priors.weak(exact.beta, exact.beta_se)


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
        total_se, how,
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


def _general(fit: glm_fit.GlmFit) -> Exact:
    nan, none = float("nan"), np.zeros(0)
    return Exact(
        fit.beta, fit.beta_se, np.array([fit.sigma2_u]), np.array([fit.sigma2_u_se]), none, none, fit.deviance, nan,
        fit.singular, nan, nan, f"adaptive Gauss-Hermite quadrature with {glm_fit.NODES} nodes",
    )  # fmt: skip


Task = Callable[[Progress], Cloned]


def tasks(fitted: Fitted) -> list[Task]:
    """Every chain of every clone number, then those of the documents' priors; all may run at once."""
    spec = fitted.spec
    options = spec.mcmc
    plan: list[tuple[Any, Laplace]] = [_target(fitted, clones, fitted.prior) for clones in spec.clones]
    plan += [_target(fitted, 1, prior) for prior in bayesian(fitted).values()]
    random = streams(options.seed, options.nchains * len(plan) + 1)
    found: list[Task] = []
    for k, (target, approximation) in enumerate(plan):
        run = cloning_normal.run_chain if spec.family == NORMAL else cloning_glm.run_chain
        for c in range(options.nchains):
            rng = random[k * options.nchains + c]

            def task(progress: Progress, target=target, approximation=approximation, rng=rng, run=run) -> Cloned:  # type: ignore[no-untyped-def]
                return run(
                    target, approximation, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
                    thin=options.thinning,
                )  # fmt: skip

            found.append(task)
    return found


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


def _target(fitted: Fitted, clones: int, prior: Prior) -> tuple[Any, Laplace]:
    exact, spec = fitted.exact, fitted.spec
    if fitted.stats is None:
        assert fitted.data is not None
        assert fitted.fit is not None
        target = cloning_glm.target(fitted.data, prior, clones)
        return target, cloning_glm.approximate(target, fitted.fit)
    joined = cells(fitted.stats)
    fixed = 0.0 if spec.smoothing else EFFECT_VARIANCE
    normal = cloning_normal.target(fitted.stats, prior, clones, fixed=fixed, joined=joined)
    q = fitted.stats.q
    if not spec.smoothing:
        return normal, cloning_normal.approximate(normal, np.eye(1), float(exact.variances[0]))
    omega, sigma2 = np.zeros((q, q)), exact.total / 2
    if np.all(np.isfinite(exact.variances)):
        rows, columns = np.tril_indices(q)
        omega[rows, columns] = exact.variances[:-1]
        omega[columns, rows] = exact.variances[:-1]
        sigma2 = float(exact.variances[-1])
    else:
        omega[0, 0] = sigma2
    return normal, cloning_normal.approximate(normal, omega, sigma2)


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


def warm() -> None:
    """Compile the kernels by tiny fits."""
    rng = streams(0, 1)[0]
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    codes = np.repeat(np.arange(4), 3)
    y = rng.standard_normal(12) + codes
    cells_ = np.zeros(2, dtype=np.int64)
    for z in (x[:, :1], x):
        stats = statistics(y, x, codes, z)
        target = cloning_normal.target(stats, cloning_priors.first(2), 2)
        near = cloning_normal.approximate(target, np.eye(z.shape[1]), 1.0)
        cloning_normal.run_chain(target, near, rng, cells_, burnin=1, iterations=2)
    data = glm_data.grouped("log", np.arange(12.0), x, codes=codes, z=x[:, :1])
    general = cloning_glm.target(data, cloning_priors.first(2), 2)
    cloning_glm.run_chain(
        general, cloning_glm.approximate(general, glm_fit.fit(data)), rng, cells_, burnin=1, iterations=2
    )
