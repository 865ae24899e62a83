"""Least values of smooth functions of a few parameters by Newton's method, with a certificate.

In: value, gradient and Hessian. Out: where it ended, and whether that is a least value. The step is damped in the
manner of Levenberg and Marquardt (Nocedal and Wright 2006, Numerical Optimization, section 10.3) in units of the
curvature, so that nothing depends on the units of the parameters; where the function is curved downwards the size of
the curvature is taken, and a saddle point is left along its steepest way down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Function = Callable[[Floats], tuple[float, Floats, Floats]]  # value, gradient (k,), Hessian (k, k)
Gradient = Callable[[Floats], tuple[float, Floats]]

GOAL = 1e-11  # squared distance from the least value in units of the curvature: 3e-6 standard errors
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Found:
    """converged: no slope is left, and the Hessian is positive (semi-)definite."""

    at: Floats
    value: float
    gradient: Floats
    hessian: Floats
    converged: bool


def minimise(function: Function, start: Floats, *, most: int = 100) -> Found:
    """From a start at which the value is finite; at most `most` steps. A value that is not finite is never taken."""
    at = np.array(start, dtype=float)
    value, gradient, hessian = function(at)
    if not len(at) or not _all_finite((value, gradient, hessian)):
        return Found(at, value, gradient, hessian, not len(at) and bool(np.isfinite(value)))
    damping, pushed = 0.0, 0
    for _ in range(most):
        scale, curved, axes = _axes(hessian)
        along = axes.T @ (gradient / scale)
        size = np.maximum(np.abs(curved), 1e-12 * np.abs(curved).max())
        decrement = float(np.sum(along**2 / size))
        if decrement < GOAL:
            down = curved[0] < -1e-7 * np.abs(curved).max()
            better = _push(function, at, value, axes[:, 0] / scale / np.sqrt(size[0])) if down and pushed < 5 else None
            if better is None:
                return Found(at, value, gradient, hessian, not down)
            pushed += 1
            at, (value, gradient, hessian) = better, function(better)
            if not _all_finite((value, gradient, hessian)):
                break
            continue
        while True:
            step = -(axes @ (along / (size + damping))) / scale
            found = function(at + step)
            promised = float(np.sum(along**2 / (size + damping)))
            if found[0] <= value - 1e-3 * promised + _ROUNDING * (1.0 + abs(value)) and _all_finite(found):
                at, (value, gradient, hessian) = at + step, found
                damping = 0.0 if damping < 1e-2 * size.min() else damping / 8.0
                break
            damping = max(6.0 * damping, 0.1 * float(size.max()))
            if damping > 1e14 * size.max() or not np.isfinite(damping):  # what is left is below rounding, or it is lost
                return Found(at, value, gradient, hessian, decrement < 1e-7 and curved[0] > 0)
    return Found(at, value, gradient, hessian, False)


def _all_finite(found: tuple[float, Floats, Floats]) -> bool:
    return bool(np.isfinite(found[0]) and np.all(np.isfinite(found[1])) and np.all(np.isfinite(found[2])))


def _axes(hessian: Floats) -> tuple[Floats, Floats, Floats]:
    """(scale, eigenvalues, eigenvectors) of H in units in which its diagonal is 1 in size."""
    diagonal = np.abs(np.diag(hessian))
    scale = np.sqrt(np.maximum(diagonal, 1e-16 * max(float(diagonal.max()), 1e-300)))
    curved, axes = np.linalg.eigh(hessian / np.outer(scale, scale))
    return scale, curved, axes


def _push(function: Function, at: Floats, value: float, way: Floats) -> Floats | None:
    """A lower point along ±way, or none."""
    best, lowest = None, value - 1e-9
    for size in (0.1, 1.0, 10.0):
        for side in (1.0, -1.0):
            there = at + side * size * way
            found = function(there)[0]
            if np.isfinite(found) and found < lowest:
                best, lowest = there, found
    return best


def differenced(gradient: Gradient, start_scale: Floats) -> Function:
    """A function with its Hessian by central differences of the exact gradient, each step a fiftieth of what the
    curvature met last calls a standard error; start_scale (k,): that before any is known."""
    scale = np.array(start_scale, dtype=float)

    def function(at: Floats) -> tuple[float, Floats, Floats]:
        value, slope = gradient(at)
        if not np.isfinite(value):
            return value, slope, np.full((len(at), len(at)), np.nan)
        hessian = by_differences(gradient, at, 0.02 * scale)
        diagonal = np.abs(np.diag(hessian))
        known = np.isfinite(diagonal) & (diagonal > 0)
        scale[known] = np.clip(1.0 / np.sqrt(diagonal[known]), 0.1 * scale[known], 10.0 * scale[known])
        return value, slope, hessian

    return function


def by_differences(gradient: Gradient, at: Floats, step: Floats) -> Floats:
    """Hessian (k, k) by central differences of step (k,); NaN where the gradient has no finite value."""
    size = len(at)
    hessian = np.full((size, size), np.nan)
    for k in range(size):
        move = np.zeros(size)
        move[k] = step[k]
        for share in (1.0, 0.1, 0.01):  # nearer where there is no value so far out
            (above, up), (below, down) = gradient(at + share * move), gradient(at - share * move)
            if np.isfinite(above) and np.isfinite(below):
                hessian[k] = (up - down) / (2.0 * share * step[k])
                break
    return (hessian + hessian.T) / 2.0


def by_values(value: Callable[[Floats], float], start_scale: Floats) -> Function:
    """A function with gradient and Hessian by differences of values: 1 + 2k + k(k - 1)/2 of them. Steps as in
    `differenced`, but of a three-hundredth of a standard error: the gradient is not exact."""
    scale = np.array(start_scale, dtype=float)

    def function(at: Floats) -> tuple[float, Floats, Floats]:
        size, centre = len(at), value(at)
        gradient, hessian = np.full(size, np.nan), np.full((size, size), np.nan)
        if not np.isfinite(centre):
            return centre, gradient, hessian
        step = 0.003 * scale
        moves = np.diag(step)
        up = np.array([value(at + move) for move in moves])
        down = np.array([value(at - move) for move in moves])
        gradient = (up - down) / (2.0 * step)
        hessian[np.diag_indices(size)] = (up + down - 2.0 * centre) / step**2
        for a in range(size):
            for b in range(a):  # from the corner (a, b), with the second derivatives of each alone
                mixed = value(at + moves[a] + moves[b]) - up[a] - up[b] + centre
                hessian[a, b] = hessian[b, a] = mixed / (step[a] * step[b])
        diagonal = np.abs(np.diag(hessian))
        known = np.isfinite(diagonal) & (diagonal > 0)
        scale[known] = np.clip(1.0 / np.sqrt(diagonal[known]), 0.1 * scale[known], 10.0 * scale[known])
        return centre, gradient, hessian

    return function


def verified(gradient: Gradient, at: Floats, hessian: Floats) -> Floats | None:
    """The Hessian by differences, extrapolated twice from three lengths to answers that agree to 1 in 1,000; none where
    they do not, or where it is not positive definite. hessian: about what it is; along its axes differences are taken.
    """
    if not len(at):
        return hessian
    scale, curved, axes = _axes(hessian)
    if not curved[0] > 1e-13:
        return None
    turn = axes / np.sqrt(curved) / scale[:, None]

    def turned(w: Floats) -> tuple[float, Floats]:
        value, slope = gradient(at + turn @ w)
        return value, turn.T @ slope

    before: Floats | None = None
    last: Floats | None = None  # extrapolated from the two lengths before
    for reach in (0.04, 0.02, 0.01, 0.005, 0.0025):
        now = by_differences(turned, np.zeros(len(at)), np.full(len(at), reach))
        best = None if before is None else now + (now - before) / 3.0  # Richardson
        if best is not None and last is not None and np.abs(best - last).max() < 1e-3:
            if not np.linalg.eigvalsh(best)[0] > 0.0:
                return None
            back = np.linalg.inv(turn)
            return np.asarray(back.T @ best @ back)
        before, last = (now, best) if np.all(np.isfinite(now)) else (None, None)
    return None


def inverse(hessian: Floats) -> Floats | None:
    """Its inverse, a covariance matrix; none where it is not positive definite in units of its diagonal."""
    if not len(hessian):
        return hessian
    diagonal = np.diag(hessian)
    if not np.all(np.isfinite(hessian)) or not np.all(diagonal > 0):
        return None
    scale = np.sqrt(diagonal)
    curved, axes = np.linalg.eigh(hessian / np.outer(scale, scale))
    if not curved[0] > 1e-13:
        return None
    return np.asarray((axes / curved) @ axes.T / np.outer(scale, scale))
