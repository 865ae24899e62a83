"""Protects: the template that docs/adding-a-template.md leads through is made from that page and works everywhere.

It stands in a folder of its own and no other file is touched: form, run, results in its own words, REST, bundle, shell,
Python, a longer run. Its numbers are exact: mu is Student's with n - 1 degrees of freedom.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import CSV, forget, look
from scipy import stats

import model_templates
import statgrove
from app import cli, queue
from app.main import create_app
from templates_engine import registry

PAGE = Path(__file__).parents[2] / "docs/adding-a-template.md"
BLOCK = re.compile(r"^`(one_mean/[\w/.]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANSWERS = {"y": "y", "nchains": "2", "seed": "3", "burnin": "10", "iterations": "2000", "outdata": "kept"}
Y = np.array([float(line.split(",")[1]) for line in CSV.splitlines()[1:]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, in a folder of its own."""
    made = tmp_path_factory.mktemp("templates")
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text, encoding="utf-8")
    (made / "one_mean/__init__.py").touch()
    return made


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "BROKER_URL", "STATGROVE_DATABASE_URL", "STATGROVE_BROKER_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("STATGROVE_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("STATGROVE_TEMPLATES", str(folder))
        patch.setattr(model_templates, "__path__", [*model_templates.__path__, str(folder)])
        patch.setattr(queue, "send", lambda *_: True)
        registry.forget()
        forget()
        with TestClient(create_app(), "http://127.0.0.1", False, headers=KEY) as one:
            one.post("/api/v1/datasets", files={"file": ("school.csv", io.BytesIO(CSV.encode()))})
            yield one
        forget()
        registry.forget()
    for name in [name for name in sys.modules if name.startswith("model_templates.one_mean")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(client: TestClient) -> int:
    """A run asked for by REST and carried out here; its number."""
    answer = client.post("/api/v1/runs", json={"template": "OneMean", "dataset": "school", "answers": ANSWERS})
    assert answer.status_code == 201, answer.text
    return carried_out(answer.json()["id"])


def carried_out(number: int) -> int:
    queue.run_here(number, 0)
    assert look(number).state == "done", look(number).message + look(number).trace
    return number


def test_the_page_shows_every_file(folder: Path) -> None:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    told = set(re.findall(r"^      ([\w/.]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert found == {f"one_mean/{name}" for name in told}


def test_it_needs_the_public_face_only(folder: Path) -> None:
    for file in folder.rglob("*.py"):
        for line in re.findall(r"^\s*(?:from|import) .*", file.read_text(), re.MULTILINE):
            assert not re.search(r"templates_engine\.|\bapp\b|workers", line), f"{file.name}: {line}"


def test_its_pages(client: TestClient) -> None:
    """On the start page, with a help page of its questions and outputs, and asked by clicks."""
    assert "The mean and variance of one column" in client.get("/").text
    manual = client.get("/templates/OneMean").text
    for words in ("A column of numbers; rows without a value are left out.", "Student's", "the mean and the variance",
                  "Examination scores", "katex"):  # fmt: skip
        assert words in manual or words.lower() in manual.lower(), words
    started = client.post("/ask", data={"template": "OneMean", "dataset": "1"}, follow_redirects=True)
    assert started.status_code == 200
    assert "A column of numbers" in started.text


def test_its_numbers(client: TestClient, run: int) -> None:
    """Mean, spread and quantiles of mu: Student's. False alarms: 1 in 10,000 (4 Monte Carlo errors, 3 figures)."""
    table = client.get(f"/api/v1/runs/{run}/artifacts/ModelResults.csv").content
    rows = pd.read_csv(io.BytesIO(table)).set_index("parameter").to_dict("index")
    n, draws = len(Y), 4000
    exact = stats.t(n - 1, Y.mean(), Y.std(ddof=1) / np.sqrt(n))
    mu = rows["mu"]
    assert abs(mu["mean"] - exact.mean()) < 4 * exact.std() / np.sqrt(draws)
    for name, p in (("q025", 0.025), ("q975", 0.975)):
        error = np.sqrt(p * (1 - p) / draws) / exact.pdf(exact.ppf(p))
        assert abs(mu[name] - exact.ppf(p)) < 4 * error
    expected = ((Y - Y.mean()) ** 2).sum() / (n - 3)
    assert abs(rows["sigma2"]["mean"] - expected) < 4 * rows["sigma2"]["mcse"] * 1.1


def test_its_results_in_its_own_words(client: TestClient, run: int) -> None:
    page = client.get(f"/runs/{run}").text
    for words in ("Mean of y", "Variance", "Fine", "ModelResults"):
        assert words in page, words
    listed = {one["name"]: one for one in client.get(f"/api/v1/runs/{run}/artifacts").json()}
    assert {"ModelResults", "Rows", "Verdicts", "kept", "mu.svg", "sigma2.svg", "Inputs", "equation.tex"} <= set(listed)
    assert listed["mu.svg"]["part"] == "Diagnostics"
    assert listed["Rows"]["about"].startswith("how many rows")
    assert "<svg" in client.get(f"/api/v1/runs/{run}/artifacts/mu.svg").text


def test_its_bundle(client: TestClient, run: int) -> None:
    content = zipfile.ZipFile(io.BytesIO(client.get(f"/api/v1/runs/{run}/bundle").content))
    names = {Path(name).name for name in content.namelist()}
    assert {"ModelResults.csv", "Rows.csv", "kept.dta", "mu.svg", "script.py", "equation.tex", "Inputs.txt"} <= names


def test_it_is_made_longer(client: TestClient, run: int) -> None:
    """2,000 iterations and then 500 more are 2,500, draw for draw."""
    answer = client.post(f"/api/v1/runs/{run}/longer", json={"more": 500})
    assert answer.status_code == 202, answer.text
    longer = carried_out(answer.json()["id"])
    again = client.post(
        "/api/v1/runs",
        json={"template": "OneMean", "dataset": "school", "answers": ANSWERS | {"iterations": "2500"}},
    )
    whole = carried_out(again.json()["id"])
    for file in ("kept.npz", "ModelResults.csv", "mu.svg"):
        one, other = (client.get(f"/api/v1/runs/{k}/artifacts/{file}") for k in (longer, whole))
        assert one.status_code == 200, one.text
        assert one.content == other.content, file


def test_what_the_rows_forbid(client: TestClient) -> None:
    few = client.post("/api/v1/datasets", files={"file": ("few.csv", io.BytesIO(b"a,b\n1,2\n,3\n4,5\n"))})
    assert few.status_code == 201
    answer = client.post(
        "/api/v1/runs", json={"template": "OneMean", "dataset": "few", "answers": ANSWERS | {"y": "a"}}
    )
    assert answer.status_code == 422
    problem = answer.json()["error"]["problems"][0]
    assert (problem["key"], problem["message"][:14]) == ("y", "a has 2 values")


def test_from_python_and_the_shell(client: TestClient, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = statgrove.RunStatJR(template="OneMean", dataset="school", invars=ANSWERS | {"iterations": "300"})
    assert {"ModelResults", "kept"} <= {Path(name).stem for name in result.artifacts}
    assert cli.main(["templates"]) == 0
    assert "OneMean" in capsys.readouterr().out
    given = ["--dataset", "school", "--inputs", json.dumps(ANSWERS | {"iterations": "200"}), "--out", str(tmp_path)]
    assert cli.main(["run", "OneMean", *given, "--quiet"]) == 0
    assert (tmp_path / "ModelResults.csv").is_file()
