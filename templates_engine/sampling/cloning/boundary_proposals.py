"""Independence proposals for a posterior that has a bulk and faces, on which some variance is all but zero.

With one copy of the data a variance, or the last part of a covariance matrix, may be nothing as far as the likelihood
can tell. Towards minus infinity of its logarithm the target is then as flat as its prior, and a good part of the mass
lies on such a face, where the other parameters have another mode and spread. The proposal is a mixture, with weights by
Laplace's approximation: a Student around the mode, and for each face a Student in the other coordinates at the face's
own mode, times a half-Normal down the logarithm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from templates_engine.sampling.cloning.laplace_proposal import DEGREES, Laplace, laplace
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.linalg import solve_lower
from templates_engine.sampling.normal import Floats

DEPTH = 35.0  # scale of the half-Normal: about the prior's standard deviation of a logarithm
_FAR, _EDGE = 12.0, 1.0  # below the mode: where a face is looked for, and where its half-Normal begins
_LEAST = 14.0  # log mass relative to the largest below which a part is left out
_SMALLEST = 0.08  # weight of a part
MOST_TOGETHER = 2  # variances that vanish at once


class Mixture(NamedTuple):
    """C parts in d coordinates; part 0 has all of them free."""

    weights: Any  # (C,) cumulated
    logs: Any  # (C,) log weight and constants of the density
    free: Any  # (C, d) coordinates of the Student, -1 behind them
    modes: Any  # (C, d) of the free coordinates, in that order
    factors: Any  # (C, d, d)
    tails: Any  # (C, d) coordinates of the half-Normals, -1 behind them
    edges: Any  # (d,) where half-Normals begin


def mixture(target: Callable[[Floats], float], bulk: Laplace, tails: Sequence[int], scale: Floats) -> Mixture:
    """The proposal for a target with this mode; `tails`: coordinates along which a variance vanishes."""
    d = len(bulk.mode)
    parts: list[tuple[float, tuple[int, ...], Floats, Floats]] = []
    height = target(bulk.mode) if tails else 0.0
    if not math.isfinite(height):
        height, tails = 0.0, ()
    height += 0.5 * d * math.log(2 * math.pi) + float(np.sum(np.log(np.diag(bulk.factor))))
    parts.append((height, (), bulk.mode, bulk.factor))
    length = math.log(DEPTH * math.sqrt(math.pi / 2))
    for together in range(1, MOST_TOGETHER + 1):
        for gone in itertools.combinations(tails, together):
            found = _face(target, bulk, gone, scale)
            if found is not None:
                height, mode, factor = found
                parts.append((height + together * length, gone, mode, factor))
    top = max(part[0] for part in parts)
    parts = [part for k, part in enumerate(parts) if k == 0 or part[0] > top - _LEAST]
    weights = np.exp(np.array([part[0] for part in parts]) - top)
    weights = np.maximum(weights / weights.sum(), _SMALLEST)
    weights /= weights.sum()
    count = len(parts)
    logs, free, gone_ = np.empty(count), np.full((count, d), -1), np.full((count, d), -1)
    modes, factors = np.zeros((count, d)), np.zeros((count, d, d))
    for c, (_, gone, mode, factor) in enumerate(parts):
        kept = [k for k in range(d) if k not in gone]
        m = len(kept)
        free[c, :m], gone_[c, : len(gone)] = kept, gone
        modes[c, :m], factors[c, :m, :m] = mode, factor
        logs[c] = math.log(weights[c]) + math.lgamma(0.5 * (DEGREES + m)) - math.lgamma(0.5 * DEGREES)
        logs[c] -= 0.5 * m * math.log(DEGREES * math.pi) + float(np.sum(np.log(np.diag(factor))))
        logs[c] += len(gone) * (math.log(2.0 / DEPTH) - 0.5 * math.log(2 * math.pi))
    return Mixture(np.cumsum(weights), logs, free, modes, factors, gone_, bulk.mode - _EDGE)


def _face(
    target: Callable[[Floats], float], bulk: Laplace, gone: tuple[int, ...], scale: Floats
) -> tuple[float, Floats, Floats] | None:
    """(log mass without its depth, mode and factor of the free coordinates); None where it is not worth a visit."""
    free = [k for k in range(len(bulk.mode)) if k not in gone]
    point = bulk.mode.copy()
    point[list(gone)] -= _FAR

    def inside(at: Floats) -> float:
        point[free] = at
        return target(point)

    found = laplace(inside, bulk.mode[free], scale[free], widest=30.0)
    value = inside(found.mode)
    if not math.isfinite(value):
        return None
    height = value + 0.5 * len(free) * math.log(2 * math.pi) + float(np.sum(np.log(np.diag(found.factor))))
    return height, found.mode, found.factor


@njit
def propose_mixture(rng: Any, m: Any, out: Any) -> float:
    """One draw into out (d,); returns its log density."""
    part = 0
    if len(m.weights) > 1:
        chosen = rng.random()
        while part < len(m.weights) - 1 and chosen > m.weights[part]:
            part += 1
    d = len(out)
    divisor = math.sqrt(2.0 * rng.standard_gamma(0.5 * DEGREES) / DEGREES)
    z = np.empty(d)
    for i in range(d):
        at = m.free[part, i]
        if at < 0:
            break
        z[i] = rng.standard_normal() / divisor
        out[at] = m.modes[part, i]
        for k in range(i + 1):
            out[at] += m.factors[part, i, k] * z[k]
    for i in range(d):
        at = m.tails[part, i]
        if at < 0:
            break
        out[at] = m.edges[at] - DEPTH * abs(rng.standard_normal())
    return mixture_density(m, out)


@njit
def mixture_density(m: Any, at: Any) -> float:
    """Log density of the mixture."""
    d, total, top = len(at), 0.0, -np.inf
    z = np.empty(d)
    for part in range(len(m.logs)):
        value, count = m.logs[part], 0
        for i in range(d):
            k = m.tails[part, i]
            if k < 0:
                break
            if at[k] > m.edges[k]:
                value = -np.inf
                break
            depth = (m.edges[k] - at[k]) / DEPTH
            value -= 0.5 * depth * depth
        if value == -np.inf:
            continue
        for i in range(d):
            if m.free[part, i] < 0:
                break
            z[i] = at[m.free[part, i]] - m.modes[part, i]
            count += 1
        solve_lower(m.factors[part], z, count)
        length = 0.0
        for i in range(count):
            length += z[i] * z[i]
        value -= 0.5 * (DEGREES + count) * math.log1p(length / DEGREES)
        if value > top:
            total = total * math.exp(top - value) + 1.0
            top = value
        else:
            total += math.exp(value - top)
    return top + math.log(total)
