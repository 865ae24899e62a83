"""What can be wrong with the classifications of a model, seen in the rows. All faults are told at once."""

from __future__ import annotations

import numpy as np

from templates_engine.data.dataset import Dataset
from templates_engine.data.design import Design, collinear
from templates_engine.problems import Problem, Refused
from templates_engine.sampling import mixed_checks
from templates_engine.sampling.mixed_names import UNIFORM
from templates_engine.sampling.mixed_questions import BINOMIAL, NORMAL
from templates_engine.sampling.mixed_stats import statistics
from templates_engine.sampling.nlevel_data import NRows, prepare_classes
from templates_engine.sampling.nlevel_questions import NModel
from templates_engine.sampling.nlevel_stats import Factor, nested_in


def check(model: NModel, data: Dataset) -> list[Problem]:
    """Errors that stop the run, and notices that stand with its results."""
    found = mixed_checks.check(model, data)  # response, explanatory variables, rows
    try:
        if data.complete_cases(model.columns).n_rows == 0:
            return found
        rows = prepare_classes(model, data)
    except Refused as refused:
        return [*found, *(p for p in refused.problems if p not in found)]
    for k, factor in enumerate(rows.factors):
        found += _one(model, rows, k, factor)
    found += _same(model, rows)
    if not any(p.level == "error" for p in found):
        found += _priors(model, rows)
    return found


def _one(model: NModel, rows: NRows, k: int, factor: Factor) -> list[Problem]:
    name, key = model.classes[k], f"C{k + 1}"
    n, y = rows.rows.n, rows.rows.y
    if factor.groups < 2:
        text = f"{name} has 1 unit in the rows used; a classification needs at least two, and about ten to be useful."
        return [Problem("too-few-groups", text, key=key, column=name)]
    # an effect a row is extra variation of a count, or of successes out of several trials; slopes as well are too much
    single = model.family == NORMAL or bool(np.all(rows.rows.trials <= 1) and model.trials)
    if (single and factor.size >= n) or (factor.q > 1 and factor.size > n):
        each = f" and {factor.q} random coefficients each" if factor.q > 1 else ""
        text = f"{name} has {factor.groups:,} units{each}, but there are only {n:,} rows: they cannot be told apart."
        return [Problem("more-effects-than-rows", text, key=f"x2_{k + 1}" if factor.q > 1 else key, column=name)]
    found = []
    if model.slopes:
        dependent = collinear(Design(factor.z, rows.z_names[k], rows.z_names[k]))
        if dependent:
            text = f"{', '.join(dependent)} can be written as a sum of the other random coefficients: leave it out."
            found.append(Problem("collinear", text, key=f"x2_{k + 1}", column=dependent[0].partition(":")[0]))
    if model.family == NORMAL and float(np.ptp(y)) > 0.0:
        low, high = np.full(factor.groups, np.inf), np.full(factor.groups, -np.inf)
        np.minimum.at(low, factor.codes, y)
        np.maximum.at(high, factor.codes, y)
        if bool(np.all(high == low)):
            text = f"{model.y} does not vary within the units of {name}: there is no level 1 variance to estimate."
            found.append(Problem("no-level-1-variance", text, key="y", column=model.y))
    return found


def _same(model: NModel, rows: NRows) -> list[Problem]:
    """Two classifications that divide the rows alike have one variance between them."""
    found = []
    for b, two in enumerate(rows.factors):
        for a, one in enumerate(rows.factors[:b]):
            if one.groups < 2 or one.groups != two.groups or nested_in(one.codes, two.codes) is None:
                continue
            first, second = model.classes[a], model.classes[b]
            if first == second:
                continue  # said when the question was answered
            text = (
                f"{second} divides the rows used in the same {two.groups:,} units as {first}, so that their variances "
                "cannot be told apart: leave one of the two out."
            )
            found.append(Problem("same-classification", text, key=f"C{b + 1}", column=second))
    return found


def _priors(model: NModel, rows: NRows) -> list[Problem]:
    """Units enough for each variance: the rule of the two-level models (mixed_checks), one classification at a time."""
    found: list[Problem] = []
    uniform = model.prior == UNIFORM
    x, y = rows.rows.x, rows.rows.y
    for k, factor in enumerate(rows.factors):
        name = model.classes[k]
        between = int(statistics(y, x, factor.codes, factor.z).in_span.sum())
        between = max(0, between - (factor.q - 1))
        telling, word = _telling(model, rows, factor)
        left = telling - between
        if left < 1:
            text = (
                f"{telling} units of {name}{word} for {between} coefficients of variables constant within them: "
                "nothing is left to learn their variance from."
            )
            found.append(Problem("too-few-groups", text, key=f"C{k + 1}", column=name))
        elif uniform and left <= 2 * factor.q:
            text = (
                f"With {telling} units of {name}{word} the Uniform prior gives no proper posterior for their variance "
                f"(this model needs at least {between + 2 * factor.q + 1}). Choose the other prior."
            )
            found.append(Problem("improper-posterior", text, key="priors", column=name))
        elif left <= (6 if uniform else 4):
            text = mixed_checks.LONG_TAIL.format(f"{telling} units of {name}{word}", "their variance")
            found.append(Problem("long-tail", text, key=f"C{k + 1}", column=name, level="notice"))
    return found


def _telling(model: NModel, rows: NRows, factor: Factor) -> tuple[int, str]:
    """How many units say something of their variance: those whose likelihood has a maximum at a finite effect."""
    if model.family == NORMAL:
        return factor.groups, ""
    total = np.bincount(factor.codes, rows.rows.y, factor.groups)
    if model.family == BINOMIAL:
        trials = np.bincount(factor.codes, rows.rows.trials, factor.groups)
        return int(np.sum((total > 0) & (total < trials))), " with both successes and failures"
    return int(np.sum(total > 0)), " with a count above 0"
