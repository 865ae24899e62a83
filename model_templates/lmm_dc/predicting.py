"""The separate run that predicts the group effects, and its tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from templates_engine import Cell, Problem, Table
from templates_engine.sampling import streams
from templates_engine.sampling.cloning import (
    around,
    crossed_effects,
    general_crossed_effects,
    general_effects,
    normal_effects,
    reweighted,
)
from templates_engine.sampling.normal import Floats

from .fitting import Fitted
from .parameters import Values, best, likelihood, unbounded, values_of
from .spec import DRAWN, FIRST, PLUGIN, TWICE
from .verdicts import Judged, inside

DRAWS, MOST = 4000, 4_000_000  # parameter values, and effects drawn in all
VISITS = 8_000_000  # rows by parameter values, where the effects have no closed form


@dataclass(frozen=True)
class Effects:
    """Those of J units and q coefficients of one classification; `bayes` the same from the Bayesian fit."""

    estimate: Floats  # (J, q)
    sd: Floats
    lower: Floats
    upper: Floats
    bayes: tuple[Floats, Floats, Floats] | None  # estimate, lower, upper (J, q)
    truth: Floats | None  # (J,)


@dataclass(frozen=True)
class Predicted:
    method: str
    values: Values  # the parameters that were drawn
    draws: list[Floats]  # (S, J, q) by classification
    effects: tuple[Effects, ...]  # by classification


def predict(fitted: Fitted, judged: Judged, truth: Floats | None) -> tuple[Predicted | None, list[Problem]]:
    """None, and why, where the estimates do not allow it. truth: of the first classification."""
    spec = fitted.spec
    if not judged.estimable:
        text = (
            "The group effects are not predicted: how much of a difference is the group's depends on the ratio of the "
            "variances, which the data do not tell."
        )
        return None, [Problem("not-predicted", text, level="notice")]
    rng = streams(spec.mcmc.seed + 2, 1)[0]
    size = int(min(DRAWS, max(200, MOST // sum(factor.size for factor in fitted.parts.factors))))
    if spec.copied:  # each draw passes over all rows some twenty times
        size = min(size, max(400, (VISITS if spec.method != TWICE else VISITS // 4) // fitted.rows.n))
    method, notes = spec.method, []
    pooled = np.concatenate([unbounded(fitted, chain) for chain in fitted.chains[spec.clones[-1]]])
    if judged.boundary and method != PLUGIN:
        method = PLUGIN
        text = "A variance is estimated as zero: there is no Normal spread to draw parameters from. Plug-in is used."
        notes.append(Problem("plug-in", text, level="notice"))
    if method == PLUGIN:
        values = best(fitted, pooled, size, [c for c in fitted.exact.edges if not inside(fitted, c)])
    else:
        at = around(pooled, spec.clones[-1], size * (5 if method == TWICE else 1), rng)
        if method == TWICE:
            at = reweighted(at, likelihood(fitted), size, rng)
        values = values_of(fitted, at)
    draws = _effects(fitted, values, rng)
    bayes = _bayesian(fitted, size, rng)
    tails = [0.5 - spec.level / 200.0, 0.5 + spec.level / 200.0]
    found = []
    for c, effects in enumerate(draws):
        low, high = np.quantile(effects, tails, axis=0)
        known = None
        if bayes is not None:
            below, above = np.quantile(bayes[c], tails, axis=0)
            known = (bayes[c].mean(axis=0), below, above)
        true = truth if c == 0 else None
        found.append(Effects(effects.mean(axis=0), effects.std(axis=0, ddof=1), low, high, known, true))
    return Predicted(method, values, draws, tuple(found)), notes


def _effects(fitted: Fitted, values: Values, rng: np.random.Generator) -> list[Floats]:
    """(S, J, q) by classification."""
    if fitted.spec.copied:
        r, beta = fitted.rows, fitted.coordinates.beta(values.gamma)
        return general_crossed_effects(
            fitted.spec.link, r.y, r.x, fitted.parts.factors, beta, values.omegas, rng, trials=r.trials, offset=r.offset
        )
    if fitted.data is not None:
        return [general_effects(fitted.data, values.gamma, values.omegas[0], rng)]
    if fitted.stats is not None:
        return [normal_effects(fitted.stats, values.gamma, values.omegas[0], values.sigma2, rng)]
    of = fitted.normal(fitted.prior, 1)
    return crossed_effects(of, values.gamma, values.omegas, values.sigma2, rng)


def _bayesian(fitted: Fitted, size: int, rng: np.random.Generator) -> list[Floats] | None:
    """Effects from the Bayesian fit under the documents' first prior."""
    chains = fitted.bayes.get(FIRST)
    if not chains:
        return None
    pooled = np.concatenate([unbounded(fitted, chain) for chain in chains])
    return _effects(fitted, values_of(fitted, pooled[rng.choice(len(pooled), size)]), rng)


def table(fitted: Fitted, found: Predicted) -> Table:
    """RandomEffects: a row a unit and random coefficient."""
    rows: list[tuple[Cell, ...]] = []
    several = fitted.spec.several
    first = found.effects[0]
    columns = ["classification"] if several else []
    columns += ["group", "effect", "estimate", "sd", "lower", "upper"]
    if first.bayes is not None:
        columns += ["bayes", "bayes_lower", "bayes_upper"]
    if first.truth is not None:
        columns.append("truth")
    for c, effects in enumerate(found.effects):
        names = [name or "cons" for name in fitted.parts.z_names[c]] if len(fitted.parts.z_names[c]) > 1 else ["cons"]
        for j, label in enumerate(fitted.parts.labels[c]):
            for k, name in enumerate(names):
                cells: list[Cell] = [fitted.spec.units[c]] if several else []
                cells += [label, name]
                cells += [float(a[j, k]) for a in (effects.estimate, effects.sd, effects.lower, effects.upper)]
                if effects.bayes is not None:
                    cells += [float(a[j, k]) for a in effects.bayes]
                if first.truth is not None:
                    known = effects.truth is not None and k == 0 and math.isfinite(effects.truth[j])
                    cells.append(float(first.truth[j]) if known else None)
                rows.append(tuple(cells))
    how = {
        DRAWN: "parameters drawn around the cloned estimate, the data used once",
        PLUGIN: "parameters fixed at the estimate: their uncertainty is left out",
        TWICE: "the data are used twice, as in the documents: these intervals are too short",
    }[found.method]
    notes = [f"{found.method}: {how}.", f"{fitted.spec.level:g} % intervals."]
    if fitted.spec.copied and found.method == TWICE:
        notes.append("The second use of the data is by the Laplace approximation of the likelihood.")
    if first.bayes is not None:
        notes.append("bayes: one copy of the data under the documents' first prior.")
    return Table(tuple(columns), tuple(rows), f"Effects of {' and '.join(fitted.spec.units)}", tuple(notes))


def coverage(fitted: Fitted, predicted: Predicted) -> Table | None:
    """Of the first classification, where the truth is known."""
    found = predicted.effects[0]
    if found.truth is None:
        return None
    known = np.isfinite(found.truth)
    if not known.any():
        return None
    truth = found.truth[known]
    rows: list[tuple[Cell, ...]] = []
    intervals = [(predicted.method, found.lower[known, 0], found.upper[known, 0])]
    if found.bayes is not None:
        intervals.append(("Bayes", found.bayes[1][known, 0], found.bayes[2][known, 0]))
    for method, low, high in intervals:
        inside = int(np.sum((low <= truth) & (truth <= high)))
        rows.append((method, inside, len(truth), 100.0 * inside / len(truth), fitted.spec.level))
    columns = ("method", "covered", "groups", "per cent", "level")
    return Table(columns, tuple(rows), f"Intervals that hold {fitted.spec.truth}")
