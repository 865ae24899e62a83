"""From a JointModel to the kernels' arrays, and back to completed columns.

Internal units, chosen so that sums of squares do not lose digits and steps are well scaled:
- a Normal response is (y - X b) / s, with b its least squares fit over the observed rows and s the residual sd;
- each distinct design X (columns constant within units first) is Q R with Q'Q / n = I, and theta = R beta.
Both are linear, so flat priors stay flat; proper priors are carried along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint.arrays import (
    BOUNDED,
    INTERVAL,
    MAXIMUM,
    NORMAL,
    Base,
    Basis,
    Class,
    ClassPrior,
    ClassSums,
    Crossing,
    Dims,
    Effects,
    Groups,
    Patterns,
    Priors,
    Rows,
    RowSums,
    State,
)
from templates_engine.sampling.joint.crossing import crossings, holders
from templates_engine.sampling.joint.designs import Designs, Whole, distinct_rows, stack
from templates_engine.sampling.joint.model import (
    Array,
    JointModel,
    Response,
    free_elements,
    free_threshold_places,
)
from templates_engine.sampling.joint.priors import class_prior, shared_priors, start_covariance
from templates_engine.sampling.joint.starts import (
    codes,
    fill_bounded,
    fill_latents,
    internal_bounds,
    standardise,
    start_thresholds,
)
from templates_engine.sampling.joint.sweep import Output

Small = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Layout:
    """Everything a chain needs; `rows.y`, `state`, `classes` and the work arrays change as it runs."""

    model: JointModel
    dims: Dims
    rows: Rows
    patterns: Patterns
    base: Base
    priors: Priors
    state: State
    sums: RowSums
    classes: tuple[Class, ...]
    crossings: tuple[Crossing, ...]
    output: Output
    drawn: Whole  # (rows of Rows,) original row of each
    units: Whole  # (rows of Rows, N) its units, as rows of the effects of all
    fits: tuple[Array, ...]  # by level (n or J, dimensions): X b of Normal responses, 0 for latents


@dataclass(frozen=True)
class _Level:
    """One level's responses as arrays: in internal units with NaN for latents and gaps, codes, fit, and designs."""

    y: Array
    code: Small
    fit: Array
    coefficients: list[Array]
    scale: Array
    designs: Designs


def build(model: JointModel) -> Layout:
    """Arrays of a model at its starting point: latents agreeing with their categories, no effects, unit variances."""
    units = [c.units for c in model.classes] or [np.zeros(model.n_rows, np.int64)]
    sizes = [int(u.max()) + 1 for u in units]
    levels = [_level(model.level1, model.n_rows, [c.units for c in model.classes])]
    levels += [_level(c.responses, c.n_units, None) for c in model.classes] or [_level((), 1, None)]
    dims = _dims(model, levels)
    tau = start_thresholds(model.responses, max(*(r.categories for r in model.responses), 2) + 1)
    lower = levels[0]
    normal = (lower.code == 0) & (dims.kind[: model.p1] == NORMAL)
    starts = np.cumsum([0, *sizes])
    rows, drawn, where = _rows(model, lower, normal, dims, tau, units, starts)
    scale = np.concatenate([level.scale for level in levels])
    back = [matrix for level in levels for matrix in level.designs.back]
    coefficients = [b for level in levels for b in level.coefficients]
    state = State(
        theta=np.zeros(int(dims.offset[-1])),
        omega1=start_covariance(model, 0, model.p1),
        tau=tau,
        u=np.zeros((starts[-1], model.p1)),
        shift=np.zeros((starts[-1], model.p1)),
    )
    sums = _row_sums(model.p1, rows.design.shape, int(starts[-1]))
    return Layout(
        model=model,
        dims=dims,
        rows=rows,
        patterns=_patterns(lower.code[drawn], dims.kind[: model.p1] == NORMAL),
        base=_base(lower, normal, units, starts),
        priors=shared_priors(model, back, coefficients, scale, dims),
        state=state,
        sums=sums,
        classes=_classes(model, levels, units, starts, dims, tau, state, sums, scale),
        crossings=crossings(units),
        output=_output(model, dims, scale, back, coefficients),
        drawn=drawn,
        units=where,
        fits=tuple(level.fit for level in levels),
    )


def _level(responses: tuple[Response, ...], n: int, classes: list[Whole] | None) -> _Level:
    if not responses:
        nothing = Designs(np.zeros((n, 0)), [], [], [], [])
        return _Level(np.zeros((n, 0)), np.zeros((n, 0), np.int16), np.zeros((n, 0)), [], np.zeros(0), nothing)
    return _Level(*_standard(responses), stack(responses, classes))


def _standard(responses: tuple[Response, ...]) -> tuple[Array, Small, Array, list[Array], Array]:
    y, fit, coefficients, scale = standardise(responses)
    return y, codes(responses), fit, coefficients, scale


def _dims(model: JointModel, levels: list[_Level]) -> Dims:
    blocks = [(r, k) for r in model.responses for k in range(r.dimensions)]
    kind = {"Normal": NORMAL, "Binary": INTERVAL, "Ordered": INTERVAL, "Unordered": MAXIMUM}
    counts = [count for level in levels for count in level.designs.count]
    whole = [
        [kind[r.kind] for r, _ in blocks],
        [d - k for d, (_, k) in enumerate(blocks)],
        [r.dimensions for r, _ in blocks],
        [first for level in levels for first in level.designs.first],
        counts,
        [0, *np.cumsum(counts)],
        [r.categories for r, _ in blocks],
        [int(r.kind != "Ordered" or 1 not in free_threshold_places(r)) for r, _ in blocks],
    ]
    return Dims(*(np.array(x, np.int64) for x in whole))


def _base(lower: _Level, normal: npt.NDArray[np.bool_], units: list[Whole], starts: Whole) -> Base:
    """Sums over observed Normal cells, and of predictors, made once."""
    known = np.where(normal, lower.y, 0.0)
    X = lower.designs.columns
    by_group = np.zeros((int(starts[-1]), known.shape[1]))
    for first, codes_of in zip(starts, units, strict=False):
        np.add.at(by_group, first + codes_of, known)
    return Base(known.T @ known, np.ascontiguousarray(X.T @ known), by_group, X.T @ X)


def _rows(
    model: JointModel,
    lower: _Level,
    normal: npt.NDArray[np.bool_],
    dims: Dims,
    tau: Array,
    units: list[Whole],
    starts: Whole,
) -> tuple[Rows, Whole, Whole]:
    """(Rows, original row of each, their units): by the first classification, then so that branches repeat."""
    drawn = np.flatnonzero(~normal.all(axis=1))
    is_normal = dims.kind[: model.p1] == NORMAL
    _, pattern = np.unique(_known(lower.code[drawn], is_normal), axis=0, return_inverse=True)
    pattern = pattern.reshape(-1).astype(np.int64)
    design, xrow = distinct_rows(lower.designs.columns[drawn])
    keys = [xrow, *(lower.code[drawn, d] for d in range(model.p1)), pattern, units[0][drawn]]
    order = np.lexsort(keys)
    drawn, pattern, xrow = drawn[order], pattern[order], xrow[order]
    y, code = lower.y[drawn], np.ascontiguousarray(lower.code[drawn])
    fill_latents(y, code, dims, 0, tau)
    low, high = (b[drawn] if b.size else b for b in internal_bounds(model.level1, lower.fit, lower.scale))
    fill_bounded(y, code, dims, low, high)
    where = np.column_stack([first + u[drawn] for first, u in zip(starts, units, strict=False)]).astype(np.int64)
    start = np.searchsorted(units[0][drawn], np.arange(starts[1] + 1)).astype(np.int64)
    rows = Rows(
        np.ascontiguousarray(y), code, pattern, xrow, start, np.ascontiguousarray(where[:, 1:]), design, low, high
    )
    return rows, drawn, where


def _known(code: Small, normal: npt.NDArray[np.bool_]) -> Small:
    """What is known of each cell: 0 observed, 1 a Normal's bounds, 2 nothing."""
    return np.where(code < 0, 2, (code == BOUNDED) & normal).astype(np.int16)


def _patterns(code: Small, normal: npt.NDArray[np.bool_]) -> Patterns:
    known = np.unique(_known(code, normal), axis=0)
    p1 = normal.size
    order = []
    for line in known:
        seen, drawn = (line == 0) & normal, ((line == 0) & ~normal) | (line == 1)
        order.append([*np.flatnonzero(seen), *np.flatnonzero(drawn), *np.flatnonzero(line == 2)])
    return Patterns(
        np.array(order, np.int64).reshape(known.shape[0], p1),
        ((known == 0) & normal).sum(axis=1).astype(np.int64),
        (known < 2).sum(axis=1).astype(np.int64),
        np.zeros((known.shape[0], p1, p1)),
        np.zeros((known.shape[0], p1)),
    )


def _row_sums(p1: int, design: tuple[int, ...], G: int) -> RowSums:
    U, K = design
    shapes = [(U, p1), (p1, p1), (K, p1), (U, p1), (G, p1), (G, p1), (G, p1)]
    return RowSums(*(np.zeros(shape) for shape in shapes))


def _classes(
    model: JointModel,
    levels: list[_Level],
    units: list[Whole],
    starts: Whole,
    dims: Dims,
    tau: Array,
    state: State,
    sums: RowSums,
    scale: Array,
) -> tuple[Class, ...]:
    p1, base = model.p1, model.p1
    held = holders(units)
    classes = []
    for k, (codes_of, upper) in enumerate(zip(units, levels[1:], strict=True)):
        of = slice(int(starts[k]), int(starts[k + 1]))
        p2, J = upper.y.shape[1], of.stop - of.start
        z = upper.y.copy()
        fill_latents(z, upper.code, dims, base, tau)
        own = np.concatenate([scale[:p1], scale[base : base + p2]])
        prior = class_prior(model, k + 1, own) if model.classes else _no_prior(p1)
        omega = start_covariance(model, k + 1, p1 + p2) if model.classes else np.eye(p1)
        # an inner classification in which some response has no effect could not give its sum to the outer one
        holder = held[k] if p1 + p2 == prior.within.size else None
        classes.append(
            Class(
                _groups(levels[0].designs, upper, codes_of, of.start, base, k, prior.within, holder),
                prior,
                Effects(state.u[of], state.shift[of], np.ascontiguousarray(z), omega),
                ClassSums(
                    sums.by_group[of],
                    sums.by_group[of] if len(units) == 1 else np.zeros((J, p1)),
                    np.zeros((J, p1)),
                    sums.low[of],
                    sums.high[of],
                ),
                Basis(np.zeros((p1, p1)), np.zeros((p1, p1)), np.zeros(p1), np.zeros((p1, p2)), np.zeros((p2, p2))),
            )
        )
        base += p2
    return tuple(classes)


def _no_prior(p1: int) -> ClassPrior:
    """Of the classification that stands for none, and is passed by."""
    none = np.zeros(0, np.int64)
    return ClassPrior(0.0, np.zeros((p1, p1)), np.arange(p1), none, none, np.arange(p1), np.zeros(0))


def _groups(
    designs: Designs,
    upper: _Level,
    codes_of: Whole,
    first: int,
    base: int,
    k: int,
    within: Whole,
    holder: tuple[int, Whole] | None,
) -> Groups:
    J = upper.y.shape[0]
    xsum = np.zeros((J, designs.columns.shape[1]))
    np.add.at(xsum, codes_of, designs.columns)
    first_row = np.unique(codes_of, return_index=True)[1]
    xfirst = np.ascontiguousarray(designs.columns[first_row])
    both = np.hstack([xfirst, upper.designs.columns])
    constant = np.array(designs.constant[k] if designs.constant else [0] * len(designs.first), np.int64)
    constant[np.setdiff1d(np.arange(constant.size), within)] = 0  # no effect to move with them
    return Groups(
        first=first,
        base=base,
        size=np.bincount(codes_of, minlength=J).astype(float),
        xsum=xsum,
        xfirst=xfirst,
        constant=constant,
        design=upper.designs.columns,
        code=upper.code,
        missing=np.array((upper.code < 0).any(axis=1), np.int64),
        cross=upper.designs.columns.T @ upper.designs.columns,
        cross_both=both.T @ both,
        holder=-1 if holder is None else holder[0],
        parent=np.zeros(0, np.int64) if holder is None else holder[1],
    )


def _output(model: JointModel, dims: Dims, scale: Array, back: list[Array], coefficients: list[Array]) -> Output:
    P = int(dims.offset[-1])
    whole = np.zeros((P, P))
    for d in range(scale.size):
        at = slice(int(dims.offset[d]), int(dims.offset[d + 1]))
        whole[at, at] = scale[d] * back[d]
    free, base = [], model.p1
    for level, each in enumerate(model.classes, start=1):
        own = [*range(model.p1), *range(base, base + each.p2)]
        free += [(level - 1, a, b, own[a], own[b]) for a, b in free_elements(model, level)]
        base += each.p2
    blocks = [r for r in model.responses for _ in range(r.dimensions)]
    places = [(d, k) for d, r in enumerate(blocks) for k in free_threshold_places(r)]
    return Output(
        back=whole,
        origin=np.concatenate([np.zeros(0), *coefficients]),
        scale=scale,
        free1=np.array(free_elements(model, 0), np.int64).reshape(-1, 2),
        free=np.array(free, np.int64).reshape(-1, 5),
        thresholds=np.array(places, np.int64).reshape(-1, 2),
    )


def completed(layout: Layout) -> tuple[dict[str, Array], ...]:
    """Completed columns of the current state: level 1 by row, each classification by unit. Observed cells as given."""
    y = layout.rows.y.copy()
    for k in range(layout.units.shape[1]):
        y += layout.state.shift[layout.units[:, k]]
    found = [_filled(layout, layout.model.level1, 0, y, layout.drawn, layout.fits[0])]
    base = layout.model.p1
    for c, each, fit in zip(layout.model.classes, layout.classes, layout.fits[1:], strict=False):
        found.append(_filled(layout, c.responses, base, each.effects.z, np.arange(c.n_units), fit))
        base += c.p2
    return tuple(found)


def _filled(
    layout: Layout, responses: tuple[Response, ...], base: int, latents: Array, rows: Whole, fit: Array
) -> dict[str, Array]:
    """Columns of one level, whose latents are those of `rows`, its dimensions beginning at `base`."""
    columns = {}
    d = 0
    for response in responses:
        column = response.values.copy()
        gap = np.isnan(column[rows])
        at = rows[gap]
        column[at] = _values(layout, response, base + d, latents[gap, d : d + response.dimensions], fit[at, d])
        columns[response.name] = column
        d += response.dimensions
    return columns


def _values(layout: Layout, response: Response, d: int, latents: Array, fit: Array) -> Array:
    """Values in the user's coding from latents (rows, dimensions of the response); d: its first dimension."""
    own = latents[:, 0]
    if response.kind == "Normal":
        return np.asarray(fit + layout.output.scale[d] * own)
    if response.kind == "Unordered":
        best = latents.argmax(axis=1)
        return np.where(latents.max(axis=1) > 0, best, response.dimensions).astype(float)
    cuts = layout.state.tau[d, 1 : response.categories]
    return np.searchsorted(cuts, own).astype(float)
