"""Selection models: which values are missing depends on the values (Heckman, 1976; Diggle and Kenward, 1994).

    M_i = 1 if R_i > 0,   R_i ~ N(α'd_i, 1),   d_i: complete columns, and incomplete variables as they are now

1. Each missing value has, beside the model of interest, the factor N(R_i; α'd_i, 1), Normal in the value: `pull`.
2. α with R integrated out: a Newton step of the probit with Normal noise, accepted by Metropolis and Hastings
(Gamerman, 1997, Statistics and Computing 7, 57-68). 3. R given α: truncated Normals.
"""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import CODES, one_row, weight_of
from templates_engine.sampling.linalg import solve_upper
from templates_engine.sampling.onepass.arrays import Floats, Ints, Selected
from templates_engine.sampling.onepass.glm_interest import log_density, newton_step
from templates_engine.sampling.truncated import normal_between

PROBIT = CODES["probit"]


@njit
def pull_of(selected: Selected, i: int, ri: int, pull: Floats) -> None:
    """pull (3,) = a, b, c: the selection models' loss is (a x² - 2 b x + c) / 2 where level 1 variable ri is x."""
    pull[0] = pull[1] = pull[2] = 0.0
    n = selected.row[i]
    K = selected.design.shape[1]
    k = selected.first[0] + ri
    for s in range(selected.alpha.shape[0]):
        slope = selected.alpha[s, k]
        if slope == 0.0:
            continue
        left = selected.latent[s, n]
        for c in range(K):
            if c != k:
                left -= selected.alpha[s, c] * selected.design[n, c]
        pull[0] += slope * slope
        pull[1] += slope * left
        pull[2] += left * left


@njit
def posterior_at(selected: Selected, s: int, places: Ints, alpha: Floats, g: Floats, H: Floats) -> float:
    """Log density of α of model s with R integrated out; its gradient in g and its information in H (lower)."""
    q = places.size
    total = 0.0
    for a in range(q):
        k = places[a]
        away = alpha[a] - selected.mean[s, k]
        total -= 0.5 * selected.precision[s, k] * away * away
        g[a] = -selected.precision[s, k] * away
        for c in range(a + 1):
            H[a, c] = 0.0
        H[a, a] = selected.precision[s, k]
    for i in range(selected.design.shape[0]):
        eta = 0.0
        for a in range(q):
            eta += alpha[a] * selected.design[i, places[a]]
        value, score = one_row(PROBIT, 1.0 * selected.mark[s, i], 1.0, eta, 1.0)
        weight = weight_of(PROBIT, 1.0, eta, 1.0)
        total += value
        for a in range(q):
            x = selected.design[i, places[a]]
            g[a] += score * x
            for c in range(a + 1):
                H[a, c] += weight * x * selected.design[i, places[c]]
    return total if total == total else -np.inf


@njit
def draw_selection(generator: np.random.Generator, selected: Selected, tried: Ints) -> None:
    """Steps 2 and 3 of every selection model. tried (2,): proposals and acceptances."""
    for s in range(selected.alpha.shape[0]):
        places = np.flatnonzero(selected.on[s])
        q = places.size
        g, H, step, move, new = np.empty(q), np.empty((q, q)), np.empty(q), np.empty(q), np.empty(q)
        old = selected.alpha[s][places]
        now = posterior_at(selected, s, places, old, g, H)
        tried[0] += 1
        if now > -np.inf and newton_step(H, g):
            for a in range(q):
                step[a] = g[a]
                move[a] = generator.standard_normal()
            solve_upper(H, move, q)
            for a in range(q):
                move[a] += step[a]
                new[a] = old[a] + move[a]
            forth = log_density(H, move, step)
            then = posterior_at(selected, s, places, new, g, H)
            if then > -np.inf and newton_step(H, g):
                for a in range(q):
                    move[a] = -move[a]
                if then - now + log_density(H, move, g) - forth > -generator.standard_exponential():
                    tried[1] += 1
                    for a in range(q):
                        selected.alpha[s, places[a]] = new[a]
        for i in range(selected.design.shape[0]):
            fit = 0.0
            for a in range(q):
                fit += selected.alpha[s, places[a]] * selected.design[i, places[a]]
            if selected.mark[s, i] == 1:
                selected.latent[s, i] = fit + normal_between(generator, -fit, np.inf)
            else:
                selected.latent[s, i] = fit + normal_between(generator, -np.inf, -fit)
