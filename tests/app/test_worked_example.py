"""Protects: the published command gives every output, and the same tables from a shell, from Python and over REST.

The command is the one that the project promises to others:
statgrove run 2LevelImpute --dataset ../shared/data/tutmiss.csv --inputs @../shared/data/strings/2LevelImpute.txt
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from beside import KEY, data_file
from run_service import ROOT, forget, start, stop

pytestmark = pytest.mark.timeout(3000)
LONG = 1200.0  # seconds: on a machine that is new, or busy, the first run compiles the kernels
TABLES = ("ResultsTable_Imputation.csv", "ResultsTable_CompleteCases.csv", "Imputation_Model_ModelResults.csv")
TABLES += ("CombinedResults.csv", "Model1_ModelResults.csv", "Model4_ModelFit.csv", "ResultsTable_Imputation.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worked")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not re.match(r"STATGROVE_|DATABASE_URL|BROKER_URL", k)}
    forget()
    return {**kept, "STATGROVE_DATA": str(folder / "data")}


@pytest.fixture(scope="module")
def out(folder: Path, environment: dict[str, str]) -> Path:
    """What the published command writes."""
    command = [sys.executable, "-m", "app.cli", "run", "2LevelImpute", "--out", str(folder / "out")]
    command += ["--dataset", str(data_file("tutmiss.csv"))]
    command += ["--inputs", f"@{data_file('strings/2LevelImpute.txt')}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_the_manifest_lists_every_file_with_its_hash(out: Path) -> None:
    listed = json.loads((out / "manifest.json").read_text())["artifacts"]
    assert all(set(one) == {"name", "file", "kind", "title", "sha256"} for one in listed)
    assert {one["file"] for one in listed} == {path.name for path in out.iterdir()} - {"manifest.json"}
    for one in listed:
        assert hashlib.sha256((out / one["file"]).read_bytes()).hexdigest() == one["sha256"], one["file"]
    files = {one["name"]: one["file"] for one in listed}
    assert files["ResultsTable:Imputation"] == "ResultsTable_Imputation.csv"
    assert files["Imputation_Model_impute_datafile_chain2_iter1000"].endswith("_chain2_iter1000.dta")


def test_a_picture_for_every_parameter(out: Path) -> None:
    """Six plots each: trace, density, ACF, PACF, Monte Carlo error, Brooks-Gelman-Rubin."""
    parameters = [
        row["parameter"] for row in csv.DictReader((out / "Imputation_Model_ModelResults.csv").read_text().splitlines())
    ]
    assert len(parameters) == 24
    for parameter in parameters:
        svg = (out / f"Imputation_Model_{parameter}.svg").read_text()
        for title in ("Trace", "Density", "Autocorrelation", "Partial autocorrelation", "Monte Carlo", "Brooks"):
            assert title in svg, (parameter, title)


def test_the_script_in_the_bundle_gives_the_same_tables(out: Path, folder: Path, environment: dict[str, str]) -> None:
    """Python: script.py of the bundle, run as it is but for the folder it writes to."""
    script = (out / "script.py").read_text().rstrip()
    assert script.endswith(")")
    script = f"{script[:-1]}, out={str(folder / 'python')!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in TABLES:
        assert (folder / "python" / name).read_bytes() == (out / name).read_bytes(), name


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_worker_gives_the_same_tables(out: Path, environment: dict[str, str], workers: str, tmp_path: Path) -> None:
    """REST, with one worker process and with two: equal bytes."""
    settings = {**environment, "STATGROVE_WORKERS": workers, "STATGROVE_DATA": str(tmp_path / "served")}
    server = start("serve", "--no-browser", "--port", "0", **settings)
    try:
        assert server.stdout is not None
        address = ""
        while not address:
            line = server.stdout.readline().decode()
            assert line, "the server ended"
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            address = found.group() if found else ""
        upload = [
            "curl",
            "-sf",
            "-H",
            f"Authorization: {KEY['authorization']}",
            "-F",
            f"file=@{data_file('tutmiss.csv')}",
            f"{address}/api/v1/datasets",
        ]
        dataset = json.loads(subprocess.run(upload, capture_output=True, check=True).stdout)
        body = {
            "template": "2LevelImpute",
            "dataset": dataset["name"],
            "inputs": data_file("strings/2LevelImpute.txt").read_text(),
        }
        run = _call(address + "/api/v1/runs", body)["id"]
        end = time.monotonic() + LONG
        while (state := _call(f"{address}/api/v1/runs/{run}"))["state"] in ("queued", "running"):
            assert time.monotonic() < end, state
            time.sleep(0.5)
        assert state["state"] == "done", state
        for name in TABLES:
            with urllib.request.urlopen(f"{address}/api/v1/runs/{run}/artifacts/{name}", timeout=LONG) as answer:
                assert answer.read() == (out / name).read_bytes(), name
    finally:
        stop(server)


def _call(address: str, body: Any = None) -> Any:
    request = urllib.request.Request(address, headers={"content-type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
