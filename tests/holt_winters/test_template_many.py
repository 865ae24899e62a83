"""HoltWinters on many series: each as it is alone, a bad one beside good ones, automatic choices, a stopped run."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from beside import data_file
from smoothing import MANY, coefficients, run, shops

from model_templates.holt_winters.pictures import series_words
from model_templates.holt_winters.reporting import verdicts_of_many
from templates_engine import registry
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import SUPPLIED
from templates_engine.problems import Refused
from templates_engine.running.job import Job
from templates_engine.running.store import Store


def test_a_series_among_many_is_fitted_as_it_is_alone(tmp_path: Path) -> None:
    """Fit, forecasts and constants of three shops from a run of forty, and from a run of each."""
    data = shops()
    ran = run("HoltWinters", data, MANY, tmp_path / "all")
    fit = ran.table("Fit")
    assert len(fit) == 40
    assert fit["mase"].is_monotonic_decreasing, "the worst series first"
    assert len(ran.table("Forecast")) == 40 * 6
    assert (tmp_path / "all" / "worst1_forecast.svg").exists()
    for shop in (1, 8, 25):
        rows = data["shop"] == shop
        alone = {k: v for k, v in MANY.items() if k != "series"}
        one = run("HoltWinters", data.take(rows), alone, tmp_path / str(shop))
        mine = fit[fit["series"] == shop].iloc[0]
        for name in ("sse", "mae", "mase", "aic", "n_used"):
            assert mine[name] == pytest.approx(one.table("Fit").loc[0, name], rel=1e-9), name
        theirs = ran.table("Forecast")
        theirs = theirs[theirs["series"] == shop]
        for name in ("point", "lower", "upper"):
            assert theirs[name].to_numpy() == pytest.approx(one.table("Forecast")[name].to_numpy(), rel=1e-9)
        constants = ran.table("Coefficients")
        constants = constants[constants["series"] == shop].set_index("parameter")["value"]
        assert constants["alpha"] == pytest.approx(coefficients(one)["alpha"], rel=1e-9)


@pytest.mark.parametrize(
    ("flagged", "robust", "said"),
    [
        (1, False, "1 residual lies beyond the outer fences, in 1 series."),
        (2, False, "2 residuals lie beyond the outer fences, in 1 series."),
        (1, True, "1 value was cut at 2 scales, in 1 series."),
        (3, True, "3 values were cut at 2 scales, in 1 series."),
    ],
)
def test_one_residual_lies_and_two_lie(flagged: int, robust: bool, said: str) -> None:
    fit, checks = SimpleNamespace(converged=True, mase=0.5), SimpleNamespace(ljung_box_p=0.5)
    one: Any = SimpleNamespace(name="a", fit=fit, checks=checks, flagged=range(flagged))
    spec: Any = SimpleNamespace(robust=robust, k=2.0)
    assert any(str(line[1]).startswith(said) for line in verdicts_of_many(spec, [one], 0).rows)


def test_a_series_named_after_its_column_is_not_named_twice() -> None:
    spec: Any = SimpleNamespace(series="shop")
    assert [series_words(spec, name) for name in ("16", "shop 16", "Shop 16", "Oslo")] == [
        "shop 16", "shop 16", "Shop 16", "shop Oslo",
    ]  # fmt: skip


def test_bad_series_are_left_out_and_told(tmp_path: Path) -> None:
    """A short, a constant, an all-missing, a zero and a doubled series beside 35 good ones."""
    data = shops()
    shop, month, sales = data["shop"], data["month"].copy(), data["sales"].copy()
    sales[shop == 2] = 7.0
    sales[shop == 3] = np.nan
    sales[np.flatnonzero(shop == 4)[5]] = 0.0
    month[np.flatnonzero(shop == 5)[1]] = month[np.flatnonzero(shop == 5)[0]]
    keep = ~((shop == 1) & (np.cumsum(shop == 1) > 20))
    bad = Dataset("bad", {"shop": shop, "month": month, "sales": sales}).take(keep)
    ran = run("HoltWinters", bad, {**MANY, "seasonal": "Multiplicative"}, tmp_path)
    fit = ran.table("Fit")
    assert (fit["status"] == "fitted").sum() == 35
    assert fit.columns[1] == "status", "why a series failed stands beside its name"
    failed = fit[fit["status"] != "fitted"].set_index("series")["status"]
    assert fit["series"].iloc[:5].tolist() == failed.index.tolist(), "what failed stands first"
    for number, word in (
        (1, "too short"),
        (2, "constant"),
        (3, "no observed"),
        (4, "zero or negative"),
        (5, "more than one row"),
    ):
        assert word in failed[number]
    assert len(ran.table("Forecast")) == 35 * 6
    assert any("5 of 40 series" in n.message for n in ran.notes)
    assert "5 of 40" in ran.table("Verdicts").loc[0, "sentence"]


def test_a_series_is_drawn_by_its_name(tmp_path: Path) -> None:
    data = shops().take(shops()["shop"] <= 5)
    run("HoltWinters", data, {**MANY, "draw": "4, worst"}, tmp_path)
    assert "shop 4" in (tmp_path / "series_4_forecast.svg").read_text()
    assert (tmp_path / "worst1_forecast.svg").exists()
    with pytest.raises(Refused, match=r"no series 44 in shop\. Did you mean 4"):
        run("HoltWinters", data, {**MANY, "draw": "44"}, tmp_path / "other")


def test_a_thousand_series_take_a_few_seconds(tmp_path: Path, cost: Callable[..., float]) -> None:
    """The panel of 1,000 series of 120 months; CPU time of a quarter against the whole would show a square law."""
    with gzip.open(data_file("ts/hw_panel_1000x120.csv.gz")) as file:
        text = file.read().split()
    values = np.array([[float(v) for v in line.split(b",")] for line in text])

    def fitted(n: int) -> None:
        data = Dataset("panel", {"id": np.repeat(np.arange(float(n)), 120), "value": values[:n].ravel()})
        folder = tmp_path / str(time.monotonic_ns())
        ran = run("HoltWinters", data, {"y": "value", "series": "id", "period": "12", "horizon": "12"}, folder)
        assert (ran.table("Fit")["status"] == "fitted").all()

    fitted(70)  # the pictures and tables of every run, whatever it is of
    assert cost(lambda: fitted(1000), beside=lambda: fitted(250), repeats=2) < 8


def test_a_stopped_run_ends_without_a_fault(tmp_path: Path) -> None:
    """A user who stops a run of many series keeps what is there."""
    template = registry.get("HoltWinters")
    from templates_engine.asking import walk

    data = shops()
    spec = walk(template, MANY, data.schema()).require()
    with Job(Store(tmp_path)) as job:
        job.stop()
        template.run(spec, data, job)


def test_the_datasets_join_the_list_with_the_columns_of_the_data(tmp_path: Path) -> None:
    run("HoltWinters", shops(), MANY, tmp_path)
    fitted = pd.read_stata(tmp_path / "fitted.dta")
    assert fitted.columns.tolist()[:3] == ["shop", "month", "sales"]
    assert len(fitted) == 2400
    forecast = pd.read_stata(tmp_path / "forecast.dta")
    assert forecast.columns.tolist() == ["shop", "month", "h", "point", "lower", "upper", "median"]
    assert forecast["month"].iloc[0] == "2024-01"


# Automatic


def test_automatic_shows_what_it_compared(tmp_path: Path) -> None:
    ran = run("HoltWinters", SUPPLIED["quarterly_sales"](), {
        "y": "sales_clean", "time": "quarter", "period": "4", "method": "Automatic", "horizon": "4",
    }, tmp_path)  # fmt: skip
    table = ran.table("Candidates")
    assert len(table) == 9
    assert table["aicc"].is_monotonic_increasing
    assert table["chosen"].tolist() == ["Yes"] + ["No"] * 8
    assert table.loc[0, "model"] == ran.table("Fit").loc[0, "model"]
    assert "multiplicative" in table.loc[0, "model"], "the series is simulated from a multiplicative model"
    assert "smallest AICc" in (tmp_path / "Methods.txt").read_text()


def test_automatic_of_many_counts_the_choices(tmp_path: Path) -> None:
    data = shops().take(shops()["shop"] <= 3)
    ran = run("HoltWinters", data, {**MANY, "method": "Automatic", "robust": "No"}, tmp_path)
    assert ran.table("Candidates")["series"].sum() == 3
    assert ran.table("Fit")["model"].notna().all()
