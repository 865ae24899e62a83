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
from templates_engine.sampling.joint.arrays import INTERVAL, Class, Codes, Dims, Floats, Priors, Rows, State
from templates_engine.sampling.joint.group_effects import fixed_part
from templates_engine.sampling.joint.linalg import cholesky, clear, inverse, inverse_within
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
def latents_without_category(
    rows: Rows, state: State, fitted: Floats, Q: Floats, d: int, mu: Floats, lag: Floats
) -> None:
    """mu[i] = mean of latent d of row i given the row's other latents; lag[i]: what its stored y lacks (shift)."""
    u, shift = state.u, state.shift
    p = Q.shape[0]
    other = np.zeros(p)
    for j in range(rows.start.size - 1):
        for i in range(rows.start[j], rows.start[j + 1]):
            x = rows.xrow[i]
            centre = fitted[x, d] + u[j, d]
            lag[i] = shift[j, d]
            for k in range(p):
                other[k] = 0.0
            for h in range(rows.unit.shape[1]):
                g = rows.unit[i, h]
                centre += u[g, d]
                lag[i] += shift[g, d]
                for k in range(p):
                    other[k] += u[g, k] - shift[g, k]
            s = 0.0
            for k in range(p):
                if k != d:
                    s -= Q[d, k] * (rows.y[i, k] - fitted[x, k] - u[j, k] + shift[j, k] - other[k])
            mu[i] = centre + s / Q[d, d]


@njit
def thresholds_level1(
    generator: np.random.Generator, dims: Dims, rows: Rows, state: State, fitted: Floats, priors: Priors
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
        lag = np.empty(n)
        latents_without_category(rows, state, fitted, Q, d, mu, lag)
        code = rows.code[:, d].copy()
        tau = state.tau[d]
        moved = move_thresholds(
            generator, mu, code, sd, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
        y = np.empty(n)
        for i in range(n):
            if moved and code[i] >= 0:
                low = (tau[code[i]] - mu[i]) / sd
                high = (tau[code[i] + 1] - mu[i]) / sd
                rows.y[i, d] = mu[i] - lag[i] + sd * normal_between(generator, low, high)
            y[i] = rows.y[i, d] + lag[i]
        thresholds_given_latents(
            generator, y, code, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
    return True


@njit
def thresholds_of_class(generator: np.random.Generator, dims: Dims, c: Class, state: State, priors: Priors) -> bool:
    """The same for Ordered responses of a classification, given its effects and its other responses."""
    groups, u, z = c.groups, c.effects.u, c.effects.z
    p1 = u.shape[1]
    p = c.effects.omega.shape[0]
    J = u.shape[0]
    Q = np.empty((p, p))
    fixed = np.empty(p - p1)
    ready = False
    for e in range(p - p1):
        d = groups.base + e
        if free_thresholds(dims, d) <= 0:
            continue
        if not ready:
            if not inverse_within(c.effects.omega, c.prior.within, Q):
                return False
            ready = True
        own = Q[p1 + e, p1 + e]
        sd = 1.0 / math.sqrt(own)
        mu = np.empty(J)
        code = np.empty(J, np.int16)
        for j in range(J):
            fixed_part(dims, groups, state.theta, j, fixed)
            s = 0.0
            for k in range(p):
                if k < p1:
                    s -= Q[p1 + e, k] * u[j, k]
                elif k != p1 + e:
                    s -= Q[p1 + e, k] * (z[j, k - p1] - fixed[k - p1])
            mu[j] = fixed[e] + s / own
            code[j] = groups.code[j, e]
        tau = state.tau[d]
        moved = move_thresholds(
            generator, mu, code, sd, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
        y = np.empty(J)
        for j in range(J):
            if moved and code[j] >= 0:
                low = (tau[code[j]] - mu[j]) / sd
                high = (tau[code[j] + 1] - mu[j]) / sd
                z[j, e] = mu[j] + sd * normal_between(generator, low, high)
            y[j] = z[j, e]
        thresholds_given_latents(
            generator, y, code, tau, dims.categories[d], dims.anchored[d],
            priors.threshold_mean, priors.threshold_precision,
        )  # fmt: skip
    return True
