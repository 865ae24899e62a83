"""The truncated Normal sampler against its exact distribution, from the middle out to 37 sd.

Every draw is put through its own distribution function, which makes it uniform; Kolmogorov and Smirnov at a false alarm
of 1e-5 a case (36 cases: 4e-4 in all). Changes made by hand and noticed: the tail sampler without its accept step, the
folded branch without its fold.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
import scipy.special
import scipy.stats

from templates_engine.sampling.rng import streams
from templates_engine.sampling.truncated import normal_between, normal_quantile

FALSE_ALARM = 1e-5
DRAWS = 20_000


@numba.njit
def many(generator, a, b, n):
    out = np.empty(n)
    for i in range(n):
        out[i] = normal_between(generator, a, b)
    return out


def log_upper(x: np.ndarray | float) -> np.ndarray:
    """log P(X > x)."""
    return np.asarray(scipy.special.log_ndtr(-np.asarray(x)))


def distribution(x: np.ndarray, a: float, b: float) -> np.ndarray:
    """P(X <= x | a < X < b), from the tail in which it keeps its digits."""
    if a + b < 0 or (a == -math.inf):
        return 1.0 - distribution(-x, -b, -a)
    beyond = np.exp(log_upper(b) - log_upper(a))
    return (1.0 - np.exp(log_upper(x) - log_upper(a))) / (1.0 - beyond)


ONE_SIDED = [-8.0, -4.0, -1.0, -0.1, 0.0, 0.1, 0.24, 0.26, 0.5, 1.0, 2.0, 3.9, 4.1, 8.0, 20.0, 37.0]
TWO_SIDED = [
    (-1.0, 1.0), (-0.3, 4.5), (0.2, 0.7), (1.0, 1.01), (3.0, 3.5), (3.9, 9.0), (4.5, 4.6), (5.0, 30.0), (20.0, 20.05),
    (36.0, 37.0), (-6.0, 0.5), (-2.5, -2.0), (-12.0, -10.0),
]  # fmt: skip
CASES = [(a, math.inf) for a in ONE_SIDED] + [(-math.inf, -a) for a in (-2.0, 0.1, 1.5, 6.0, 37.0)] + TWO_SIDED


@pytest.mark.parametrize(("a", "b"), CASES)
def test_draws_have_the_truncated_normal_distribution(a: float, b: float) -> None:
    """Protects every branch of the sampler: wrong branches would bias latents only where data are extreme."""
    x = many(streams(11, 1)[0], a, b, DRAWS)
    assert ((x >= a) & (x <= b)).all()
    assert scipy.stats.kstest(distribution(x, a, b), "uniform").pvalue > FALSE_ALARM


def test_quantile_function_agrees_with_scipy() -> None:
    """Protects the coefficients of AS 241: relative error below 1e-14 from 1e-300 to 1 - 1e-16."""
    p = np.concatenate(
        [10.0 ** np.arange(-300.0, 0.0, 3.7), np.linspace(0.01, 0.99, 99), 1 - 10.0 ** -np.arange(3.0, 16.0)]
    )
    ours = np.array([normal_quantile(v) for v in p])
    np.testing.assert_allclose(ours, scipy.special.ndtri(p), rtol=3e-14)


def test_an_unbounded_interval_gives_plain_normals() -> None:
    """Protects missing categories, whose latents have no bounds. False alarm 1e-5."""
    x = many(streams(12, 1)[0], -math.inf, math.inf, DRAWS)
    assert scipy.stats.kstest(x, "norm").pvalue > FALSE_ALARM


def test_streams_depend_on_the_seed_and_their_number_only() -> None:
    """Protects reproducibility: chain 0 of one is chain 0 of three."""
    one, three = streams(5, 1)[0], streams(5, 3)
    first = one.standard_normal(4)
    np.testing.assert_array_equal(first, three[0].standard_normal(4))
    assert not np.array_equal(first, three[1].standard_normal(4))
