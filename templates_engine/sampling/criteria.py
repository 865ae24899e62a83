"""WAIC and PSIS-LOO from the log likelihood of every row at every draw.

WAIC: Watanabe (2010); Gelman, Hwang and Vehtari (2014), Statistics and Computing 24, equations 5 and 12. PSIS-LOO:
Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432; the tail of the importance weights is smoothed
by a generalised Pareto distribution fitted after Zhang and Stephens (2009) with the prior on k of Vehtari, Simpson,
Gelman, Yao and Gabry (2024), as arviz-stats does, whose numbers these are (tests hold them to it). Compiled, because
there a row costs two thirds of a millisecond: three seconds for four thousand rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit

Floats = npt.NDArray[np.float64]

FEWEST = 25  # draws: with fewer the tail of the weights has no shape
MOST = 500  # draws that are enough
ROWS_TIMES_DRAWS = 20_000_000  # at most so many log likelihoods are smoothed, but for 100 draws in any case
HIGH = 0.7  # Pareto k above which a row's estimate is not to be relied on


@dataclass(frozen=True)
class Criteria:
    """Both criteria on the deviance scale (-2 times the expected log predictive density), as DIC is."""

    waic: float
    p_waic: float
    looic: float
    p_loo: float
    looic_se: float  # from the spread between rows
    above: int  # rows with a Pareto k above 0.7, or without one
    draws: int

    @property
    def records(self) -> list[tuple[str, float]]:
        """(measure, value) for a table of fit."""
        return [
            ("WAIC", self.waic),
            ("p_waic", self.p_waic),
            ("LOOIC", self.looic),
            ("p_loo", self.p_loo),
            ("se of LOOIC", self.looic_se),
            ("rows with Pareto k above 0.7", self.above),
        ]

    def notes(self, given: str) -> list[str]:
        """What to say under them; `given`: what the density is conditional on, ending in a blank where not empty."""
        text = "WAIC and LOOIC: -2 times the expected log predictive density, "
        found = [f"{text}{given}from {self.draws} draws; LOOIC by Pareto-smoothed importance sampling."]
        if self.above:
            found.append("Pareto k above 0.7: those rows weigh so much that LOOIC is not to be relied on.")
        return found


def most_draws(rows: int) -> int:
    """From how many draws to compute them: 500, fewer where the rows are very many."""
    return min(MOST, max(100, ROWS_TIMES_DRAWS // rows))


def effective_share(sizes: Iterable[object], draws: int) -> float:
    """r_eff of `criteria` from the parameters' effective sample sizes (None where unknown)."""
    known = [float(size) for size in sizes if isinstance(size, int | float)]
    return min(1.0, float(np.mean(known)) / draws) if known else 1.0


def criteria(blocks: Iterable[Floats], r_eff: float = 1.0) -> Criteria | None:
    """blocks: log likelihoods (rows, draws), constants kept, block by block; r_eff: effective share of the draws.

    None with fewer than FEWEST draws.
    """
    parts = []
    draws = 0
    for block in blocks:
        draws = block.shape[1]
        if draws < FEWEST:
            return None
        parts.append(pointwise(block, r_eff))
    if not parts:
        return None
    lppd, p_waic, loo, k = np.concatenate(parts).T
    se = 2.0 * math.sqrt(len(loo)) * float(np.std(loo, ddof=1)) if len(loo) > 1 else math.nan
    return Criteria(
        -2.0 * float(np.sum(lppd - p_waic)), float(p_waic.sum()), -2.0 * float(loo.sum()), float(np.sum(lppd - loo)),
        se, int(np.sum(~(k <= HIGH))), draws,
    )  # fmt: skip


def pointwise(block: Floats, r_eff: float = 1.0) -> Floats:
    """(rows, 4): log of the mean likelihood, WAIC's penalty, elpd by PSIS-LOO, Pareto k; block (rows, draws)."""
    draws = block.shape[1]
    tail = int(3.0 * math.sqrt(draws / r_eff)) if draws * r_eff > 225 else draws // 5
    out = np.empty((len(block), 4))
    _rows(np.ascontiguousarray(block), max(min(tail, draws - 1), 5), out)
    return out


@njit
def _rows(block: Any, tail: int, out: Any) -> None:
    rows, draws = block.shape
    log_weights = np.empty(draws)
    excess = np.empty(tail)
    for i in range(rows):
        values = block[i]
        least, most, mean = values[0], values[0], 0.0
        for s in range(draws):
            least, most = min(least, values[s]), max(most, values[s])
            mean += values[s] / draws
        total = spread = 0.0
        for s in range(draws):
            total += math.exp(values[s] - most)
            spread += (values[s] - mean) ** 2
        out[i, 0] = most + math.log(total / draws)
        out[i, 1] = spread / (draws - 1)
        for s in range(draws):  # importance weights 1 / p(y_i | draw), the largest being 1
            log_weights[s] = least - values[s]
        out[i, 3] = _smooth(log_weights, tail, excess)
        top = -np.inf
        for s in range(draws):
            top = max(top, log_weights[s] + values[s])
        upper = lower = 0.0
        for s in range(draws):
            upper += math.exp(log_weights[s] + values[s] - top)
            lower += math.exp(log_weights[s])
        out[i, 2] = top + math.log(upper / lower)


@njit
def _mean_log(b: float, excess: Any, tail: int) -> float:
    """Mean of log(1 - b x) over increasing x >= 0, by the logarithm of products where these stay in range."""
    total = 0.0
    last = 1.0 - b * excess[tail - 1]  # the furthest from 1 of all factors
    if last > 1e30 or last < 1e-30:
        for m in range(tail):
            total += math.log1p(-b * excess[m])
        return total / tail
    for start in range(0, tail, 8):
        product = 1.0
        for m in range(start, min(start + 8, tail)):
            product *= 1.0 - b * excess[m]
        total += math.log(product)
    return total / tail


@njit
def _smooth(log_weights: Any, tail: int, excess: Any) -> float:
    """Replace the largest weights by the quantiles of the fitted Pareto tail, none above 1; returns k.

    -inf when all weights are alike, NaN when no tail can be fitted; the weights then stay as they are.
    """
    draws = len(log_weights)
    if np.min(log_weights) > -1e-12:
        return -np.inf
    below = np.partition(log_weights, draws - tail - 1)[draws - tail - 1]
    order, above, level = np.empty(tail, dtype=np.int64), 0, 0
    for s in range(draws):  # the tail: what is above the cutoff, then some of what is level with it
        if log_weights[s] > below:
            order[above] = s
            above += 1
    for s in range(draws):
        if above + level < tail and log_weights[s] == below:
            order[above + level] = s
            level += 1
    order = order[np.argsort(log_weights[order])]
    cutoff = math.exp(below)
    for m in range(tail):
        excess[m] = math.exp(log_weights[order[m]]) - cutoff
    quarter = excess[int(tail / 4 + 0.5) - 1]
    if not quarter > 0.0:
        return np.nan
    grid = 30 + int(math.sqrt(tail))
    b, length = np.empty(grid), np.empty(grid)
    for g in range(grid):
        b[g] = (1.0 - math.sqrt(grid / (g + 0.5))) / (3.0 * quarter) + 1.0 / excess[tail - 1]
        k = _mean_log(b[g], excess, tail)
        length[g] = tail * (math.log(-b[g] / k) - k - 1.0)
    top = np.max(length)
    total = 0.0
    for g in range(grid):
        length[g] = math.exp(length[g] - top)
        total += length[g]
    used = at = 0.0
    for g in range(grid):
        if length[g] / total >= 10.0 * 2.220446049250313e-16:
            used += length[g]
            at += b[g] * length[g]
    at /= used
    k = _mean_log(at, excess, tail)
    sigma = -k / at
    k = (tail * k + 5.0) / (tail + 10.0)  # the prior: ten rows' worth of k = 0.5
    if not (sigma > 0.0 and math.isfinite(k)):
        return k
    for m in range(tail):
        log_left = math.log1p(-(m + 0.5) / tail)
        value = cutoff - sigma * log_left if k == 0.0 else cutoff + sigma * math.expm1(-k * log_left) / k
        log_weights[order[m]] = min(math.log(value), 0.0)
    return k
