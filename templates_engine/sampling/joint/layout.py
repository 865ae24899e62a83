"""From a JointModel to the kernels' arrays, and back to completed columns.

Internal units, chosen so that sums of squares do not lose digits and steps are well scaled:
- a Normal response is (y - X b) / s, with b its least squares fit over the observed rows and s the residual sd;
- each distinct design X (columns constant within groups first) is Q R with Q'Q / n = I, and theta = R beta.
Both are linear, so flat priors stay flat; proper priors are carried along.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint.arrays import (
    INTERVAL,
    MAXIMUM,
    NORMAL,
    Base,
    Dims,
    Groups,
    Patterns,
    Priors,
    Rows,
    State,
    Sums,
)
from templates_engine.sampling.joint.designs import Designs, Whole, distinct_rows, stack
from templates_engine.sampling.joint.group_effects import Basis
from templates_engine.sampling.joint.model import (
    Array,
    InverseWishart,
    JointModel,
    Response,
    Uniform,
    contains_constant,
    fixed_blocks,
    free_elements,
    free_threshold_places,
)
from templates_engine.sampling.joint.sweep import Output


@dataclass(frozen=True)
class Layout:
    """Everything a chain needs; `rows.y`, `state` and the work arrays change as it runs."""

    model: JointModel
    dims: Dims
    rows: Rows
    patterns: Patterns
    groups: Groups
    base: Base
    priors: Priors
    state: State
    sums: Sums
    basis: Basis
    output: Output
    drawn: Whole  # (rows of Rows,) original row of each
    group_of: Whole  # (rows of Rows,) its group
    fit1: Array  # (n, p1) X b of Normal responses, 0 for latents
    fit2: Array  # (J, p2)


def _standardise(responses: tuple[Response, ...]) -> tuple[Array, Array, list[Array], Array]:
    """(y, fit, b, scale): internal values (NaN where missing or latent), X b, its coefficients, units."""
    n = responses[0].values.size if responses else 0
    dimensions = [(r, k) for r in responses for k in range(r.dimensions)]
    y = np.full((n, len(dimensions)), np.nan)
    fit = np.zeros((n, len(dimensions)))
    scale = np.ones(len(dimensions))
    coefficients: list[Array] = []
    for d, (r, k) in enumerate(dimensions):
        X = r.designs[k]
        b: Array = np.zeros(X.shape[1])
        if r.kind == "Normal":
            seen = ~np.isnan(r.values)
            if X.shape[1]:
                b = np.asarray(np.linalg.lstsq(X[seen], r.values[seen], rcond=None)[0])
            fit[:, d] = X @ b
            residual = r.values[seen] - fit[seen, d]
            # a response that its predictors fit exactly keeps its own unit
            scale[d] = float(np.sqrt(np.mean(residual**2))) or float(np.abs(r.values[seen]).max()) or 1.0
            y[:, d] = (r.values - fit[:, d]) / scale[d]
        coefficients.append(b)
    return y, fit, coefficients, scale


def _codes(responses: tuple[Response, ...]) -> npt.NDArray[np.int16]:
    """Observed category of every dimension; 0 for an observed Normal; -1 where missing."""
    columns = []
    for r in responses:
        code = np.where(np.isnan(r.values), -1, 0 if r.kind == "Normal" else np.nan_to_num(r.values))
        columns += [code.astype(np.int16)] * r.dimensions
    n = responses[0].values.size if responses else 0
    return np.ascontiguousarray(np.array(columns, np.int16).reshape(-1, n).T)


def _thresholds(responses: tuple[Response, ...], width: int) -> Array:
    """Starting thresholds (p, width): Normal quantiles of the observed shares, -inf and inf at the ends."""
    out = np.full((sum(r.dimensions for r in responses), width), np.inf)
    d = 0
    for r in responses:
        out[d : d + r.dimensions, 0] = -np.inf
        if r.kind == "Binary":
            out[d, 1] = 0.0
        if r.kind == "Ordered":
            seen = r.values[~np.isnan(r.values)].astype(np.int64)
            counts = np.bincount(seen, minlength=r.categories) + 0.5
            cuts = np.array([NormalDist().inv_cdf(x) for x in np.cumsum(counts)[:-1] / counts.sum()])
            out[d, 1 : r.categories] = cuts - (cuts[0] if contains_constant(r.designs[0]) else 0.0)
        d += r.dimensions
    return out


def _fill_latents(y: Array, codes: npt.NDArray[np.int16], dims: Dims, first: int, tau: Array) -> None:
    """Put a starting value that agrees with the category into every latent, 0 into every missing cell."""
    for d in range(y.shape[1]):
        of = first + d
        code = codes[:, d]
        if dims.kind[of] == INTERVAL:
            low, high = tau[of][np.maximum(code, 0)], tau[of][np.maximum(code, 0) + 1]
            with np.errstate(invalid="ignore"):
                middle = np.where(np.isinf(low), high - 0.8, np.where(np.isinf(high), low + 0.8, 0.5 * (low + high)))
            y[:, d] = middle
        elif dims.kind[of] == MAXIMUM:
            member = of - dims.block[of]
            y[:, d] = np.where(code == member, 0.8, np.where(code == dims.width[of], -0.6, -0.4))
        y[code < 0, d] = 0.0


def _priors(
    model: JointModel, designs: list[Designs], coefficients: list[list[Array]], scale: Array, dims: Dims, levels: Whole
) -> Priors:
    p1, p = model.p1, scale.size
    P = int(dims.offset[-1])
    precision, linear = np.zeros((P, P)), np.zeros(P)
    if model.prior.fixed is not None:
        mean, kappa = model.prior.fixed.mean, model.prior.fixed.precision
        for d in range(p):
            own = d if d < p1 else d - p1
            back = scale[d] * designs[levels[d]].back[own]  # beta = b + back theta
            at = slice(int(dims.offset[d]), int(dims.offset[d + 1]))
            precision[at, at] = kappa * back.T @ back
            linear[at] = kappa * back.T @ (mean - coefficients[levels[d]][own])
    t = model.prior.thresholds
    return Priors(
        precision,
        linear,
        *_covariance_prior(model.prior.level1, scale[:p1]),
        *_covariance_prior(model.prior.level2, scale),
        0.0 if t is None else t.mean,
        0.0 if t is None else t.precision,
        *_parts(fixed_blocks(model, 1), p1),
        *_parts(fixed_blocks(model, 2), p),
    )


def _covariance_prior(given: Uniform | InverseWishart, units: Array) -> tuple[float, Array]:
    """(df, scale) in internal units."""
    if isinstance(given, InverseWishart):
        return float(given.df), np.ascontiguousarray(given.scale / np.outer(units, units))
    return -(units.size + 1.0), np.zeros((units.size, units.size))


def _parts(blocks: list[tuple[int, int]], size: int) -> tuple[Whole, Whole, Whole]:
    """(free dimensions, those in fixed blocks, the first dimension of the block of each of these)."""
    fixed = [a for first, width in blocks for a in range(first, first + width)]
    owner = [first for first, width in blocks for _ in range(width)]
    others = [a for a in range(size) if a not in fixed]
    return np.array(others, np.int64), np.array(fixed, np.int64), np.array(owner, np.int64)


def _start_covariance(model: JointModel, level: int, size: int) -> Array:
    """Identity, with the fixed blocks as they are to stay."""
    out = np.eye(size)
    share = 0.5 if model.latent_covariance == "differences" else 0.0
    for first, width in fixed_blocks(model, level):
        out[first : first + width, first : first + width] += share * (1.0 - np.eye(width))
    return out


def build(model: JointModel) -> Layout:
    """Arrays of a model at its starting point: latents agreeing with their categories, no effects, unit variances."""
    grouped = model.groups is not None
    n, p1, p2 = model.n_rows, model.p1, model.p2
    J = model.n_groups if grouped else 1
    group = model.groups if model.groups is not None else np.zeros(n, np.int64)
    responses = (*model.level1, *model.level2)
    p = p1 + p2

    d1, d2 = stack(model.level1, model.groups), stack(model.level2, None)
    if not model.level1:
        d1 = Designs(np.zeros((n, 0)), [], [], [], [])
    if not model.level2:
        d2 = Designs(np.zeros((J, 0)), [], [], [], [])
    counts = d1.count + d2.count
    blocks = [(r, k) for r in responses for k in range(r.dimensions)]
    kind = {"Normal": NORMAL, "Binary": INTERVAL, "Ordered": INTERVAL, "Unordered": MAXIMUM}
    anchored = [int(r.kind != "Ordered" or 1 not in free_threshold_places(r)) for r, _ in blocks]
    whole = [
        [kind[r.kind] for r, _ in blocks],
        [d - k for d, (_, k) in enumerate(blocks)],
        [r.dimensions for r, _ in blocks],
        d1.first + d2.first,
        counts,
        d1.constant + [0] * p2,
        [0, *np.cumsum(counts)],
        [r.categories for r, _ in blocks],
        anchored,
    ]
    dims = Dims(*(np.array(x, np.int64) for x in whole))
    tau = _thresholds(responses, max(max(r.categories for r in responses), 2) + 1)

    y, fit1, b1, s1 = _standardise(model.level1)
    if not model.level1:
        y, fit1 = np.zeros((n, 0)), np.zeros((n, 0))
    z, fit2, b2, s2 = _standardise(model.level2)
    if not model.level2:
        z, fit2 = np.zeros((J, 0)), np.zeros((J, 0))
    code1 = _codes(model.level1) if model.level1 else np.zeros((n, 0), np.int16)
    code2 = _codes(model.level2) if model.level2 else np.zeros((J, 0), np.int16)
    scale = np.concatenate([s1, s2])

    # sums over observed Normal cells, made once
    normal = (code1 >= 0) & (dims.kind[:p1] == NORMAL)
    known = np.where(normal, y, 0.0)
    by_group = np.zeros((J, p1))
    np.add.at(by_group, group, known)
    xsum = np.zeros((J, d1.columns.shape[1]))
    np.add.at(xsum, group, d1.columns)
    base = Base(known.T @ known, np.ascontiguousarray(d1.columns.T @ known), by_group)

    # rows with something to draw, by group, then by pattern and category so that branches repeat
    drawn = np.flatnonzero(~normal.all(axis=1))
    missing, pattern = np.unique(code1[drawn] < 0, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1).astype(np.int64)
    design, xrow = distinct_rows(d1.columns[drawn])
    keys = [xrow, *(code1[drawn, d] for d in range(p1)), pattern, group[drawn]]
    order = np.lexsort(keys)
    drawn, pattern, xrow = drawn[order], pattern[order], xrow[order]
    y1, c1 = y[drawn], np.ascontiguousarray(code1[drawn])
    _fill_latents(y1, c1, dims, 0, tau)
    start = np.searchsorted(group[drawn], np.arange(J + 1)).astype(np.int64)
    rows = Rows(np.ascontiguousarray(y1), c1, pattern, xrow, start, design)
    _fill_latents(z, code2, dims, p1, tau)

    level_normal = dims.kind[:p1] == NORMAL
    patterns = Patterns(
        np.array(
            [
                [*np.flatnonzero(~m & level_normal), *np.flatnonzero(~m & ~level_normal), *np.flatnonzero(m)]
                for m in missing
            ],
            np.int64,
        ).reshape(missing.shape[0], p1),
        (~missing & level_normal).sum(axis=1).astype(np.int64),
        (~missing).sum(axis=1).astype(np.int64),
        np.zeros((missing.shape[0], p1, p1)),
        np.zeros((missing.shape[0], p1)),
    )
    first_row = np.unique(group, return_index=True)[1]
    xfirst = np.ascontiguousarray(d1.columns[first_row])
    both = np.hstack([xfirst, d2.columns])
    groups = Groups(
        size=np.bincount(group, minlength=J).astype(float),
        xsum=xsum,
        xfirst=xfirst,
        design=d2.columns,
        code=code2,
        missing=np.array((code2 < 0).any(axis=1), np.int64),
        cross=d1.columns.T @ d1.columns,
        cross2=d2.columns.T @ d2.columns,
        cross_groups=both.T @ both,
    )
    levels = np.array([0] * p1 + [1] * p2, np.int64)
    P = int(dims.offset[-1])
    back = np.zeros((P, P))
    for d in range(p):
        at = slice(int(dims.offset[d]), int(dims.offset[d + 1]))
        back[at, at] = scale[d] * (d1.back[d] if d < p1 else d2.back[d - p1])
    free = [np.array(free_elements(model, level), np.int64).reshape(-1, 2) for level in (2, 1)]
    places = [(d, k) for d, (r, _) in enumerate(blocks) for k in free_threshold_places(r)]
    K, U = d1.columns.shape[1], design.shape[0]

    def empty(*shape: int) -> Array:
        return np.zeros(shape)

    return Layout(
        model=model,
        dims=dims,
        rows=rows,
        patterns=patterns,
        groups=groups,
        base=base,
        priors=_priors(model, [d1, d2], [b1, b2], scale, dims, levels),
        state=State(
            theta=empty(P),
            u=empty(J, p1),
            shift=empty(J, p1),
            z=np.ascontiguousarray(z),
            omega1=_start_covariance(model, 1, p1),
            omega2=_start_covariance(model, 2, p),
            tau=tau,
        ),
        sums=Sums(
            fitted=empty(U, p1),
            products=empty(p1, p1),
            by_design=empty(K, p1),
            by_row=empty(U, p1),
            by_group=empty(J, p1),
            residual=empty(J, p1),
            low=empty(J, p1),
            high=empty(J, p1),
        ),
        basis=Basis(empty(p1, p1), empty(p1, p1), empty(p1), empty(p1, p2), empty(p2, p2)),
        output=Output(
            back=back,
            origin=np.concatenate([np.zeros(0), *b1, *b2]),
            scale=scale,
            free2=free[0],
            free1=free[1],
            thresholds=np.array(places, np.int64).reshape(-1, 2),
        ),
        drawn=drawn,
        group_of=group[drawn],
        fit1=fit1,
        fit2=fit2,
    )


def completed(layout: Layout) -> tuple[dict[str, Array], dict[str, Array]]:
    """Full-length completed columns of the current state: level 1 by row, level 2 by group. Observed cells as given."""
    p1 = layout.model.p1
    y = layout.rows.y + layout.state.shift[layout.group_of]
    level1 = {}
    d = 0
    for response in layout.model.level1:
        column = response.values.copy()
        gap = np.isnan(column[layout.drawn])
        at = layout.drawn[gap]
        column[at] = _values(layout, response, d, y[gap], layout.fit1[at, d])
        level1[response.name] = column
        d += response.dimensions
    level2 = {}
    for response in layout.model.level2:
        column = response.values.copy()
        gap = np.isnan(column)
        column[gap] = _values(layout, response, d, layout.state.z[gap], layout.fit2[gap, d - p1], p1)
        level2[response.name] = column
        d += response.dimensions
    return level1, level2


def _values(layout: Layout, response: Response, d: int, latents: Array, fit: Array, base: int = 0) -> Array:
    """Values in the user's coding from latents (rows, dimensions of the level); d counts over both levels."""
    own = latents[:, d - base]
    if response.kind == "Normal":
        return np.asarray(fit + layout.output.scale[d] * own)
    if response.kind == "Unordered":
        block = latents[:, d - base : d - base + response.dimensions]
        best = block.argmax(axis=1)
        return np.where(block.max(axis=1) > 0, best, response.dimensions).astype(float)
    cuts = layout.state.tau[d, 1 : response.categories]
    return np.searchsorted(cuts, own).astype(float)
