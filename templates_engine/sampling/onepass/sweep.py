"""The one-pass sampler's sweep: rows, covariate model, model of interest; and the record of every iteration."""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.joint import Output, fitted_values, inverse, record, thresholds_level1
from templates_engine.sampling.onepass.arrays import (
    Cells,
    Floats,
    Interest,
    InterestPriors,
    Ints,
    Means,
    Outcome,
    Rest,
    Selected,
    Terms,
    Work,
)
from templates_engine.sampling.onepass.covariates import Joint, covariate_steps
from templates_engine.sampling.onepass.glm_interest import draw_general
from templates_engine.sampling.onepass.means import refresh_means
from templates_engine.sampling.onepass.normal_interest import Sweep, draw_interest
from templates_engine.sampling.onepass.products import effective, heights
from templates_engine.sampling.onepass.responses import GAUSSIAN, NEGATIVE_BINOMIAL
from templates_engine.sampling.onepass.rows import draw_rows
from templates_engine.sampling.onepass.selecting import draw_selection

STEPS = ("", "thresholds", "incomplete covariates", "covariate model", "model of interest")


@njit
def write_interest(interest: Interest, origin: Floats, spreads: bool, line: Floats) -> int:
    """β (with what was taken off the response put back), packed Ω and σ² or α (with `spreads`) at the head of
    a line; how many."""
    K, q = interest.beta.size, interest.omega.shape[0]
    for k in range(K):
        line[k] = interest.beta[k] + origin[k]
    at = K
    for a in range(q):
        for b in range(a + 1):
            line[at] = interest.omega[a, b]
            at += 1
    if not spreads:
        return at
    line[at] = interest.sigma2[0]
    return at + 1


@njit
def write_selection(selected: Selected, line: Floats) -> int:
    """The selection models' coefficients before the last place of a line; where they begin."""
    first = line.size - 1
    for s in range(selected.on.shape[0]):
        first -= int(selected.on[s].sum())
    at = first
    for s in range(selected.on.shape[0]):
        for k in range(selected.on.shape[1]):
            if selected.on[s, k] == 1:
                line[at] = selected.alpha[s, k]
                at += 1
    return first


@njit
def running(kept: int, values: Floats, moments: Floats) -> None:
    """moments (2, J, q): mean and sum of squares about it of `values` (J, q) over the kept iterations."""
    for j in range(values.shape[0]):
        for a in range(values.shape[1]):
            change = values[j, a] - moments[0, j, a]
            moments[0, j, a] += change / kept
            moments[1, j, a] += change * (values[j, a] - moments[0, j, a])


@njit
def sweeps(
    generator: np.random.Generator, progress: Ints, first: int, last: int, burnin: int, thin: int,
    grouped: bool, correlated: bool, flat: bool, family: int, seen: int, origin: Floats, joint: Joint, output: Output,
    cells: Cells, terms: Terms, outcome: Outcome, rest: Rest, means: Means, selected: Selected, interest: Interest,
    priors: InterestPriors,
    sweep: Sweep, work: Work, tried: Ints, out: Floats, moments: Floats, moments_u: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Iterations first .. last - 1; (iterations done, 0 or the step in STEPS that failed).

    seen: rows with a response. A line of out (draw, parameters and deviance) for every `thin`-th iteration after the
    burn-in; stops early when progress[1] is 1.
    """
    p1 = joint.state.omega1.shape[0]
    J, H = outcome.cross.shape[0], outcome.column.shape[1]
    n = 0.0
    for j in range(joint.upper.groups.size.size):
        n += joint.upper.groups.size[j]
    Q = np.empty((p1, p1))
    height = np.empty((J, terms.shape.size))
    by = np.empty((J, H))
    for t in range(first, last):
        if progress[1] == 1:
            return t, 0
        fitted_values(joint.dims, joint.rows, joint.state.theta, joint.sums.fitted)
        if not thresholds_level1(generator, joint.dims, joint.rows, joint.state, joint.sums.fitted, joint.priors):
            return t, 1
        if not inverse(joint.state.omega1, p1, Q):
            return t, 2
        if means.of.size > 0:
            refresh_means(means, cells, outcome)
        for j in range(J):
            heights(terms.form2, cells.value2, j, height[j])
        effective(terms, interest, height, by)
        draw_rows(
            generator, joint.dims, joint.rows, cells, terms, outcome, rest, interest, means, selected, family,
            interest.sigma2[0], by, Q, joint.state, joint.sums, work,
        )  # fmt: skip
        if selected.alpha.shape[0] > 0:
            draw_selection(generator, selected, tried[2])
        if not covariate_steps(
            generator, joint, cells, terms, outcome, rest, interest, family, work, grouped, correlated, flat, n, t
        ):
            return t, 3
        for j in range(J):
            heights(terms.form2, cells.value2, j, height[j])
        if family == GAUSSIAN:
            fine, deviance = draw_interest(generator, terms, priors, height, outcome, interest, sweep, seen)
        else:
            fine, deviance = draw_general(generator, terms, priors, family, rest, interest, height, tried)
        if not fine:
            return t, 4
        if t >= burnin and (t - burnin + 1) % thin == 0:
            kept = (t - burnin + 1) // thin
            line = out[kept - 1]
            at = write_interest(interest, origin, family in (GAUSSIAN, NEGATIVE_BINOMIAL), line)
            rest_of = write_selection(selected, line)
            record(output, joint.state, (joint.upper,), line[at:rest_of])
            line[line.size - 1] = deviance
            running(kept, interest.u, moments)
            running(kept, joint.state.u, moments_u)
        progress[0] = t + 1
    return last, 0
