"""2LevelImpute: questions as published, outputs under their names, observed cells untouched, clear refusals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import Ran, published, run, shared_data

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused
from templates_engine.running import kept_chains

SHORT = {"numimpute": "5", "imputefirst": "20", "imputeevery": "5", "iterations": "40", "burnin": "10", "nchains": "4"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shared_data("tutmiss.csv")


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    return published("2LevelImpute")


@pytest.fixture(scope="module")
def short(data: Dataset, answers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A short run: 5 datasets from 4 chains, as in the guide's own example of the order."""
    return run("2LevelImpute", data, {**answers, **SHORT}, tmp_path_factory.mktemp("short"))


# Questions


def test_questions_come_in_the_published_groups(data: Dataset, answers: dict[str, str]) -> None:
    """The page shows together what cannot change one another, in the guide's order."""
    template = registry.get("2LevelImpute")
    given = {**answers, "MOIdist": answers["MOOldist"]}
    told: dict[str, str] = {}
    pages = []
    for _ in range(20):
        waiting = [asked.key for asked in walk(template, told, data.schema(), defaults=False).open]
        if not waiting:
            break
        pages.append(waiting)
        told |= {key: given.get(key, {"nchains": "3", "seed": "1", "moreimp": "No"}.get(key, "")) for key in waiting}
    assert pages[:3] == [["numlevs"], ["L2ID", "MOIlevel", "MOIdist"], ["MOIslope", "y", "x"]]
    order = list(itertools.chain(*pages))
    assert order == list(walk(template, answers, data.schema()).asked)
    assert (
        order.index("ncatsschgendmiss") < order.index("ximp2_0_0") < order.index("ximp2_0_1") < order.index("condmarg")
    )


def test_predictors_must_be_complete(data: Dataset, answers: dict[str, str]) -> None:
    problems = walk(registry.get("2LevelImpute"), {**answers, "ximp1_0": "cons,standlrtmiss"}, data.schema()).problems
    assert [p.key for p in problems if p.level == "error"] == ["ximp1_0"]
    assert "standlrtmiss" in problems[0].message


def test_one_level(data: Dataset, tmp_path: Path) -> None:
    """Without levels the group questions vanish and 1LevelMod fits the model."""
    answers = {
        "numlevs": "No", "MOIdist": "Normal", "y": "normexam", "x": "cons,standlrtmiss,girlmiss",
        "yimp1": "normexam,standlrtmiss,girlmiss", "bin1_1": "Normal", "bin1_2": "Normal", "bin1_3": "Binary",
        "ximp1_0": "cons", "ximp1_1": "cons,vrband:cat", "ximp1_2": "cons", "condmarg": "Yes",
        **SHORT, "numimpute": "2",
    }  # fmt: skip
    ran = run("2LevelImpute", data, answers, tmp_path)
    pooled = ran.table("ResultsTable_Imputation")
    assert list(pooled.parameter) == ["beta_0", "beta_1", "beta_2", "sigma2"]
    assert "template='1LevelMod'" in (tmp_path / "Model1_script.py").read_text()


# Outputs


def test_outputs_have_their_published_names(short: Ran) -> None:
    there = {path.name for path in short.folder.iterdir()}
    sets = [
        f"impute_{kind}_chain{c}_iter{i}.dta" for kind in ("datafile", "L2Data") for c in range(4) for i in (20, 25)
    ]
    wanted = {
        "ResultsTable_Imputation.csv", "ResultsTable_Imputation.json", "ResultsTable_CompleteCases.csv",
        "CompleteCasesModel_ModelParameters.csv", "CompleteCasesModel_ModelFit.csv",
        "CompleteCasesModel_ModelResults.csv", "Imputation_Model_ModelParameters.csv",
        "Imputation_Model_ModelResults.csv", "Imputation_Model_out.dta", "CombinedResults.csv",
        "Imputation_Model_equation.tex", "Imputation_Model_algorithm.tex",
        *(f"Model{k}_ModelResults.csv" for k in range(1, 6)), *sets, *(f"Imputation_Model_{name}" for name in sets),
    }  # fmt: skip
    assert wanted <= there
    assert "Model6_ModelResults.csv" not in there


def test_datasets_are_used_in_the_order_iteration_then_chain(short: Ran) -> None:
    """The guide's case: 5 wanted from 4 chains uses all four at the first time and chain 0 at the second."""
    assert short.walked.spec.used == ((0, 20), (1, 20), (2, 20), (3, 20), (0, 25))


def test_pooled_and_complete_cases_read_side_by_side(short: Ran) -> None:
    pooled, complete = short.table("ResultsTable_Imputation"), short.table("ResultsTable_CompleteCases")
    columns = ["parameter", "variable", "estimate", "se", "df", "lower", "upper", "fmi", "riv", "mcse"]
    assert list(pooled.columns) == list(complete.columns) == columns
    names = ["cons", "standlrtmiss", "girlmiss", "schgendmiss_0", "schgendmiss_1"]
    assert list(pooled.variable[:5]) == list(complete.variable[:5]) == names
    assert complete[["df", "fmi", "riv"]].isna().all().all()
    assert pooled.notna().drop(columns="variable").all().all()


def test_observed_cells_are_untouched_and_gaps_filled_with_legal_values(short: Ran, data: Dataset) -> None:
    for file in sorted(short.folder.glob("impute_datafile_*.dta")):
        filled = pd.read_stata(file)
        for name in data.names:
            seen = ~data.missing(name)
            assert np.array_equal(filled[name].to_numpy(float)[seen], data[name][seen]), (file.name, name)
        for name in ("standlrtmiss", "girlmiss", "schgendmiss"):
            assert filled[name].notna().all()
        assert set(filled.girlmiss) <= {0, 1}
        assert set(filled.schgendmiss) <= {0, 1, 2}
        assert (filled.groupby("school").schgendmiss.nunique() == 1).all()
        assert filled.avslrtmiss.isna().sum() == 431  # not asked for, so left as it was


def test_same_seed_same_bytes_another_seed_another_answer(
    short: Ran, data: Dataset, answers: dict[str, str], tmp_path: Path
) -> None:
    again = run("2LevelImpute", data, {**answers, **SHORT}, tmp_path / "again")
    for name in ("ResultsTable_Imputation.csv", "Imputation_Model_ModelResults.csv", "CombinedResults.json"):
        assert (again.folder / name).read_bytes() == (short.folder / name).read_bytes(), name
    other = run("2LevelImpute", data, {**answers, **SHORT, "seed": "2"}, tmp_path / "other")
    assert not np.allclose(
        other.table("ResultsTable_Imputation").estimate, short.table("ResultsTable_Imputation").estimate
    )


# What can be wrong with the data


@pytest.mark.parametrize("fewer", [2, 4])
def test_more_datasets_later_are_those_of_one_run(
    fewer: int, data: Dataset, answers: dict[str, str], tmp_path: Path
) -> None:
    """Making a run longer: the draws, the completed datasets and the pooled table of the longer run, byte for byte.
    Two datasets are made by two chains, seven by three: the third chain begins with the longer run."""
    little = {**answers, "imputefirst": "20", "imputeevery": "5", "burnin": "10", "iterations": "30", "nchains": "3"}
    whole = run("2LevelImpute", data, {**little, "numimpute": "7"}, tmp_path / "whole")
    run("2LevelImpute", data, {**little, "numimpute": str(fewer)}, tmp_path / "first")
    longer = run(
        "2LevelImpute", data, {**little, "numimpute": "7"}, tmp_path / "longer", continues=tmp_path / "first"
    )  # fmt: skip
    about = kept_chains.read_about(tmp_path / "first" / "state.npz")
    assert (about["key"], about["reached"]) == ("numimpute", fewer)
    names = {path.name for path in whole.folder.iterdir()} - {"state.npz"}
    assert names == {path.name for path in longer.folder.iterdir()} - {"state.npz"}
    for name in sorted(names):
        assert (whole.folder / name).read_bytes() == (longer.folder / name).read_bytes(), name


def _refused(data: Dataset, answers: dict[str, str], tmp_path: Path) -> list[str]:
    with pytest.raises(Refused) as caught:
        run("2LevelImpute", data, {**answers, **SHORT}, tmp_path)
    assert not list(tmp_path.iterdir()), "nothing half written"
    return [p.line() for p in caught.value.problems]


def test_another_number_of_categories_than_was_said(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    """Codes may be any; test_codings.py holds that they change nothing."""
    row = np.arange(data.n_rows)
    more = data.with_columns(girlmiss=np.where(row < 40, 5.0, data["girlmiss"]))
    [line] = _refused(more, answers, tmp_path)
    assert line.startswith("bin1_3: girlmiss is Binary with 2 categories; the data hold 3: 0, 1, 5.")


def test_constant_and_wholly_missing_variables(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    """Refused at the question already, by name."""
    for values in (np.ones(data.n_rows), np.full(data.n_rows, np.nan)):
        lines = _refused(data.with_columns(standlrtmiss=values), answers, tmp_path)
        assert any(line.startswith("yimp1: ") and "standlrtmiss" in line for line in lines), lines


def test_fewer_than_two_groups(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    lines = _refused(data.with_columns(school=np.ones(data.n_rows)), answers, tmp_path)
    assert any(line.startswith("L2ID: school has 1 group") for line in lines), lines


FEW = {"want2": "No", "x": "cons,standlrtmiss,girlmiss"}


def few_schools(data: Dataset, answers: dict[str, str]) -> tuple[Dataset, dict[str, str]]:
    """Six schools, no level 2 variables: three dimensions, for which a flat prior needs eight."""
    upper = ("yimp2", "bin2_1", "ncatsschgendmiss", "ximp2_0_0", "ximp2_0_1")
    return data.take(data["school"] <= 6), {k: v for k, v in answers.items() if k not in upper} | FEW


def test_too_few_groups_for_a_flat_prior_take_a_diagonal_matrix(
    data: Dataset, answers: dict[str, str], tmp_path: Path
) -> None:
    """The run goes on, with half-t standard deviations and no correlations, and says so."""
    few, given = few_schools(data, answers)
    ran = run("2LevelImpute", few, {**given, **SHORT}, tmp_path)
    (told,) = (p for p in ran.notes if p.code == "diagonal-covariances")
    assert told.key == "L2ID"
    assert "school has 6 groups, and a covariance matrix of 3 dimensions with a flat prior needs 8." in told.message
    parameters = set(ran.table("Imputation_Model_ModelParameters").parameter)
    assert {p for p in parameters if p.startswith("omega_u")} == {"omega_u_0", "omega_u_2", "omega_u_5"}


def test_a_flat_prior_that_was_asked_for_is_refused_with_few_groups(
    data: Dataset, answers: dict[str, str], tmp_path: Path
) -> None:
    """Improper posteriors are refused before sampling, in words; an inverse Wishart prior helps."""
    few, given = few_schools(data, answers)
    asked = {**given, "moreimp": "Yes", "re1": "normexam,standlrtmiss,girlmiss", "cov1": "Unstructured"}
    lines = _refused(few, {**asked, "priors2": "Uniform", "unordcov": "Differences"}, tmp_path)
    assert any(line.startswith("L2ID: ") and "needs more than 7 groups; there are 6" in line for line in lines), lines
    ran = run(
        "2LevelImpute", few, {**asked, **SHORT, "priors2": "Inverse Wishart", "unordcov": "Differences"}, tmp_path
    )
    assert ran.table("Imputation_Model_ModelParameters")["mean"].notna().all()
    assert "that of school inverse Wishart" in (tmp_path / "Methods.txt").read_text()


def test_slopes_of_other_families(data: Dataset, tmp_path: Path) -> None:
    """Random slopes for a binomial model of interest too."""
    passed = data.with_columns(passed=(data["normexam"] > 0) * 1.0)
    given = {
        "numlevs": "Yes", "L2ID": "school", "MOIlevel": "2 levels", "MOIdist": "Binomial", "n": "cons",
        "link": "logit", "MOIslope": "Yes", "y": "passed", "x": "cons,standlrt,girlmiss", "x2": "cons,standlrt",
        "yimp1": "passed,girlmiss", "bin1_1": "Binary", "bin1_2": "Binary", "ximp1_0": "cons,standlrt",
        "ximp1_1": "cons,standlrt", "want2": "No", "condmarg": "Yes", **SHORT,
    }  # fmt: skip
    ran = run("2LevelImpute", passed, given, tmp_path)
    assert "omega_u_1" in set(ran.table("ResultsTable_Imputation").parameter)
    assert "template='2LevelRS'" in (tmp_path / "Model1_script.py").read_text()


def test_level_2_variable_that_varies_is_a_notice(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    values = data["schgendmiss"].copy()
    values[1] = 2  # pupil 2 of school 1, whose first value is 0
    ran = run("2LevelImpute", data.with_columns(schgendmiss=values), {**answers, **SHORT}, tmp_path)
    assert any("schgendmiss is not constant" in p.message and "first value" in p.message for p in ran.notes)
    # Rows are left out of the complete cases alone, and the notice says so.
    (left_out,) = (p.message for p in ran.notes if "left out" in p.message)
    assert left_out.startswith("CompleteCasesModel: ")


def test_level_2_predictor_that_varies_is_refused(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    [line] = _refused(data, {**answers, "ximp2_0_1": "cons,standlrt"}, tmp_path)
    assert line.startswith("ximp2_0_1: standlrt varies")


def test_collinear_predictors_are_named(data: Dataset, answers: dict[str, str], tmp_path: Path) -> None:
    twin = data.with_columns(twin=2 * data["standlrt"])
    lines = _refused(twin, {**answers, "ximp1_2": "cons,standlrt,twin"}, tmp_path)
    assert any(line.startswith("ximp1_2: twin") for line in lines), lines


@pytest.mark.parametrize(("gap", "told"), [(0, False), (24, True)])
def test_a_random_slope_of_an_incomplete_covariate_is_warned_of(gap: int, told: bool, tmp_path: Path) -> None:
    """Before the run, at its question, and under the pooled variances; a complete covariate is no matter."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12.0), 10)
    x = rng.normal(size=120)
    y = x + rng.normal(size=120)
    y[100:110] = np.nan
    x[:gap] = np.nan
    made = Dataset("made", {"g": group, "x": x, "y": y, "cons": np.ones(120)})
    given = {
        "numlevs": "Yes", "L2ID": "g", "MOIlevel": "2 levels", "MOIdist": "Normal", "MOIslope": "Yes", "y": "y",
        "x": "cons,x", "x2": "cons,x", "yimp1": "y,x", "bin1_1": "Normal", "bin1_2": "Normal", "ximp1_0": "cons",
        "ximp1_1": "cons", "want2": "No", "condmarg": "Yes", "numimpute": "2", "imputefirst": "20",
        "imputeevery": "5", "burnin": "20", "iterations": "40", "nchains": "1", "seed": "1",
    }  # fmt: skip
    ran = run("2LevelImpute", made, given, tmp_path)
    said = [p for p in ran.notes if p.code == "slope-of-incomplete"]
    assert bool(said) is told
    assert all((p.key, p.column) == ("x2", "x") and "20% of its values" in p.message for p in said)
    under = ran.result.tables["ResultsTable:Imputation"].notes
    assert any("random slope" in note for note in under) is told
