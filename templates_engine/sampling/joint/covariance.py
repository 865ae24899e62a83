"""Exact draws of a covariance matrix some of whose diagonal blocks are fixed.

Given N residual vectors with cross-product matrix S, and a prior p(Ω) ∝ |Ω|^-(df0 + p + 1)/2 exp(-tr(S0 Ω^-1) / 2) on
the free elements (an inverse Wishart conditioned on its fixed elements; the flat prior is df0 = -(p + 1), S0 = 0).
Split Ω into the categorical dimensions c (m of them, with fixed diagonal blocks) and the others o (q):

    B = Ω_oc Ω_cc^-1,   Σ = Ω_oo - B Ω_cc B'

With df = N + df0 and S taken as S + S0, (B, Σ) is independent of Ω_cc:
    Σ ~ inverse Wishart(df, S_oo - S_oc S_cc^-1 S_co),   B | Σ ~ matrix Normal(S_oc S_cc^-1, Σ, S_cc^-1)
    p(Ω_cc) ∝ |Ω_cc|^-(df + m + 1 - q)/2 exp(-tr(S_cc Ω_cc^-1) / 2)
With one categorical response Ω_cc is all fixed and the draw is direct. With several, the covariances between their
blocks are drawn one at a time by slice sampling (Neal, 2003, Annals of Statistics 31, 705-767) on the exact interval
where the matrix stays positive definite: no tuning, no proposal to correct.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Floats, Ints
from templates_engine.sampling.joint.linalg import cholesky, inverse, invert_lower

SLICE_PASSES = 3  # over the covariances between categorical responses; each costs O(m^3), nothing beside a row pass


@njit
def inverse_wishart(generator: np.random.Generator, df: float, S: Floats, n: int, out: Floats) -> bool:
    """out[:n, :n] ~ inverse Wishart(df, S), mean S / (df - n - 1). Bartlett (1933). S is overwritten."""
    if not cholesky(S, n) or not df > n - 1.0:
        return False
    A = np.zeros((n, n))
    for i in range(n):
        A[i, i] = math.sqrt(2.0 * generator.standard_gamma(0.5 * (df - i)))
        for j in range(i):
            A[i, j] = generator.standard_normal()
    # Σ = L A^-T A^-1 L' where A A' ~ Wishart(df, I); its Cholesky-like root is L A^-T
    Ai = np.empty((n, n))
    invert_lower(A, n, Ai)
    R = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(min(i, j) + 1):
                s += S[i, k] * Ai[j, k]
            R[i, j] = s
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(n):
                s += R[i, k] * R[j, k]
            out[i, j] = s
            out[j, i] = s
    return True


@njit
def slice_covariance(
    generator: np.random.Generator, C: Floats, S: Floats, m: int, a: int, b: int, power: float
) -> bool:
    """One slice update of C[a, b] under |C|^-power exp(-tr(S C^-1) / 2), everything else fixed. False if C is lost."""
    Q = np.empty((m, m))
    if not inverse(C, m, Q):
        return False
    qaa, qab, qbb = Q[a, a], Q[a, b], Q[b, b]
    raa = 0.0  # elements of Q S Q
    rab = 0.0
    rbb = 0.0
    for i in range(m):
        for j in range(m):
            raa += Q[a, i] * S[i, j] * Q[a, j]
            rab += Q[a, i] * S[i, j] * Q[b, j]
            rbb += Q[b, i] * S[i, j] * Q[b, j]
    root = math.sqrt(qaa * qbb)
    low = -1.0 / (root + qab)  # adding t to C[a, b] keeps C positive definite for t in (low, high)
    high = 1.0 / (root - qab)
    level = -generator.standard_exponential()
    while True:
        t = low + (high - low) * generator.random()
        det = (1.0 + t * qab) ** 2 - t * t * qaa * qbb  # |C + t E| / |C|
        if det > 0.0:
            change = (t / det) * (2.0 * (1.0 + t * qab) * rab - t * (qbb * raa + qaa * rbb))
            if -power * math.log(det) + 0.5 * change > level:
                C[a, b] += t
                C[b, a] += t
                return True
        if t < 0.0:
            low = t
        else:
            high = t
        if not high - low > 1e-300:
            return high - low >= 0.0  # the slice has shrunk to the current point: stay


@njit
def draw_between_blocks(generator: np.random.Generator, C: Floats, S: Floats, block: Ints, power: float) -> bool:
    """Slice updates of covariances between fixed blocks of C (m, m); block[i]: the response of row i."""
    m = C.shape[0]
    for _ in range(SLICE_PASSES):
        for a in range(1, m):
            for b in range(a):
                if block[a] != block[b] and not slice_covariance(generator, C, S, m, a, b, power):
                    return False
    return True


@njit
def regression_sums(
    S: Floats, Sc: Floats, others: Ints, fixed: Ints, Li: Floats, H: Floats, Bhat: Floats, Sr: Floats
) -> bool:
    """Regression of others on fixed: Li = L^-1 with S_cc = L L', H = S_oc L^-T, Bhat = S_oc S_cc^-1, Sr = S_o.c.

    Sc is overwritten. False if S_cc is not positive definite.
    """
    q = others.size
    m = fixed.size
    if m > 0:
        if not cholesky(Sc, m):
            return False
        invert_lower(Sc, m, Li)
    for i in range(q):
        for k in range(m):
            s = 0.0
            for j in range(k + 1):
                s += S[others[i], fixed[j]] * Li[k, j]
            H[i, k] = s
        for k in range(m):
            s = 0.0
            for j in range(k, m):
                s += H[i, j] * Li[j, k]
            Bhat[i, k] = s
    for i in range(q):
        for j in range(q):
            s = S[others[i], others[j]]
            for k in range(m):
                s -= H[i, k] * H[j, k]
            Sr[i, j] = s
    return True


@njit
def draw_regression(generator: np.random.Generator, Sigma: Floats, Li: Floats, Bhat: Floats) -> bool:
    """Bhat (q, m) becomes a draw of B | Σ: matrix Normal(Bhat, Σ, S_cc^-1), with S_cc^-1 = Li' Li."""
    q = Bhat.shape[0]
    m = Bhat.shape[1]
    R = Sigma.copy()
    if not cholesky(R, q):
        return False
    Z = np.empty((q, m))
    for i in range(q):
        for k in range(m):
            Z[i, k] = generator.standard_normal()
    for k in range(m):
        for i in range(q - 1, -1, -1):
            s = 0.0
            for j in range(i + 1):
                s += R[i, j] * Z[j, k]
            Z[i, k] = s
    for i in range(q):
        for k in range(m):
            s = 0.0
            for j in range(k, m):
                s += Z[i, j] * Li[j, k]
            Bhat[i, k] += s
    return True


@njit
def draw_covariance(
    generator: np.random.Generator, omega: Floats, S: Floats, df: float, others: Ints, fixed: Ints, block: Ints
) -> bool:
    """A draw of omega (p, p) in place, given S (cross-products plus prior scale) and df = N + df0.

    others: the q dimensions without fixed elements; fixed: the m categorical ones; block[i]: the response that
    fixed[i] belongs to. Dimensions in neither are left alone. False where positive definiteness is lost.
    """
    q = others.size
    m = fixed.size
    C = np.empty((m, m))
    Sc = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            C[i, j] = omega[fixed[i], fixed[j]]
            Sc[i, j] = S[fixed[i], fixed[j]]
    if m > 0 and block[m - 1] != block[0]:
        if not draw_between_blocks(generator, C, Sc, block, 0.5 * (df + m + 1.0 - q)):
            return False
        for a in range(m):
            for b in range(m):
                omega[fixed[a], fixed[b]] = C[a, b]
    if q == 0:
        return True
    Sr = np.empty((q, q))
    Sigma = np.empty((q, q))
    B = np.zeros((q, m))
    H = np.zeros((q, m))
    Li = np.zeros((m, m))
    if not regression_sums(S, Sc, others, fixed, Li, H, B, Sr):
        return False
    if not inverse_wishart(generator, df, Sr, q, Sigma):
        return False
    if m > 0:
        if not draw_regression(generator, Sigma, Li, B):
            return False
        for i in range(q):
            for k in range(m):
                s = 0.0
                for j in range(m):
                    s += B[i, j] * C[j, k]
                H[i, k] = s
                omega[others[i], fixed[k]] = s
                omega[fixed[k], others[i]] = s
    for i in range(q):
        for j in range(i + 1):
            s = Sigma[i, j]
            for k in range(m):
                s += H[i, k] * B[j, k]
            omega[others[i], others[j]] = s
            omega[others[j], others[i]] = s
    return True


@njit
def draw_variances(
    generator: np.random.Generator, omega: Floats, S: Floats, n: float, df: float, spread: Floats, others: Ints
) -> bool:
    """Variances of a diagonal covariance matrix, with half-t(df, spread) priors of the sds, from cross-products S of n.

    sd ~ half-t is variance | a ~ inverse gamma(df / 2, df / a), a ~ inverse gamma(1/2, 1 / spread^2) (Huang and Wand,
    2013, Bayesian Analysis 8, 439-452): a given the variance, then the variance given a. False where one is not finite.
    """
    for i in range(others.size):
        d = others[i]
        rate = df / omega[d, d] + 1.0 / (spread[d] * spread[d])
        a = rate / generator.standard_gamma(0.5 * (df + 1.0))
        omega[d, d] = (0.5 * S[d, d] + df / a) / generator.standard_gamma(0.5 * (n + df))
        if not 0.0 < omega[d, d] < np.inf:
            return False
    return True
