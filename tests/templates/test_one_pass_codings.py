"""Incomplete categories of any coding in 2LevelMissingOnePass: same draws, the data's own codes in what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Ran, run

from templates_engine.data import Dataset, readers
from templates_engine.problems import Refused

SHORT = {"nchains": "1", "seed": "1", "burnin": "100", "iterations": "200", "imputeiters": "200"}


def incomplete(codes: tuple[Any, ...], level: int) -> Dataset:
    generator = np.random.default_rng(5)
    n, g = 180, np.repeat(np.arange(30), 6)
    x = generator.standard_normal(n)
    size = 30 if level == 2 else n
    c = generator.integers(0, len(codes), size)
    text = isinstance(codes[0], str)
    written = np.array(codes)[c]
    written = np.where(generator.random(size) < 0.2, "" if text else np.nan, written)
    if level == 2:
        c, written = c[g], written[g]
    y = x + 0.5 * c + generator.standard_normal(n)
    return Dataset("d", {"g": g.astype(float), "y": y, "x": x, "c": written, "cons": np.ones(n)})


def fitted(codes: tuple[Any, ...], kind: str, term: str, level: int, folder: Path) -> Ran:
    lower, upper = {"L1resp": "Yes", "yimp": "c", "L2resp": "No"}, {"L1resp": "No", "L2resp": "Yes", "L2Data": "rows"}
    answers = {
        "y": "y", "D": "Normal", "L2int": "Yes", "L2ID": "g", "numpoly": "0", "numinter": "0",
        "xvars": f"cons,x,{term}", "x2vars": "cons", "L2imp": "Yes", "L2IDimp": "g", "priorsint": "Uniform", **SHORT,
        **(lower | {"bin1": kind, "ximp1": "cons"} if level == 1
           else upper | {"yimp2": "c", "bin2_1": kind, "ximp2_1": "cons"}),
    }  # fmt: skip
    if kind != "Binary":
        answers["ncatsc"] = "3"
    return run("2LevelMissingOnePass", incomplete(codes, level), answers, folder)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    ("kind", "codings"),
    [
        ("Binary", [(0.0, 1.0), (10.0, 25.0), ("f", "m")]),
        ("Unordered", [(0.0, 1.0, 2.0), (1.0, 2.0, 4.0), ("Ely", "Leeds", "York")]),
    ],
)
def test_any_coding_gives_the_same_draws(kind: str, codings: list[tuple[Any, ...]], level: int, tmp_path: Path) -> None:
    """By its categories a variable means the same however it is coded; what is completed has the data's codes."""
    first = None
    for k, codes in enumerate(codings):
        ran = fitted(codes, kind, "c:cat", level, tmp_path / str(k))
        means = ran.table("ModelResults")["mean"]
        assert first is None or np.array_equal(means, first)
        first = means
        made = readers.read(ran.folder / "impute_datafile_chain0_iter200.dta")
        assert set(np.unique(made["c"]).tolist()) == set(codes)
        seen = incomplete(codes, level)
        known = ~seen.missing("c")
        assert np.array_equal(made["c"][known], seen["c"][known])
        names = list(ran.table("ModelResults")["variable"])[2:4]
        assert names[0] == f"c_{codes[0]:g}" if isinstance(codes[0], float) else f"c_{codes[0]}"


@pytest.mark.parametrize("level", [1, 2])
def test_codes_that_enter_as_numbers(level: int, tmp_path: Path) -> None:
    """With 2 and 3 for 0 and 1 the slope stays, and the intercept is lower by twice the slope; codes that do not go up
    in steps of one are refused. Tolerance: 4 Monte Carlo errors, false alarm 1e-4; an origin forgotten misses by 30."""
    one, two = (
        fitted(codes, "Binary", "c", level, tmp_path / f"{codes[0]}").table("ModelResults").set_index("parameter")
        for codes in ((0.0, 1.0), (2.0, 3.0))
    )
    slope = [t.loc["beta_2"] for t in (one, two)]
    assert abs(slope[0]["mean"] - slope[1]["mean"]) < 4 * np.hypot(slope[0]["mcse"], slope[1]["mcse"])
    expected = one.loc["beta_0", "mean"] - 2 * one.loc["beta_2", "mean"]
    error = np.sqrt(sum(t.loc["beta_0", "mcse"] ** 2 + 4 * t.loc["beta_2", "mcse"] ** 2 for t in (one, two)))
    assert abs(two.loc["beta_0", "mean"] - expected) < 4 * error
    with pytest.raises(Refused, match="c:cat"):
        fitted((10.0, 25.0), "Binary", "c", level, tmp_path / "apart")
