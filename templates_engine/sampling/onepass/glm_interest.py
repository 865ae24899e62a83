"""The model of interest with a binomial or count response, given the completed covariates.

1. β given u: a Newton step from the present value with Normal noise, accepted by Metropolis and Hastings (Gamerman,
   1997, Statistics and Computing 7, 57-68).
2. For a term whose shape is that of a random coefficient: its coefficient up by c, the effects down by c times its
   height in each group, which leaves every predictor as it is: an exact Normal draw of c, that of hierarchical
   centring (Gelfand, Sahu and Carlin, 1995; Yu and Meng, 2011).
3. u_j given β: as step 1, group by group. 4. Ω given u: inverse Wishart. 5. α of a negative binomial response: slice.
O(n (K² + q²)) an iteration.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import one_row, rising, weight_of
from templates_engine.sampling.linalg import cholesky, draw_inverse_wishart, inverse_spd, solve_lower, solve_upper
from templates_engine.sampling.onepass.arrays import Floats, Interest, InterestPriors, Ints, Rest, Terms
from templates_engine.sampling.onepass.responses import NEGATIVE_BINOMIAL

FARTHEST = 600.0  # of a linear predictor whose exponential is still a number


@njit
def predictor_at(terms: Terms, rest: Rest, beta: Floats, u: Floats, height: Floats, i: int, j: int) -> float:
    """The linear predictor of row i of group j."""
    eta = rest.offset[i]
    for k in range(terms.fixed.size):
        m = terms.fixed[k]
        eta += beta[k] * height[j, m] * rest.shape[i, terms.shape[m]]
    for r in range(terms.random.size):
        eta += u[j, r] * rest.shape[i, terms.shape[terms.random[r]]]
    return eta


@njit
def quadratic(
    terms: Terms, family: int, spread: float, rest: Rest, beta: Floats, u: Floats, height: Floats, first: int,
    last: int, effects: bool, g: Floats, H: Floats,
) -> float:  # fmt: skip
    """Log likelihood of groups first .. last - 1; adds its gradient to g and its Fisher information to H (lower),
    in β or, with `effects`, in u_first. -inf where a row is impossible or out of range."""
    size = g.size
    x = np.empty(size)
    total = 0.0
    for j in range(first, last):
        for i in range(rest.start[j], rest.start[j + 1]):
            eta = predictor_at(terms, rest, beta, u, height, i, j)
            if not -1e5 < eta < FARTHEST:
                return -np.inf
            value, score = one_row(family, rest.y[i], rest.trials[i], eta, spread)
            weight = weight_of(family, rest.trials[i], eta, spread)
            total += value
            for a in range(size):
                m = terms.random[a] if effects else terms.fixed[a]
                x[a] = rest.shape[i, terms.shape[m]] * (1.0 if effects else height[j, m])
            for a in range(size):
                g[a] += score * x[a]
                for b in range(a + 1):
                    H[a, b] += weight * x[a] * x[b]
    return total if total == total else -np.inf


@njit
def log_density(factor: Floats, move: Floats, step: Floats) -> float:
    """Log density of a move, less a constant, that is Normal about `step` with precision LL'."""
    total = 0.0
    for a in range(move.size):
        s = 0.0
        for b in range(a, move.size):
            s += factor[b, a] * (move[b] - step[b])
        total += math.log(factor[a, a]) - 0.5 * s * s
    return total


@njit
def newton_step(H: Floats, g: Floats) -> bool:
    """H becomes its Cholesky factor, g the Newton step."""
    if not cholesky(H, g.size):
        return False
    solve_lower(H, g, g.size)
    solve_upper(H, g, g.size)
    return True


@njit
def prior_part(precision: Floats, linear: Floats, at: Floats, g: Floats, H: Floats) -> float:
    """Fill g and H with a Normal prior's gradient and precision at a point; its log density."""
    total = 0.0
    for a in range(at.size):
        g[a] = linear[a]
        total += linear[a] * at[a]
        for b in range(at.size):
            g[a] -= precision[a, b] * at[b]
            total -= 0.5 * at[a] * precision[a, b] * at[b]
            H[a, b] = precision[a, b]
    return total


@njit
def move_part(
    generator: np.random.Generator, terms: Terms, family: int, rest: Rest, interest: Interest, height: Floats,
    first: int, last: int, effects: bool, precision: Floats, linear: Floats, tried: Ints,
) -> None:  # fmt: skip
    """Step 1 (β) or, with `effects`, step 3 (u_first): one proposal, accepted or not."""
    beta, u, spread = interest.beta, interest.u, interest.sigma2[0]
    at = u[first] if effects else beta
    size = at.size
    g, H, step, move = np.empty(size), np.empty((size, size)), np.empty(size), np.empty(size)
    now = prior_part(precision, linear, at, g, H)
    now += quadratic(terms, family, spread, rest, beta, u, height, first, last, effects, g, H)
    tried[0] += 1
    if not now > -np.inf or not newton_step(H, g):
        return
    for a in range(size):
        step[a] = g[a]
        move[a] = generator.standard_normal()
    solve_upper(H, move, size)
    old = np.empty(size)
    for a in range(size):
        move[a] += step[a]
        old[a] = at[a]
        at[a] += move[a]
    forth = log_density(H, move, step)
    then = prior_part(precision, linear, at, g, H)
    then += quadratic(terms, family, spread, rest, beta, u, height, first, last, effects, g, H)
    if then > -np.inf and newton_step(H, g):
        for a in range(size):
            move[a] = -move[a]
        if then - now + log_density(H, move, g) - forth > -generator.standard_exponential():
            tried[1] += 1
            return
    for a in range(size):
        at[a] = old[a]


@njit
def centre(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, interest: Interest, height: Floats,
    inverse: Floats,
) -> None:  # fmt: skip
    """Step 2."""
    J, q = interest.u.shape
    for k in range(terms.fixed.size):
        m = terms.fixed[k]
        for r in range(q):
            if terms.shape[terms.random[r]] != terms.shape[m]:
                continue
            precision = priors.precision[k, k]
            pull = priors.linear[k]
            for b in range(terms.fixed.size):
                pull -= priors.precision[k, b] * interest.beta[b]
            for j in range(J):
                precision += inverse[r, r] * height[j, m] * height[j, m]
                for a in range(q):
                    pull += height[j, m] * inverse[r, a] * interest.u[j, a]
            if not precision > 0.0:
                continue
            c = pull / precision + generator.standard_normal() / math.sqrt(precision)
            interest.beta[k] += c
            for j in range(J):
                interest.u[j, r] -= c * height[j, m]


@njit
def log_alpha(terms: Terms, priors: InterestPriors, rest: Rest, interest: Interest, height: Floats, s: float) -> float:
    """Log density of log α at s."""
    alpha = math.exp(s)
    total = -priors.shape * s - priors.rate / alpha
    for j in range(height.shape[0]):
        for i in range(rest.start[j], rest.start[j + 1]):
            eta = predictor_at(terms, rest, interest.beta, interest.u, height, i, j)
            total += one_row(NEGATIVE_BINOMIAL, rest.y[i], 1.0, eta, alpha)[0] + rising(alpha, rest.y[i])
    return total


@njit
def draw_alpha(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, rest: Rest, interest: Interest,
    height: Floats,
) -> None:  # fmt: skip
    """Step 5: a slice of log α, stepping out (Neal, 2003)."""
    x = math.log(interest.sigma2[0])
    level = log_alpha(terms, priors, rest, interest, height, x) - generator.standard_exponential()
    low = x - generator.random()
    high = low + 1.0
    while low > -25.0 and log_alpha(terms, priors, rest, interest, height, low) > level:
        low -= 1.0
    while high < 25.0 and log_alpha(terms, priors, rest, interest, height, high) > level:
        high += 1.0
    while high - low > 1e-12:
        new = low + (high - low) * generator.random()
        if log_alpha(terms, priors, rest, interest, height, new) > level:
            interest.sigma2[0] = math.exp(new)
            return
        if new < x:
            low = new
        else:
            high = new


@njit
def draw_general(
    generator: np.random.Generator, terms: Terms, priors: InterestPriors, family: int, rest: Rest,
    interest: Interest, height: Floats, tried: Ints,
) -> tuple[bool, float]:  # fmt: skip
    """All steps; (False where a matrix is not positive definite, deviance less what depends on the data alone).

    tried (2, 2): proposals and acceptances of β and of the effects.
    """
    J, q = interest.u.shape
    J = height.shape[0]
    none = np.zeros(q)
    inverse = np.empty((q, q))
    root = interest.omega.copy()
    if q > 0 and not inverse_spd(root, inverse, q):
        return False, 0.0
    move_part(generator, terms, family, rest, interest, height, 0, J, False, priors.precision, priors.linear, tried[0])
    if q > 0:
        centre(generator, terms, priors, interest, height, inverse)
        for j in range(J):
            move_part(generator, terms, family, rest, interest, height, j, j + 1, True, inverse, none, tried[1])
        S, work = np.empty((q, q)), np.empty((q, q))
        for a in range(q):
            for c in range(a + 1):
                s = priors.scale[a, c]
                for j in range(J):
                    s += interest.u[j, a] * interest.u[j, c]
                S[a, c] = s
        if not draw_inverse_wishart(generator, priors.df + J, S, interest.omega, work, q):
            return False, 0.0
    if family == NEGATIVE_BINOMIAL:
        draw_alpha(generator, terms, priors, rest, interest, height)
    total = 0.0
    for j in range(J):
        for i in range(rest.start[j], rest.start[j + 1]):
            eta = predictor_at(terms, rest, interest.beta, interest.u, height, i, j)
            total += one_row(family, rest.y[i], rest.trials[i], eta, interest.sigma2[0])[0]
            if family == NEGATIVE_BINOMIAL:
                total += rising(interest.sigma2[0], rest.y[i])
    return total == total, -2.0 * total
