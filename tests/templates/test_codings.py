"""Categories are categories: how they are coded changes no estimate, and outputs have the codes of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import case
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import Dataset, readers

SHORT = {"nchains": "1", "seed": "1", "burnin": "50", "iterations": "150"}
CODINGS: dict[str, tuple[Any, Any]] = {
    "0/1": (0.0, 1.0),
    "1/2": (1.0, 2.0),
    "-7/40": (-7.0, 40.0),
    "yes/no": ("No", "Yes"),
    "words with signs": ("a: no, not", "it's 'yes'"),
}


def answered(coding: str, seed: int = 3) -> Dataset:
    """200 rows in 20 groups, a yes/no response with logit x, written in one of several codings."""
    generator = np.random.default_rng(seed)
    x, g = generator.standard_normal(200), np.repeat(np.arange(20.0), 10)
    yes = generator.random(200) < 1 / (1 + np.exp(-x))
    gaps = np.arange(200) % 13 == 0
    failure, success = CODINGS[coding]
    y = np.where(yes, success, failure)
    y = np.where(gaps, "" if y.dtype.kind == "U" else np.nan, y)
    return Dataset("d", {"g": g, "x": x, "y": y, "cons": np.ones(200)})


def tables(ran: Any) -> dict[str, Any]:
    return {name: table.rows for name, table in ran.result.tables.items()}


@pytest.mark.parametrize("name", ["1LevelMod", "2LevelMod", "LMM/DC"])
def test_a_binomial_response_of_any_coding(name: str, tmp_path: Path) -> None:
    given = {"y": "y", "D": "Binomial", "n": "cons", "link": "logit", "x": "cons,x", **SHORT}
    if name == "LMM/DC":
        given |= {"C1": "g", "clones": "1,5", "tests": "No", "predict": "No"}
    elif name == "2LevelMod":
        given["L2ID"] = "g"
    found = {c: run(name, answered(c), given, tmp_path / str(k)) for k, c in enumerate(CODINGS)}
    for coding, ran in found.items():
        assert tables(ran) == tables(found["0/1"]), coding
        said = [n.message for n in ran.notes if n.code == "binary-coded"]
        _, success = CODINGS[coding]
        words = f"y: {success if isinstance(success, str) else f'{success:g}'} is counted as success"
        assert (said == []) if coding == "0/1" else said[0].startswith(words)


def test_labels_are_said_with_the_codes() -> None:
    data = Dataset("d", dict(answered("1/2").columns), {"y": {"1": "boy", "2": "girl"}})
    template = registry.get("1LevelMod")
    given = {"y": "y", "D": "Binomial", "n": "cons", "x": "cons,x", **SHORT}
    found = template.check(walk(template, given, data.schema()).require(), data)
    assert [p.message for p in found if p.code == "binary-coded"] == [
        "y: 2 (girl) is counted as success and 1 (boy) as failure."
    ]


def test_the_dataset_of_predictions_keeps_the_codes(tmp_path: Path) -> None:
    given = {"y": "y", "D": "Binomial", "n": "cons", "link": "logit", "x": "cons,x", "makepred": "Yes", **SHORT}
    made = [run("1LevelMod", answered(c), given, tmp_path / c.replace("/", "")) for c in ("0/1", "yes/no")]
    frames = [ran.folder / "prediction.dta" for ran in made]
    numbers, words = (readers.read(f) for f in frames)
    assert set(words["y"].tolist()) == {"", "No", "Yes"}
    for name in ("pred", "residual"):
        assert np.array_equal(numbers[name], words[name], equal_nan=True)


def test_text_is_a_response_of_binomial_models_only() -> None:
    template = registry.get("1LevelMod")
    schema = answered("yes/no").schema()
    found = walk(template, {"y": "y"}, schema, defaults=False)
    assert [(o.value, o.allowed) for o in found.asked["D"].options] == [
        ("Normal", False), ("Binomial", True), ("Poisson", False), ("Negative binomial", False),
    ]  # fmt: skip
    assert found.asked["D"].offered == "Binomial"
    wrong = walk(template, {"y": "y", "D": "Normal", "x": "cons", **SHORT}, schema)
    assert wrong.asked["D"].problems[0].message.startswith("“Normal” cannot be chosen here: the response is text")
    trials = answered("yes/no").with_columns(n=np.arange(200.0))
    spec = walk(template, {"y": "y", "D": "Binomial", "n": "n", "x": "cons", **SHORT}, trials.schema()).require()
    assert [(p.key, p.code) for p in template.check(spec, trials)] == [("n", "not-single-trials")]


def test_the_shared_case_of_a_yes_no_response(tmp_path: Path) -> None:
    """58e: Yes is 1. Beside it the same file with 0 and 1 written by hand."""
    data = readers.read(case("58e"))
    given = {
        "y": "y", "L2ID": "g", "D": "Binomial", "x": "cons,x", "priors": "Gamma(0.001, 0.001)", "n": "cons",
        "link": "logit", "thinning": "1", "outdata": "out", **SHORT,
    }  # fmt: skip
    words = run("2LevelMod", data, given, tmp_path / "words")
    by_hand = data.with_columns(y=(data["y"] == "Yes").astype(float))
    assert tables(words) == tables(run("2LevelMod", by_hand, given, tmp_path / "numbers"))


# --- imputing


def imputation(kind: str, x: str = "cons,x,c:cat") -> dict[str, str]:
    types = {"Binary": {}, "Ordered": {"ncatsc": "3"}, "Unordered": {"ncatsc": "3"}}[kind]
    predictors = {"ximp1_2_0": "cons", "ximp1_2_1": "cons"} if kind == "Unordered" else {"ximp1_2": "cons"}
    return {
        "numlevs": "Yes", "L2ID": "g", "MOIlevel": "2 levels", "MOIdist": "Normal", "MOIslope": "No", "y": "y",
        "x": x, "yimp1": "y,x,c", "bin1_1": "Normal", "bin1_2": "Normal", "bin1_3": kind, **types,
        "ximp1_0": "cons", "ximp1_1": "cons", **predictors, "want2": "No", "condmarg": "Yes", "numimpute": "2",
        "imputefirst": "40", "imputeevery": "10", "burnin": "30", "iterations": "60", "nchains": "1", "seed": "1",
    }  # fmt: skip


def incomplete(codes: tuple[Any, ...], seed: int = 5) -> Dataset:
    generator = np.random.default_rng(seed)
    n = 180
    x = generator.standard_normal(n)
    c = np.clip(np.floor(x + generator.standard_normal(n) + len(codes) / 2), 0, len(codes) - 1).astype(int)
    y = x + c + generator.standard_normal(n)
    text = isinstance(codes[0], str)
    written = np.array(codes)[c]
    written = np.where(generator.random(n) < 0.2, "" if text else np.nan, written)
    x = np.where(generator.random(n) < 0.1, np.nan, x)
    return Dataset("d", {"g": np.repeat(np.arange(18.0), 10), "y": y, "x": x, "c": written, "cons": np.ones(n)})


@pytest.mark.parametrize(
    ("kind", "codings"),
    [
        ("Binary", [(0.0, 1.0), (1.0, 2.0), ("f", "m")]),
        ("Ordered", [(0.0, 1.0, 2.0), (1.0, 2.0, 3.0), (10.0, 25.0, 99.0)]),
        ("Unordered", [(0.0, 1.0, 2.0), (1.0, 2.0, 4.0), ("Ely", "Leeds", "York")]),
    ],
)
def test_imputing_categories_of_any_coding(kind: str, codings: list[tuple[Any, ...]], tmp_path: Path) -> None:
    """The same draws and the same pooled table; completed datasets in the data's own codes."""
    made = []
    for k, codes in enumerate(codings):
        data = incomplete(codes)
        ran = run("2LevelImpute", data, imputation(kind), tmp_path / str(k))
        full = readers.read(next(ran.folder.glob("impute_datafile_chain0_iter40.*")))
        assert set(full["c"].tolist()) == set(codes), "no gap is left, and no code that was not there"
        seen = ~data.missing("c")
        assert np.array_equal(full["c"][seen], data["c"][seen])
        made.append((ran.result.draws.values, [r[1:] for r in tables(ran)["ResultsTable:Imputation"]]))
    for draws, rows in made[1:]:
        assert np.array_equal(draws, made[0][0])
        numbers = [[v for v in row if not isinstance(v, str)] for row in rows]
        assert numbers == [[v for v in row if not isinstance(v, str)] for row in made[0][1]]


def test_the_shared_case_of_codes_1_and_2(tmp_path: Path) -> None:
    """43: imputed values are 1 or 2."""
    data = readers.read(case("43"))
    given = {
        **imputation("Binary", "cons,x,sex"), "L2ID": "school", "yimp1": "y,x,sex",
    }  # fmt: skip
    ran = run("2LevelImpute", data, given, tmp_path)
    full = readers.read(next(ran.folder.glob("impute_datafile_chain0_iter40.*")))
    assert data.missing("sex").any()
    assert set(full["sex"].tolist()) == {1.0, 2.0}


def test_types_are_proposed_from_the_data() -> None:
    n = 60
    data = Dataset(
        "d",
        {
            "g": np.repeat(np.arange(6.0), 10), "y": np.arange(n) / 7, "two": np.arange(n) % 2 + 1.0,
            "town": np.array(["Ely", "York", "Leeds"])[np.arange(n) % 3], "rated": np.arange(n) % 4 + 1.0,
            "count": np.arange(n) % 4 + 0.0, "yes": np.array(["no", "yes"])[np.arange(n) % 2],
        },
        {"rated": {"1": "bad", "2": "fair", "3": "good", "4": "best"}},
    )  # fmt: skip
    given = {"numlevs": "No", "MOIdist": "Normal", "y": "y", "x": "cons", "yimp1": "y,two,town,rated,count,yes"}
    found = walk(registry.get("2LevelImpute"), given, data.schema())
    kinds = [str(found.asked[f"bin1_{k}"].value) for k in range(1, 7)]
    assert kinds == ["Normal", "Binary", "Unordered", "Ordered", "Normal", "Binary"]
    assert found.asked["ncatstown"].value == 3
    allowed = {o.value: o.allowed for o in found.asked["bin1_3"].options}
    assert allowed == {"Normal": False, "Binary": True, "Ordered": False, "Unordered": True}


def test_a_wrong_number_of_categories_is_told() -> None:
    data = incomplete((1.0, 2.0, 4.0))
    template = registry.get("2LevelImpute")
    spec = walk(template, {**imputation("Unordered"), "bin1_3": "Binary", "ximp1_2": "cons"}, data.schema()).require()
    found = [p for p in template.check(spec, data) if p.level == "error"]
    assert [(p.key, p.column) for p in found] == [("bin1_3", "c")]
    assert "the data hold 3: 1, 2, 4" in found[0].message
