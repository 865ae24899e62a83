"""Protects WAIC and PSIS-LOO: arviz-stats on the same log likelihoods, and brute-force leave-one-out.

Seen to fail with: the prior on k left out, weights not normalised, the tail one draw longer, ddof 0 in WAIC's penalty.
"""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats
from scipy.special import logsumexp

from templates_engine.sampling.criteria import criteria, pointwise


@pytest.mark.parametrize(("draws", "r_eff"), [(60, 1.0), (225, 1.0), (498, 1.0), (498, 0.6), (1000, 0.2)])
def test_equals_arviz(draws: int, r_eff: float) -> None:
    """Rows from light to very heavy tails (k from below 0 to above 1), to rounding."""
    rng = np.random.default_rng(3)
    scale = np.repeat([0.01, 0.5, 1.0, 3.0], 15)[:, None]
    block = -scale * rng.standard_gamma(1.0, (60, draws)) - 1.5
    elpd, k, p = array_stats.loo(block[:, None, :], r_eff=r_eff)
    mine = pointwise(block, r_eff)
    np.testing.assert_allclose(mine[:, 2], elpd, rtol=1e-10)
    np.testing.assert_allclose(mine[:, 3], k, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(mine[:, 0] - mine[:, 2], p, rtol=1e-7, atol=1e-10)
    assert k.min() < 0.2
    assert k.max() > 0.8
    lppd = logsumexp(block, axis=1) - np.log(draws)
    penalty = block.var(axis=1, ddof=1)
    both = criteria([block[:7], block[7:]], r_eff)
    assert both is not None
    assert both.waic == pytest.approx(-2 * (lppd - penalty).sum(), rel=1e-12)
    assert both.p_waic == pytest.approx(penalty.sum(), rel=1e-12)
    assert both.looic == pytest.approx(-2 * elpd.sum(), rel=1e-12)
    assert both.looic_se == pytest.approx(2 * np.sqrt(60 * elpd.var(ddof=1)), rel=1e-12)
    assert both.above == int((k > 0.7).sum())


def test_equals_brute_force_leave_one_out() -> None:
    """Normal mean, known variance: leaving a row out has an exact answer. 4,000 draws: 0.05 is over 5 standard errors
    of the sum; WAIC differs from LOO by terms of order 1/n."""
    rng = np.random.default_rng(4)
    y = rng.normal(2.0, 1.0, 40)
    total = y.sum()
    exact = sum(stats.norm(np.mean(np.delete(y, i)), np.sqrt(1 + 1 / 39)).logpdf(y[i]) for i in range(40))
    mu = rng.normal(total / 40, np.sqrt(1 / 40), 4000)
    both = criteria([stats.norm.logpdf(y[:, None], mu[None, :], 1.0)])
    assert both is not None
    assert both.looic == pytest.approx(-2 * exact, abs=0.1)
    assert both.waic == pytest.approx(-2 * exact, abs=0.15)
    assert both.p_loo == pytest.approx(1.0, abs=0.4)
    assert both.above == 0


def test_rows_that_say_nothing_and_too_few_draws() -> None:
    """A binomial row without trials has log likelihood 0 at every draw: no penalty, no bad k. Ties do not raise."""
    rng = np.random.default_rng(5)
    rows = np.vstack([np.zeros((1, 200)), rng.normal(size=(3, 200))])
    mine = pointwise(rows)
    assert mine[0].tolist() == [0.0, 0.0, 0.0, -np.inf]
    assert np.isfinite(pointwise(np.repeat(rng.normal(size=(3, 20)), 10, axis=1))[:, :3]).all()
    assert criteria([rows[:, :20]]) is None
    assert criteria([]) is None
