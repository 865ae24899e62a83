"""The arrays that the joint model's kernels share, under names. All are plain NumPy arrays, C-ordered.

Sizes: n rows, N classifications with J units each, G units in all; p1 latent dimensions of level 1, p2 of the responses
of one classification; K distinct columns of predictors at level 1, K2 at a classification; P coefficients.
Dimensions are numbered 0..D-1: the p1 of level 1 (in order of response, then of latent), then those of the responses of
each classification in turn. Dimension d uses columns first[d] .. first[d] + terms[d] - 1 of its level's designs, and
coefficients offset[d] .. offset[d + 1] - 1 of theta. The covariance matrix of a classification has p1 + p2 rows.
Effects of all classifications stand one after another in arrays of G rows, of which each classification has a view.
With one level there is one classification without effects, which the sweep passes by.
Internal units: see joint.layout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int16]

BOUNDED = 1  # code of a Normal cell that is not known but for an interval
NORMAL, INTERVAL, MAXIMUM = 0, 1, 2  # kinds of dimension: Normal; Binary or Ordered; one latent of an Unordered


class Dims(NamedTuple):
    """What each dimension is. Shapes (D,) unless said."""

    kind: Ints
    block: Ints  # first dimension of the response it belongs to
    width: Ints  # number of dimensions of that response
    first: Ints
    terms: Ints
    offset: Ints  # (D + 1,)
    categories: Ints  # number of categories (1 for Normal)
    anchored: Ints  # 1 where the first threshold is fixed at 0


class Rows(NamedTuple):
    """Level 1 rows that have something to draw, sorted by the first classification. y is state: the current latents."""

    y: Floats  # (n, p1)
    code: Codes  # (n, p1) observed category, -1 where missing; for Normal 0, 1 (BOUNDED) or -1
    pattern: Ints  # (n,) which cells are missing
    xrow: Ints  # (n,) row of `design` with this row's predictors
    start: Ints  # (J + 1,) rows of unit j of the first classification: start[j] .. start[j + 1] - 1
    unit: Ints  # (n, N - 1) unit of each further classification, as a row of the effects of all
    design: Floats  # (U, K) distinct rows of predictors
    low: Floats  # (n, p1) bounds of the Normal cells of code BOUNDED; (0, p1) where there are none
    high: Floats


class Patterns(NamedTuple):
    """One line a missing-data pattern. order: observed Normals, then categorical or bounded, then missing."""

    order: Ints  # (P, p1)
    normals: Ints  # (P,) how many observed Normals
    observed: Ints  # (P,) how many observed dimensions
    coef: Floats  # (P, p1, p1) regression of position t on the other positions, refreshed every sweep
    sd: Floats  # (P, p1)


class Base(NamedTuple):
    """Sums over all rows that no sweep changes: predictors, and observed Normal cells."""

    products: Floats  # (p1, p1)
    by_design: Floats  # (K, p1) sums of predictor times response
    by_group: Floats  # (G, p1)
    cross: Floats  # (K, K) cross-products of predictors


class Priors(NamedTuple):
    """Priors in internal units, but for the classifications'. Flat: zero precision; df = -(p + 1) and zero scale."""

    precision: Floats  # (P, P) of theta, all levels; only a dimension's own coefficients hang together
    linear: Floats  # (P,) precision times mean
    threshold_mean: float
    threshold_precision: float
    df: float  # of omega1, as below
    scale: Floats  # (p1, p1)
    others: Ints  # free dimensions of omega1
    fixed: Ints  # dimensions in its fixed blocks
    block: Ints  # response of each of them


class State(NamedTuple):
    """The current point of the chain, with y of Rows and the effects of each classification."""

    theta: Floats  # (P,)
    omega1: Floats  # (p1, p1)
    tau: Floats  # (D, most categories + 1) thresholds with -inf and inf at the ends
    u: Floats  # (G, p1) effects of all classifications
    shift: Floats  # (G, p1) still to be added to the stored y of the unit's rows


class RowSums(NamedTuple):
    """What a pass over the rows leaves: all that the other steps need to know of them."""

    fitted: Floats  # (U, p1) fixed part of each distinct row of predictors
    products: Floats  # (p1, p1)
    by_design: Floats  # (K, p1)
    by_row: Floats  # (U, p1)
    by_group: Floats  # (G, p1) sums of y over each unit's rows
    low: Floats  # (G, p1) how far y of a unit may move down with every category kept (<= 0)
    high: Floats  # (G, p1) and up (>= 0); found for the units of one classification a sweep


class Groups(NamedTuple):
    """One classification: what its units are, and the designs and categories of its own responses."""

    first: int  # where its units begin among those of all
    base: int  # its first own dimension in Dims
    size: Floats  # (J,) rows of each unit, drawn or not
    xsum: Floats  # (J, K) sums of the level 1 predictors
    xfirst: Floats  # (J, K) predictors in the unit's first row (only columns constant within units are used)
    constant: Ints  # (p1,) how many leading columns of a level 1 dimension are constant within units
    design: Floats  # (J, K2)
    code: Codes  # (J, p2)
    missing: Ints  # (J,) 1 where some cell is missing
    cross: Floats  # (K2, K2) cross-products of `design`
    cross_both: Floats  # (K + K2, K + K2) of [xfirst, design] over units
    holder: int  # the classification whose units hold these, -1 where there is none
    parent: Ints  # (J,) the unit of it that holds each; (0,) where there is none


class ClassPrior(NamedTuple):
    """Prior of one classification's covariance matrix, in internal units, and its free and fixed dimensions."""

    df: float
    scale: Floats  # (p, p)
    others: Ints  # free dimensions
    fixed: Ints
    block: Ints
    within: Ints  # dimensions that have a variance here: others and fixed, ascending
    spread: Floats  # (p,) scales of half-t priors of the sds of a diagonal matrix; (0,) where it is unstructured


class Effects(NamedTuple):
    """One classification's part of the current point. u and shift are views of State's."""

    u: Floats  # (J, p1)
    shift: Floats  # (J, p1)
    z: Floats  # (J, p2) its own responses and their latents
    omega: Floats  # (p, p) of (u_j, z_j's residual)


class ClassSums(NamedTuple):
    """Sums by unit. by_group, low and high are views of RowSums'."""

    by_group: Floats  # (J, p1)
    total: Floats  # (J, p1) by_group less the effects of other classifications; with one of them, by_group itself
    residual: Floats  # (J, p1) total less the fixed part
    low: Floats  # (J, p1)
    high: Floats  # (J, p1)


class Basis(NamedTuple):
    """The coordinates in which a classification's draw is diagonal: see joint.basis."""

    B: Floats  # (p1, p1)
    C: Floats  # (p1, p1) inverse of B
    D: Floats  # (p1,)
    G: Floats  # (p1, p2)
    Qv: Floats  # (p2, p2) inverse of Ω_vv


class Class(NamedTuple):
    """All of one classification."""

    groups: Groups
    prior: ClassPrior
    effects: Effects
    sums: ClassSums
    basis: Basis


class Crossing(NamedTuple):
    """How the units of one classification meet those of another, in compressed rows."""

    start: Ints  # (J + 1,)
    unit: Ints  # units of the other that unit j meets: unit[start[j]] .. unit[start[j + 1] - 1]
    shared: Floats  # rows in common
