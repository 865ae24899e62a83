"""CompleteCases, Take, Merge and Generate: the rows and values that pandas gives, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from running import Ran, run

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import tutmiss, tutmiss_lev2
from templates_engine.problems import Problem, Refused
from templates_engine.running.job import Job
from templates_engine.running.store import Store
from templates_engine.sampling.rng import streams


def frame(data: Dataset) -> pd.DataFrame:
    return pd.DataFrame({name: np.array(values) for name, values in data.columns.items()})


def dataset_of(ran: Ran, name: str) -> pd.DataFrame:
    """The dataset as a person would open it."""
    return pd.read_stata(ran.folder / f"{name}.dta", convert_categoricals=False).astype(float)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tutmiss()


@pytest.fixture(scope="module")
def whole(data: Dataset) -> pd.DataFrame:
    return frame(data)


SMALL = Dataset(
    "small",
    {
        "id": np.array([3.0, 1.0, 3.0, 2.0, 1.0, np.nan]),
        "region": np.array(["north", "", "south", "north", "north", "east"]),
        "x": np.array([1.0, np.nan, 3.0, 4.0, 5.0, 6.0]),
        "k": np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
    },
    labels={"k": {"0": "no", "1": "yes"}},
    titles={"x": "A measurement"},
)


def errors(call: Any) -> list[Problem]:
    with pytest.raises(Refused) as refused:
        call()
    return list(refused.value.problems)


# CompleteCases


def test_complete_cases_are_those_of_pandas(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """Rows kept, and what each variable costs, counted another way."""
    names = ["standlrtmiss", "girlmiss", "schgendmiss"]
    ran = run("CompleteCases", data, {"vars": ",".join(names), "outdata": "kept"}, tmp_path)
    kept = whole.dropna(subset=names)
    pd.testing.assert_frame_equal(dataset_of(ran, "kept"), kept.reset_index(drop=True), check_dtype=False)
    lost = ran.table("Lost").set_index("Variable")
    for name in names:
        others = whole.dropna(subset=[n for n in names if n != name])
        assert lost.loc[name, "Rows lost"] == whole[name].isna().sum()
        assert lost.loc[name, "Lost by it alone"] == len(others) - len(kept)
    assert lost.loc["Any of them", "Rows lost"] == len(whole) - len(kept)
    patterns = ran.table("MissingPatterns")
    assert patterns["Rows"].sum() == len(whole)
    assert patterns["Rows"].is_monotonic_decreasing


def test_complete_cases_of_texts_keep_labels(tmp_path: Path) -> None:
    """An empty text is a missing value; labels and titles go with the rows."""
    with Job(Store(tmp_path)) as job:
        from model_templates.complete_cases.dropping import run as drop

        drop(("region", "x"), "kept", SMALL, job)
        made = job.store["kept"].content
    assert made["region"].tolist() == ["north", "south", "north", "north", "east"]
    assert (made.labels, made.titles) == (SMALL.labels, SMALL.titles)
    assert job.store["kept"].listed


def test_no_complete_row_is_refused_before_the_run(tmp_path: Path) -> None:
    gaps = Dataset("gaps", {"a": np.array([1.0, np.nan]), "b": np.array([np.nan, 1.0])})
    told = errors(lambda: run("CompleteCases", gaps, {"vars": "a,b"}, tmp_path))
    assert [(p.code, p.key) for p in told] == [("no-rows", "vars")]
    assert "a, b" in told[0].message


# Take


def test_take_first_and_mean_are_those_of_pandas(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    names = ["schgend", "standlrtmiss", "girl"]
    answers = {"id": "school", "vars": ",".join(names)}
    first = run("Take", data, {**answers, "rule": "First"}, tmp_path / "first")
    expected = whole.groupby("school")[names].first().reset_index()  # pandas takes the first that is not missing
    pd.testing.assert_frame_equal(dataset_of(first, "units"), expected, check_dtype=False)
    mean = run("Take", data, {**answers, "rule": "Mean"}, tmp_path / "mean")
    expected = whole.groupby("school")[names].mean().reset_index()
    pd.testing.assert_frame_equal(dataset_of(mean, "units"), expected, check_dtype=False, rtol=1e-12)


def test_take_tells_what_varies_within_units(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """A level 1 variable taken for one of level 2 is a mistake that nobody should make unseen."""
    ran = run("Take", data, {"id": "school", "vars": "schgend,girl"}, tmp_path)
    assert [p.column for p in ran.notes] == ["girl"]
    assert "65 units" in ran.notes[0].message
    table = ran.table("Units").set_index("Variable")
    varying = int((whole.groupby("school")["girl"].nunique() > 1).sum())
    assert table.loc["girl", "Units in which it varies"] == varying
    assert table.loc["schgend", "Units in which it varies"] == 0


def test_take_keeps_labels_but_not_on_means(tmp_path: Path) -> None:
    """The mean of 0 and 1 must not be shown as "yes"."""
    from model_templates.take.taking import run as take

    complete = SMALL.take(slice(0, 5))
    made = {}
    for rule in ("First", "Mean"):
        with Job(Store(tmp_path / rule)) as job:
            take("id", ("k", "region", "x"), rule, "out", complete, job)
            made[rule] = job.store["out"].content
    assert made["First"].labels == SMALL.labels
    assert made["Mean"].labels == {}
    assert made["First"]["region"].tolist() == ["north", "north", "north"]


def test_an_identifier_with_gaps_cannot_be_chosen(tmp_path: Path) -> None:
    told = errors(lambda: run("Take", SMALL, {"id": "id", "vars": "x"}, tmp_path))
    assert [(p.code, p.key) for p in told] == [("not-allowed", "id")]
    assert "missing" in told[0].message


# Merge


SCHOOLS = Dataset(
    "schools",
    {
        "id": np.array([1.0, 3.0, 9.0, np.nan]),
        "size": np.array([10.0, 30.0, 90.0, 0.0]),
        "x": np.array([-1.0, np.nan, -9.0, 0.0]),
        "town": np.array(["A", "", "C", "D"]),
    },
    labels={"size": {"10": "small"}},
    titles={"town": "Where it is"},
)
BY_ID = {"right": "schools", "id": "id", "rightid": "id"}


def test_merge_is_that_of_pandas(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """All 4,059 pupils, in their order, beside the variables of their school."""
    right = tutmiss_lev2()
    some = right.take(slice(0, 40))
    for kind, how in (("All rows", "left"), ("Only matches", "inner")):
        answers = {"right": "tutmiss_lev2", "id": "school", "rightid": "school", "vars": "schav", "kind": kind}
        ran = run("Merge", data, answers, tmp_path / how, others={"tutmiss_lev2": some})
        theirs = frame(some)[["school", "schav"]].rename(columns={"schav": "schav_right"})
        expected = whole.merge(theirs, on="school", how=how)
        pd.testing.assert_frame_equal(dataset_of(ran, "merged"), expected, check_dtype=False)
        counts = ran.table("Matches")["Count"].tolist()
        assert counts[1] == whole["school"].isin(theirs["school"]).sum()
        assert counts[1] + counts[2] == len(whole)


def joined(left: Dataset, answers: dict[str, str], folder: Path, right: Dataset = SCHOOLS) -> Dataset:
    from templates_engine import registry
    from templates_engine.asking import walk

    template = registry.get("Merge")
    schemas = {right.name: right.schema()}
    spec = walk(template, answers, left.schema(), datasets=schemas, strict_keys=True).require()
    with Job(Store(folder), others={right.name: right}) as job:
        template.run(spec, left, job)
        made = job.store["merged"].content
    assert isinstance(made, Dataset)
    return made


def test_merge_keeps_labels_and_leaves_gaps_alone(tmp_path: Path) -> None:
    """A missing identifier has no partner, though both datasets have one; texts get an empty text."""
    made = joined(SMALL, BY_ID, tmp_path)
    assert made.names == ("id", "region", "x", "k", "size", "x_right", "town")
    np.testing.assert_array_equal(made["size"], [30, 10, 30, np.nan, 10, np.nan])
    assert made["town"].tolist() == ["", "A", "", "", "A", ""]
    assert made.labels == {**SMALL.labels, **SCHOOLS.labels}
    assert made.titles == {**SMALL.titles, **SCHOOLS.titles}
    np.testing.assert_array_equal(made["x"], SMALL["x"])


def test_merge_by_two_identifiers_of_other_names(tmp_path: Path) -> None:
    right = Dataset(
        "both",
        {
            "place": np.array(["north", "north", "south"]),
            "number": np.array([3.0, 1.0, 3.0]),
            "value": np.array([1.0, 2.0, 3.0]),
        },
    )
    answers = {"right": "both", "id": "id,region", "rightid": "number,place"}
    made = joined(SMALL, answers, tmp_path, right)
    np.testing.assert_array_equal(made["value"], [1, np.nan, 3, np.nan, 2, np.nan])


def test_merge_refuses_repeated_identifiers_with_their_values(tmp_path: Path) -> None:
    twice = SCHOOLS.take([0, 1, 1, 2, 0, 1])
    told = errors(lambda: joined(SMALL, BY_ID, tmp_path, twice))
    assert [(p.code, p.key) for p in told] == [("repeated-identifier", "rightid")]
    assert "2 of 3" in told[0].message
    assert "1 (2 rows); 3 (3 rows)" in told[0].message


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"rightid": "id,size"}, "As many identifiers"),
        ({"rightid": "town"}, "id holds numbers and town text"),
        ({"rightid": "idd"}, "not a column of schools. Did you mean “id”"),
        ({"right": "school"}, "There is no dataset “school”. Did you mean “schools”"),
        ({"vars": "id"}, "already used"),
    ],
)
def test_merge_says_what_is_wrong(answers: dict[str, str], words: str, tmp_path: Path) -> None:
    told = errors(lambda: joined(SMALL, {**BY_ID, **answers}, tmp_path))
    assert any(words in p.message for p in told), told


def test_merge_without_any_match(tmp_path: Path) -> None:
    apart = SCHOOLS.with_columns(id=np.array([11.0, 12.0, 13.0, 14.0]))
    made = joined(SMALL, BY_ID, tmp_path / "all", apart)
    assert np.isnan(made["size"]).all()
    told = errors(lambda: joined(SMALL, {**BY_ID, "kind": "Only matches"}, tmp_path / "only", apart))
    assert told[0].code == "no-matches"


# Generate


def column(answers: dict[str, str], data: Dataset, folder: Path) -> np.ndarray:
    ran = run("Generate", data, {"name": "made", **answers}, folder)
    return dataset_of(ran, "generated")["made"].to_numpy()


def test_constant_and_sequence(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    assert (column({"kind": "Constant", "value": "-2.5"}, data, tmp_path / "a") == -2.5).all()
    found = column({"kind": "Sequence", "start": "10", "step": "-2"}, data, tmp_path / "b")
    np.testing.assert_array_equal(found, 10 - 2 * np.arange(len(whole)))
    within = column({"kind": "Sequence", "by": "vrband"}, data, tmp_path / "c")
    np.testing.assert_array_equal(within, whole.groupby("vrband").cumcount() + 1)


def test_group_mean_is_that_of_pandas(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    found = column({"kind": "Group mean", "of": "standlrtmiss", "by": "school"}, data, tmp_path)
    np.testing.assert_allclose(found, whole.groupby("school")["standlrtmiss"].transform("mean"), rtol=1e-12)


@pytest.mark.parametrize(
    ("answers", "mean", "variance"),
    [
        ({"D": "Normal", "mean": "3", "sd": "2"}, 3, 4),
        ({"D": "Uniform", "low": "-1", "high": "5"}, 2, 3),
        ({"D": "Binomial", "trials": "10", "prob": "0.3"}, 3, 2.1),
        ({"D": "Poisson", "rate": "2.5"}, 2.5, 2.5),
    ],
)
def test_draws_have_the_moments_asked_for(
    answers: dict[str, str], mean: float, variance: float, data: Dataset, tmp_path: Path
) -> None:
    """Mean within 5 standard errors, variance within 15%: about one false alarm in a million for the mean, and for
    the variance (relative SD of at most 2.4% with 4,059 draws) fewer. The seed is fixed."""
    found = column({"kind": "Random draws", "seed": "11", **answers}, data, tmp_path / "a")
    assert abs(found.mean() - mean) < 5 * np.sqrt(variance / len(found))
    assert abs(found.var(ddof=1) / variance - 1) < 0.15
    again = column({"kind": "Random draws", "seed": "11", **answers}, data, tmp_path / "b")
    other = column({"kind": "Random draws", "seed": "12", **answers}, data, tmp_path / "c")
    np.testing.assert_array_equal(found, again)
    assert (found != other).any()


def test_one_draw_for_each_group(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    found = column({"kind": "Random draws", "by": "school", "seed": "4"}, data, tmp_path)
    draws = streams(4, 1)[0].standard_normal(65)
    order = pd.Categorical(whole["school"]).codes
    np.testing.assert_allclose(found, draws[order], rtol=1e-15)


def test_an_expression_is_worked_out(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    text = "if(missing(girlmiss), -1, log(standlrt + 4) ^ 2) / rank(normexam)"
    found = column({"kind": "Expression", "expression": text}, data, tmp_path)
    expected = np.where(whole["girlmiss"].isna(), -1, np.log(whole["standlrt"] + 4) ** 2) / whole["normexam"].rank()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_undefined_values_are_missing_and_counted(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    ran = run("Generate", data, {"name": "m", "kind": "Expression", "expression": "1 / girl"}, tmp_path)
    zero = int((whole["girl"] == 0).sum())
    assert f"{zero:,} rows have a division by zero" in ran.notes[0].message
    assert np.isnan(dataset_of(ran, "generated")["m"]).sum() == zero
    assert ran.table("NewColumn").loc[0, "Missing"] == zero


def test_a_column_is_replaced_only_when_asked(data: Dataset, tmp_path: Path) -> None:
    """Overwriting a variable by a slip of the keyboard would go unseen."""
    answers = {"name": "girl", "kind": "Constant"}
    told = errors(lambda: run("Generate", data, answers, tmp_path / "a"))
    assert [(p.key, p.code) for p in told] == [("name", "taken")]
    ran = run("Generate", data, {**answers, "replace": "Yes"}, tmp_path / "b")
    made = dataset_of(ran, "generated")
    assert tuple(made.columns) == data.names
    assert (made["girl"] == 1).all()
    assert data["girl"].min() == 0, "the dataset itself stays as it is"


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        ({"kind": "Random draws", "D": "Uniform", "low": "2", "high": "2"}, "high"),
        ({"kind": "Random draws", "D": "Binomial", "prob": "1.2"}, "prob"),
        ({"kind": "Random draws", "D": "Normal", "sd": "-1"}, "sd"),
        ({"kind": "Constant", "name": "2nd"}, "name"),
        ({"kind": "Constant", "value": "inf"}, "value"),
        ({"kind": "Expression", "expression": "normexam +"}, "expression"),
        ({"kind": "Expression", "expression": "normexma + 1"}, "expression"),
    ],
)
def test_generate_says_what_is_wrong(answers: dict[str, str], key: str, data: Dataset, tmp_path: Path) -> None:
    told = errors(lambda: run("Generate", data, {"name": "made", **answers}, tmp_path))
    assert [p.key for p in told] == [key]
