"""From a OnePass model to the kernels' arrays at their starting point, and back to completed columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.glm import CODES, data as glm_data, fixed_only
from templates_engine.sampling.joint import INTERVAL, NORMAL, Layout as JointLayout, Response, build as build_joint
from templates_engine.sampling.normal import CollinearError
from templates_engine.sampling.onepass.arrays import (
    Cells,
    Interest,
    InterestPriors,
    Marks,
    Means,
    Outcome,
    Rest,
    Selected,
    Terms,
    Work,
)
from templates_engine.sampling.onepass.covariates import Joint
from templates_engine.sampling.onepass.means import refresh_means
from templates_engine.sampling.onepass.model import Array, OnePass, Product, Whole, evaluate, origins
from templates_engine.sampling.onepass.normal_interest import Sweep
from templates_engine.sampling.onepass.responses import GAUSSIAN, NEGATIVE_BINOMIAL, best_of
from templates_engine.sampling.onepass.scales import NAMES, PLAIN
from templates_engine.sampling.onepass.term_arrays import means_of, selected_of, terms_of

Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Layout:
    """Everything a chain needs; all but `terms` changes as it runs."""

    model: OnePass
    covariates: JointLayout
    joint: Joint
    cells: Cells
    terms: Terms
    outcome: Outcome
    rest: Rest
    means: Means
    selected: Selected
    interest: Interest
    priors: InterestPriors
    sweep: Sweep
    work: Work
    origin: Array  # (K,) to be added to beta
    family: int
    seen: int  # rows with a response
    tried: Whole  # (3, 2) proposals and acceptances of β, effects and selection models, where these are proposed


def build(model: OnePass, generator: np.random.Generator | None = None) -> Layout:
    """Arrays at the start: missing cells where the covariate model's means are, categories drawn from those seen.

    With a generator the start of the model of interest is scattered.
    """
    rng = generator if generator is not None else np.random.default_rng(0)
    below = build_joint(model.covariates)
    rows = below.rows._replace(code=below.rows.code.copy())
    (upper,) = below.classes
    upper = upper._replace(groups=upper.groups._replace(code=upper.groups.code.copy()))
    joint = Joint(below.dims, rows, below.base, below.priors, below.state, below.sums, upper)
    cells = _cells(model, below, joint, rng)
    terms, columns = terms_of(model)
    interest = model.interest
    group, J = _groups(model)
    seen = ~np.isnan(interest.y)
    y, origin = _centred(model)
    used = {f.variable for term in interest.terms for f in term.factors}
    lower = model.covariates.level1
    moving = np.zeros(interest.y.size, bool)
    for response in lower:
        if response.name in used:
            moving |= np.isnan(response.values)
    moving &= seen
    family = family_of(model)
    trials = interest.trials if interest.trials is not None else np.ones(y.size)
    offset = interest.offset if interest.offset is not None else np.zeros(y.size)
    best = best_of(family, np.where(seen, y, 0.0), trials)
    H = len(columns)
    base = np.zeros((J, H + 1, H + 1))
    still = seen & ~moving
    values = [(r.name, model.values(r)[still]) for r in lower]
    parts = [evaluate(Product("", c.column[still], c.factors), values) for c in columns] + [y[still]]
    for a in range(H + 1):
        for b in range(a + 1):
            base[:, a, b] = base[:, b, a] = np.bincount(group[still], parts[a] * parts[b], J)
    at = below.drawn
    outcome = Outcome(
        np.where(seen, y, 0.0)[at], trials[at], offset[at], best[at], seen[at].astype(np.int8),
        moving[at].astype(np.int8), np.ascontiguousarray(np.array([c.column[at] for c in columns]).T.reshape(-1, H)),
        group[at], base, base.copy(),
    )  # fmt: skip
    q = len(interest.random)
    order = np.flatnonzero(seen)
    order = order[np.argsort(group[order], kind="stable")] if family != GAUSSIAN else order[:0]
    rest = _rest(model, below, cells, columns, order, group, J, y, trials, offset, best)
    p = max(below.dims.kind.size, 1)
    most = max([2, *(r.categories for r in (*lower, *model.covariates.level2))])
    degree = int(max([1, *terms.degree, *terms.degree2]))
    work = Work(np.empty((p, p)), np.empty(p), np.empty(p), np.empty(most), np.zeros(degree + 1))
    sweep = Sweep(np.zeros((J, q, q)), np.zeros((J, q)), np.zeros(J), np.zeros((q, q)))
    start = _start(model, y[seen], family, rest, terms, rng if generator is not None else None, J)
    means = means_of(model, below, terms, group, J)
    refresh_means(means, cells, outcome)
    selected = selected_of(model, below, cells)
    return Layout(
        model, below, joint, cells, terms, outcome, rest, means, selected, start, _priors(model, origin), sweep, work,
        origin, family, int(seen.sum()), np.zeros((3, 2), np.int64),
    )  # fmt: skip


def _groups(model: OnePass) -> tuple[Whole, int]:
    """(n,) the group by which cross-products are kept, and how many there are."""
    codes = model.interest.groups if model.interest.groups is not None else model.covariates.groups
    if codes is None:
        return np.zeros(model.interest.y.size, np.int64), 1
    return codes, int(codes.max()) + 1


def _centred(model: OnePass) -> tuple[Array, Array]:
    """(response less its mean where a constant term takes the mean up, what to add to beta)."""
    interest = model.interest
    origin = np.zeros(len(interest.fixed))
    y = interest.y.copy()
    if interest.link != "identity":
        return y, origin
    for k, t in enumerate(interest.fixed):
        term = interest.terms[t]
        if not term.factors and np.ptp(term.column) == 0.0 and term.column[0] != 0.0:
            origin[k] = np.nanmean(y) / term.column[0]
            return y - np.nanmean(y), origin
    return y, origin


def _cells(model: OnePass, below: JointLayout, joint: Joint, rng: np.random.Generator) -> Cells:
    """Gaps and their starting values; latents of missing categories made to agree with them."""
    lower, upper = model.covariates.level1, model.covariates.level2
    at = below.drawn
    dim = np.cumsum([0, *(r.dimensions for r in lower)])[: len(lower)].astype(np.int64)
    dim2 = np.cumsum([0, *(r.dimensions for r in upper)])[: len(upper)].astype(np.int64)
    p1, J = model.covariates.p1, joint.upper.groups.size.size
    scale = below.output.scale[dim] if len(lower) else np.zeros(0)
    scale2 = below.output.scale[p1 + dim2] if len(upper) else np.zeros(0)
    fit = np.ascontiguousarray(below.fits[0][at][:, dim].reshape(at.size, len(lower)))
    fit2 = np.ascontiguousarray(below.fits[1][:, dim2].reshape(J, len(upper)))
    value = np.array([model.values(r)[at] for r in lower]).T.reshape(at.size, len(lower)).copy()
    value2 = np.array([model.values(r) for r in upper]).T.reshape(J, len(upper)).copy()
    gap, gap2 = np.isnan(value), np.isnan(value2)
    for gaps, fits, responses in ((gap, fit, lower), (gap2, fit2, upper)):
        for k, response in enumerate(responses):
            fits[gaps[:, k], k] += model.shifts.get(response.name, 0.0)
    for responses, first, gaps, values, latents, codes, fits in (
        (lower, dim, gap, value, joint.rows.y, joint.rows.code, fit),
        (upper, dim2, gap2, value2, joint.upper.effects.z, joint.upper.groups.code, fit2),
    ):
        offset = 0 if responses is lower else p1
        for k, response in enumerate(responses):
            _fill(joint, response, offset, int(first[k]), gaps[:, k], values[:, k], latents, codes, fits[:, k], rng)
            if response.name in model.scales:
                values[gaps[:, k], k] = model.scales[response.name].of(values[gaps[:, k], k])
    tried = np.zeros((len(lower) + len(upper), 2), np.int64)
    first, first2 = (origins(model.interest, [r.name for r in responses]) for responses in (lower, upper))
    room = np.zeros((J, len(model.means)))
    law, bounds = _scales(model, lower)
    law2, bounds2 = _scales(model, upper)
    return Cells(
        dim, dim2, _marks(gap, lower), _marks(gap2, upper), np.ascontiguousarray(value + first),
        np.hstack([value2 + first2, room]),
        first, first2,
        law, bounds, law2, bounds2, fit, scale, fit2, scale2, tried,
    )  # fmt: skip


def _marks(gap: npt.NDArray[np.bool_], responses: tuple[Response, ...]) -> Marks:
    """Cells.gap: 1 where missing, 2 where a count is known but its latent is not."""
    known = np.array([2 if r.latent else 0 for r in responses], np.int8)
    return np.where(gap, np.int8(1), known).astype(np.int8)


def _scales(model: OnePass, responses: tuple[Response, ...]) -> tuple[Whole, Array]:
    """(R,) law and (R, 2) bounds of each response."""
    found = [model.scales.get(r.name) for r in responses]
    law = np.array([PLAIN if s is None else NAMES[s.kind] for s in found], np.int64)
    return law, np.array([(0.0, 1.0) if s is None else (s.low, s.high) for s in found]).reshape(-1, 2)


def _fill(
    joint: Joint, response: Response, offset: int, at: int, gap: npt.NDArray[np.bool_], value: Array, latents: Array,
    codes: Codes, fit: Array, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Start one response's missing cells: a measurement at its fit, a category as one that was seen."""
    d = offset + at
    if not gap.any():
        return
    if joint.dims.kind[d] == NORMAL:
        value[gap] = fit[gap]  # its latent is 0
        return
    seen = response.values[~np.isnan(response.values)]
    drawn = rng.choice(seen, int(gap.sum()))
    value[gap] = drawn
    for k in range(response.dimensions):
        codes[gap, at + k] = drawn.astype(np.int16)
        if joint.dims.kind[d] == INTERVAL:
            tau = joint.state.tau[d]
            low, high = tau[drawn.astype(int)], tau[drawn.astype(int) + 1]
            with np.errstate(invalid="ignore"):
                middle = np.where(np.isinf(low), high - 0.8, np.where(np.isinf(high), low + 0.8, 0.5 * (low + high)))
            latents[gap, at] = middle
        else:
            last = response.dimensions
            latents[gap, at + k] = np.where(drawn == k, 0.8, np.where(drawn == last, -0.6, -0.4))


def family_of(model: OnePass) -> int:
    """Of the response, as responses.misfit has it."""
    if model.interest.link == "identity":
        return GAUSSIAN
    return NEGATIVE_BINOMIAL if model.interest.negative_binomial else CODES[model.interest.link]


def _rest(
    model: OnePass, below: JointLayout, cells: Cells, columns: list[Product], order: Whole, group: Whole, J: int,
    y: Array, trials: Array, offset: Array, best: Array,
) -> Rest:  # fmt: skip
    """The rows `order` with their shapes at the starting values."""
    place = np.full(y.size, -1)
    place[order] = np.arange(order.size)
    filled = []
    for k, response in enumerate(model.covariates.level1):
        column = model.values(response).copy()
        column[below.drawn] = cells.value[:, k] - cells.origin[k]
        filled.append((response.name, column[order]))
    parts = [evaluate(Product("", c.column[order], c.factors), filled) for c in columns]
    return Rest(
        y[order], trials[order], offset[order], best[order],
        np.searchsorted(group[order], np.arange(J + 1)).astype(np.int64),
        np.ascontiguousarray(np.array(parts).T.reshape(order.size, len(columns))), place[below.drawn],
    )  # fmt: skip


def _start(
    model: OnePass, y: Array, family: int, rest: Rest, terms: Terms, rng: np.random.Generator | None, J: int
) -> Interest:
    """No effects; variances in the response's scale, scattered where there is a generator."""
    q = len(model.interest.random)
    spread = float(np.var(y)) or 1.0
    beta = np.zeros(len(model.interest.fixed))
    if family != GAUSSIAN:
        spread = 1.0
        beta = _guess(model, rest, terms)
    omega = np.eye(q)
    for r, t in enumerate(model.interest.random):
        known = []
        for each in model.covariates.level1:
            x = model.values(each)
            known.append((each.name, np.nan_to_num(x, nan=float(np.nanmean(x)))))
        size = float(np.mean(evaluate(model.interest.terms[t], known) ** 2)) or 1.0
        omega[r, r] = 0.2 * spread / size
    if rng is not None:
        width = np.exp(0.5 * rng.standard_normal(q))
        omega *= np.outer(width, width)
        if family in (GAUSSIAN, NEGATIVE_BINOMIAL):
            spread *= float(np.exp(0.5 * rng.standard_normal()))
    return Interest(beta, np.zeros((J, q)), omega, np.array([spread]))


def _guess(model: OnePass, rest: Rest, terms: Terms) -> Array:
    """Coefficients near the maximum of the likelihood without group effects; 0 where that cannot be had."""
    zero = np.zeros(terms.fixed.size)
    if terms.used2.any():  # the terms have values only with those of level 2
        return zero
    design = rest.shape[:, terms.shape[terms.fixed]]
    try:
        rows = glm_data.grouped(model.interest.link, rest.y, design, trials=rest.trials, offset=rest.offset)
    except CollinearError:
        return zero
    found = fixed_only(rows).beta
    return np.asarray(found) if np.isfinite(found).all() and np.abs(design @ found).max() < 30.0 else zero


def _priors(model: OnePass, origin: Array) -> InterestPriors:
    prior, q = model.interest.prior, len(model.interest.random)
    K = len(model.interest.fixed)
    scale = np.zeros((q, q)) if prior.scale is None else np.ascontiguousarray(prior.scale, float)
    if scale.shape != (q, q):
        raise ValueError(f"a prior for {scale.shape[0]} random coefficients, and the model has {q}")
    df = -(q + 1.0) if prior.df is None else float(prior.df)
    linear = prior.beta_precision * (prior.beta_mean - origin)
    return InterestPriors(prior.beta_precision * np.eye(K), linear, df, scale, prior.shape, prior.rate)


def completed(layout: Layout) -> tuple[dict[str, Array], dict[str, Array]]:
    """Full-length completed columns of the current state, categories from 0: level 1 by row, level 2 by group."""
    found: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    cells = layout.cells
    for k, response in enumerate(layout.model.covariates.level1):
        column = layout.model.values(response).copy()
        gap = cells.gap[:, k] == 1
        column[layout.covariates.drawn[gap]] = cells.value[gap, k] - cells.origin[k]
        found[0][response.name] = column
    for k, response in enumerate(layout.model.covariates.level2):
        column = layout.model.values(response).copy()
        gap = cells.gap2[:, k] == 1
        column[gap] = cells.value2[gap, k] - cells.origin2[k]
        found[1][response.name] = column
    return found
