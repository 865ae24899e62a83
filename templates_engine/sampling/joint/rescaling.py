"""A change of scale of all latents of a classification at once, which lets them and their regressions move together.

The data fix only the signs and order of latents, so z_c (the m categorical dimensions of its responses), their
coefficients and thresholds may all be multiplied by one α > 0. With B = Ω_oc Ω_cc^-1 divided by α and
Σ = Ω_oo - B Ω_cc B' held, the regression B v_c of everything else on the latents stays as it is, and only p(v_c) and
the priors change. The move
    log f(α) = (J m + coefficients + free thresholds - q m) log α - α² T / 2 + priors,   T = Σ_j v_jc' Ω_cc^-1 v_jc
under the scale-invariant measure dα/α is generalised Gibbs sampling (Liu and Sabatti, 2000, Biometrika 87, 353-369;
Liu and Wu, 1999, JASA 94, 1264-1274). With few groups the latents' common scale is what mixes worst without it.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import INTERVAL, Class, Dims, Floats, Ints, Priors, State
from templates_engine.sampling.joint.linalg import inverse


@njit
def scale_density(s: float, power: float, a2: float, a1: float, b2: float, b1: float) -> float:
    """power s - a2 α²/2 + a1 α - b2 α^-2/2 + b1 α^-1 at α = exp(s)."""
    up = math.exp(s)
    down = math.exp(-s)
    return power * s - 0.5 * a2 * up * up + a1 * up - 0.5 * b2 * down * down + b1 * down


@njit
def slice_scale(
    generator: np.random.Generator, width: float, power: float, a2: float, a1: float, b2: float, b1: float
) -> float:
    """One slice update of log α from 0, stepping out (Neal, 2003, figures 3 and 5)."""
    level = scale_density(0.0, power, a2, a1, b2, b1) - generator.standard_exponential()
    low = -width * generator.random()
    high = low + width
    while low > -30.0 and scale_density(low, power, a2, a1, b2, b1) > level:
        low -= width
    while high < 30.0 and scale_density(high, power, a2, a1, b2, b1) > level:
        high += width
    while True:
        s = low + (high - low) * generator.random()
        if scale_density(s, power, a2, a1, b2, b1) > level:
            return s
        if s < 0.0:
            low = s
        else:
            high = s
        if not high - low > 1e-300:
            return 0.0


@njit
def prior_terms(c: Class) -> tuple[float, float]:
    """(b2, b1): what an inverse Wishart prior says of B / α, tr(Σ^-1 B S_cc B') and tr(Σ^-1 B S_co)."""
    o, f, omega, scale = c.prior.others, c.prior.fixed, c.effects.omega, c.prior.scale
    q = o.size
    m = f.size
    total = 0.0
    for i in range(scale.shape[0]):
        total += scale[i, i]
    if total == 0.0 or q == 0:  # flat
        return 0.0, 0.0
    C = np.empty((m, m))
    Ci = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            C[i, j] = omega[f[i], f[j]]
    inverse(C, m, Ci)
    B = np.zeros((q, m))
    Sigma = np.empty((q, q))
    Si = np.empty((q, q))
    for i in range(q):
        for k in range(m):
            for j in range(m):
                B[i, k] += omega[o[i], f[j]] * Ci[j, k]
    for i in range(q):
        for j in range(q):
            s = omega[o[i], o[j]]
            for k in range(m):
                s -= B[i, k] * omega[o[j], f[k]]
            Sigma[i, j] = s
    if not inverse(Sigma, q, Si):
        return -1.0, 0.0
    b2 = 0.0
    b1 = 0.0
    for i in range(q):
        for j in range(q):
            cross = 0.0
            square = 0.0
            for k in range(m):
                cross += B[i, k] * scale[f[k], o[j]]
                for h in range(m):
                    square += B[i, k] * scale[f[k], f[h]] * B[j, h]
            b1 += Si[i, j] * cross
            b2 += Si[i, j] * square
    return b2, b1


@njit
def coefficient_terms(
    dims: Dims, c: Class, priors: Priors, state: State, inside: Ints, a2: float
) -> tuple[float, float, float]:
    """(power, a2, a1) with what coefficients (marked in `inside`) and thresholds of the latents add to the density."""
    power = 0.0
    a1 = 0.0
    p1 = c.effects.u.shape[1]
    for i in range(c.prior.fixed.size):
        d = c.groups.base + c.prior.fixed[i] - p1
        for a in range(dims.offset[d], dims.offset[d + 1]):
            inside[a] = 1
            power += 1.0
        if dims.kind[d] == INTERVAL:
            for k in range(1 + dims.anchored[d], dims.categories[d]):
                power += 1.0
                a2 += priors.threshold_precision * state.tau[d, k] ** 2
                a1 += priors.threshold_precision * priors.threshold_mean * state.tau[d, k]
    for a in range(state.theta.size):
        if inside[a] == 1:
            a1 += priors.linear[a] * state.theta[a]
            for k in range(state.theta.size):
                if inside[k] == 1:
                    a2 += state.theta[a] * priors.precision[a, k] * state.theta[k]
                else:
                    a1 -= state.theta[a] * priors.precision[a, k] * state.theta[k]
    return power, a2, a1


@njit
def divide_regression(omega: Floats, others: Ints, fixed: Ints, Ci: Floats, up: float) -> None:
    """Ω_oc / α, and Ω_oo with the part explained by the latents divided by α²."""
    q = others.size
    m = fixed.size
    for i in range(q):
        for j in range(i + 1):
            explained = 0.0
            for k in range(m):
                for h in range(m):
                    explained += omega[others[i], fixed[k]] * Ci[k, h] * omega[others[j], fixed[h]]
            value = omega[others[i], others[j]] + (1.0 / (up * up) - 1.0) * explained
            omega[others[i], others[j]] = value
            omega[others[j], others[i]] = value
    for i in range(q):
        for k in range(m):
            omega[others[i], fixed[k]] /= up
            omega[fixed[k], others[i]] /= up


@njit
def scale_latents(
    generator: np.random.Generator, dims: Dims, c: Class, priors: Priors, state: State, residual2: Floats
) -> bool:
    """Draw α and apply it to z, theta, tau, omega and residual2 (J, p). False if omega is not positive definite."""
    fixed, z, omega = c.prior.fixed, c.effects.z, c.effects.omega
    m = fixed.size
    if m == 0:
        return True
    p1 = c.effects.u.shape[1]
    J = z.shape[0]
    q = c.prior.others.size
    C = np.empty((m, m))
    Ci = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            C[i, j] = omega[fixed[i], fixed[j]]
    if not inverse(C, m, Ci):
        return False
    a2 = 0.0
    for j in range(J):
        for i in range(m):
            for k in range(m):
                a2 += residual2[j, fixed[i]] * Ci[i, k] * residual2[j, fixed[k]]
    inside = np.zeros(state.theta.size, np.int64)
    power, a2, a1 = coefficient_terms(dims, c, priors, state, inside, a2)
    power += 1.0 * J * m
    b2 = 0.0
    b1 = 0.0
    diagonal = c.prior.spread.size > 0  # no regression on the latents then
    if not diagonal:
        power -= 1.0 * q * m
        b2, b1 = prior_terms(c)
        if b2 < 0.0:
            return False
    s = slice_scale(generator, 3.0 / math.sqrt(2.0 * J * m), power, a2, a1, b2, b1)
    up = math.exp(s)

    for i in range(m):
        d = c.groups.base + fixed[i] - p1
        for j in range(J):
            z[j, fixed[i] - p1] *= up
            residual2[j, fixed[i]] *= up
        if dims.kind[d] == INTERVAL:
            for k in range(1, dims.categories[d]):
                state.tau[d, k] *= up
    for a in range(state.theta.size):
        if inside[a] == 1:
            state.theta[a] *= up
    if not diagonal:
        divide_regression(omega, c.prior.others, fixed, Ci, up)
    return True
