"""Sampler of binomial, Poisson and negative binomial models: no, one, or several nested or crossed classifications.

A row is η = offset + q_matrix γ + Σ_c z_c u_c. One sweep:

1. For each classification c: γ jointly, every u_cj moving along, γ → γ + δ, u_cj → u_cj - B_j δ with
   B_j = (Z_j'WZ_j + Ω_c^-1)^-1 Z_j'WX_j. This is the partly non-centred parametrisation of Papaspiliopoulos, Roberts
   and Sköld (2003, Bayesian Statistics 7), in which γ and u_c are nearly independent a posteriori, so that intercepts
   and predictors of the units mix as well as the others; one classification after the other it carries the collapsed
   Gibbs sampler for crossed effects (Papaspiliopoulos, Roberts and Zanella 2020, Biometrika 107) over to responses in
   which γ cannot be integrated against u_c exactly. The map has Jacobian 1. δ is a Newton step plus Normal noise,
   N(H^-1 g, H^-1), g the gradient of the log posterior along the move: Gamerman (1997, Statistics and Computing 7,
   57-68), with weights W held fixed, so that the correction of Metropolis and Hastings has no determinants.
2. Each u_cj given the rest in the same way, accepted or not by itself.
3. For each random coefficient k the scale of u_ck and of row and column k of Ω_c together (Liu and Sabatti 2000), by a
   random walk on its logarithm, whose width is set during the burn-in.
4. Ω_c given u_c: inverse Wishart (inverse gamma for one coefficient).
5. Effects of nested classifications shifted against each other (normal.classified, step 5).
6. Negative binomial, Var(y) = μ + α μ²: log α by such a Newton step, the curvature being its mean over the burn-in,
   then by a random walk whose width is drawn anew each time.

Every eighth sweep steps 1 and 2 are random walks of the same shape instead: a Newton step can overshoot in a tail
where the likelihood is far from its quadratic approximation, and a random walk always comes back.
W is the mean Fisher information over the burn-in, renewed twice and then fixed; all adaptation ends with the burn-in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm.families import CODES, constant
from templates_engine.sampling.glm.metric import (
    Array,
    Data,
    Shape,
    State,
    Tuning,
    Work,
    add_weights,
    set_metric,
    set_shape,
)
from templates_engine.sampling.glm.moves import (
    draw_omega,
    ends_of,
    evaluate,
    move_alpha,
    move_effects,
    move_fixed,
    move_scale,
)
from templates_engine.sampling.glm.negative_binomial import DIRECT, NEGATIVE_BINOMIAL
from templates_engine.sampling.kept_effects import put, shelf
from templates_engine.sampling.normal import (
    Chain,
    Coordinates,
    Factor,
    Floats,
    InverseWishart,
    Prior,
    Priors,
    nesting,
    orthonormal,
    prior_arrays,
    shift_nested,
    starts_of,
)
from templates_engine.sampling.saving import Live, Saved, saved


@dataclass(frozen=True)
class Rows:
    """One model's arrays, rows in the order that suits the sampler."""

    data: Data
    coordinates: Coordinates
    factors: tuple[Factor, ...]
    offset: Floats
    constant: float  # the part of the log likelihood that depends on the data alone

    @property
    def n(self) -> int:
        return len(self.data.y)

    def eta(self, gamma: Floats, effects: Sequence[Floats]) -> Floats:
        """The linear predictor (n,); effects (J, q) by classification."""
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
    """Arrays of the model; any number of factors. Raises CollinearError."""
    n, p = x.shape
    order = _order(n, factors)
    y, x = np.ascontiguousarray(y[order], dtype=float), x[order]
    number = np.ones(n) if trials is None else np.ascontiguousarray(trials[order], dtype=float)
    shift = np.zeros(n) if offset is None else np.ascontiguousarray(offset[order], dtype=float)
    real = tuple(Factor(f.codes[order], f.z[order]) for f in factors)
    each = real or (Factor(np.zeros(n, dtype=np.int64), np.zeros((n, 0))),)
    q_matrix, r = orthonormal(x)
    coordinates = Coordinates(np.zeros(p), r, np.linalg.solve(r, np.eye(p)).astype(np.float64))
    q = np.array([f.q for f in each], dtype=np.int64)
    groups = np.array([f.groups for f in each], dtype=np.int64)
    unit = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
    ends = [starts_of(f.codes, f.groups) for f in each]
    pairs, parent_ptr, parent, shared_ptr, shared = nesting(each)
    above, large = _counted(y if negative_binomial else np.zeros(0))
    data = Data(
        NEGATIVE_BINOMIAL if negative_binomial else CODES[link], y, number, q_matrix,
        np.ascontiguousarray(np.concatenate([f.z for f in each], axis=1)),
        np.concatenate([[0], np.cumsum(q)[:-1]]).astype(np.int64), q, groups, unit[:-1],
        np.stack([np.argsort(f.codes, kind="stable") for f in each]).astype(np.uint32),
        np.concatenate([at[:-1] for at in ends]), np.concatenate([at[1:] for at in ends]), pairs, parent_ptr,
        parent, shared_ptr, shared, above, large,
    )  # fmt: skip
    return Rows(data, coordinates, real, shift, constant(CODES[link], y, number))


def _counted(y: Floats) -> tuple[Floats, Floats]:
    """(how many counts are above 1, 2, …, of those up to DIRECT; the others): Data.above and Data.large."""
    small = y[y <= DIRECT].astype(np.int64)
    number = np.bincount(small, minlength=2)
    return number[::-1].cumsum()[::-1][2:].astype(float), y[y > DIRECT]


def _order(n: int, factors: Sequence[Factor]) -> npt.NDArray[np.intp]:
    """Rows of one unit next to each other, so that a pass over units is a pass through memory: sorted by the coarsest
    classification, within it by the next."""
    keys = sorted(factors, key=lambda f: -f.groups)
    return np.lexsort([f.codes for f in keys]) if keys else np.arange(n)


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
    effects: Sequence[Floats] | None = None,
    omega: Sequence[Floats] | None = None,
    alpha: float = 0.5,
    metric: Floats | None = None,
    room: int = 0,
    resume: Saved | None = None,
    live: Live | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, of which every `thin`-th is kept, from the given starting values.

    For a negative binomial response priors.sigma2 is the prior of α, its inverse gamma the Gamma of 1/α. effects and
    omega: by classification, (J, q) and (q, q). metric (n,): the linear predictor at which the first W is taken, the
    start's own if not given (Rows.eta has the order of rows). room: of how many draws to keep the effects. resume: go
    on from there, to `iterations` in all; rng and the starting values are then not used. live: shows β, packed Ω and
    (negative binomial) α while the chain runs.
    """
    data, p, q = rows.data, rows.data.design.shape[1], rows.data.q
    most, units = int(q.max()), int(data.groups.sum())
    for prior, factor in zip(priors.omega, rows.factors, strict=True):
        if np.shape(prior.scale) != (factor.q, factor.q):
            raise ValueError(f"a prior for {np.shape(prior.scale)[0]} random coefficients, there are {factor.q}")
    arrays = prior_arrays(
        priors if rows.factors else replace(priors, omega=(InverseWishart(0.0, np.zeros((0, 0))),)),
        rows.coordinates, p, tuple(range(len(q))), most,
    )  # fmt: skip
    state, tuning = _start(rows, gamma, effects, omega, alpha, metric)
    out = np.full((iterations // thin, p + int(np.sum(q * (q + 1) // 2)) + 2), np.nan)  # what is not filled is cut off
    summary = np.zeros((2, units, most))
    some = shelf(room, units, most)
    standing = {
        "gamma": state.gamma, "u": state.u, "omega": state.omega, "eta": state.eta, "score": state.score,
        "value": state.value, "alpha": state.alpha, "counts": state.counts, "effects": summary, **tuning._asdict(),
    }  # fmt: skip
    first = done = 0
    if resume is not None:
        rng, first, done = resume.generator(), resume.sweeps, resume.fill("out", out)
        for name, array in standing.items():
            array[...] = resume.arrays[name]
        some.restore(resume)
    negative = data.link == NEGATIVE_BINOMIAL
    if live is not None:
        stop = -1 if negative else -2
        live.show(out, lambda drawn: np.column_stack([rows.coordinates.beta(drawn[:, :p]), drawn[:, p:stop]]))
    sweeps = _sample(
        rng, cells, data, arrays, state, tuning, first, burnin, iterations, thin, done, out, summary, some.effects,
        some.at, some.pace,
    )  # fmt: skip
    if sweeps < 0:
        raise ArithmeticError("a covariance matrix of the sampler is not positive definite")
    done = max(sweeps - burnin, 0) // thin
    out = out[:done]
    now = saved(sweeps, rng, out=out, **standing, **some.arrays)
    sd = np.sqrt(summary[1] / max(done - 1, 1))
    spans = [(slice(int(u), int(u) + f.groups), f.q) for u, f in zip(data.unit, rows.factors, strict=False)]
    kept_at, kept_effects = some.filled
    return Chain(
        rows.coordinates.beta(out[:, :p]), out[:, p:-2], np.full(done, np.nan), -2.0 * (out[:, -1] + rows.constant),
        tuple(summary[0, span, :k].copy() for span, k in spans), tuple(sd[span, :k] for span, k in spans),
        out[:, -2] if negative else np.zeros(0), state.counts[:, 0] / np.maximum(state.counts[:, 1], 1.0),
        kept_at, tuple(kept_effects[:, span, :k] for span, k in spans), now,
    )  # fmt: skip


def _start(
    rows: Rows, gamma: Floats | None, effects: Sequence[Floats] | None, omega: Sequence[Floats] | None, alpha: float,
    metric: Floats | None,
) -> tuple[State, Tuning]:  # fmt: skip
    """Kernels do not check bounds: every array has its exact shape from here on."""
    data, n, p = rows.data, rows.n, rows.data.design.shape[1]
    classes, most, units = len(data.q), int(data.q.max()), int(data.groups.sum())
    at, u, start = np.zeros(p), np.zeros((units, most)), np.zeros((classes, most, most))
    if gamma is not None:
        at[:] = gamma
    for c, factor in enumerate(rows.factors):
        start[c, : factor.q, : factor.q] = np.eye(factor.q) * 0.3 if omega is None else omega[c]
        if effects is not None:
            u[data.unit[c] : data.unit[c] + factor.groups, : factor.q] = effects[c]
    by_class = [u[data.unit[c] : data.unit[c] + f.groups, : f.q] for c, f in enumerate(rows.factors)]
    state = State(
        at, u, start, np.zeros_like(start), rows.eta(at, by_class), np.zeros(n), np.zeros(n), np.zeros(1),
        np.array([float(alpha)]), np.zeros((4, 2)),
    )  # fmt: skip
    weight = np.zeros(n)
    here = state if metric is None else state._replace(eta=np.ascontiguousarray(metric, dtype=float))
    add_weights(data, here, weight)
    evaluate(data, float(alpha), state.eta, state.score, state.value)
    return state, Tuning(np.full((classes, most), 0.5), np.full(1, 0.5), weight, np.zeros(n), np.zeros(1))


def deviance_at(rows: Rows, beta: Floats, effects: Sequence[Floats], alpha: float = 0.0) -> float:
    """-2 log p(y | β, u, α), all constants kept."""
    eta = rows.eta(rows.coordinates.triangle @ beta, effects)
    value = evaluate(rows.data, alpha, eta, np.empty(rows.n), np.empty(rows.n))
    return -2.0 * (value + ends_of(rows.data, alpha) + rows.constant)


@njit
def _renew(data: Data, tuning: Tuning, shape: Shape) -> None:
    """The weights become their mean since they were last renewed."""
    for i in range(len(tuning.weight)):
        tuning.weight[i] = tuning.weight_sum[i] / tuning.weight_count[0]
        tuning.weight_sum[i] = 0.0
    tuning.weight_count[0] = 0.0
    set_metric(data, tuning.weight, shape)


@njit
def _retune(width: float, accepted: int, gain: float) -> float:
    """Robbins and Monro, towards an acceptance of 0.44."""
    return _widened(width, (accepted - 0.44) * gain)


@njit
def _widened(width: float, by: float) -> float:
    return min(max(width * math.exp(by), 1e-3), 5.0)


@njit
def _sample(
    rng: Any, cells: Any, data: Data, prior: Prior, state: State, tuning: Tuning, first: int, burnin: int,
    iterations: int, thin: int, kept: int, out: Array, summary: Array, some: Array, some_at: Array, pace: Array,
) -> int:  # fmt: skip
    """The sweeps from `first` on, `kept` draws being there; fills out (kept draw: γ, packed Ω's, α, log likelihood
    without constants), summary (2, units, Q: means of the effects and sums of squares about them) and the shelf.

    Returns how many sweeps are done: fewer than asked for when cells[1] became 1; -1 when a matrix was not positive
    definite.
    """
    n, p = data.design.shape
    units, most = state.u.shape
    classes = len(data.q)
    shape = Shape(
        np.empty((p, p)), np.empty((units, most, p)), np.empty((units, most, most)), np.zeros((units, most, most)),
        np.zeros((units, most, p)), np.empty((p, p)),
    )  # fmt: skip
    work = Work(np.empty(n), np.empty(n), np.empty(n), np.zeros((units, most)))
    base, starts, strides = np.zeros(units * most), data.unit * most, np.full(classes, most)
    flat = state.u.reshape(-1)
    set_metric(data, tuning.weight, shape)
    for sweep in range(first, burnin + iterations):
        if cells[1] == 1:
            return sweep
        cells[0] = sweep + 1
        walking = sweep % 8 == 7
        gain = 1.0 / math.sqrt(1.0 + 0.2 * sweep) if sweep < burnin else 0.0
        state.total[0] = 0.0
        for i in range(n):
            state.total[0] += state.value[i]
        for c in range(classes):
            if not set_shape(data, prior, state, shape, c):
                return -1
            move_fixed(rng, data, prior, state, shape, work, c, walking)
            if data.q[c] == 0:
                continue
            move_effects(rng, data, state, shape, work, c, walking)
            for k in range(data.q[c]):
                accepted = move_scale(rng, data, prior, state, work, c, k, tuning.width[c, k])
                tuning.width[c, k] = _retune(tuning.width[c, k], accepted, gain)
            if not draw_omega(rng, data, prior, state, c):
                return -1
        if len(data.pairs) > 0 and not shift_nested(
            rng, data.pairs, data.parent_ptr, data.parent, data.shared_ptr, data.shared, data.q, data.groups, starts,
            strides, base, flat, state.inverse,
        ):  # fmt: skip
            return -1
        if data.link == 4:
            lift = move_alpha(rng, data, prior, state, work, tuning.alpha_width[0], False)
            move_alpha(rng, data, prior, state, work, tuning.alpha_width[0], True)
            tuning.alpha_width[0] = _widened(tuning.alpha_width[0], lift * gain)
        if sweep < burnin:
            if sweep % 4 == 0:
                add_weights(data, state, tuning.weight_sum)
                tuning.weight_count[0] += 1.0
            if (sweep + 1 == burnin // 3 or sweep + 1 == burnin) and tuning.weight_count[0] >= 8.0:
                _renew(data, tuning, shape)
            if sweep == burnin - 1:
                for k in range(4):
                    state.counts[k, 0] = state.counts[k, 1] = 0.0
        elif (sweep - burnin + 1) % thin == 0:
            for a in range(p):
                out[kept, a] = state.gamma[a]
            at = p
            for c in range(classes):
                for a in range(data.q[c]):
                    for b in range(a + 1):
                        out[kept, at] = state.omega[c, a, b]
                        at += 1
            out[kept, at] = state.alpha[0]
            total = ends_of(data, state.alpha[0])
            for i in range(n):
                total += state.value[i]
            out[kept, at + 1] = total  # last: a row is complete when this is there
            kept += 1
            put(kept, state.u, some, some_at, pace)
            for j in range(units):
                for a in range(most):
                    change = state.u[j, a] - summary[0, j, a]
                    summary[0, j, a] += change / kept
                    summary[1, j, a] += change * (state.u[j, a] - summary[0, j, a])
    return burnin + iterations
