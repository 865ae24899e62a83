"""Missing values known to lie between bounds: an exact posterior, completed data within them, and refusals.

The calibration of the sampler with bounds is in tests/sampling/test_joint_sbc.py. Tolerance: 5 Monte Carlo standard
errors, 6e-7 a comparison; that the bound is taken for the value, or the sides exchanged, is noticed at once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from running import run

from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

LENGTH = {"nchains": "2", "seed": "3", "burnin": "100", "iterations": "4000"}
ANSWERS = {"y": "y", "x": "cons", "moreimp": "Yes", "bounded": "y", **LENGTH}
LIMIT = 0.3


def censored() -> Dataset:
    """70 values: those below a detection limit are missing, some others known to the nearest whole number alone."""
    rng = np.random.default_rng(8)
    true = 0.8 + 1.4 * rng.standard_normal(70)
    coarse = (true >= LIMIT) & (rng.random(70) < 0.3)
    low = np.where(coarse, np.maximum(np.floor(true), LIMIT), np.nan)
    high = np.where(coarse, np.floor(true) + 1, np.where(true < LIMIT, LIMIT, np.nan))
    seen = np.where(coarse | (true < LIMIT), np.nan, true)
    return Dataset("d", {"cons": np.ones(70), "y": seen, "low": low, "high": high})


def test_a_censored_sample_has_its_exact_posterior(tmp_path: Path) -> None:
    """Flat on mean and variance: densities of what is known, probabilities of the intervals, over a grid."""
    data = censored()
    bounds = {"lower_y": "low", "upper_y": "high"}
    ran = run("1LevelMVNormal", data, {**ANSWERS, **bounds, "numimpute": "2", "imputeevery": "5"}, tmp_path)
    y, gaps = data["y"], data.missing("y")
    low = np.where(np.isnan(data["low"]), -np.inf, data["low"])[gaps]
    high = np.where(np.isnan(data["high"]), np.inf, data["high"])[gaps]
    means, variances = np.linspace(-0.6, 2.2, 161), np.linspace(0.5, 9.0, 241)
    mu, sd = means[:, None, None], np.sqrt(variances)[None, :, None]
    norm = scipy.stats.norm
    logs = norm.logpdf(y[~gaps], mu, sd).sum(-1)
    logs += np.log(norm.cdf(high, mu, sd) - norm.cdf(low, mu, sd)).sum(-1)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    table = ran.table("ModelResults").set_index("parameter")
    expected = {"beta1imp_0": (weight.sum(1) * means).sum(), "omega_e_0": (weight.sum(0) * variances).sum()}
    for name, value in expected.items():
        assert abs(table.loc[name, "mean"] - value) < 5 * table.loc[name, "mcse"], (
            name,
            table.loc[name, "mean"],
            value,
        )
    for file in tmp_path.glob("impute_datafile_*.dta"):
        filled = pd.read_stata(file)["y"].to_numpy(float)
        assert np.array_equal(filled[~gaps], y[~gaps])
        assert (filled[gaps] > low).all()
        assert (filled[gaps] < high).all()


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"lower_y": "high", "upper_y": "low"}, "upper_y: The bounds of y leave no room on"),
        ({"lower_y": "none", "upper_y": "none"}, "lower_y: y is given no bound"),
        ({"lower_y": "y"}, "lower_y: y cannot be a bound"),
        ({"upper_y": "hihg"}, "upper_y: hihg is no number and no column"),
        ({"lower_y": "1e999"}, "lower_y: 1e999 is no number and no column"),
    ],
)
def test_bounds_that_cannot_be_are_refused(bounds: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        run("1LevelMVNormal", censored(), {**ANSWERS, **bounds}, tmp_path)
    assert caught.value.problems[0].line().startswith(said)
    assert not list(tmp_path.iterdir())


def test_bounds_at_two_levels_and_beside_a_latent(tmp_path: Path) -> None:
    """With groups, a Binary response and values without any bound among the missing ones."""
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(12), 8)
    y = rng.standard_normal(12)[codes] + rng.standard_normal(96)
    pass_ = (y + rng.standard_normal(96) > 0).astype(float)
    seen = np.where((y < -0.5) | (rng.random(96) < 0.1), np.nan, y)
    limit = np.where(y < -0.5, -0.5, np.nan)
    columns = {"cons": np.ones(96), "g": codes.astype(float), "y": seen, "limit": limit, "pass": pass_}
    answers = {"numlevs": "Yes", "L2ID": "g", "MOIdist": "Normal", "y": "y", "x": "cons", "yimp1": "y,pass"}
    answers |= {"bin1_1": "Normal", "bin1_2": "Binary", "want2": "No", "moreimp": "Yes", "bounded": "y"}
    answers |= {"upper_y": "limit", "numimpute": "2", "imputefirst": "30", "imputeevery": "5", "nchains": "1"}
    run("2LevelImpute", Dataset("d", columns), {**answers, "burnin": "20", "iterations": "40"}, tmp_path)
    files = list(tmp_path.glob("impute_datafile_*.dta"))
    assert len(files) == 2
    for file in files:
        filled = pd.read_stata(file)["y"].to_numpy(float)
        assert (filled[~np.isnan(limit)] < -0.5).all()
        assert (filled[np.isnan(seen) & np.isnan(limit)] > -0.5).any()
