"""Whether a prior rules a variance: its posterior interval leaves out what the likelihood says."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from templates_engine.outputs import Cell, Table
from templates_engine.regression.data import Rows
from templates_engine.regression.questions import NORMAL, Model
from templates_engine.sampling.glm import data as glm_data, families, fixed_only
from templates_engine.sampling.normal import Floats

WORD = "Read with care"
_REACH = 2.5  # standard errors above zero that a likelihood with its maximum there still allows


def ruled(model: Model, rows: Rows, mle: Table, results: Table) -> list[tuple[str, str]]:
    """(word, sentence) on each variance of a random intercept whose 95 % interval leaves out the maximum likelihood
    estimate; where that is zero, leaves out all that is within 2.5 standard errors of it."""
    estimates = {row["parameter"]: row for row in mle.records()}
    drawn = {row["parameter"]: row for row in results.records()}
    said = []
    for c, each in enumerate(model.classifications):
        name = each.variance
        if each.terms or name not in estimates or name not in drawn or estimates[name]["estimate"] is None:
            continue
        low, high = float(drawn[name]["q025"] or 0.0), float(drawn[name]["q975"] or math.inf)
        estimate, error = float(estimates[name]["estimate"] or 0.0), estimates[name]["se"]
        if error is None and estimate > 0.0:
            continue
        top = estimate if estimate > 0.0 else _REACH * error_at_zero(model, rows, c, _residual(estimates))
        if (estimate > 0.0 and low <= estimate <= high) or (estimate == 0.0 and low <= top):
            continue
        which = f"{estimate:.3g}" if estimate > 0.0 else f"zero (and up to {top:.2g} at most)"
        text = (
            f"The prior rules {name}: its 95 % interval, {low:.3g} to {high:.3g}, leaves out the maximum of the "
            f"likelihood, {which}. Choose a prior on the scale of the data."
        )
        said.append((WORD, text))
    return said


def _residual(estimates: Mapping[Cell, Mapping[str, Cell]]) -> float:
    value = estimates.get("sigma2", {}).get("estimate")
    return float(value) if isinstance(value, float) and value > 0 else 1.0


def error_at_zero(model: Model, rows: Rows, c: int, sigma2: float) -> float:
    """Standard error of the variance of a random intercept at zero, from the expected information Σ_j w_j² / 2 with w_j
    what the rows of unit j tell of its effect."""
    weight: Floats
    if model.family == NORMAL:
        weight = np.full(rows.n, 1.0 / sigma2)
    else:
        data = glm_data.grouped(model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset)
        weight = np.empty(rows.n)
        families.informations(data.link, data.trials, data.offset + data.q_matrix @ fixed_only(data).gamma, weight)
    told = np.bincount(rows.factors[c].codes, weight)
    return math.sqrt(2.0 / max(float(told @ told), 1e-300))
