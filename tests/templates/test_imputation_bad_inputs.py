"""Data that the joint model can make little of: a clear refusal, or a run that ends without a NaN.

Collinear predictors, a category that never occurs and a classification equal to another are in test_two_level_impute
and test_n_level_impute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run

from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

LENGTH = {"nchains": "1", "seed": "3", "burnin": "50", "iterations": "60"}
RNG = np.random.default_rng(6)
N = 60


def data(**columns: np.ndarray) -> Dataset:
    base = {"cons": np.ones(N), "g": np.arange(N) // 5.0, "y": RNG.standard_normal(N), "x": RNG.standard_normal(N)}
    return Dataset("d", {**base, **columns})


def ended(name: str, of: Dataset, answers: dict[str, str], folder: Path, **length: str) -> None:
    table = run(name, of, {**answers, **LENGTH, **length}, folder).table("ModelResults")
    assert np.isfinite(table[["mean", "sd", "q025", "q975"]].to_numpy()).all()


def refusal(name: str, of: Dataset, answers: dict[str, str], folder: Path) -> str:
    with pytest.raises(Refused) as caught:
        run(name, of, {**answers, **LENGTH}, folder)
    assert not list(folder.iterdir())
    return "\n".join(p.line() for p in caught.value.problems)


def test_groups_of_one(tmp_path: Path) -> None:
    """Every row its own group: level 1 and level 2 cannot be told apart, but the run ends."""
    ended("2LevelMVNormal", data(g=np.arange(float(N))), {"L2ID": "g", "y": "y,x", "x": "cons"}, tmp_path)


def test_all_missing_together(tmp_path: Path) -> None:
    """Both responses missing on the same rows, and on no others."""
    gaps = np.arange(N) % 3 == 0
    y, x = (np.where(gaps, np.nan, RNG.standard_normal(N)) for _ in range(2))
    ended("2LevelMVNormal", data(y=y, x=x), {"L2ID": "g", "y": "y,x", "x": "cons"}, tmp_path)


def test_no_observed_value(tmp_path: Path) -> None:
    nothing = data(x=np.full(N, np.nan))
    assert refusal("1LevelMVNormal", nothing, {"y": "y,x", "x": "cons"}, tmp_path).startswith("y: ")


def test_fifty_responses_on_sixty_rows(tmp_path: Path) -> None:
    many = {f"v{k}": RNG.standard_normal(N) for k in range(50)}
    said = refusal("1LevelMVNormal", data(**many), {"y": ",".join(many), "x": "cons"}, tmp_path)
    assert "with a uniform prior more than 101 are needed" in said
    answers = {"y": ",".join(many), "x": "cons", "moreimp": "Yes", "priors1": "Inverse Wishart"}
    ended("1LevelMVNormal", data(**many), answers, tmp_path, iterations="12", burnin="5")


def test_a_predictor_that_separates(tmp_path: Path) -> None:
    x = RNG.standard_normal(N)
    of = data(x=x, b=(x > 0).astype(float))
    answers = {"y": "y,b", "bin1": "Normal", "bin2": "Binary", "ximp0": "cons", "ximp1": "cons,x"}
    said = refusal("1LevelMVMixedResponsecc", of, answers, tmp_path)
    assert "bin2: The predictors of b" in said or "ximp1: The predictors of b" in said


def test_an_empty_classification(tmp_path: Path) -> None:
    of = data(g=np.full(N, np.nan))
    assert refusal("2LevelMVNormal", of, {"L2ID": "g", "y": "y,x", "x": "cons"}, tmp_path).startswith("L2ID: ")
