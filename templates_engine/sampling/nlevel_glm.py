"""Sampler of binomial, Poisson and negative binomial models with N nested or crossed classifications.

A row is η = offset + q_matrix γ + Σ_c z_c u_c. One sweep:

1. For each classification c: γ jointly, every u_cj moving along, γ → γ + δ, u_cj → u_cj - B_j δ with
   B_j = (Z_j'WZ_j + Ω_c^-1)^-1 Z_j'WX_j. This carries the collapsed Gibbs sampler for crossed effects of
   Papaspiliopoulos, Roberts and Zanella (2020, Biometrika 107) over to these responses, in which γ cannot be integrated
   against u_c exactly: the map (the partly non-centred parametrisation of Papaspiliopoulos, Roberts and Sköld 2003)
   makes the two nearly independent. δ is a Newton step plus Normal noise (Gamerman 1997), with weights W held fixed, so
   that the correction of Metropolis and Hastings has no determinants.
2. Each u_cj given the rest in the same way, accepted or not by itself.
3. The scale of each random coefficient with its row and column of Ω_c (Liu and Sabatti 2000), by a random walk whose
   width is set during the burn-in.
4. Ω_c given u_c: inverse Wishart.
5. Effects of nested classifications shifted against each other (nlevel_normal, step 5).
6. Negative binomial: log α by a random walk; Var(y) = μ + α μ².

Every eighth sweep steps 1 and 2 are random walks of the same shape: a Newton step can overshoot in a tail. W is the
mean Fisher information over the burn-in, renewed twice and then fixed; all adaptation ends with the burn-in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.glm_families import CODES, constant
from templates_engine.sampling.mixed_stats import Coordinates, Floats, orthonormal, starts_of
from templates_engine.sampling.nlevel_glm_steps import NEGATIVE_BINOMIAL, Data, State, ends_of, evaluate, sample
from templates_engine.sampling.nlevel_normal import Chain, Priors, prior_arrays
from templates_engine.sampling.nlevel_stats import Factor, nesting


@dataclass(frozen=True)
class Rows:
    """One model's arrays."""

    data: Data
    coordinates: Coordinates
    factors: tuple[Factor, ...]
    offset: Floats
    constant: float  # the part of the log likelihood that depends on the data alone

    @property
    def n(self) -> int:
        return len(self.data.y)

    def eta(self, gamma: Floats, effects: Sequence[Floats]) -> Floats:
        """The linear predictor (n,)."""
        value: Floats = self.offset + self.data.design @ gamma
        for factor, u in zip(self.factors, effects, strict=True):
            value = value + np.sum(factor.z * u[factor.codes], axis=1)
        return value


def prepare(
    link: str,
    y: Floats,
    x: Floats,
    factors: Sequence[Factor],
    *,
    trials: Floats | None = None,
    offset: Floats | None = None,
    negative_binomial: bool = False,
) -> Rows:
    """Arrays of the model. Raises CollinearError."""
    n, p = x.shape
    q_matrix, r = orthonormal(x)
    coordinates = Coordinates(np.zeros(p), r, np.linalg.solve(r, np.eye(p)).astype(np.float64))
    q = np.array([f.q for f in factors], dtype=np.int64)
    groups = np.array([f.groups for f in factors], dtype=np.int64)
    unit = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
    rows_of = np.stack([np.argsort(f.codes, kind="stable") for f in factors]).astype(np.int32)
    ends = np.concatenate([starts_of(f.codes, f.groups) for f in factors]).astype(np.int64)
    first = np.concatenate([ends[u + c : u + c + g] for c, (u, g) in enumerate(zip(unit[:-1], groups, strict=True))])
    last = np.concatenate(
        [ends[u + c + 1 : u + c + g + 1] for c, (u, g) in enumerate(zip(unit[:-1], groups, strict=True))]
    )
    pairs, parent_ptr, parent, shared_ptr, shared = nesting(factors)
    number = np.ones(n) if trials is None else np.ascontiguousarray(trials, dtype=float)
    data = Data(
        NEGATIVE_BINOMIAL if negative_binomial else CODES[link], np.ascontiguousarray(y, dtype=float), number, q_matrix,
        np.ascontiguousarray(np.concatenate([f.z for f in factors], axis=1)),
        np.concatenate([[0], np.cumsum(q)[:-1]]).astype(np.int64), q, groups, unit[:-1], rows_of, first, last,
        pairs, parent_ptr, parent, shared_ptr, shared,
    )  # fmt: skip
    lead = constant(CODES[link], np.asarray(y, dtype=float), number)
    return Rows(data, coordinates, tuple(factors), np.zeros(n) if offset is None else np.asarray(offset), lead)


def run_chain(
    rows: Rows,
    priors: Priors,
    rng: np.random.Generator,
    cells: npt.NDArray[np.int64],
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    gamma: Floats | None = None,
    omega: tuple[Floats, ...] | None = None,
    alpha: float = 0.5,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept. For a negative binomial response
    priors.sigma2 is the prior of α, its inverse gamma the Gamma of 1/α."""
    data, p, n = rows.data, rows.data.design.shape[1], rows.n
    classes, most, units = len(rows.factors), int(data.q.max()), int(data.groups.sum())
    prior = prior_arrays(priors, rows.coordinates, p, tuple(range(classes)), most)
    start = np.zeros((classes, most, most))
    for c, factor in enumerate(rows.factors):
        if np.shape(priors.omega[c].scale) != (factor.q, factor.q):
            raise ValueError(f"a prior for {np.shape(priors.omega[c].scale)[0]} coefficients, there are {factor.q}")
        start[c, : factor.q, : factor.q] = np.eye(factor.q) * 0.3 if omega is None else omega[c]
    at = np.zeros(p) if gamma is None else np.array(gamma, dtype=float)
    state = State(
        at, np.zeros((units, most)), start, np.zeros_like(start), rows.offset + data.design @ at, np.empty(n),
        np.empty(n), np.array([alpha]), np.zeros((4, 2)),
    )  # fmt: skip
    size = int(sum(f.q * (f.q + 1) // 2 for f in rows.factors))
    out = np.empty((iterations // thin, p + size + 2))  # rows that are not filled are cut off below
    summary = np.zeros((2, units, most))
    done = sample(rng, cells, data, prior, state, burnin, iterations, thin, out, summary)
    if done < 0:
        raise ArithmeticError("a covariance matrix of the sampler is not positive definite")
    out = out[:done]
    means, sds = [], []
    for c, factor in enumerate(rows.factors):
        span = slice(int(data.unit[c]), int(data.unit[c] + factor.groups))
        means.append(summary[0, span, : factor.q].copy())
        sds.append(np.sqrt(summary[1, span, : factor.q] / max(done - 1, 1)))
    dispersion = out[:, -2] if data.link == NEGATIVE_BINOMIAL else np.zeros(0)
    rates = state.counts[:, 0] / np.maximum(state.counts[:, 1], 1.0)
    return Chain(
        rows.coordinates.beta(out[:, :p]), out[:, p:-2], np.full(done, np.nan), -2.0 * (out[:, -1] + rows.constant),
        tuple(means), tuple(sds), dispersion, rates,
    )  # fmt: skip


def deviance_at(rows: Rows, beta: Floats, effects: Sequence[Floats], alpha: float = 0.0) -> float:
    """-2 log p(y | β, u, α), all constants kept."""
    eta = rows.eta(rows.coordinates.triangle @ beta, effects)
    value = evaluate(rows.data, alpha, eta, np.empty(rows.n), np.empty(rows.n))
    return -2.0 * (value + ends_of(rows.data, alpha) + rows.constant)
