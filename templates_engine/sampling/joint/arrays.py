"""The arrays that the joint model's kernels share, under names. All are plain NumPy arrays, C-ordered.

Indices: dimension d = 0..p-1, first the p1 latent dimensions of level 1 (in order of response, then of latent), then
the p2 of level 2. Distinct designs are stored once, side by side: K columns at level 1, K2 at level 2; dimension d uses
columns first[d] .. first[d] + terms[d] - 1 of its level, and coefficients offset[d] .. offset[d + 1] - 1 of theta.
Internal units: see joint.layout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int16]

NORMAL, INTERVAL, MAXIMUM = 0, 1, 2  # kinds of dimension: Normal; Binary or Ordered; one latent of an Unordered


class Dims(NamedTuple):
    """What each dimension is. Shapes (p,) unless said."""

    kind: Ints
    block: Ints  # first dimension of the response it belongs to
    width: Ints  # number of dimensions of that response
    first: Ints
    terms: Ints
    constant: Ints  # how many of the leading columns are constant within groups (0 at level 2)
    offset: Ints  # (p + 1,)
    categories: Ints  # number of categories (1 for Normal)
    anchored: Ints  # 1 where the first threshold is fixed at 0


class Rows(NamedTuple):
    """Level 1 rows that have something to draw, sorted by group. y is state: it holds the current latents."""

    y: Floats  # (n, p1)
    code: Codes  # (n, p1) observed category, -1 where missing; 0 or -1 for Normal
    pattern: Ints  # (n,) which cells are missing
    xrow: Ints  # (n,) row of `design` with this row's predictors
    start: Ints  # (J + 1,) rows of group j: start[j] .. start[j + 1] - 1
    design: Floats  # (U, K) distinct rows of predictors


class Patterns(NamedTuple):
    """One line a missing-data pattern. order: observed Normals, then observed categorical, then missing dimensions."""

    order: Ints  # (P, p1)
    normals: Ints  # (P,) how many observed Normals
    observed: Ints  # (P,) how many observed dimensions
    coef: Floats  # (P, p1, p1) regression of position t on the other positions, refreshed every sweep
    sd: Floats  # (P, p1)


class Groups(NamedTuple):
    """Level 2: sizes, sums of predictors, and the level 2 responses' designs and categories."""

    size: Floats  # (J,) rows of each group, drawn or not
    xsum: Floats  # (J, K) sums of the level 1 predictors
    xfirst: Floats  # (J, K) predictors in the group's first row (only columns constant within groups are used)
    design: Floats  # (J, K2)
    code: Codes  # (J, p2)
    missing: Ints  # (J,) 1 where some cell is missing
    cross: Floats  # (K, K) cross-products of level 1 predictors over all rows
    cross2: Floats  # (K2, K2)
    cross_groups: Floats  # (K + K2, K + K2) of [xfirst, design] over groups


class Base(NamedTuple):
    """Sums over observed Normal cells, made once."""

    products: Floats  # (p1, p1)
    by_design: Floats  # (K, p1) sums of predictor times response
    by_group: Floats  # (J, p1)


class Priors(NamedTuple):
    """Priors in internal units. Flat: zero precision; df = -(p + 1) and zero scale."""

    precision: Floats  # (P, P) of theta, both levels
    linear: Floats  # (P,) precision times mean
    df1: float
    scale1: Floats  # (p1, p1)
    df2: float
    scale2: Floats  # (p, p)
    threshold_mean: float
    threshold_precision: float
    others1: Ints  # free dimensions of level 1's covariance
    fixed1: Ints  # dimensions in its fixed blocks
    block1: Ints  # response of each of them
    others2: Ints
    fixed2: Ints
    block2: Ints


class State(NamedTuple):
    """The current point of the chain, with y of Rows."""

    theta: Floats  # (P,)
    u: Floats  # (J, p1)
    shift: Floats  # (J, p1) still to be added to the stored y of the group
    z: Floats  # (J, p2)
    omega1: Floats  # (p1, p1)
    omega2: Floats  # (p, p)
    tau: Floats  # (p, most categories + 1) thresholds with -inf and inf at the ends


class Sums(NamedTuple):
    """What a pass over the rows leaves: all that the other steps need to know of them."""

    fitted: Floats  # (U, p1) fixed part of each distinct row of predictors
    products: Floats  # (p1, p1)
    by_design: Floats  # (K, p1)
    by_row: Floats  # (U, p1)
    by_group: Floats  # (J, p1)
    residual: Floats  # (J, p1) by_group less the fixed part
    low: Floats  # (J, p1) how far y of the group may move down with every category kept (<= 0)
    high: Floats  # (J, p1) and up (>= 0)
