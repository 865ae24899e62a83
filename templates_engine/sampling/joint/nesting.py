"""Nested classifications: the effects of the outer units, redrawn with the sums of inner and outer effects held.

With eta_j = u_j + u'_m(j) the sum of the effects of unit j and of the unit m that holds it, and given what the inner
units' own responses say (u_j has mean G v_j and covariance Ω_u|v),
    eta_j ~ N(u'_m + slope v_j, Ω_u|v),   u'_m ~ N(slope' v'_m, Ω'_u|v)
is a regression in which u'_m is drawn exactly, in the coordinates of joint.basis with Ω_u|v in the place of Ω1; u_j
moves so that eta_j, and every residual of level 1, stays. Drawing u' given u alone creeps where inner units are few or
well known; given eta alone it creeps where they are not; both in turn mix fast in either case (Yu and Meng, 2011,
JCGS 20, 531-570).
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint.arrays import Class, Dims, Floats, State
from templates_engine.sampling.joint.basis import diagonalise, regress_effects
from templates_engine.sampling.joint.group_effects import clear_absent, fixed_part


@njit
def prior_means(dims: Dims, c: Class, slope: Floats, theta: Floats, out: Floats) -> None:
    """out (J, p1) = slope v_j, what a unit's own responses say of its effects."""
    z = c.effects.z
    fixed = np.empty(z.shape[1])
    for j in range(out.shape[0]):
        fixed_part(dims, c.groups, theta, j, fixed)
        for d in range(out.shape[1]):
            s = 0.0
            for e in range(z.shape[1]):
                s += slope[d, e] * (z[j, e] - fixed[e])
            out[j, d] = s


@njit
def recentre_pair(generator: np.random.Generator, dims: Dims, inner: Class, outer: Class, state: State) -> bool:
    """Draw the outer effects given the sums eta; the inner ones follow. False if a matrix is not positive definite."""
    u, parent, v = inner.effects.u, inner.groups.parent, outer.effects.u
    J, p = u.shape
    slope = np.zeros((p, inner.effects.z.shape[1]))
    spread = np.empty((p, p))
    if not regress_effects(inner.effects.omega, inner.basis, slope, spread):
        return False
    if not diagonalise(spread, outer.effects.omega, outer.basis):
        return False
    mean = np.empty((J, p))
    prior_means(dims, inner, slope, state.theta, mean)
    total = np.zeros(v.shape)
    size = np.zeros(v.shape[0])
    for j in range(J):
        m = parent[j]
        size[m] += 1.0
        for d in range(p):
            u[j, d] += v[m, d]
            total[m, d] += u[j, d] - mean[j, d]
    prior = np.empty((v.shape[0], p))
    prior_means(dims, outer, outer.basis.G, state.theta, prior)
    B, C, D = outer.basis.B, outer.basis.C, outer.basis.D
    w = np.empty(p)
    for m in range(v.shape[0]):
        for k in range(p):
            s = 0.0
            for d in range(p):
                s += C[k, d] * total[m, d]
            share = 1.0 / (1.0 + size[m] * D[k])
            w[k] = share * (prior[m, k] + D[k] * s) + math.sqrt(D[k] * share) * generator.standard_normal()
        for d in range(p):
            s = 0.0
            for k in range(p):
                s += B[d, k] * w[k]
            v[m, d] = s
    clear_absent(outer.prior.within, v)
    for j in range(J):
        for d in range(p):
            u[j, d] -= v[parent[j], d]
    return True


@njit
def recentre_nested(generator: np.random.Generator, dims: Dims, classes: tuple[Class, ...], state: State) -> bool:
    """recentre_pair for every classification that another holds, the inner ones as they come."""
    for k in range(len(classes)):
        holder = classes[k].groups.holder
        if holder >= 0 and not recentre_pair(generator, dims, classes[k], classes[holder], state):
            return False
    return True
