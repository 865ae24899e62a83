"""Trial: a template for the tests of the run service. It draws Normal numbers slowly, and fails on request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from templates_engine.asking import Ask
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Draws, Result, Table
from templates_engine.problems import Problem, Refused
from templates_engine.running.job import Job, Progress
from templates_engine.template import Template

HOW = ("well", "raise", "refuse", "singular", "memory", "deaf", "killed", "killed-once", "check", "notice", "nan",
       "held", "held-after")  # fmt: skip
LONGEST = 3600.0  # seconds that a run is held or deaf


@dataclass(frozen=True)
class Spec:
    y: str
    how: str
    milliseconds: int  # an iteration takes
    iterations: int
    pictures: str
    nchains: int
    seed: int


def hold(seed: int, stopped: Callable[[], bool]) -> None:
    """Wait, in the middle of the chains or after the tables, until a folder says go or the run is stopped."""
    go, end = Path(os.environ["STATGROVE_DATA"]) / f"go-{seed}", time.monotonic() + LONGEST
    while not (go.exists() or stopped() or time.monotonic() > end):
        time.sleep(0.01)


class Trial(Template):
    name = "Trial"
    title = "Draws around a column's mean, to try the run service"
    heading = "Tests"
    equation = r"<<y>>_i \sim \mathrm{N}(\mu, \sigma^2)"

    def questions(self, ask: Ask) -> Spec:
        y = ask.column("y", "Response", help="Any column of numbers.")
        how = ask.choice("how", "How it should end", HOW, default="well", help="For tests.")
        pause = ask.integer("milliseconds", "Time of an iteration", min=0, max=1000, default=0, help="For tests.")
        n = ask.integer("iterations", "Iterations", min=1, max=100000, default=50, help="Kept draws.")
        pictures = ask.yes_no("pictures", "Draw pictures?", default="No", help="For tests.")
        chains = ask.integer("nchains", "Chains", min=1, max=8, default=2, help="Side by side.")
        return Spec(
            y, how, pause, n, pictures, chains, ask.integer("seed", "Seed", min=0, default=1, help="For draws.")
        )

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        if spec.how == "check":
            return [
                Problem("trial", "Two rows differ.", key="y", column=spec.y),
                Problem("trial", "So it is.", key="how"),
            ]
        if spec.how == "notice":
            return [Problem("trial", "Something worth knowing.", key="y", level="notice")]
        return []

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        job.steps("Sampling", "Tables")
        job.step("Sampling")
        mean = float(np.nanmean(data[spec.y]))
        if spec.how == "killed" or (spec.how == "killed-once" and job.store.folder.name == "0"):
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.how == "deaf":
            time.sleep(LONGEST)
        streams = np.random.SeedSequence(spec.seed).spawn(spec.nchains)

        def task(k: int) -> Any:
            def chain(progress: Progress) -> list[float]:
                rng, drawn = np.random.Generator(np.random.PCG64DXSM(streams[k])), []
                while len(drawn) < spec.iterations and not progress.cells[1]:
                    if spec.how == "held" and 2 * len(drawn) >= spec.iterations:
                        hold(spec.seed, lambda: progress.stopped)
                    time.sleep(spec.milliseconds / 1000)
                    drawn.append(mean + rng.standard_normal())
                    progress.cells[0] = len(drawn)
                return drawn

            return chain

        chains = job.chains([task(k) for k in range(spec.nchains)], spec.iterations)
        if spec.how == "raise":
            raise RuntimeError("the kettle is empty")
        if spec.how == "singular":
            np.linalg.inv(np.zeros((2, 2)))
        if spec.how == "memory":
            raise MemoryError
        if spec.how == "refuse":
            raise Refused([Problem("trial", "It cannot be fitted.", key="y"), Problem("trial", "Nor this.", key="how")])
        job.step("Tables")
        kept = min(len(chain) for chain in chains)
        values = np.array([chain[:kept] for chain in chains])[:, :, None]
        draws = Draws(("mu",), (spec.y,), values)
        numbers = (float("nan") if spec.how == "nan" else float(values.mean()), kept)
        job.table("Means", Table(("mean", "kept"), (numbers,), title="Means"))
        job.draws("out", draws)
        job.dataset("copy", data.with_columns(one=np.ones(data.n_rows)), "With ones", listed=True)
        if spec.pictures:
            job.diagnostics("", draws, "Trial")
        if spec.how == "held-after":
            hold(spec.seed, lambda: job.stopped)
        return Result(draws=draws)
