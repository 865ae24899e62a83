"""Likelihood-ratio tests of random slopes: lme4's statistics (lme4_effects.json, made by reference_effects.R), and
p-values of simulated models without the slope, whose mean is 1/2. False alarms of the simulation under 1 in 100,000."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import crossed
from running import run, shared_data
from scipy import stats

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.crossed import crossed_schools

LME4 = json.loads((Path(__file__).parent / "lme4_effects.json").read_text())
QUICK = {"clones": "1,10", "iterations": "200", "burnin": "50", "nchains": "1", "predict": "No"}


def mixed(ratio: float, df: int) -> float:
    """Half a chi-square with df degrees of freedom, half with one fewer (Stram and Lee 1994, case 3)."""
    return 0.5 * float(stats.chi2.sf(ratio, df) + stats.chi2.sf(ratio, df - 1))


def test_slopes_of_sleepstudy_are_those_of_lme4(tmp_path: Path) -> None:
    given = {"y": "Reaction", "C1": "Subject", "x": "cons,Days", "x2_1": "cons,Days"}
    ran = run("LMM/DC", shared_data("lmm/sleepstudy.csv"), {**given, **QUICK}, tmp_path)
    table = ran.table("Tests").set_index("hypothesis")
    assert list(table.index) == ["beta_0 = 0", "beta_1 = 0", "omega_u_1 = omega_u_2 = 0"]
    row = table.iloc[-1]
    assert row["variable"] == "Days"
    assert row["statistic"] == pytest.approx(LME4["sleepstudy"], abs=1e-3)
    assert row["df"] == 2
    assert row["p"] == pytest.approx(mixed(LME4["sleepstudy"], 2), rel=1e-2)
    assert any("Stram and Lee" in note for note in ran.result.tables["Tests"].notes)


def test_slopes_of_crossed_classifications_are_those_of_lme4(tmp_path: Path) -> None:
    given = {"y": "diameter", "numclass": "2", "C1": "plate", "C2": "sample", "x": "cons,hours", "x2_1": "cons,hours"}
    table = run("LMM/DC", crossed(), {**given, **QUICK}, tmp_path).table("Tests").set_index("hypothesis")
    row = table.loc["omega_u1_1 = omega_u1_2 = 0"]
    assert row["variable"] == "hours by plate"
    assert row["statistic"] == pytest.approx(LME4["crossed"], abs=1e-3)
    assert row["p"] == pytest.approx(mixed(LME4["crossed"], 2), rel=1e-2)
    assert "sigma2_u2 = 0" in table.index
    assert not any("sigma2_u1" in name for name in table.index)


def rows(seed: int, groups: int = 30, size: int = 6) -> Dataset:
    """Random intercepts and no random slope; x and z differ within groups."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(groups), size)
    x, z = rng.normal(size=(2, groups * size))
    y = 1 + rng.normal(0, 0.7, groups)[code] + rng.normal(0, 1, groups * size)
    return Dataset("made", {"y": y, "x": x, "z": z, "g": code + 1.0})


def p_values(data: Dataset, terms: str) -> list[float]:
    """The tests of slopes, without a chain."""
    from model_templates.lmm_dc import ratios
    from model_templates.lmm_dc.fitting import prepare
    from model_templates.lmm_dc.rows import rows_of

    given = {"y": "y", "C1": "g", "x": "cons", "x2_1": terms, **QUICK}
    spec = walk(registry.get("LMM/DC"), given, data.schema()).spec
    table = ratios.table(prepare(spec, rows_of(spec, data)))
    assert table is not None
    return [float(row["p"]) for row in table.records() if str(row["hypothesis"]).startswith("omega")]


@pytest.mark.slow
def test_p_values_under_the_null() -> None:
    """250 data sets. A chi-square with two degrees of freedom alone would have a mean of 0.60, with one of 0.40."""
    found = np.array([p_values(rows(seed), "cons,x")[0] for seed in range(250)])
    assert abs(found.mean() - 0.5) < 4.5 * np.sqrt(1 / 12 / 250)
    assert 0.01 < np.mean(found < 0.1) < 0.19


def test_each_slope_is_left_out_by_itself() -> None:
    """Two slopes, of which one is there: three covariance parameters go with each, and the intercept is not tested."""
    data = rows(1)
    rng = np.random.default_rng(2)
    code = data["g"].astype(int) - 1
    steep = Dataset("made", {**data.columns, "y": data["y"] + rng.normal(0, 1, 30)[code] * data["x"]})
    of_x, of_z = p_values(steep, "cons,x,z")
    assert of_x < 1e-4
    assert of_z > 1e-3
    only = p_values(steep, "x")
    assert len(only) == 1
    assert only[0] < 1e-4


def first_pupils() -> Dataset:
    data = crossed_schools()
    return Dataset("few", {name: data[name][:300] for name in data.columns})


MODELS = {
    "slopes": {"y": "attain", "C1": "primary", "x": "cons,verbal", "x2_1": "cons,verbal"},
    "one slope": {"y": "attain", "C1": "primary", "x": "cons", "x2_1": "verbal"},
    "parameters": {"y": "attain", "C1": "primary", "x": "cons", "smoothing": "No"},
    "crossed": {
        "y": "attain", "numclass": "2", "C1": "primary", "C2": "second", "x": "cons", "x2_2": "cons,verbal",
    },
    "counts": {
        "y": "absences", "D": "Poisson", "numclass": "2", "C1": "primary", "C2": "second", "x": "cons",
        "x2_2": "cons,verbal", "clones": "1,2",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", list(MODELS))
def test_quantities_may_be_made_of_every_parameter_that_is_shown(name: str, tmp_path: Path) -> None:
    given = {**QUICK, "iterations": "100", "tests": "No", **MODELS[name]}
    if name == "parameters":
        del given["predict"]
    ran = run("LMM/DC", first_pupils(), given, tmp_path / "plain")
    shown = {p for t in ("DCTable", "Coefficients", "MLE", "Estimability") for p in ran.table(t)["parameter"]}
    shown = [p for p in sorted(shown) if " " not in p]
    shown += ["rho_u2_1"] if "x2_2" in given else ["rho_u_1"] if name == "slopes" else []
    text = "; ".join(f"q{k} = {p} + 0" for k, p in enumerate(shown))
    again = run("LMM/DC", first_pupils(), {**given, "derived": text}, tmp_path / "derived")
    table = again.table("Derived")
    assert list(table["quantity"].unique()) == [f"q{k}" for k in range(len(shown))]
    means = ran.table("DCTable").set_index(["parameter", "clones"])["mean"]
    for k, parameter in enumerate(shown):
        mine = table[table["quantity"] == f"q{k}"].set_index("clones")["estimate"].dropna()
        for clones, value in mine.items():
            if parameter.startswith("rho"):
                assert -1 < value < 1
            else:
                assert value == pytest.approx(means[parameter, clones], rel=1e-9)
