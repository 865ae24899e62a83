"""What can be wrong with the classifications of a regression's rows, the group of a two-level model among them."""

from __future__ import annotations

import numpy as np

from templates_engine.data import Design, collinear
from templates_engine.problems import Problem
from templates_engine.regression.data import Rows
from templates_engine.regression.questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL, POISSON, Model
from templates_engine.sampling import UNIFORM
from templates_engine.sampling.normal import Factor, nested_in, statistics

LONG_TAIL = (
    "With {} the posterior of {} has so long a tail that its mean and sd say little; read its median and quantiles."
)


def groups(model: Model, rows: Rows) -> list[Problem]:
    """One classification, the group."""
    name = model.group or ""
    if rows.J < 2:
        text = f"{name} has {rows.J} group in the rows used; two levels need at least two, and about ten to be useful."
        return [Problem("too-few-groups", text, key="L2ID", column=name)]
    q = rows.factors[0].q
    if rows.J * q > _most_effects(model, rows):
        other = {NORMAL: "the residual", NEGATIVE_BINOMIAL: "the variation that alpha stands for"}
        text = (
            f"{name} has {rows.J:,} groups and {q} random coefficient{'s' if q > 1 else ''} each, but only "
            f"{rows.n:,} rows: they cannot be told from {other.get(model.family, 'one another')}."
        )
        return [Problem("more-effects-than-rows", text, key="x2" if model.x2 else "L2ID", column=name)]
    return []


def _most_effects(model: Model, rows: Rows) -> int:
    """How many random effects of one classification the rows can tell apart.

    An effect a row is the extra variation of a Poisson count, or of successes out of several trials; of other responses
    it cannot be told from the residual, from alpha, or from nothing at all where a row is one yes or no.
    """
    extra = model.family == POISSON or (model.family == BINOMIAL and bool(np.any(rows.trials > 1)))
    return rows.n if extra else rows.n - 1


def several(model: Model, rows: Rows) -> list[Problem]:
    """Any number of classifications."""
    return [p for c in range(len(rows.factors)) for p in _one(model, rows, c)] + _same(model, rows)


def _one(model: Model, rows: Rows, c: int) -> list[Problem]:
    each, factor = model.classifications[c], rows.factors[c]
    name, key, n, y = each.name, each.key, rows.n, rows.y
    if factor.groups < 2:
        text = f"{name} has 1 unit in the rows used; a classification needs at least two, and about ten to be useful."
        return [Problem("too-few-groups", text, key=key, column=name)]
    if factor.size > _most_effects(model, rows):
        several = f" and {factor.q} random coefficients each" if factor.q > 1 else ""
        text = f"{name} has {factor.groups:,} units{several}, but there are only {n:,} rows: they cannot be told apart."
        return [Problem("more-effects-than-rows", text, key=each.terms_key if factor.q > 1 else key, column=name)]
    found = []
    if each.terms:
        dependent = collinear(Design(factor.z, rows.z_names[c], rows.z_names[c]))
        if dependent:
            text = f"{', '.join(dependent)} can be written as a sum of the other random coefficients: leave it out."
            found.append(Problem("collinear", text, key=each.terms_key, column=dependent[0].partition(":")[0]))
    if model.family == NORMAL and float(np.ptp(y)) > 0.0:
        low, high = np.full(factor.groups, np.inf), np.full(factor.groups, -np.inf)
        np.minimum.at(low, factor.codes, y)
        np.maximum.at(high, factor.codes, y)
        if bool(np.all(high == low)):
            text = f"{model.y} does not vary within the units of {name}: there is no level 1 variance to estimate."
            found.append(Problem("no-level-1-variance", text, key="y", column=model.y))
    return found


def _same(model: Model, rows: Rows) -> list[Problem]:
    """Two classifications that divide the rows alike have one variance between them."""
    found = []
    for b, two in enumerate(rows.factors):
        for a, one in enumerate(rows.factors[:b]):
            if one.groups < 2 or one.groups != two.groups or nested_in(one.codes, two.codes) is None:
                continue
            first, second = model.classifications[a].name, model.classifications[b].name
            if first == second:
                continue  # said when the question was answered
            text = (
                f"{second} divides the rows used in the same {two.groups:,} units as {first}, so that their variances "
                "cannot be told apart: leave one of the two out."
            )
            found.append(Problem("same-classification", text, key=model.classifications[b].key, column=second))
    return found


def variance(model: Model, rows: Rows, c: int) -> list[Problem]:
    """Is there enough to learn the variance of classification c from, so that its posterior exists and has an sd?

    For large σ_u the likelihood falls as σ_u^-(J - b), b being the predictors constant within units (with flat priors)
    and J the units that can tell. So there is no answer at all when J = b; under a Uniform prior σ²_u (Ω with q random
    coefficients) has a proper posterior when J - b > 2 q (Gelman 2006, Bayesian Analysis 1, 515-534: J > 3 for an
    intercept alone); and its sd is infinite when J - b <= 4, under Uniform 2 more.
    """
    each, factor, uniform = model.classifications[c], rows.factors[c], model.prior == UNIFORM
    key, name = each.key, each.name
    between = int(statistics(rows.y, rows.x, factor.codes, factor.z).in_span.sum())
    between = max(0, between - (factor.q - 1))
    telling, who = _telling(model, rows, factor)
    who = f"{telling} {f'units of {name}' if each.end else 'groups'}{who}"
    inside, whose = ("them", "their variance") if each.end else ("groups", "the variance between groups")
    left, least = telling - between, 2 * factor.q + between + 1
    if left < 1:
        text = (
            f"{who} for {between} coefficient{'s' if between > 1 else ''} of variables constant within {inside}: "
            f"nothing is left to learn {whose} from."
        )
        return [Problem("too-few-groups", text, key=key, column=name)]
    if uniform and left <= 2 * factor.q:
        text = (
            f"With {who} the Uniform prior gives no proper posterior for {whose} (this model needs at least {least}). "
            "Choose the other prior."
        )
        return [Problem("improper-posterior", text, key="priors", column=name)]
    if left <= (6 if uniform else 4):
        return [Problem("long-tail", LONG_TAIL.format(who, whose), key=key, column=name, level="notice")]
    return []


def _telling(model: Model, rows: Rows, factor: Factor) -> tuple[int, str]:
    """How many units say something of their variance: those whose likelihood has a maximum at a finite effect."""
    if model.family == NORMAL:
        return factor.groups, ""
    total = np.bincount(factor.codes, rows.y, factor.groups)
    if model.family == BINOMIAL:
        trials = np.bincount(factor.codes, rows.trials, factor.groups)
        return int(np.sum((total > 0) & (total < trials))), " with both successes and failures"
    return int(np.sum(total > 0)), " with a count above 0"
