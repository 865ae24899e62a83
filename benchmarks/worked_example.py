"""Time the published worked example of 2LevelImpute, phase by phase, and beside jomo where R has it.

    make bench                       everything below
    make bench ARGS=--no-server      without the run through a real server

The data are ../shared/data/tutmiss.csv where they are, else the simulated tutmiss that comes with the product (same
counts, so the same work). CPU seconds are user plus system, of this process and of those that it started; wall seconds
depend on what else the machine does. Nothing here is a test: no time gates anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
EXAMPLE = "model_templates/two_level_impute/examples/published.toml"
ITERATIONS = 2000  # of the imputation sampler, for the figures per iteration


def cpu() -> float:
    """CPU seconds of this process and of its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def rows(title: str, lines: list[tuple[str, str]]) -> None:
    """A small table."""
    print(f"\n{title}")
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"  {name:<{width}}  {value}")


def load() -> tuple[Any, Any]:
    """The dataset and the walked answers."""
    import tomllib

    from templates_engine import inputs, registry
    from templates_engine.asking import walk
    from templates_engine.data import readers, simulate

    real = SHARED / "data/tutmiss.csv"
    data = readers.read(real, "tutmiss.csv") if real.exists() else simulate.tutmiss()
    example = tomllib.loads((ROOT / EXAMPLE).read_text())
    walked = walk(registry.get("2LevelImpute"), inputs.read(example["inputs"]).answers, data.schema(), strict_keys=True)
    walked.require()
    return data, walked


def sampler(data: Any, walked: Any) -> float:
    """Compile (or load), then time the imputation sampler alone. Returns CPU seconds an iteration."""
    from templates_engine.imputation import SETTLING, joint_model
    from templates_engine.outputs import Draws
    from templates_engine.running import summaries
    from templates_engine.sampling import joint
    from templates_engine.sampling.rng import streams

    model = joint_model(walked.spec, data)
    cells = np.zeros(2, np.int64)
    before = cpu()
    joint.run_chain(model, streams(1, 1)[0], cells, 3, [2])
    compiling = cpu() - before
    before = cpu()
    chain = joint.run_chain(model, streams(1, 1)[0], cells, ITERATIONS + SETTLING, [ITERATIONS])
    spent = cpu() - before
    each = spent / (ITERATIONS + SETTLING)
    draws = Draws(chain.parameters, chain.variables, chain.values[None, SETTLING:])
    ess = {r["parameter"]: r["ess_bulk"] / spent for r in summaries.summary(draws).records()}
    ordered = sorted(ess.items(), key=lambda item: item[1])
    rows(
        "Imputation sampler, one chain",
        [
            ("compile or load kernels", f"{compiling:.2f} CPU s"),
            ("one iteration", f"{1000 * each:.3f} ms CPU, {1 / each:,.0f} iterations/s"),
            ("ESS per CPU second, median", f"{np.median(list(ess.values())):,.0f}"),
            *((f"  slowest: {name}", f"{value:,.0f}") for name, value in ordered[:3]),
        ],
    )
    return each


def phases(data: Any, walked: Any) -> None:
    """The whole run in this process, with compiled code warm."""
    from templates_engine import registry
    from templates_engine.running.job import Job
    from templates_engine.running.progress import Silent
    from templates_engine.running.store import Store

    class Watch(Silent):
        tables = pictures = 0.0

        def artifact(self, artifact: Any) -> None:
            if artifact.state == "ready" and artifact.kind == "figure":
                self.pictures = time.monotonic()
            elif artifact.state == "ready":
                self.tables = time.monotonic()

    template, watch = registry.get("2LevelImpute"), Watch()
    with tempfile.TemporaryDirectory() as folder:
        began, before = time.monotonic(), cpu()
        with Job(Store(Path(folder)), watch) as job:
            template.run(walked.spec, data, job)
            tabled = cpu()
            steps = [(s["title"], f"{s['seconds']:.1f} s") for s in job.state()["steps"]]
            job.draw_pictures()
        count = len(list(Path(folder).glob("*.svg")))
        files = len(list(Path(folder).iterdir()))
    rows(
        "The run in one process (wall seconds by step)",
        [
            *steps,
            ("last table and dataset", f"{watch.tables - began:.1f} s after the start, {tabled - before:.1f} CPU s"),
            (
                f"last of {count} pictures",
                f"{watch.pictures - began:.1f} s after the start, {cpu() - tabled:.1f} CPU s",
            ),
            ("files", f"{files}"),
        ],
    )


def served(data: Any, walked: Any) -> None:
    """The same through a server and its worker, as a person has it: seconds from Run."""
    from templates_engine.data import writers

    token = secrets.token_urlsafe(32)
    bearer = f"Bearer {token}"

    def call(path: str, body: Any = None) -> Any:
        headers = {"content-type": "application/json", "authorization": bearer}
        request = urllib.request.Request(address + path, headers=headers)
        if body is not None:
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    with tempfile.TemporaryDirectory() as folder:
        port = 8700 + os.getpid() % 200
        address = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "STATGROVE_DATA": folder, "STATGROVE_PORT": str(port), "STATGROVE_TOKEN": token}
        command = [str(Path(sys.executable).parent / "statgrove"), "serve", "--no-browser"]
        began = time.monotonic()
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    call("/api/v1/templates")
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            up = time.monotonic() - began
            file = Path(folder) / "benchmark.csv"
            writers.write(data, file)
            upload = ["curl", "-sf", "-H", f"Authorization: {bearer}", "-F", f"file=@{file}"]
            subprocess.run([*upload, f"{address}/api/v1/datasets"], check=True, capture_output=True)
            time.sleep(8)  # the worker's warm-up, as it has had by the time a person has answered the questions
            pressed = time.monotonic()
            body = {"template": "2LevelImpute", "dataset": "benchmark", "answers": walked.answers}
            run = call("/api/v1/runs", body)["id"]
            tables = started = None
            while True:
                state = call(f"/api/v1/runs/{run}")
                if started is None and state["state"] != "queued":
                    started = time.monotonic() - pressed
                if tables is None:
                    outputs = call(f"/api/v1/runs/{run}/artifacts")
                    names = {o["name"] for o in outputs if o["state"] == "ready"}
                    if {"ResultsTable:Imputation", "CombinedResults", "Verdicts", "Methods"} <= names:
                        tables = time.monotonic() - pressed
                if state["state"] in ("done", "failed", "cancelled"):
                    break
                time.sleep(0.1)
            rows(
                "Through the server, two worker processes (wall seconds)",
                [
                    ("first page after the start", f"{up:.1f}"),
                    ("run begun after Run", f"{started:.1f}"),
                    ("all tables after Run", f"{tables:.1f}" if tables else "never"),
                    (f"{state['state']} (last picture drawn)", f"{time.monotonic() - pressed:.1f}"),
                ],
            )
        finally:
            server.terminate()
            server.wait(20)


def beside_jomo(each: float) -> None:
    """jomo's CPU seconds an iteration, in the same minutes on the same machine."""
    script, real = ROOT / "benchmarks/jomo.R", SHARED / "data/tutmiss.csv"
    if not shutil.which("Rscript") or not real.exists():
        print("\njomo: not measured (needs R with the package jomo, and ../shared/data/tutmiss.csv)")
        return
    done = subprocess.run(["Rscript", str(script), str(real), "500"], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("cpu_seconds")), None)
    if line is None:
        print("\njomo: not measured:", (done.stderr.strip().splitlines() or ["no output"])[-1])
        return
    words = line.split()
    peer = float(words[1]) / int(words[3])
    rows(
        "Beside jomo",
        [
            (f"jomo {words[5]}", f"{1000 * peer:.2f} ms CPU an iteration"),
            ("StatGrove", f"{1000 * each:.3f} ms CPU an iteration"),
            ("ratio", f"{peer / each:.1f}"),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-server", action="store_true", help="leave out the run through a real server")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    data, walked = load()
    print(f"Data: {data.name}, {data.n_rows:,} rows")
    each = sampler(data, walked)
    phases(data, walked)
    phases(data, walked)
    beside_jomo(each)
    if not options.no_server:
        served(data, walked)


if __name__ == "__main__":
    main()
