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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from templates_engine.sampling.cloning.laplace_proposal import DEGREES
from templates_engine.sampling.cloning.normal import Target
from templates_engine.sampling.cloning.quadrature import find_mode
from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import Grouped, row
from templates_engine.sampling.linalg import solve_upper
from templates_engine.sampling.normal import Floats, Statistics
from templates_engine.sampling.sparse import Classes, draw_effects, reduced_classes

GRID = 41  # points of the density from which a binomial or Poisson effect is drawn
STEPS = 20  # Metropolis steps for several coefficients


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


def crossed_effects(
    of: Target, gamma: Floats, omegas: Sequence[Floats], sigma2: Floats, rng: np.random.Generator
) -> list[Floats]:
    """The same for several classifications, (S, J, q) each: omegas (S, q, q) by classification. All effects of one
    draw are drawn jointly."""
    data = of.data
    assert isinstance(data, Classes)
    size, total = len(sigma2), sum(j * q for j, q in zip(data.sizes, data.q, strict=True))
    found = np.empty((size, total))
    inner = data.room()
    matrix = np.empty((data.p + 1, data.p + 1))
    relative = [w / sigma2[:, None, None] for w in omegas]
    factors = [
        np.linalg.cholesky(w + 1e-13 * np.trace(w, axis1=1, axis2=2)[:, None, None] * np.eye(w.shape[1]))
        for w in relative
    ]
    for s in range(size):
        roots = data.roots([factor[s] for factor in factors])
        reduced_classes(data.pattern, roots, inner, matrix)
        noise = rng.standard_normal(total)
        draw_effects(data.pattern, roots, inner, np.ascontiguousarray(gamma[s]), math.sqrt(sigma2[s]), noise, found[s])
    parts: list[Floats] = [np.zeros(0)] * len(data.q)
    at = 0
    for c in data.order:
        length = data.sizes[c] * data.q[c]
        parts[c] = found[:, at : at + length].reshape(size, data.sizes[c], data.q[c])
        at += length
    return parts


def general_effects(data: Grouped, gamma: Floats, omega: Floats, rng: np.random.Generator) -> Floats:
    """(S, J, q) the same for a binomial or Poisson response, omega (S, q, q).

    A random intercept by its inverse distribution function on a grid around the mode; several coefficients by
    Metropolis steps with Student proposals around the mode, whose ratio to the target is bounded and near one, so that
    STEPS of them leave nothing of the start.
    """
    size, q = len(gamma), data.q
    out = np.empty((size, data.groups, q))
    grid = np.linspace(-6.0, 6.0, GRID)
    ridge = 1e-13 * np.trace(omega, axis1=1, axis2=2)[:, None, None] * np.eye(q)
    roots = np.linalg.cholesky(omega + ridge + 1e-300 * np.eye(q))
    for s in range(size):
        fixed = data.offset + data.q_matrix @ gamma[s]
        scaled = np.ascontiguousarray(data.z @ roots[s])
        if q == 1:
            _general(
                data.link, data.y, data.trials, fixed, scaled, data.starts, grid, rng.random(data.groups),
                np.empty(GRID), out[s],
            )  # fmt: skip
        else:
            _walk(rng, data.link, data.y, data.trials, fixed, scaled, data.starts, out[s])
        out[s] = out[s] @ roots[s].T
    return out


@njit
def _walk(rng: Any, link: int, y: Any, trials: Any, fixed: Any, scaled: Any, starts: Any, out: Any) -> None:
    """A draw of each group's standardised effects into out (J, q)."""
    q = out.shape[1]
    mode, factor, step, at = np.empty(q), np.empty((q, q)), np.empty(q), np.empty(q)
    for j in range(len(out)):
        mode[:] = 0.0
        find_mode(link, y, trials, fixed, scaled, starts[j], starts[j + 1], mode, factor, step, 1e-6)
        weight = -np.inf
        for _ in range(STEPS):
            divisor = math.sqrt(2.0 * rng.standard_gamma(0.5 * DEGREES) / DEGREES)
            length = 0.0
            for a in range(q):
                at[a] = rng.standard_normal() / divisor
                length += at[a] * at[a]
            solve_upper(factor, at, q)
            new = 0.5 * (DEGREES + q) * math.log1p(length / DEGREES)
            for a in range(q):
                at[a] += mode[a]
                new -= 0.5 * at[a] * at[a]
            for i in range(starts[j], starts[j + 1]):
                eta = fixed[i]
                for a in range(q):
                    eta += scaled[i, a] * at[a]
                new += row(link, y[i], trials[i], eta)[0]
            if math.log(rng.random()) < new - weight:
                weight = new
                out[j] = at


@njit
def _general(
    link: int, y: Any, trials: Any, fixed: Any, scaled: Any, starts: Any, grid: Any, uniform: Any, values: Any, out: Any
) -> None:
    """A draw of each group's standardised effect into out (J, 1)."""
    mode, factor, step = np.empty(1), np.empty((1, 1)), np.empty(1)
    for j in range(len(out)):
        start, stop = starts[j], starts[j + 1]
        mode[0] = 0.0
        find_mode(link, y, trials, fixed, scaled, start, stop, mode, factor, step, 1e-6)
        b = mode[0]
        width = 1.0 / factor[0, 0]
        top = -np.inf
        for m in range(len(grid)):
            at = b + width * grid[m]
            value = -0.5 * at * at
            for i in range(start, stop):
                value += row(link, y[i], trials[i], fixed[i] + scaled[i, 0] * at)[0]
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
        out[j, 0] = b + width * place
