"""Three answers side by side where the response is no Normal one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run

from templates_engine.data import Dataset


@pytest.mark.parametrize(
    ("family", "more"),
    [("Binomial", {"n": "cons"}), ("Binomial", {"n": "trials"}), ("Poisson", {}), ("Negative binomial", {})],
)
def test_three_answers_of_counts_and_successes(family: str, more: dict[str, str], tmp_path: Path) -> None:
    """x is missing completely at random and enters linearly: all three have its coefficient, 0.6, within 4 of their own
    standard errors (false alarm 2e-4 a case)."""
    rng = np.random.default_rng(21)
    groups, n = np.repeat(np.arange(60), 20), 1200
    x = rng.standard_normal(n)
    eta = 0.2 + 0.6 * x + 0.4 * rng.standard_normal(60)[groups]
    trials = np.ones(n) if more.get("n") == "cons" else rng.integers(2, 6, n).astype(float)
    if family == "Binomial":
        y = rng.binomial(trials.astype(int), 1 / (1 + np.exp(-eta)))
    else:
        y = rng.poisson(np.exp(eta) * (rng.gamma(2.0, 0.5, n) if family == "Negative binomial" else 1.0))
    seen = np.where(rng.random(n) < 0.3, np.nan, x)
    data = Dataset(
        "made",
        {"y": y.astype(float), "cons": np.ones(n), "x": seen, "trials": trials, "g": groups.astype(float)},
    )
    answers = {
        "y": "y", "D": family, **more, "L2int": "Yes", "L2ID": "g", "numpoly": "0", "numinter": "0",
        "xvars": "cons,x", "x2vars": "cons", "L1resp": "Yes", "yimp": "x", "L2imp": "Yes", "L2IDimp": "g",
        "L2resp": "No", "bin1": "Normal", "ximp1": "cons", "compare": "Yes", "nchains": "1", "seed": "1",
        "burnin": "200", "iterations": "1000",
    }  # fmt: skip
    table = run("2LevelMissingOnePass", data, answers, tmp_path).table("Comparison").set_index("parameter")
    for name, error in (("complete", "complete_se"), ("imputed", "imputed_se"), ("onepass", "onepass_sd")):
        assert abs(table.loc["beta_1", name] - 0.6) < 4 * table.loc["beta_1", error], name
    assert 0.0 < table.loc["beta_1", "fmi"] < 0.9
    assert ("alpha" in table.index) == (family == "Negative binomial")
    assert "sigma2" not in table.index
    assert (tmp_path / "Comparison.svg").exists()
