"""SummaryStats, Tabulate, Histogram and XYPlot: the numbers of pandas and scipy, pictures that stay small."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import Ran, run
from scipy import stats

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import tutmiss
from templates_engine.figures.scatterplots import Series, classes, lattice, scatter
from templates_engine.problems import Refused

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tutmiss()


@pytest.fixture(scope="module")
def whole(data: Dataset) -> pd.DataFrame:
    return pd.DataFrame({name: np.array(values) for name, values in data.columns.items()})


def picture(ran: Ran, name: str) -> ET.Element:
    """A picture that a browser can read, below the size a page can bear, with words for those who do not see it."""
    content = (ran.folder / name).read_bytes()
    assert len(content) < 500_000
    root = ET.fromstring(content)
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    return root


# SummaryStats


def check_summary(found: pd.Series, values: pd.Series) -> None:
    quartiles = values.quantile([0.25, 0.5, 0.75]).tolist()
    expected = [values.count(), values.isna().sum(), values.mean(), values.std(), values.min(), *quartiles]
    expected += [values.max(), values.skew()]
    np.testing.assert_allclose(found.to_numpy(float), np.array(expected, float), rtol=1e-9, atol=1e-12)


def test_summaries_are_those_of_pandas(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    names = ["normexam", "standlrtmiss", "girlmiss", "vrband"]
    ran = run("SummaryStats", data, {"vars": ",".join(names), "by": "schgendmiss"}, tmp_path)
    table = ran.table("Summary").set_index("Variable")
    for name in names:
        check_summary(table.loc[name], whole[name])
    groups = ran.table("SummaryByGroup").set_index(["Variable", "schgendmiss"])
    for code, word in ((0, "mixed"), (1, "boys'"), (2, "girls'")):
        check_summary(groups.loc[("standlrtmiss", word)], whole.loc[whole["schgendmiss"] == code, "standlrtmiss"])
    check_summary(groups.loc[("normexam", "Missing")], whole.loc[whole["schgendmiss"].isna(), "normexam"])
    correlations = ran.table("Correlations").set_index("Variable")
    np.testing.assert_allclose(correlations, whole[names].corr(), rtol=1e-9, atol=1e-12)
    pairs = ran.table("Pairs").set_index("Variable")
    present = whole[names].notna().astype(int)
    np.testing.assert_array_equal(pairs, present.T @ present)
    assert ran.table("MissingPatterns")["Rows"].sum() == len(whole)


def test_columns_without_spread_have_empty_cells(tmp_path: Path) -> None:
    """A constant has no skewness and no correlation; one value has no SD; huge values do not overflow."""
    odd = Dataset(
        "odd",
        {
            "constant": np.full(4, 7.0),
            "single": np.array([np.nan, 3.0, np.nan, np.nan]),
            "huge": np.array([1e200, 2e200, 3e200, 5e200]),
            "x": np.array([1.0, 2.0, 3.0, 5.0]),
        },
    )
    ran = run("SummaryStats", odd, {"vars": "constant,single,huge,x"}, tmp_path)
    table = ran.table("Summary").set_index("Variable")
    assert table.loc["constant", "SD"] == 0
    assert table.loc["constant"].isna().to_list() == [False] * 9 + [True]
    assert np.isnan(table.loc["single", "SD"])
    correlations = ran.table("Correlations").set_index("Variable")
    assert np.isnan(correlations.loc["constant", "x"])
    assert correlations.loc["huge", "x"] == pytest.approx(1)


# Tabulate


def test_counts_and_their_test_are_those_of_pandas_and_scipy(
    data: Dataset, whole: pd.DataFrame, tmp_path: Path
) -> None:
    ran = run("Tabulate", data, {"row": "vrband", "column": "schgend"}, tmp_path)
    expected = pd.crosstab(whole["vrband"], whole["schgend"], margins=True)
    np.testing.assert_array_equal(ran.table("Tabulation").set_index("vrband"), expected)
    assert list(ran.table("Tabulation").columns[1:]) == ["mixed", "boys'", "girls'", "Total"]
    inside = expected.to_numpy()[:-1, :-1]
    test = stats.chi2_contingency(inside, correction=False)
    found = ran.table("Association").iloc[0]
    assert found["Chi-squared"] == pytest.approx(test.statistic)
    assert found["df"] == test.dof
    assert found["p"] == pytest.approx(test.pvalue)
    assert found["Cramér's V"] == pytest.approx(stats.contingency.association(inside, method="cramer"))
    assert found["Smallest expected count"] == pytest.approx(test.expected_freq.min())


@pytest.mark.parametrize(("statistic", "normalise"), [("Row percent", "index"), ("Column percent", "columns")])
def test_percentages(statistic: str, normalise: str, data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    ran = run("Tabulate", data, {"row": "vrband", "column": "girl", "statistic": statistic}, tmp_path)
    expected = 100 * pd.crosstab(whole["vrband"], whole["girl"], margins=True, normalize=normalise)
    table = ran.table("Tabulation").set_index("vrband").to_numpy()
    inside = expected.to_numpy()
    np.testing.assert_allclose(table[: len(inside), : inside.shape[1]], inside, rtol=1e-12)
    totals = table[:, -1] if statistic == "Row percent" else table[-1]
    np.testing.assert_allclose(totals, 100)


@pytest.mark.parametrize(("statistic", "how"), [("Mean", "mean"), ("SD", "std")])
def test_means_and_sds_in_cells(statistic: str, how: str, data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    answers = {"row": "vrband", "column": "schgend", "statistic": statistic, "of": "standlrtmiss"}
    ran = run("Tabulate", data, answers, tmp_path)
    expected = whole.pivot_table("standlrtmiss", "vrband", "schgend", aggfunc=how, margins=True)
    np.testing.assert_allclose(ran.table("Tabulation").set_index("vrband"), expected, rtol=1e-9)
    counts = whole.pivot_table("standlrtmiss", "vrband", "schgend", aggfunc="count", margins=True)
    np.testing.assert_array_equal(ran.table("Counts").set_index("vrband"), counts)
    one = run("Tabulate", data, {"row": "vrband", "statistic": statistic, "of": "standlrtmiss"}, tmp_path / "one")
    table = one.table("Tabulation").set_index("vrband")
    np.testing.assert_allclose(table[statistic][:-1], whole.groupby("vrband")["standlrtmiss"].agg(how), rtol=1e-9)
    assert table["N"].iloc[-1] == whole["standlrtmiss"].count()


def test_missing_values_are_shown_or_counted(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """Rows that are left out are never left out in silence."""
    gaps = int(whole["girlmiss"].isna().sum())
    hidden = run("Tabulate", data, {"row": "girlmiss"}, tmp_path / "hidden")
    assert hidden.table("Tabulation")["girlmiss"].tolist() == ["boy", "girl", "Total"]
    assert f"{gaps:,} of" in hidden.result.tables["Tabulation"].notes[0]
    shown = run("Tabulate", data, {"row": "girlmiss", "missing": "Yes"}, tmp_path / "shown")
    table = shown.table("Tabulation").set_index("girlmiss")
    assert table.loc["Missing", "N"] == gaps
    assert table.loc["Total", "N"] == len(whole)


def test_small_expected_counts_are_told(tmp_path: Path) -> None:
    few = Dataset("few", {"a": np.array([0.0, 0, 1, 1, 1]), "b": np.array(["x", "y", "y", "y", "x"])})
    ran = run("Tabulate", few, {"row": "a", "column": "b"}, tmp_path)
    assert [p.code for p in ran.notes] == ["small-counts"]


def test_labels_that_repeat_or_clash_stay_apart(tmp_path: Path) -> None:
    """Two codes with one label, and a label called Total, are lines of their own."""
    data = Dataset("d", {"a": np.array([1.0, 2, 3, 3])}, labels={"a": {"1": "same", "2": "same", "3": "Total"}})
    table = run("Tabulate", data, {"row": "a"}, tmp_path).table("Tabulation")
    assert table["a"].tolist() == ["same (1)", "same (2)", "Total_2", "Total"]
    assert table["N"].tolist() == [1, 1, 2, 4]


# Histogram


def test_bars_are_those_of_numpy(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """Freedman and Diaconis' bars as numpy has them, every value in one of them."""
    ran = run("Histogram", data, {"var": "normexam"}, tmp_path)
    table = ran.table("Bins")
    counts, edges = np.histogram(whole["normexam"], bins="fd")
    np.testing.assert_array_equal(table["Rows"], counts)
    np.testing.assert_allclose(table["Lower limit"], edges[:-1], rtol=1e-12)
    picture(ran, "histogram.svg")


def test_groups_and_gaps(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    ran = run("Histogram", data, {"var": "standlrtmiss", "bins": "20", "by": "girl"}, tmp_path)
    table = ran.table("Bins")
    assert len(table) == 20
    for code, word in ((0, "boy"), (1, "girl")):
        assert table[f"{word}, rows"].sum() == whole.loc[whole["girl"] == code, "standlrtmiss"].count()
        assert table[f"{word}, percent"].sum() == pytest.approx(100)
    assert f"{whole['standlrtmiss'].isna().sum():,} of" in ran.result.tables["Bins"].notes[1]
    said = "".join(picture(ran, "histogram.svg").itertext())
    assert "boy (n = " in said


@pytest.mark.parametrize(
    ("values", "bars"),
    [([3.0] * 5, 1), ([0.5] * 5, 1), ([0.0, 1, 1, 5], 6), ([0.25] * 90 + [7.5], 8), ([1e15, 3e15], 2)],
)
def test_odd_variables_have_bars(values: list[float], bars: int, tmp_path: Path) -> None:
    """Constants, few whole values (a bar for each, empty ones too), a spike, and very large values."""
    ran = run("Histogram", Dataset("d", {"x": np.array(values)}), {"var": "x"}, tmp_path)
    table = ran.table("Bins")
    assert len(table) == bars
    assert table["Rows"].sum() == len(values)
    picture(ran, "histogram.svg")


def test_whole_values_stand_under_their_labels(data: Dataset, tmp_path: Path) -> None:
    ran = run("Histogram", data, {"var": "schgend"}, tmp_path)
    assert ran.table("Bins")["Value"].tolist() == ["mixed", "boys'", "girls'"]
    assert "girls'" in "".join(picture(ran, "histogram.svg").itertext())


@pytest.mark.parametrize("bins", ["0", "201", "ten", "1.5"])
def test_a_wrong_number_of_bars_is_refused(bins: str, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        run("Histogram", data, {"var": "normexam", "bins": bins}, tmp_path)
    assert [p.key for p in refused.value.problems] == ["bins"]


# XYPlot


def test_series_are_told_apart_by_colour_and_shape(data: Dataset, whole: pd.DataFrame, tmp_path: Path) -> None:
    """The published answers; colour alone would leave some readers out. The same answers give the same bytes."""
    answers = {"yaxis": "normexam,standlrtmiss", "xaxis": "avslrt"}
    small = data.take(slice(0, 2000))
    ran = run("XYPlot", small, answers, tmp_path / "a")
    root = picture(ran, "graphxy.svg")
    said = "".join(root.itertext())
    assert "normexam" in said
    assert "standlrtmiss" in said
    paths = [p.get("style") or "" for p in root.iter(f"{SVG}path")]
    assert any("stroke: #0b4f8a" in p and "stroke-linecap: round" in p for p in paths), "circles of the first colour"
    assert any("fill: #d0661c" in p for p in paths), "squares of the second"
    again = run("XYPlot", small, answers, tmp_path / "b")
    assert (ran.folder / "graphxy.svg").read_bytes() == (again.folder / "graphxy.svg").read_bytes()
    table = ran.table("Series").set_index("Series")
    rows = whole.head(2000)
    assert table.loc["standlrtmiss", "Points"] == rows["standlrtmiss"].count()
    expected = rows["normexam"].corr(rows["avslrt"])
    assert table.loc["normexam", "Correlation"] == pytest.approx(expected)


def test_many_points_stay_small() -> None:
    """12 series of 100,000 points, and 5,000 points of the most costly shapes, below what a page can bear."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal(100_000)
    many = [Series(f"s{k}", x, rng.standard_normal(100_000)) for k in range(12)]
    assert len(scatter(many, "x", False, "t", "w")) < 500_000
    assert len(scatter(many[:4], "x", True, "t", "w")) < 500_000
    single = [Series(f"s{k}", x[:1250], rng.standard_normal(1250)) for k in range(4)]
    assert len(scatter(single, "x", False, "t", "w")) < 500_000


def test_hexagons_hold_every_point_once() -> None:
    """Each point lies in the hexagon it is counted in: no centre of another is nearer."""
    at = np.random.default_rng(6).uniform(0, 100, (500, 2))
    centres, counts = lattice(at, 7.0)
    assert counts.sum() == 500
    distance = ((at[:, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(np.bincount(distance.argmin(axis=1), minlength=len(centres)), counts)


@pytest.mark.parametrize("most", [1, 2, 31, 32, 1000, 10**7])
def test_classes_of_counts_reach_from_one_to_the_most(most: int) -> None:
    steps = classes(most)
    assert steps[0] == 1
    assert steps == sorted(set(steps))
    assert len(steps) <= 5
    assert steps[-1] <= most


def test_a_series_without_points_is_told(tmp_path: Path) -> None:
    gaps = Dataset("g", {"x": np.array([1.0, np.nan]), "y": np.array([np.nan, 2.0]), "z": np.array([1.0, 2.0])})
    ran = run("XYPlot", gaps, {"yaxis": "y", "xaxis": "x", "style": "Lines"}, tmp_path)
    assert [p.code for p in ran.notes] == ["no-points"]
    assert "no points" in "".join(picture(ran, "graphxy.svg").itertext())
    both = run("XYPlot", gaps, {"yaxis": "z,y", "xaxis": "x"}, tmp_path / "both")
    picture(both, "graphxy.svg")


def test_thirteen_series_are_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        run("XYPlot", data, {"yaxis": ",".join(data.names[:13]), "xaxis": "avslrt"}, tmp_path)
    assert "at most 12" in refused.value.problems[0].message
