"""The separate run that predicts the group effects, and its tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from templates_engine.outputs import Cell, Table
from templates_engine.problems import Problem
from templates_engine.sampling.cloning_cells import cells, reduced
from templates_engine.sampling.cloning_glm import target as glm_target
from templates_engine.sampling.cloning_normal import Cloned, target
from templates_engine.sampling.cloning_predict import around, general_effects, normal_effects, reweighted
from templates_engine.sampling.mixed_stats import Floats
from templates_engine.sampling.rng import streams

from .fitting import Fitted
from .spec import DRAWN, FIRST, NORMAL, PLUGIN, TWICE
from .verdicts import Judged

DRAWS, MOST = 4000, 4_000_000  # parameter values, and effects drawn in all


@dataclass(frozen=True)
class Predicted:
    """Effects of J groups and q coefficients: estimate, sd and interval; `bayes` the same from the Bayesian fit."""

    method: str
    estimate: Floats  # (J, q)
    sd: Floats
    lower: Floats
    upper: Floats
    bayes: tuple[Floats, Floats, Floats] | None  # estimate, lower, upper (J, q)
    truth: Floats | None  # (J,)


def unbounded(fitted: Fitted, chain: Cloned) -> Floats:
    """(draw, ·) γ, then log σ_u and log σ, or the sampler's own coordinates for several random coefficients."""
    if fitted.spec.family != NORMAL:
        return chain.theta
    if fitted.rows.z is not None and fitted.rows.z.shape[1] > 1:
        return np.concatenate([chain.gamma, chain.theta], axis=1)
    sds = 0.5 * np.log(np.stack([chain.omega[:, 0], chain.sigma2], axis=1))
    return np.concatenate([chain.gamma, sds], axis=1)


def predict(fitted: Fitted, judged: Judged, truth: Floats | None) -> tuple[Predicted | None, list[Problem]]:
    """None, and why, where the estimates do not allow it."""
    spec = fitted.spec
    if not judged.estimable:
        text = (
            "The group effects are not predicted: how much of a difference is the group's depends on the ratio of the "
            "variances, which the data do not tell."
        )
        return None, [Problem("not-predicted", text, level="notice")]
    rng = streams(spec.mcmc.seed + 2, 1)[0]
    groups = fitted.rows.J
    size = int(min(DRAWS, max(200, MOST // max(groups, 1))))
    method, notes = spec.method, []
    pooled = np.concatenate([unbounded(fitted, chain) for chain in fitted.chains[spec.clones[-1]]])
    if judged.boundary and method != PLUGIN:
        method = PLUGIN
        text = "A variance is estimated as zero: there is no Normal spread to draw parameters from. Plug-in is used."
        notes.append(Problem("plug-in", text, level="notice"))
    if method == PLUGIN:
        at = np.tile(_best(fitted, pooled), (size, 1))
    else:
        at = around(pooled, spec.clones[-1], size * (5 if method == TWICE else 1), rng)
        if method == TWICE:
            at = reweighted(at, _likelihood(fitted), size, rng)
    effects = _effects(fitted, at, rng)
    tails = [0.5 - spec.level / 200.0, 0.5 + spec.level / 200.0]
    low, high = np.quantile(effects, tails, axis=0)
    bayes = _bayesian(fitted, size, tails, rng)
    sd = effects.std(axis=0, ddof=1)
    return Predicted(method, effects.mean(axis=0), sd, low, high, bayes, truth), notes


def _best(fitted: Fitted, pooled: Floats) -> Floats:
    """The cloned estimate on the unbounded scale; the exact one where a variance is zero."""
    if fitted.exact.singular and fitted.spec.family == NORMAL and pooled.shape[1] == len(fitted.exact.beta) + 2:
        assert fitted.stats is not None
        c = fitted.stats.coordinates
        sigma2 = float(fitted.exact.variances[-1])
        gamma = c.triangle @ (fitted.exact.beta - c.centre)
        return np.concatenate([gamma, [0.5 * math.log(1e-20 * sigma2), 0.5 * math.log(sigma2)]])
    return np.asarray(pooled.mean(axis=0))


def _variances(fitted: Fitted, at: Floats) -> tuple[Floats, Floats]:
    """(Ω (S, q, q), σ² (S,)) of unbounded values."""
    p = len(fitted.exact.beta)
    assert fitted.stats is not None
    q = fitted.stats.q
    if q == 1:
        return np.exp(2 * at[:, p])[:, None, None], np.exp(2 * at[:, p + 1])
    packed, sigma2 = target(fitted.stats, fitted.prior, 1).natural(at[:, p:])
    rows, columns = np.tril_indices(q)
    omega = np.zeros((len(at), q, q))
    omega[:, rows, columns] = packed
    omega[:, columns, rows] = packed
    return omega, sigma2


def _effects(fitted: Fitted, at: Floats, rng: np.random.Generator) -> Floats:
    """(S, J, q)"""
    p = len(fitted.exact.beta)
    if fitted.stats is None:
        assert fitted.data is not None
        return general_effects(fitted.data, at[:, :p], np.exp(at[:, p]), rng)[:, :, None]
    omega, sigma2 = _variances(fitted, at)
    return normal_effects(fitted.stats, at[:, :p], omega, sigma2, rng)


def _likelihood(fitted: Fitted):  # type: ignore[no-untyped-def]
    """log L of one unbounded value."""
    p = len(fitted.exact.beta)
    if fitted.stats is None:
        assert fitted.data is not None
        return glm_target(fitted.data, fitted.prior, 1).likelihood
    joined = cells(fitted.stats)
    matrix = np.empty((p + 1, p + 1))

    def log_likelihood(at: Floats) -> float:
        omega, sigma2 = _variances(fitted, at[None])
        relative = np.ascontiguousarray(omega[0] / sigma2[0])
        logs = reduced(joined.triangles, joined.counts, joined.moments, joined.base, relative, matrix)
        point = np.append(at[:p], -1.0)
        rss = float(point @ matrix @ point)
        return -0.5 * (joined.n * math.log(2 * math.pi * sigma2[0]) + logs + rss / sigma2[0])

    return log_likelihood


def _bayesian(
    fitted: Fitted, size: int, tails: list[float], rng: np.random.Generator
) -> tuple[Floats, Floats, Floats] | None:
    """Effects from the Bayesian fit under the documents' first prior."""
    chains = fitted.bayes.get(FIRST)
    if not chains:
        return None
    pooled = np.concatenate([unbounded(fitted, chain) for chain in chains])
    effects = _effects(fitted, pooled[rng.choice(len(pooled), size)], rng)
    low, high = np.quantile(effects, tails, axis=0)
    return effects.mean(axis=0), low, high


def table(fitted: Fitted, found: Predicted) -> Table:
    """RandomEffects: a row a group and random coefficient."""
    rows: list[tuple[Cell, ...]] = []
    names = fitted.rows.z_names if len(fitted.rows.z_names) > 1 else ("cons",)
    columns = ["group", "effect", "estimate", "sd", "lower", "upper"]
    if found.bayes is not None:
        columns += ["bayes", "bayes_lower", "bayes_upper"]
    if found.truth is not None:
        columns.append("truth")
    for j, label in enumerate(fitted.rows.groups):
        for k, name in enumerate(names):
            cells_: list[Cell] = [label, name]
            cells_ += [float(a[j, k]) for a in (found.estimate, found.sd, found.lower, found.upper)]
            if found.bayes is not None:
                cells_ += [float(a[j, k]) for a in found.bayes]
            if found.truth is not None:
                known = k == 0 and math.isfinite(found.truth[j])
                cells_.append(float(found.truth[j]) if known else None)
            rows.append(tuple(cells_))
    how = {
        DRAWN: "parameters drawn around the cloned estimate, the data used once",
        PLUGIN: "parameters fixed at the estimate: their uncertainty is left out",
        TWICE: "the data are used twice, as in the documents: these intervals are too short",
    }[found.method]
    notes = [f"{found.method}: {how}.", f"{fitted.spec.level:g} % intervals."]
    if found.bayes is not None:
        notes.append("bayes: one copy of the data under the documents' first prior.")
    return Table(tuple(columns), tuple(rows), f"Effects of {fitted.spec.unit}", tuple(notes))


def coverage(fitted: Fitted, found: Predicted) -> Table | None:
    if found.truth is None:
        return None
    known = np.isfinite(found.truth)
    if not known.any():
        return None
    truth = found.truth[known]
    rows: list[tuple[Cell, ...]] = []
    intervals = [(found.method, found.lower[known, 0], found.upper[known, 0])]
    if found.bayes is not None:
        intervals.append(("Bayes", found.bayes[1][known, 0], found.bayes[2][known, 0]))
    for method, low, high in intervals:
        inside = int(np.sum((low <= truth) & (truth <= high)))
        rows.append((method, inside, len(truth), 100.0 * inside / len(truth), fitted.spec.level))
    columns = ("method", "covered", "groups", "per cent", "level")
    return Table(columns, tuple(rows), f"Intervals that hold {fitted.spec.truth}")
