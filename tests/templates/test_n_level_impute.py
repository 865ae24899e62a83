"""NLevelImpute: 2LevelImpute's string and bytes, classifications told, small ones diagonal, refusals in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import Ran, published, run

from templates_engine import inputs, registry
from templates_engine.asking import walk
from templates_engine.data import Dataset
from templates_engine.data.simulate import SUPPLIED
from templates_engine.problems import Refused

SHORT = {"numimpute": "3", "imputefirst": "15", "imputeevery": "5", "iterations": "30", "burnin": "10", "nchains": "2"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return SUPPLIED["crossed_gaps"]()


def example(name: str) -> dict[str, str]:
    (found,) = (e for e in registry.get("NLevelImpute").examples if e.name == name)
    return {**inputs.read(found.inputs).answers, **SHORT}


@pytest.fixture(scope="module")
def crossed(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run("NLevelImpute", data, example("crossed"), tmp_path_factory.mktemp("crossed"))


def test_a_two_level_string_means_the_same() -> None:
    """Every published answer finds its question; the frozen answers are those of 2LevelImpute but for one key."""
    data, answers = SUPPLIED["tutmiss"](), published("2LevelImpute")
    for more in ({}, {"MOIlevel": "1 level"}, {"MOIslope": "Yes", "x2": "cons,standlrtmiss"}):
        two, many = (
            walk(registry.get(n), {**answers, **more}, data.schema()) for n in ("2LevelImpute", "NLevelImpute")
        )
        assert not [p for p in many.problems if p.level == "error"]
        one, other = two.require(), many.require()
        assert one.moi == other.moi
        assert [c.column for c in one.classes] == [c.column for c in other.classes]
        assert (one.level1, one.levels, one.imputed_at) == (other.level1, other.levels, other.imputed_at)


def test_a_two_level_string_gives_the_same_bytes(tmp_path: Path) -> None:
    data, answers = SUPPLIED["tutmiss"](), {**published("2LevelImpute"), **SHORT}
    two = run("2LevelImpute", data, answers, tmp_path / "two")
    many = run("NLevelImpute", data, answers, tmp_path / "many")
    named = {"script.py", "Inputs.txt", "state.npz", "manifest.json"}
    names = {path.name for path in two.folder.iterdir()} - named
    assert names == {path.name for path in many.folder.iterdir()} - named
    for name in sorted(names):
        if name.endswith((".csv", ".dta", ".json", ".tex", ".txt")):
            assert (two.folder / name).read_bytes() == (many.folder / name).read_bytes(), name


def test_crossed_classifications_run_and_are_told(crossed: Ran, data: Dataset) -> None:
    told = [p.message for p in crossed.notes]
    assert any(m.startswith("primary and second are crossed.") for m in told)
    pooled = crossed.table("ResultsTable_Imputation")
    names = ["beta_0", "beta_1", "beta_2", "beta_3", "sigma2_u1", "sigma2_u2", "sigma2_e"]
    assert list(pooled.parameter) == names or list(pooled.parameter) == [*names[:-1], "sigma2"]
    assert np.isfinite(pooled[["estimate", "se", "lower", "upper"]].to_numpy()).all()
    model = crossed.table("Imputation_Model_ModelParameters")
    assert {"omega_u1_0", "omega_u2_0", "omega_e_0", "beta2imp_0"} <= set(model.parameter)
    for file in crossed.folder.glob("impute_datafile_*.dta"):
        filled = pd.read_stata(file, convert_categoricals=False)
        for name in ("verbalmiss", "girlmiss", "churchmiss"):
            seen = ~data.missing(name)
            assert np.array_equal(filled[name].to_numpy(float)[seen], data[name][seen])
            assert filled[name].notna().all()
        assert (filled.groupby("primary").churchmiss.nunique() == 1).all()
    (upper,) = crossed.folder.glob("impute_L2Data_chain0_iter15.dta")
    assert len(pd.read_stata(upper)) == 80
    assert "template='NLevelMod'" in (crossed.folder / "Model1_script.py").read_text()


def test_nested_classifications_types_and_choices(data: Dataset, tmp_path: Path) -> None:
    """Three classifications, one nested, one diagonal; a response of each kind but Ordered; a binomial model."""
    ran = run("NLevelImpute", data, example("nested"), tmp_path)
    told = [p.message for p in ran.notes]
    assert any(m.startswith("primary is nested in district") for m in told)
    parameters = set(ran.table("Imputation_Model_ModelParameters").parameter)
    assert "omega_u1_5" not in parameters or "omega_u1_0" in parameters
    assert {p for p in parameters if p.startswith("omega_u2")} == {"omega_u2_2"}  # verbalmiss alone varies there
    assert {p for p in parameters if p.startswith("omega_u3")} == {"omega_u3_0"}


def test_slopes_at_a_classification(data: Dataset, tmp_path: Path) -> None:
    ran = run("NLevelImpute", data, example("slopes"), tmp_path)
    assert "template='NLevelRS'" in (tmp_path / "Model1_script.py").read_text()
    assert ran.table("ResultsTable_Imputation").estimate.notna().all()


def test_few_units_are_made_diagonal_and_told(data: Dataset, tmp_path: Path) -> None:
    """Ten districts and four dimensions would need ten units for a flat prior: six are too few."""
    some = data.take(data["district"] <= 6)
    answers = {**example("crossed"), "C2": "district", "MOIclass": "primary"}
    ran = run("NLevelImpute", some, answers, tmp_path)
    (told,) = (p.message for p in ran.notes if "district has 6 groups" in p.message)
    assert "half-t priors" in told
    parameters = set(ran.table("Imputation_Model_ModelParameters").parameter)
    assert {p for p in parameters if p.startswith("omega_u2")} == {"omega_u2_0", "omega_u2_2", "omega_u2_5"}
    assert "the matrix of district diagonal" in (tmp_path / "Methods.txt").read_text()


def refused(data: Dataset, answers: dict[str, str], tmp_path: Path) -> list[str]:
    with pytest.raises(Refused) as caught:
        run("NLevelImpute", data, answers, tmp_path)
    assert not list(tmp_path.iterdir()), "nothing half written"
    return [p.line() for p in caught.value.problems]


def test_a_classification_equal_to_another(data: Dataset, tmp_path: Path) -> None:
    twin = data.with_columns(twin=1000 - data["primary"])
    lines = refused(twin, {**example("crossed"), "C2": "twin", "MOIclass": "primary"}, tmp_path)
    assert any(line.startswith("C2: twin divides the rows in the same units as primary") for line in lines)


def test_the_same_column_twice_or_imputed(data: Dataset, tmp_path: Path) -> None:
    lines = refused(data, {**example("crossed"), "C2": "primary", "MOIclass": "primary"}, tmp_path)
    assert any(line.startswith("C2: primary is classification 1 already") for line in lines)


def test_a_variable_that_varies_within_its_classification(data: Dataset, tmp_path: Path) -> None:
    lines = refused(data, {**example("crossed"), "ximp2_0": "cons,verbal"}, tmp_path)
    assert any(line.startswith("ximp2_0: verbal varies within") for line in lines)


def test_an_incomplete_classification(data: Dataset, tmp_path: Path) -> None:
    holed = data.with_columns(second=np.where(np.arange(data.n_rows) == 3, np.nan, data["second"]))
    lines = refused(holed, example("crossed"), tmp_path)
    assert any(line.startswith("C2: ") and "second" in line for line in lines)


def test_unconnected_classifications_are_told(data: Dataset) -> None:
    template = registry.get("NLevelImpute")
    split = data.with_columns(second=np.where(data["primary"] <= 40, 1.0, 101.0) + data["second"] % 3)
    spec = walk(template, example("crossed"), split.schema()).require()
    told = [p.message for p in template.check(spec, split)]
    assert any("They fall into 2 parts" in m for m in told)


def test_a_slope_of_an_incomplete_variable_is_told(data: Dataset) -> None:
    template = registry.get("NLevelImpute")
    answers = {**example("slopes"), "x": "cons,verbalmiss,girlmiss", "x2_1": "cons,verbalmiss"}
    answers |= {"yimp1": "attain,girlmiss,verbalmiss", "bin1_3": "Normal", "ximp1_2": "cons", "ximp1_0": "cons"}
    answers |= {"ximp1_1": "cons"}
    spec = walk(template, answers, data.schema()).require()
    assert any(p.code == "slope-of-incomplete" and p.key == "x2_1" for p in template.check(spec, data))
