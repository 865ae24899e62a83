"""The arrays that the one-pass kernels share, beside those of the joint model. All are plain NumPy arrays, C-ordered.

A term of the model of interest is split into its shape, what it is on a row (a complete column times factors of level 1
variables), and its height, the product of its factors of level 2 variables, one number a group. Terms that differ in
their height alone have one shape. All that is needed of the rows are cross-products of shapes and response by group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.int8]


class Terms(NamedTuple):
    """The terms, M of them, K with a coefficient and q with a random one, and their H shapes.

    A form says what a variable does in a product: 0 nothing, k > 0 its k-th power, -k - 1 < 0 the indicator of its
    code k.
    """

    shape: Ints  # (M,) of each term
    fixed: Ints  # (K,) term
    random: Ints  # (q,) term
    form: Ints  # (H, R1) of each level 1 response in each shape
    form2: Ints  # (M, R2 + G) of each level 2 response, and then of each group mean, in each term's height
    degree: Ints  # (R1,) highest power of each level 1 response
    degree2: Ints  # (R2 + G,)
    used: Marks  # (R1,) 1 where some term has it
    used2: Marks


class Cells(NamedTuple):
    """What has been filled in. Rows are those of joint.arrays.Rows."""

    dim: Ints  # (R1,) first latent dimension of each level 1 response
    dim2: Ints  # (R2,) among the level 2 dimensions, from 0
    gap: Marks  # (rows, R1) 1 where missing, 2 where a count is known but its latent is not
    gap2: Marks  # (J, R2)
    value: Floats  # (rows, R1) the variable as it enters the model of interest: a measurement, or a category's code
    value2: Floats  # (J, R2 + G) after the level 2 variables the group means of level 1 variables
    origin: Ints  # (R1,) the code of category 0
    origin2: Ints  # (R2,)
    law: Ints  # (R1,) how a measurement comes of its Normal, see scales
    bounds: Floats  # (R1, 2) lower and upper
    law2: Ints  # (R2,)
    bounds2: Floats  # (R2, 2)
    fit: Floats  # (rows, R1) and scale (R1,): the Normal of a measurement is fit + scale * latent
    scale: Floats
    fit2: Floats
    scale2: Floats
    tried: Ints  # (R1 + R2, 2) Metropolis proposals and acceptances of each response


class Means(NamedTuple):
    """Group means of level 1 variables, G of them, which stand in cells.value2 after the level 2 variables."""

    of: Ints  # (G,) the level 1 response
    at: Ints  # (R1,) the place among the means of each level 1 response, -1: it has none
    still: Floats  # (J, G) sums over the rows in which nothing is drawn
    size: Floats  # (J,) rows
    straight: Marks  # (R1,) 1 where the predictor of every row is linear in one value, through its mean too


class Selected(NamedTuple):
    """Selection models, S of them: which values are missing, a probit on the columns of one design."""

    mark: Marks  # (S, n) 1 where missing
    latent: Floats  # (S, n)
    design: Floats  # (n, C + R1) complete columns, then the level 1 responses' values now
    on: Marks  # (S, C + R1) 1 where a column is in the model
    alpha: Floats  # (S, C + R1)
    mean: Floats  # (S, C + R1) and precision: Normal prior
    precision: Floats
    row: Ints  # (rows,) the row of the data of each row with something to draw
    first: Ints  # (1,) C


class Outcome(NamedTuple):
    """The response on the rows with something to draw, and sums over all others made once."""

    y: Floats  # (rows,)
    trials: Floats  # (rows,) ones unless binomial
    offset: Floats  # (rows,) zeros unless a count has one
    best: Floats  # (rows,) see responses.best_of
    seen: Marks  # (rows,) 1 where there is a response
    moves: Marks  # (rows,) 1 where a shape can change: it counts in `base` elsewhere
    column: Floats  # (rows, H) complete part of each shape
    group: Ints  # (rows,) group of the model of interest
    base: Floats  # (J, H + 1, H + 1) cross-products of shapes and response over rows that do not move
    cross: Floats  # (J, H + 1, H + 1) the same over all rows, now


class Interest(NamedTuple):
    """Where the chain of the model of interest stands."""

    beta: Floats  # (K,)
    u: Floats  # (J, q)
    omega: Floats  # (q, q)
    sigma2: Floats  # (1,)


class InterestPriors(NamedTuple):
    precision: Floats  # (K, K)
    linear: Floats  # (K,)
    df: float
    scale: Floats  # (q, q)
    shape: float
    rate: float


class Work(NamedTuple):
    """Room for one cell's draw, made once."""

    precision: Floats  # (p, p)
    linear: Floats  # (p,)
    block: Floats  # (p,)
    loss: Floats  # (most categories,)
    coefficients: Floats  # (highest power + 1,)


class Rest(NamedTuple):
    """All rows that have a response, sorted by group, where cross-products are not enough (not Normal); else empty."""

    y: Floats  # (n,)
    trials: Floats
    offset: Floats
    best: Floats
    start: Ints  # (J + 1,)
    shape: Floats  # (n, H) now
    place: Ints  # (rows,) where each row with something to draw stands here, -1: nowhere
