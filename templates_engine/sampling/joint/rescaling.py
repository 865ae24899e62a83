"""A change of scale of all level 2 latents at once, which lets them and their regressions move together.

The data fix only the signs and order of latents, so z_c (the m categorical dimensions of level 2), their coefficients
and thresholds may all be multiplied by one α > 0. With B = Ω_oc Ω_cc^-1 divided by α and Σ = Ω_oo - B Ω_cc B' held, the
regression B v_c of everything else on the latents stays as it is, and only p(v_c) and the priors change. The move
    log f(α) = (J m + coefficients + free thresholds - q m) log α - α² T / 2 + priors,   T = Σ_j v_jc' Ω_cc^-1 v_jc
under the scale-invariant measure dα/α is generalised Gibbs sampling (Liu and Sabatti, 2000, Biometrika 87, 353-369;
Liu and Wu, 1999, JASA 94, 1264-1274). With few groups the latents' common scale is what mixes worst without it.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import INTERVAL, Dims, Floats, Priors, State
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
def prior_terms(priors: Priors, state: State) -> tuple[float, float]:
    """(b2, b1): what an inverse Wishart prior says of B / α, tr(Σ^-1 B S_cc B') and tr(Σ^-1 B S_co)."""
    o = priors.others2
    c = priors.fixed2
    q = o.size
    m = c.size
    total = 0.0
    for i in range(priors.scale2.shape[0]):
        total += priors.scale2[i, i]
    if total == 0.0 or q == 0:  # flat
        return 0.0, 0.0
    C = np.empty((m, m))
    Ci = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            C[i, j] = state.omega2[c[i], c[j]]
    inverse(C, m, Ci)
    B = np.zeros((q, m))
    Sigma = np.empty((q, q))
    Si = np.empty((q, q))
    for i in range(q):
        for k in range(m):
            for j in range(m):
                B[i, k] += state.omega2[o[i], c[j]] * Ci[j, k]
    for i in range(q):
        for j in range(q):
            s = state.omega2[o[i], o[j]]
            for k in range(m):
                s -= B[i, k] * state.omega2[o[j], c[k]]
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
                cross += B[i, k] * priors.scale2[c[k], o[j]]
                for h in range(m):
                    square += B[i, k] * priors.scale2[c[k], c[h]] * B[j, h]
            b1 += Si[i, j] * cross
            b2 += Si[i, j] * square
    return b2, b1


@njit
def scale_latents(generator: np.random.Generator, dims: Dims, priors: Priors, state: State, residual2: Floats) -> bool:
    """Draw α and apply it to z, theta, tau, omega2 and residual2 (J, p). False if omega2 is not positive definite."""
    m = priors.fixed2.size
    if m == 0:
        return True
    p1 = state.u.shape[1]
    J = state.z.shape[0]
    q = priors.others2.size
    C = np.empty((m, m))
    Ci = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            C[i, j] = state.omega2[priors.fixed2[i], priors.fixed2[j]]
    if not inverse(C, m, Ci):
        return False
    power = 1.0 * (J * m - q * m)
    a2 = 0.0
    a1 = 0.0
    for j in range(J):
        for i in range(m):
            for k in range(m):
                a2 += residual2[j, priors.fixed2[i]] * Ci[i, k] * residual2[j, priors.fixed2[k]]
    inside = np.zeros(state.theta.size, np.int64)
    for i in range(m):
        d = priors.fixed2[i]
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
    b2, b1 = prior_terms(priors, state)
    if b2 < 0.0:
        return False
    s = slice_scale(generator, 3.0 / math.sqrt(2.0 * J * m), power, a2, a1, b2, b1)
    up = math.exp(s)

    for i in range(m):
        d = priors.fixed2[i]
        for j in range(J):
            state.z[j, d - p1] *= up
            residual2[j, d] *= up
        if dims.kind[d] == INTERVAL:
            for k in range(1, dims.categories[d]):
                state.tau[d, k] *= up
    for a in range(state.theta.size):
        if inside[a] == 1:
            state.theta[a] *= up
    # Ω_oc / α, and Ω_oo with the part explained by the latents divided by α²
    for i in range(q):
        for j in range(i + 1):
            explained = 0.0
            for k in range(m):
                for h in range(m):
                    explained += (
                        state.omega2[priors.others2[i], priors.fixed2[k]]
                        * Ci[k, h]
                        * state.omega2[priors.others2[j], priors.fixed2[h]]
                    )
            value = state.omega2[priors.others2[i], priors.others2[j]] + (1.0 / (up * up) - 1.0) * explained
            state.omega2[priors.others2[i], priors.others2[j]] = value
            state.omega2[priors.others2[j], priors.others2[i]] = value
    for i in range(q):
        for k in range(m):
            state.omega2[priors.others2[i], priors.fixed2[k]] /= up
            state.omega2[priors.fixed2[k], priors.others2[i]] /= up
    return True
