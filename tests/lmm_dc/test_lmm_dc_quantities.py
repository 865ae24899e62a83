"""Quantities of the user's own against the delta method at the exact fit; new groups and observations against their
exact law at fixed parameters. False alarms: about 20 comparisons at 4.5 Monte Carlo errors, under 1 in 5,000."""

from __future__ import annotations

import numpy as np
import pytest
from running import run, shared_data

from templates_engine.data.simulate.breeding import breeding
from templates_engine.problems import Refused

QUICK = {"clones": "1,10", "iterations": "300", "burnin": "100", "tests": "No"}


def test_share_of_variance_and_its_error(tmp_path) -> None:
    """The documents' pairs at K = 100. With λ = σ² + 2τ²: Var σ² = 2σ⁴/n, Var λ = 2λ²/n, independent (information
    matrix of the balanced one-way model), so h = τ²/(σ² + τ²) = (λ - σ²)/(λ + σ²) has
    dh = 2 (σ² dλ - λ dσ²)/(λ + σ²)²."""
    given = {"y": "y", "C1": "id", "x": "cons", "clones": "10,100", "tests": "No", "predict": "No"}
    text = "h = sigma2_u / (sigma2_u + sigma2); sd = sqrt(sigma2); both = h + sd - h; flat = if(beta_0 > 0, 1, 0)"
    ran = run("LMM/DC", shared_data("lmm_dc_m2.csv"), {**given, "derived": text}, tmp_path)
    table = ran.table("Derived")
    last = table[table["clones"] == 100].set_index("quantity")
    n, s, t = 100, 0.0428961706, 0.2436522077
    lam = s + 2 * t
    share = 2 / (lam + s) ** 2 * np.sqrt(s**2 * 2 * lam**2 / n + lam**2 * 2 * s**2 / n)
    wanted = {"h": (t / (s + t), share), "sd": (np.sqrt(s), np.sqrt(2 * s * s / n) / (2 * np.sqrt(s)))}
    for name, (value, se) in wanted.items():
        assert abs(last.loc[name, "estimate"] - value) < 0.05 * se + 4.5 * se / np.sqrt(100 * 4000)
        assert last.loc[name, "dcsd"] == pytest.approx(se, rel=0.06)
        assert last.loc[name, "upper"] - last.loc[name, "lower"] == pytest.approx(2 * 1.959964 * last.loc[name, "dcsd"])
        assert last.loc[name, "verdict"] == "estimable"
    assert last.loc["both", "estimate"] == pytest.approx(last.loc["sd", "estimate"], rel=1e-9)
    assert (table.groupby("quantity").size() == 2).all()


def test_a_share_that_the_data_do_not_tell_has_no_estimate(tmp_path) -> None:
    given = {"y": "y", "C1": "id", "x": "cons", "priors": "Documents 1", "clones": "1,10,25", "tests": "No"}
    text = "h = sigma2_u / (sigma2_u + sigma2); total = sigma2_u + sigma2"
    table = run("LMM/DC", shared_data("lmm_dc_m1.csv"), {**given, "derived": text}, tmp_path).table("Derived")
    h, total = (table[table["quantity"] == name].iloc[-1] for name in ("h", "total"))
    assert h["verdict"] == "not estimable"
    assert np.isnan(h["estimate"])
    assert total["estimate"] == pytest.approx(0.2988, abs=0.002)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h = sigma2_v / sigma2", "no parameter sigma2_v. Did you mean"),
        ("sigma2 = 2", "sigma2 is a parameter"),
        ("a = 1; a = 2", "given twice"),
        ("sigma2_u / sigma2", "write name = expression"),
        ("a = sqrt(sigma2", "a: this bracket is not closed"),
        ("a = mean(sigma2)", "mean has no meaning"),
        ("a = b; b = sigma2", "no parameter b"),
        ("a = __import__('os')", "no function"),
        ('a = "x"', "no meaning for a parameter"),
    ],
)
def test_faults_are_named_at_the_key(text: str, said: str, tmp_path) -> None:
    with pytest.raises(Refused) as refused:
        run("LMM/DC", breeding(), {"y": "weight", "C1": "sire", "x": "cons", "derived": text, **QUICK}, tmp_path)
    lines = [p.line() for p in refused.value.problems]
    assert all(line.startswith("derived") for line in lines)
    assert said in " ".join(lines)


def test_new_groups_and_observations(tmp_path) -> None:
    """At fixed parameters: a new effect is N(0, σ²_u), a new observation N(x'β, σ²_u + σ²); with drawn parameters the
    spread is larger."""
    given = {"y": "weight", "C1": "sire", "x": "cons,male", "prednew": "Yes", **QUICK}
    found = {
        how: run("LMM/DC", breeding(), {**given, "predmethod": how}, tmp_path / how) for how in ("Plug-in", "Drawn")
    }
    coefficients = found["Plug-in"].table("MLE").set_index("parameter")["estimate"]
    table = found["Plug-in"].table("PredictNew").set_index("what")
    variances = {"effect of cons": coefficients["sigma2_u"]}
    means = {"effect of cons": 0.0}
    for male in (0, 1):
        variances[f"observation at male {male}"] = coefficients["sigma2_u"] + coefficients["sigma2"]
        means[f"observation at male {male}"] = coefficients["beta_0"] + male * coefficients["beta_1"]
    assert list(table.index) == list(means)
    for what, mean in means.items():
        sd = np.sqrt(variances[what])
        # the plugged-in values are those of the cloned estimate at K = 10: near the exact ones
        assert abs(table.loc[what, "estimate"] - mean) < 4.5 * sd / np.sqrt(4000) + 0.03 * sd
        assert table.loc[what, "sd"] == pytest.approx(sd, rel=4.5 / np.sqrt(8000) + 0.03)
        width = (table.loc[what, "upper"] - table.loc[what, "lower"]) / (2 * 1.96 * sd)
        assert width == pytest.approx(1, abs=0.11)
    drawn = found["Drawn"].table("PredictNew").set_index("what")
    assert drawn.loc["observation at male 0", "sd"] > 0.98 * table.loc["observation at male 0", "sd"]


def test_new_counts_have_the_mean_of_the_lognormal(tmp_path) -> None:
    """Poisson with an offset at its mean: E y = exp(o + x'β + σ²_u / 2); seen groups too, as the patterns are many."""
    given = {"y": "ticks", "C1": "sire", "D": "Poisson", "offset": "log_days", "x": "cons", "prednew": "Yes"}
    ran = run("LMM/DC", breeding(), {**given, "predmethod": "Plug-in", **QUICK}, tmp_path)
    coefficients, data = ran.table("MLE").set_index("parameter")["estimate"], breeding()
    table = ran.table("PredictNew")
    row = table[table["unit"] == "a new group"].iloc[0]
    complete = ~np.isnan(data["ticks"])
    variance = coefficients["sigma2_u"]
    mean = np.exp(data["log_days"][complete].mean() + coefficients["beta_0"] + variance / 2)
    spread = np.sqrt(mean + mean**2 * np.expm1(variance))
    assert abs(row["estimate"] - mean) < 4.5 * spread / np.sqrt(4000) + 0.05 * mean
    assert len(table) > 20
