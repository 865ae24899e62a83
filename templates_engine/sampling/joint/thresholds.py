"""Thresholds of Ordered responses, drawn with their latents integrated out.

Given everything else the log likelihood of the thresholds, sum log[Φ((τ_c+1 - μ)/s) - Φ((τ_c - μ)/s)], is concave with
a tridiagonal Hessian. One Newton step gives a Normal proposal that is corrected by Metropolis and Hastings (Gamerman,
1997, Statistics and Computing 7, 57-68); the latents are drawn again whenever the thresholds move, so the pair is
exact (Cowles, 1996, Statistics and Computing 6, 101-111, does the same with a random walk). Where a category is empty
or nearly so the likelihood has its mode on the boundary and such proposals are refused; a second update, each threshold
given the latents on both sides of it (Albert and Chib, 1993, JASA 88, 669-679), keeps the chain moving there.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import INTERVAL, Codes, Dims, Floats, Groups, Priors, Rows, State, Sums
from templates_engine.sampling.joint.group_effects import fixed_level2
from templates_engine.sampling.joint.linalg import cholesky, clear, inverse
from templates_engine.sampling.truncated import normal_between

ROOT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit
def interval_probability(a: float, b: float) -> float:
    """Φ(b) - Φ(a), from the tail that keeps its digits."""
    if a > 0.0:
        return 0.5 * (math.erfc(a * ROOT_HALF) - math.erfc(b * ROOT_HALF))
    return 0.5 * (math.erfc(-b * ROOT_HALF) - math.erfc(-a * ROOT_HALF))


@njit
def information(
    mu: Floats,
    code: Codes,
    sd: float,
    tau: Floats,
    at: int,
    n: int,
    mean: float,
    precision: float,
    g: Floats,
    A: Floats,
) -> float:
    """Log posterior of the free thresholds tau[at .. at + n - 1], gradient g (n,), negative Hessian A (n, n)."""
    clear(A)
    for k in range(n):
        g[k] = 0.0
    total = 0.0
    for k in range(n):
        d = tau[at + k] - mean
        total -= 0.5 * precision * d * d
        g[k] -= precision * d
        A[k, k] += precision
    for i in range(mu.size):
        if code[i] < 0:
            continue
        c = code[i]
        a = (tau[c] - mu[i]) / sd
        b = (tau[c + 1] - mu[i]) / sd
        probability = interval_probability(a, b)
        if not probability > 0.0:
            return -np.inf
        total += math.log(probability)
        low = c - at  # place of the lower threshold among the free ones, outside 0..n-1 where it is not free
        high = low + 1
        fa = 0.0
        fb = 0.0
        if a > -np.inf:
            fa = DENSITY * math.exp(-0.5 * a * a) / probability
        if b < np.inf:
            fb = DENSITY * math.exp(-0.5 * b * b) / probability
        if 0 <= low < n:
            g[low] -= fa / sd
            A[low, low] += (fa * fa - a * fa) / (sd * sd)
        if 0 <= high < n:
            g[high] += fb / sd
            A[high, high] += (fb * fb + b * fb) / (sd * sd)
            if low >= 0:
                A[high, low] -= fa * fb / (sd * sd)
                A[low, high] -= fa * fb / (sd * sd)
    return total


@njit
def newton(A: Floats, g: Floats, n: int, step: Floats) -> bool:
    """Factor A in place (lower) and solve A step = g."""
    if not cholesky(A, n):
        return False
    for i in range(n):
        s = g[i]
        for k in range(i):
            s -= A[i, k] * step[k]
        step[i] = s / A[i, i]
    for i in range(n - 1, -1, -1):
        s = step[i]
        for k in range(i + 1, n):
            s -= A[k, i] * step[k]
        step[i] = s / A[i, i]
    return True


@njit
def proposal_density(L: Floats, d: Floats, n: int) -> float:
    """Log density, less a constant, at distance d from the mean of a Normal with precision L L'."""
    total = 0.0
    for i in range(n):
        s = 0.0
        for k in range(i, n):
            s += L[k, i] * d[k]
        total += math.log(L[i, i]) - 0.5 * s * s
    return total


@njit
def move_thresholds(
    generator: np.random.Generator,
    mu: Floats,
    code: Codes,
    sd: float,
    tau: Floats,
    categories: int,
    anchored: int,
    mean: float,
    precision: float,
) -> bool:
    """One Metropolis-Hastings update of the free thresholds; True if they moved."""
    at = 1 + anchored
    n = categories - at
    g = np.empty(n)
    A = np.empty((n, n))
    step = np.empty(n)
    now = information(mu, code, sd, tau, at, n, mean, precision, g, A)
    if now == -np.inf or not newton(A, g, n, step):
        return False
    noise = np.empty(n)
    for i in range(n - 1, -1, -1):
        s = generator.standard_normal()
        for k in range(i + 1, n):
            s -= A[k, i] * noise[k]
        noise[i] = s / A[i, i]
    new = tau.copy()
    for i in range(n):
        new[at + i] = tau[at + i] + step[i] + noise[i]
    for k in range(1, categories + 1):
        if not new[k] > new[k - 1]:
            return False
    forward = proposal_density(A, noise, n)
    then = information(mu, code, sd, new, at, n, mean, precision, g, A)
    if then == -np.inf or not newton(A, g, n, step):
        return False
    for i in range(n):
        noise[i] = tau[at + i] - new[at + i] - step[i]
    if then - now + proposal_density(A, noise, n) - forward < -generator.standard_exponential():
        return False
    for k in range(tau.size):
        tau[k] = new[k]
    return True


@njit
def thresholds_given_latents(
    generator: np.random.Generator,
    y: Floats,
    code: Codes,
    tau: Floats,
    categories: int,
    anchored: int,
    mean: float,
    precision: float,
) -> None:
    """Each free threshold from its prior between the latents (and thresholds) on its two sides."""
    top = np.empty(categories)
    bottom = np.empty(categories)
    for k in range(categories):
        top[k] = -np.inf
        bottom[k] = np.inf
    for i in range(y.size):
        if code[i] >= 0:
            top[code[i]] = max(top[code[i]], y[i])
            bottom[code[i]] = min(bottom[code[i]], y[i])
    for k in range(1 + anchored, categories):
        low = max(tau[k - 1], top[k - 1])
        high = min(tau[k + 1], bottom[k])
        if not low < high:
            continue
        if precision > 0.0:
            root = math.sqrt(precision)
            tau[k] = mean + normal_between(generator, (low - mean) * root, (high - mean) * root) / root
        elif high - low < np.inf:
            tau[k] = low + (high - low) * generator.random()


@njit
def free_thresholds(dims: Dims, d: int) -> int:
    """How many thresholds of dimension d are drawn (Binary: none, its threshold is 0)."""
    return dims.categories[d] - 1 - dims.anchored[d] if dims.kind[d] == INTERVAL else 0


@njit
def thresholds_level1(
    generator: np.random.Generator, dims: Dims, rows: Rows, state: State, sums: Sums, priors: Priors
) -> bool:
    """Update the thresholds of every Ordered response of level 1 and, where they moved, its latents."""
    p = state.omega1.shape[0]
    Q = np.empty((p, p))
    ready = False
    for d in range(p):
        if free_thresholds(dims, d) <= 0:
            continue
        if not ready:
            if not inverse(state.omega1, p, Q):
                return False
            ready = True
        sd = 1.0 / math.sqrt(Q[d, d])
        n = rows.y.shape[0]
        mu = np.empty(n)
        code = np.empty(n, np.int16)
        for j in range(rows.start.size - 1):
            for i in range(rows.start[j], rows.start[j + 1]):
                x = rows.xrow[i]
                s = 0.0
                for k in range(p):
                    if k != d:
                        s -= Q[d, k] * (rows.y[i, k] - sums.fitted[x, k] - state.u[j, k] + state.shift[j, k])
                mu[i] = sums.fitted[x, d] + state.u[j, d] + s / Q[d, d]
                code[i] = rows.code[i, d]
        tau = state.tau[d]
        moved = move_thresholds(
            generator, mu, code, sd, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
        y = np.empty(n)
        for j in range(rows.start.size - 1):
            for i in range(rows.start[j], rows.start[j + 1]):
                if moved and code[i] >= 0:
                    low = (tau[code[i]] - mu[i]) / sd
                    high = (tau[code[i] + 1] - mu[i]) / sd
                    rows.y[i, d] = mu[i] - state.shift[j, d] + sd * normal_between(generator, low, high)
                y[i] = rows.y[i, d] + state.shift[j, d]
        thresholds_given_latents(
            generator, y, code, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
    return True


@njit
def thresholds_level2(generator: np.random.Generator, dims: Dims, groups: Groups, state: State, priors: Priors) -> bool:
    """The same for Ordered responses of level 2, given the group effects and the other level 2 responses."""
    p1 = state.omega1.shape[0]
    p = state.omega2.shape[0]
    J = groups.size.size
    Q = np.empty((p, p))
    fixed = np.empty(p - p1)
    ready = False
    for d in range(p1, p):
        if free_thresholds(dims, d) <= 0:
            continue
        if not ready:
            if not inverse(state.omega2, p, Q):
                return False
            ready = True
        sd = 1.0 / math.sqrt(Q[d, d])
        mu = np.empty(J)
        code = np.empty(J, np.int16)
        for j in range(J):
            fixed_level2(dims, groups, state.theta, p1, j, fixed)
            s = 0.0
            for k in range(p):
                if k < p1:
                    s -= Q[d, k] * state.u[j, k]
                elif k != d:
                    s -= Q[d, k] * (state.z[j, k - p1] - fixed[k - p1])
            mu[j] = fixed[d - p1] + s / Q[d, d]
            code[j] = groups.code[j, d - p1]
        tau = state.tau[d]
        moved = move_thresholds(
            generator, mu, code, sd, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
        z = np.empty(J)
        for j in range(J):
            if moved and code[j] >= 0:
                low = (tau[code[j]] - mu[j]) / sd
                high = (tau[code[j] + 1] - mu[j]) / sd
                state.z[j, d - p1] = mu[j] + sd * normal_between(generator, low, high)
            z[j] = state.z[j, d - p1]
        thresholds_given_latents(
            generator, z, code, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
    return True
