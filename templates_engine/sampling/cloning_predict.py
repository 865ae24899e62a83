"""Prediction of group effects after data cloning, in a separate run.

Parameters come as draws on an unbounded scale: φ = (γ, logarithms or log-Cholesky elements of the variances). Each
gives one exact draw of every effect u_j | y, φ:

    drawn      φ ~ N(φ̂, V), V = K times the covariance of the cloned draws; the data enter once, through u | y, φ
    plug-in    φ = φ̂ throughout
    twice      φ from the density N(φ; φ̂, V) L(φ; y), which uses the data twice, by sampling-importance-resampling
               (Rubin 1988): the way in which the worked example codes it, for comparison only
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm_data import Grouped
from templates_engine.sampling.glm_families import information, row
from templates_engine.sampling.mixed_stats import Floats, Statistics

GRID = 41  # points of the density from which a binomial or Poisson effect is drawn


def around(draws: Floats, clones: int, size: int, rng: np.random.Generator) -> Floats:
    """(size, d) from N(mean, K covariance) of cloned draws (N, d)."""
    mean, covariance = draws.mean(axis=0), clones * np.atleast_2d(np.cov(draws, rowvar=False))
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(mean + rng.standard_normal((size, len(mean))) @ root.T)


def reweighted(draws: Floats, log_likelihood: Callable[[Floats], float], size: int, rng: np.random.Generator) -> Floats:
    """`size` of the draws, chosen with probability proportional to their likelihood."""
    weights = np.array([log_likelihood(row) for row in draws])
    weights = np.exp(weights - weights.max())
    return np.asarray(draws[rng.choice(len(draws), size, p=weights / weights.sum())])


def normal_effects(stats: Statistics, gamma: Floats, omega: Floats, sigma2: Floats, rng: np.random.Generator) -> Floats:
    """(S, J, q) one draw of every effect for each of S parameter values: gamma (S, p), omega (S, q, q), sigma2 (S,).

    Given the parameters u_j ~ N(Ω T'(σ² I + T Ω T')^-1 (t - C γ), Ω - Ω T'(σ² I + T Ω T')^-1 T Ω).
    """
    size, q = len(sigma2), stats.q
    out = np.empty((size, stats.groups, q))
    for j in range(stats.groups):
        t = stats.triangles[j]
        cross = omega @ t.T  # (S, q, q)
        total = t @ cross + sigma2[:, None, None] * np.eye(q)
        gain = np.linalg.solve(total, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
        residual = stats.t[j] - gamma @ stats.c[j].T
        mean = np.einsum("sab,sb->sa", gain, residual)
        spread = omega - gain @ cross.transpose(0, 2, 1)
        if q == 1:
            out[:, j, 0] = mean[:, 0] + np.sqrt(np.maximum(spread[:, 0, 0], 0.0)) * rng.standard_normal(size)
            continue
        values, vectors = np.linalg.eigh((spread + spread.transpose(0, 2, 1)) / 2.0)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        out[:, j] = mean + np.einsum("sab,sb->sa", root, rng.standard_normal((size, q)))
    return out


def general_effects(data: Grouped, gamma: Floats, tau: Floats, rng: np.random.Generator) -> Floats:
    """(S, J) the same for a binomial or Poisson response: inverse distribution function on a grid around the mode."""
    out = np.empty((len(tau), data.groups))
    grid = np.linspace(-6.0, 6.0, GRID)
    for s in range(len(tau)):
        fixed = data.offset + data.q_matrix @ gamma[s]
        _general(
            data.link, data.y, data.trials, fixed, data.z, data.starts, float(tau[s]), grid, rng.random(data.groups),
            np.empty(GRID), out[s],
        )  # fmt: skip
    return out


@njit
def _general(
    link: int, y: Any, trials: Any, fixed: Any, z: Any, starts: Any, tau: float, grid: Any, uniform: Any, values: Any,
    out: Any,
) -> None:  # fmt: skip
    for j in range(len(out)):
        start, stop = starts[j], starts[j + 1]
        b, step, value, curvature = 0.0, 0.0, -np.inf, 1.0
        for _ in range(80):
            here, slope, curvature = -0.5 * b * b, -b, 1.0
            for i in range(start, stop):
                eta = fixed[i] + tau * z[i, 0] * b
                one, score = row(link, y[i], trials[i], eta)
                here += one
                slope += tau * z[i, 0] * score
                curvature += (tau * z[i, 0]) ** 2 * information(link, trials[i], eta)
            if not here >= value - 1e-10 * (1.0 + abs(value)):
                step *= 0.5
                b -= step
                if abs(step) < 1e-9:
                    break
                continue
            value = here
            step = slope / curvature
            if abs(step) < 1e-6:
                break
            b += step
        width = 1.0 / math.sqrt(curvature)
        top = -np.inf
        for m in range(len(grid)):
            at = b + width * grid[m]
            value = -0.5 * at * at
            for i in range(start, stop):
                value += row(link, y[i], trials[i], fixed[i] + tau * z[i, 0] * at)[0]
            values[m] = value
            top = max(top, value)
        total = 0.0
        for m in range(len(grid)):
            values[m] = math.exp(values[m] - top)
        for m in range(1, len(grid)):
            total += 0.5 * (values[m] + values[m - 1])
        wanted = uniform[j] * total
        below = 0.0
        place = grid[len(grid) - 1]
        for m in range(1, len(grid)):
            area = 0.5 * (values[m] + values[m - 1])
            if below + area >= wanted and area > 0.0:
                # Within the step the density is a straight line: solve a t² / 2 + v t = what is missing.
                rise, first, left = values[m] - values[m - 1], values[m - 1], wanted - below
                if abs(rise) > 1e-12 * first:
                    part = (math.sqrt(max(first * first + 2.0 * rise * left, 0.0)) - first) / rise
                else:
                    part = left / first
                place = grid[m - 1] + (grid[m] - grid[m - 1]) * min(max(part, 0.0), 1.0)
                break
            below += area
        out[j] = tau * (b + width * place)
