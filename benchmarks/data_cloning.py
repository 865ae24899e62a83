"""Time data cloning: the documents' whole study, cbpp, and cost against the number of clones; beside naive clones.

    .venv/bin/python benchmarks/data_cloning.py [FIGURE.svg]

Data: ../shared/data where they are, else the simulated breeding data. CPU seconds are user plus system of this process,
compiled code warm. Naive cloning writes out K copies of rows and effects and runs the Gibbs sampler of 2LevelMod; JAGS
is run on the same copies where it is installed. Costs are to the same Monte Carlo error: CPU seconds for each 1000
effective draws of the slowest parameter. Nothing here is a test.

Measured on 20 November 2026, two cores shared with other work (CPU seconds, JAGS 4.3.1, Python 3.11), documents' pairs:

    clones    collapsed  written out         JAGS       JAGS / collapsed
         1      0.00418       0.0723        5.801            1,400
        10      0.00363       0.3399      131.111           36,000
        50      0.00395       1.3699      622.723          158,000

    the documents' whole study 0.78 (goal 1), cbpp at K = 1, 10, 40 3.56 (goal 10)

The figure is docs/data-cloning-cost.svg. Evaluations of the likelihood an iteration: 3 to 4 where the posterior is
regular, up to 15 at few clones of models whose variances may be zero. One takes 28 us for the 96 units of
crossed_schools, 47 with slopes, 2 for sleepstudy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import readers, simulate
from templates_engine.running.job import Job
from templates_engine.running.store import Store
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import (
    normal as cloning_normal,
    normal_ml as cloning_ml,
    priors as cloning_priors,
)
from templates_engine.sampling.normal import priors as mixed_priors, two_level as mixed_normal, two_level_ml as mixed_ml
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.two_level_stats import statistics
from templates_engine.sampling.rng import streams
from templates_engine.sampling.sparse.likelihood import classes

SHARED = Path(__file__).resolve().parents[2] / "shared/data"
CLONES = (1, 10, 50)
DOCUMENTS = {"nchains": "3", "burnin": "2000", "iterations": "1000"}  # 1000 adapting, 1000 burnt in, 1000 kept


def cpu() -> float:
    return time.process_time()


def whole(data: Any, answers: dict[str, str]) -> float:
    """CPU seconds of a run without its six-part pictures, all tables and figures among them."""
    template = registry.get("LMM/DC")
    spec = walk(template, answers, data.schema(), strict_keys=True).require()
    with tempfile.TemporaryDirectory() as folder, Job(Store(Path(folder)), threads=1) as job:
        began = cpu()
        template.run(spec, data, job)
        return cpu() - began


def pairs() -> tuple[Any, dict[str, str]]:
    if SHARED.is_dir():
        return readers.read(SHARED / "lmm_dc_m2.csv", "lmm_dc_m2.csv"), {"y": "y", "C1": "id", "x": "cons"}
    return simulate.SUPPLIED["breeding_wide"](), {"y": "weight1,weight2", "x": "cons"}


def long() -> tuple[np.ndarray, np.ndarray]:
    """Responses and groups of the pairs."""
    data, answers = pairs()
    if answers["y"] == "y":
        return data["y"], data.groups("id")[0]
    return np.concatenate([data["weight1"], data["weight2"]]), np.tile(np.arange(data.n_rows), 2)


def least(values: np.ndarray) -> float:
    """Smallest effective sample size of (chain, draw, parameter)."""
    return float(np.nanmin(diagnostics.measures(np.moveaxis(values, 2, 0))["ess_bulk"]))


def joined(chains: list[Any]) -> np.ndarray:
    return np.stack([np.column_stack([c.beta[:, 0], c.omega[:, 0], c.sigma2]) for c in chains])


def against_clones() -> dict[str, list[float]]:
    """Prints the table; costs by method at CLONES."""
    print("\nCPU seconds for 1000 effective draws of the slowest parameter, pairs of offspring")
    print(f"  {'clones':>6} {'collapsed':>12} {'written out':>12} {'JAGS':>12}")
    y, codes = long()
    ones = np.ones((len(y), 1))
    stats = statistics(y, ones, codes, ones)
    fit = mixed_ml.fit(stats, reml=False)
    costs: dict[str, list[float]] = {"collapsed": [], "written out": [], "JAGS": []}
    for clones in CLONES:
        stop = np.zeros(2, np.int64)
        began = cpu()
        target = cloning_normal.target(stats, cloning_priors.first(1), clones)
        near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
        ours = [
            cloning_normal.run_chain(target, near, rng, stop, burnin=100, iterations=20000) for rng in streams(1, 3)
        ]
        mine = 1000 * (cpu() - began) / least(joined(ours))
        many = np.concatenate([codes + k * (codes.max() + 1) for k in range(clones)])
        column = np.ones((len(many), 1))
        began = cpu()
        copies = statistics(np.tile(y, clones), column, many, column)
        naive = [
            mixed_normal.run_chain(
                copies, mixed_priors.named(mixed_priors.GAMMA, 1), rng, stop, burnin=100, iterations=1500
            )
            for rng in streams(2, 3)
        ]
        written = 1000 * (cpu() - began) / least(joined(naive))
        jags = jags_cost(y, codes, clones)
        shown = f"{jags:12.3f}" if jags else f"{'not installed':>12}"
        print(f"  {clones:6d} {mine:12.5f} {written:12.4f} {shown}", flush=True)
        for name, cost in zip(costs, (mine, written, jags), strict=True):
            if cost is not None:
                costs[name].append(cost)
    return costs


def figure(costs: dict[str, list[float]], file: Path) -> None:
    """Cost against the number of clones, both axes logarithmic."""
    from templates_engine.figures import style
    from templates_engine.figures.canvas import picture

    x = np.log10(np.array(CLONES, dtype=float))
    lines = {name: np.log10(np.array(values)) for name, values in costs.items() if values}
    low, high = (int(f(np.concatenate(list(lines.values())))) for f in (np.min, np.max))
    powers = [float(p) for p in range(low - 1, high + 2)]

    def paint(k: int, make: Any) -> None:
        panel = make("log10 of CPU seconds for 1000 effective draws")
        panel.scales((-0.1, float(x[-1]) + 0.4), (powers[0], powers[-1]), list(x), powers, [str(c) for c in CLONES])
        looks = []
        for i, (name, values) in enumerate(lines.items()):
            colour, dashes = style.look(i)
            panel.line(x, values, colour, 1.8, dashes)
            panel.points(x, values, colour)
            looks.append((name, colour, dashes))
        panel.key("", looks)
        panel.under("clones, K")

    words = "Slowest parameter, pairs of offspring; collapsed: this program, written out: Gibbs sampling on K copies"
    file.write_bytes(picture("Cost against the number of clones", words, 1, paint))


def evaluations() -> None:
    """What an iteration costs in evaluations of the likelihood, and an evaluation in time."""
    print("\nEvaluations an iteration, microseconds each, smallest ESS of 3 x 2000 draws")
    crossed = simulate.SUPPLIED["crossed_schools"]()
    ones = np.ones(crossed.n_rows)
    x = np.column_stack([ones, crossed["verbal"], crossed["girl"]])
    codes = [crossed.groups(name)[0] for name in ("primary", "second")]
    cases = {
        "crossed, intercepts": classes(crossed["attain"], x, [Factor(c, x[:, :1]) for c in codes]),
        "crossed, slopes": classes(crossed["attain"], x, [Factor(codes[0], x[:, :2]), Factor(codes[1], x[:, :1])]),
    }
    if SHARED.is_dir():
        sleep = readers.read(SHARED / "lmm/sleepstudy.csv", "sleepstudy.csv")
        days = np.column_stack([np.ones(sleep.n_rows), sleep["Days"]])
        cases["sleepstudy, slopes"] = statistics(sleep["Reaction"], days, sleep.groups("Subject")[0], days)
    for name, data in cases.items():
        plain = cloning_normal.target(data, cloning_priors.first(data.p), 1)
        fit = cloning_ml.fit(cloning_ml.Surface(plain), reml=False)
        prior = cloning_priors.weak(fit.beta, fit.beta_se)
        for clones in CLONES:
            target = cloning_normal.target(data, prior, clones)
            near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
            began = cpu()
            chains = [
                cloning_normal.run_chain(target, near, rng, np.zeros(2, np.int64), burnin=200, iterations=2000)
                for rng in streams(1, 3)
            ]
            spent = cpu() - began
            each = chains[0].evaluations
            values = np.stack([np.column_stack([c.beta, c.omega, c.sigma2]) for c in chains])
            each_time = 1e6 * spent / (6600 * each)
            print(f"  {name:20s} K = {clones:2d} {each:6.1f} {each_time:8.1f} us {least(values):7.0f}", flush=True)


MODEL = """model {
  for (r in 1:R) { y[r] ~ dnorm(mu + alpha[g[r]], 1 / sigma2) }
  for (j in 1:J) { alpha[j] ~ dnorm(0, 1 / tau2) }
  ls ~ dnorm(0, 0.001)
  sigma2 <- exp(2 * ls)
  lt ~ dnorm(0, 0.001)
  tau2 <- exp(2 * lt)
  mu ~ dnorm(0, 0.1)
}
"""


def jags_cost(y: np.ndarray, codes: np.ndarray, clones: int) -> float | None:
    """CPU seconds for 1000 effective draws of the slowest parameter in JAGS, or None where it is not installed."""
    if shutil.which("jags") is None:
        return None
    many = np.concatenate([codes + k * (codes.max() + 1) for k in range(clones)]) + 1
    tiled = np.tile(y, clones)
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "model.bug").write_text(MODEL)
        lists = {"y": tiled, "g": many}
        text = "".join(f"{k} <- c({','.join(map(str, v.tolist()))})\n" for k, v in lists.items())
        (at / "data.R").write_text(f"{text}R <- {len(tiled)}\nJ <- {many.max()}\n")
        script = "model in model.bug\ndata in data.R\ncompile, nchains(3)\ninitialize\nupdate 2000\n"
        script += "monitor mu\nmonitor sigma2\nmonitor tau2\nupdate 1000\ncoda *\n"
        (at / "run.jags").write_text(script)
        before = os.times()
        subprocess.run(["jags", "run.jags"], cwd=at, check=True, capture_output=True)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        chains = [np.loadtxt(at / f"CODAchain{k}.txt")[:, 1].reshape(3, 1000).T for k in (1, 2, 3)]
    return 1000 * spent / least(np.stack(chains))


def main() -> None:
    template = registry.get("LMM/DC")
    began = cpu()
    template.warm()
    print(f"compile or load kernels: {cpu() - began:.2f} CPU s")
    data, answers = pairs()
    given = {**answers, **DOCUMENTS, "clones": "1,10,25,50"}
    whole(data, given)
    print(
        f"documents' study, K = 1, 10, 25, 50, with Bayes, prediction, figures: {whole(data, given):.2f} CPU s (goal 1)"
    )
    if SHARED.is_dir():
        cbpp = readers.read(SHARED / "lmm/cbpp.csv", "cbpp.csv")
        more = {"y": "incidence", "C1": "herd", "D": "Binomial", "n": "size", "x": "cons,period:cat"}
        spent = whole(cbpp, {**more, **DOCUMENTS, "clones": "1,10,40"})
        print(f"cbpp, K = 1, 10, 40: {spent:.2f} CPU s (goal 10)")
    evaluations()
    costs = against_clones()
    if len(sys.argv) > 1:
        figure(costs, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
