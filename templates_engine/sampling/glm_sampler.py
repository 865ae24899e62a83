"""Sampler of binomial and Poisson models with one or two levels: block Metropolis-Hastings steps that need no tuning.

A row is η = offset + q_matrix γ + z u_j. One sweep:

1. γ jointly, every u_j moving along: γ → γ + δ, u_j → u_j - B_j δ with B_j = (Z_j'WZ_j + Ω^-1)^-1 Z_j'WX_j. This is
   the partly non-centred parametrisation of Papaspiliopoulos, Roberts and Sköld (2003, Bayesian Statistics 7), in
   which γ and u are nearly independent a posteriori, so that intercepts and predictors of the groups mix as well as
   the others. The map has Jacobian 1. δ is a Newton step plus Normal noise, N(H^-1 g, H^-1), g the gradient of the log
   posterior along the move: Gamerman (1997, Statistics and Computing 7, 57-68), with weights W held fixed, so that
   the correction of Metropolis and Hastings has no determinants.
2. Each u_j given γ in the same way, J separate acceptances.
3. For each random coefficient k the scale of u_k and of row and column k of Ω together (Liu and Sabatti 2000), by a
   random walk on its logarithm, whose width is set during the burn-in.
4. Ω given u: inverse Wishart (inverse gamma for q = 1).

Every eighth sweep steps 1 and 2 are random walks of the same shape instead: a Newton step can overshoot in a tail
where the likelihood is far from its quadratic approximation, and a random walk always comes back.
W is the mean Fisher information over the burn-in, renewed twice and then fixed; all adaptation ends with the burn-in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.glm_data import Grouped
from templates_engine.sampling.glm_families import constant, informations, rows
from templates_engine.sampling.glm_steps import Data, Prior, Record, State, sample
from templates_engine.sampling.mixed_kept import shelf
from templates_engine.sampling.mixed_normal import Chain
from templates_engine.sampling.mixed_priors import Priors
from templates_engine.sampling.mixed_stats import Floats


def run_chain(
    data: Grouped,
    priors: Priors,
    rng: np.random.Generator,
    cells: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    gamma: Floats | None = None,
    effects: Floats | None = None,
    omega: Floats | None = None,
    metric: Floats | None = None,
    room: int = 0,
    trace: Floats | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept.

    metric (n,): the linear predictor at which the first W is taken, the start's own if not given. room: of how many
    draws to keep the group effects; trace (draws,): written while the chain runs, the first variance (the
    first coefficient without groups) of each kept draw.
    """
    p, q, groups = data.p, data.q, data.groups
    kept = iterations // thin
    mean, precision = priors.beta(p)
    gamma_mean, gamma_precision = data.coordinates.prior(mean, precision)
    out = np.empty((kept, p + q * (q + 1) // 2 + 1))  # rows that are not filled are cut off below
    summary = np.zeros((2, groups, q))
    at = np.zeros(p) if gamma is None else np.array(gamma, dtype=float)
    u, start = np.zeros((groups, q)), np.eye(q)
    if groups and effects is not None:
        u[:] = effects  # kernels do not check bounds: every array has its exact shape from here on
    if groups and omega is not None:
        start[:] = omega
    arrays = Data(data.link, data.y, data.trials, data.q_matrix, data.z, data.starts)
    scale = priors.scale(q) if groups else np.zeros((0, 0))
    prior = Prior(gamma_mean, np.ascontiguousarray(gamma_precision), float(priors.omega.df), scale)
    state = State(at, u, start, data.eta(at, u), np.empty(data.n), np.zeros(max(groups, 1)), np.zeros((3, 2)))
    weight = np.empty(data.n)
    informations(data.link, data.trials, state.eta if metric is None else metric, weight)
    some = shelf(room, kept, groups, q)
    seen = np.empty(kept) if trace is None else trace
    if seen.shape != (kept,):
        raise ValueError(f"a trace of {seen.shape} for {kept} draws")
    record = Record(out, summary, some.effects, some.at, some.pace, seen, data.coordinates.inverse[0].copy())
    done = sample(rng, cells, arrays, prior, state, weight, burnin, iterations, thin, record)
    if done < 0:
        raise ArithmeticError("a covariance matrix of the sampler is not positive definite")
    out = out[:done]
    beta = data.coordinates.beta(out[:, :p])
    deviance = -2.0 * (out[:, -1] + constant(data.link, data.y, data.trials))
    sd = np.sqrt(summary[1] / max(done - 1, 1))
    mean_beta = beta.mean(axis=0) if done else np.full(p, np.nan)
    rates = state.counts[:, 0] / np.maximum(state.counts[:, 1], 1.0)
    return Chain(
        beta, out[:, p:-1], np.full(done, np.nan), deviance, summary[0], sd, mean_beta, rates, *some.filled
    )  # fmt: skip


def deviance_at(data: Grouped, beta: Floats, effects: Floats) -> float:
    """-2 log p(y | β, u), all constants kept."""
    eta = data.eta(data.coordinates.triangle @ beta, effects)
    value = rows(data.link, data.y, data.trials, eta, np.empty(data.n), 0, data.n)
    return -2.0 * (value + constant(data.link, data.y, data.trials))
