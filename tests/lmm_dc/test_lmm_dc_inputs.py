"""Bad input is refused with a sentence that helps; the name with a slash works wherever templates are named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from beside import KEY
from fastapi.testclient import TestClient
from running import run

from templates_engine import inputs, registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.breeding import breeding, breeding_wide
from templates_engine.problems import Refused

GOOD = {"y": "weight", "C1": "sire", "x": "cons"}
QUICK = {"clones": "1,5", "iterations": "200", "burnin": "50", "tests": "No"}


def refusals(data: Dataset, given: dict[str, str], folder) -> list[str]:
    with pytest.raises(Refused) as refused:
        run("LMM/DC", data, given, folder)
    return [p.line() for p in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10,1", "do not increase"),
        ("1,10,10", "do not increase"),
        ("0,10", "smallest is 1"),
        ("1,2.5", "increasing whole numbers"),
        ("-1,3", "increasing whole numbers"),
        ("many", "increasing whole numbers"),
        ("1,20000", "too many"),
    ],
)
def test_clone_numbers_are_increasing_whole_numbers(text: str, said: str, tmp_path) -> None:
    (line,) = refusals(breeding(), {**GOOD, "clones": text}, tmp_path)
    assert line.startswith("clones")
    assert said in line


def test_one_group(tmp_path) -> None:
    """A constant column cannot be chosen; one group left after incomplete rows is told too."""
    data = breeding()
    assert "at least two groups" in refusals(data, {**GOOD, "C1": "cons"}, tmp_path)[0]
    y = np.where(data["sire"] == 4, data["weight"], np.nan)
    few = Dataset("few", {"y": np.append(y, [1.0, 2.0, 3.0]), "g": np.append(data["sire"], [4.0, 4.0, 4.0])})
    assert "1 group in the rows used" in refusals(few, {"y": "y", "C1": "g", "x": "cons"}, tmp_path)[0]


def test_groups_of_one_with_a_model_that_needs_more(tmp_path) -> None:
    """Slopes, a parameter for each individual, and yes/no responses cannot be fitted to groups of one."""
    wide = breeding_wide().with_columns(z=np.arange(100.0) % 7, yes=(np.arange(100) % 3 == 0).astype(float))
    base = {"y": "weight1", "C1": "sire", "x": "cons"}
    assert "random slopes need groups" in refusals(wide, {**base, "x2_1": "cons,z"}, tmp_path)[0]
    assert "Without smoothing" in refusals(wide, {**base, "smoothing": "No"}, tmp_path)[0]
    binary = {**base, "y": "yes", "D": "Binomial", "n": "cons", "link": "probit"}
    assert "yes or no by itself" in refusals(wide, binary, tmp_path)[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": "weight", "D": "Poisson"}, "counts start at 0|not a whole number"),
        ({"y": "litter", "D": "Binomial", "n": "weaned"}, "litter is above weaned"),
        ({"y": "weight", "D": "Binomial", "n": "cons"}, "must have two values, such as 0 and 1"),
        ({"y": "weight", "profile": "sigma3"}, "beta_0"),
        ({"y": "weight", "profile": "beta_7"}, "no beta_7"),
        ({"y": "ticks", "D": "Poisson", "x2_1": "cons,male,days,litter"}, "3 random coefficients at most"),
        ({"y": "ticks", "D": "Poisson", "smoothing": "No"}, "Normal response"),
        ({"y": "weight", "numclass": "2"}, "classification 2"),
        ({"y": "weight", "numclass": "2", "C2": "sire"}, "sire is a classification already"),
        ({"y": "ticks", "D": "Poisson", "x2_1": "cons,male", "profile": "omega_u_1"}, "rho_u_1, the correlation"),
        ({"y": "weight", "profile": "rho_u_1"}, "no rho_u_1"),
        ({"y": "days", "priors": "Documents 2"}, "0.001 to 5"),
    ],
)
def test_answers_that_do_not_fit(given: dict[str, str], said: str, tmp_path) -> None:
    import re

    assert re.search(said, " ".join(refusals(breeding(), {**GOOD, **given}, tmp_path)))


def test_missing_responses_and_a_missing_constant(tmp_path) -> None:
    """cons is made where the data have none; observations without a response are left out and counted."""
    data = breeding().select(["sire", "weight", "male"])
    ran = run("LMM/DC", data, {**GOOD, **QUICK, "x": "cons,male"}, tmp_path)
    fit = ran.table("ModelFit").set_index("measure")["value"]
    assert (fit["n"], fit["rows left out"]) == (117, 3)
    assert any("3 of 120 observations" in p.message for p in ran.notes)


def test_same_seed_same_draws_and_another_machine(tmp_path) -> None:
    """Draws depend on the seed alone, not on threads or on time; the stored input string repeats the run."""
    first = run("LMM/DC", breeding(), {**GOOD, **QUICK}, tmp_path / "a")
    text = (tmp_path / "a/Inputs.txt").read_text()
    run("LMM/DC", breeding(), inputs.read(text).answers, tmp_path / "b")
    for name in ("DCTable.csv", "RandomEffects.csv", "decay.svg", "caterpillar.svg", "pairs.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    other = run("LMM/DC", breeding(), {**GOOD, **QUICK, "seed": "2"}, tmp_path / "c")
    assert not other.table("DCTable").equals(first.table("DCTable"))


def test_keys_of_the_stored_string_are_those_that_scripts_use(tmp_path) -> None:
    answers = walk(registry.get("LMM/DC"), {**GOOD, **QUICK}, breeding().schema()).answers
    assert {"y", "D", "C1", "x", "x2_1", "smoothing", "clones", "predict", "truth", "nchains", "seed"} <= set(answers)
    walk(registry.get("LMM/DC"), {**GOOD, "numclass": "1"}, breeding().schema(), strict_keys=True).require()


def test_the_slash_in_the_name(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registry, command, REST and pages find the template by its name and by lmm_dc; links have lmm_dc."""
    assert registry.get("lmm_dc") is registry.get("LMM/DC") is registry.get("lmm/dc")
    assert registry.slug("LMM/DC") == "lmm_dc"
    assert registry.slug("2LevelMod") == "2LevelMod"
    found = walk(registry.get("LMM/DC"), GOOD, breeding().schema())
    command = inputs.command("LMM/DC", "breeding", found)
    assert inputs.read(command).template == "LMM/DC"
    from app import db, queue
    from app.main import create_app
    from app.settings import settings

    for name in ("DATABASE_URL", "BROKER_URL", "STATGROVE_DATABASE_URL", "STATGROVE_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATGROVE_DATA", str(tmp_path))
    for cached in (db._engine, settings):
        cached.cache_clear()
    queue.forget()
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1") as client:
        for name in ("lmm_dc", "LMM/DC", "LMM%2FDC"):
            answer = client.get(f"/api/v1/templates/{name}")
            assert answer.status_code == 200, name
            assert answer.json()["slug"] == "lmm_dc"
            page = client.get(f"/templates/{name}")
            assert page.status_code == 200
            assert "LMM/DC" in page.text
        assert 'href="/templates/lmm_dc"' in client.get("/").text
        walked = client.post(
            "/api/v1/templates/lmm_dc/walk", content=json.dumps({"dataset": "breeding", "answers": GOOD}),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert walked.status_code == 200
    db.engine().dispose()
    for cached in (db._engine, settings):
        cached.cache_clear()
