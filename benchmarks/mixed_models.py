"""Effective draws per CPU second of the mixed-model samplers, beside JAGS and NumPyro's NUTS, same model, data, priors.

    make bench BENCH=mixed_models           JAGS where the command is installed; NumPyro is installed beside (peers.py)
    make bench BENCH=mixed_models ARGS="--cases normal2 crossed --seconds 60 --no-numpyro"

Cases: normal2 (two levels, 4,059 rows), crossed (InstEval's shape: 73,421 rows, 2,972 by 1,128 by 14 units), binomial
and poisson (1,600 rows, 80 by 16 units). Only sampling is timed: reading, compiling, burn-in and warm-up are left out
for everyone. A figure is the smallest ESS (bulk) of all coefficients and log variances per CPU second. The peers'
runs are kept near --seconds. Nothing here is a test: no time gates anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import peers
from arviz_stats.base import array_stats

from templates_engine.data import readers, simulate
from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal import (
    classified as nlevel_normal,
    classified_stats as nlevel_stats,
    priors as mixed_priors,
    two_level as mixed_normal,
    two_level_stats as mixed_stats,
)
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart
from templates_engine.sampling.rng import streams

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class Case:
    """Random intercepts for every classification; Gamma(0.001, 0.001) on precisions, flat coefficients."""

    title: str
    family: str  # normal, binomial (logit, one trial), poisson
    y: np.ndarray
    x: np.ndarray
    codes: list[np.ndarray]
    offset: np.ndarray

    @property
    def factors(self) -> list[Factor]:
        return [Factor(c.astype(np.int64), np.ones((len(c), 1))) for c in self.codes]


def normal2() -> Case:
    path = SHARED / "data/tutorial.csv"
    data = readers.read(path, "tutorial.csv") if path.exists() else simulate.tutmiss()
    x = np.column_stack([np.ones(data.n_rows), data["standlrt"], data["girl"]])
    title = f"two levels, Normal, {data.n_rows:,} rows"
    return Case(title, "normal", data["normexam"], x, [data.groups("school")[0]], np.zeros(len(x)))


def crossed() -> Case:
    rng, n = np.random.default_rng(1), 73421
    student = np.concatenate([np.arange(2972), rng.integers(0, 2972, n - 2972)])
    own, department = rng.integers(0, 14, 2972), np.arange(1128) % 14
    lecturer = np.where(rng.random(n) < 0.8, own[student] + 14 * rng.integers(0, 80, n), rng.integers(0, 1128, n))
    lecturer[:1128] = np.arange(1128)
    lecturer = np.minimum(lecturer, 1127)
    x = np.column_stack([np.ones(n), rng.random(n) < 0.43]).astype(float)
    y = x @ [3.3, -0.07] + rng.normal(0, 0.33, 2972)[student] + rng.normal(0, 0.51, 1128)[lecturer]
    y += rng.normal(0, 0.1, 14)[department[lecturer]] + rng.normal(0, 1.18, n)
    codes = [student, lecturer, department[lecturer]]
    return Case("crossed, Normal, 73,421 rows", "normal", y, x, codes, np.zeros(n))


def discrete(family: str) -> Case:
    data = simulate.SUPPLIED["crossed_schools"]()
    x = np.column_stack([np.ones(data.n_rows), data["verbal"]])
    codes = [data.groups(name)[0] for name in ("primary", "second")]
    y = data["passed" if family == "binomial" else "absences"]
    offset = data["logdays"] if family == "poisson" else np.zeros(len(y))
    return Case(f"crossed, {family}, {len(y):,} rows", family, y, x, codes, offset)


CASES = {
    "normal2": normal2,
    "crossed": crossed,
    "binomial": lambda: discrete("binomial"),
    "poisson": lambda: discrete("poisson"),
}


def smallest(draws: np.ndarray, variances: int) -> tuple[float, int]:
    """(smallest ESS, its column); the last columns are variances, taken on the log scale."""
    values = draws.copy()
    values[:, -variances:] = np.log(values[:, -variances:])
    found = [float(array_stats.ess(values[None, :, k], method="bulk")) for k in range(values.shape[1])]
    return min(found), int(np.argmin(found))


def ours(case: Case, iterations: int) -> tuple[np.ndarray, float]:
    """(draws, CPU seconds of the sampling part)."""
    weak = InverseWishart(0.002, np.array([[0.002]]))
    prior = nlevel_normal.Priors(InverseGamma(0.001, 0.001), tuple(weak for _ in case.codes))

    def run(length: int) -> tuple[nlevel_normal.Chain, float]:
        rng, cells = streams(1, 1)[0], np.zeros(2, dtype=np.int64)
        before = time.thread_time()
        if case.family != "normal":
            link = "logit" if case.family == "binomial" else "log"
            rows = glm_sampler.prepare(link, case.y, case.x, case.factors, offset=case.offset)
            chain = glm_sampler.run_chain(rows, prior, rng, cells, burnin=500, iterations=length)
        elif len(case.codes) == 1:
            (factor,) = case.factors
            stats = mixed_stats.statistics(case.y, case.x, factor.codes, factor.z)
            named = mixed_priors.named(mixed_priors.GAMMA, 1)
            chain = mixed_normal.run_chain(stats, named, rng, cells, burnin=500, iterations=length)
        else:
            stats = nlevel_stats.statistics(case.y, case.x, case.factors)
            chain = nlevel_normal.run_chain(stats, prior, rng, cells, burnin=500, iterations=length)
        return chain, time.thread_time() - before

    run(2)
    settling = run(1)[1]
    chain, spent = run(iterations)
    tail = [chain.sigma2[:, None]] if case.family == "normal" else []
    return np.concatenate([chain.beta, chain.omega, *tail], axis=1), max(spent - settling, 1e-9)


def dump(name: str, values: np.ndarray) -> str:
    """R's dump format, columns first."""
    flat = values.T.ravel() if values.ndim == 2 else values
    text = ",".join(format(v, ".10g") for v in flat)
    if values.ndim == 2:
        return f'"{name}" <- structure(c({text}), .Dim = c({values.shape[0]}, {values.shape[1]}))\n'
    return f'"{name}" <- c({text})\n'


def jags_model(case: Case) -> str:
    eta = "inprod(x[i,], beta) + off[i] + " + " + ".join(f"u{c}[g{c}[i]]" for c in range(len(case.codes)))
    row = {
        "normal": f"y[i] ~ dnorm({eta}, tau)",
        "binomial": f"y[i] ~ dbern(prob[i])\n logit(prob[i]) <- {eta}",
        "poisson": f"y[i] ~ dpois(mu[i])\n log(mu[i]) <- {eta}",
    }[case.family]
    parts = [
        f"for (i in 1:{len(case.y)}) {{ {row} }}",
        f"for (k in 1:{case.x.shape[1]}) {{ beta[k] ~ dnorm(0, 1.0E-6) }}",
    ]
    for c, codes in enumerate(case.codes):
        parts.append(f"for (j in 1:{codes.max() + 1}) {{ u{c}[j] ~ dnorm(0, t{c}) }}")
        parts.append(f"t{c} ~ dgamma(0.001, 0.001)\nv{c} <- 1 / t{c}")
    if case.family == "normal":
        parts.append("tau ~ dgamma(0.001, 0.001)\nv <- 1 / tau")
    return "model {\n" + "\n".join(parts) + "\n}\n"


def child_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def jags(case: Case, seconds: float) -> tuple[np.ndarray, float]:
    """The `jags` command with its glm module, which updates coefficients and effects in blocks."""
    names = ["beta", *(f"v{c}" for c in range(len(case.codes))), *(["v"] if case.family == "normal" else [])]
    with tempfile.TemporaryDirectory() as folder:
        data = dump("y", case.y) + dump("x", case.x) + dump("off", case.offset)
        data += "".join(dump(f"g{c}", codes + 1) for c, codes in enumerate(case.codes))
        Path(folder, "data.R").write_text(data)
        Path(folder, "model.bug").write_text(jags_model(case))

        def run(burnin: int, length: int) -> float:
            watch = "\n".join(f"monitor {name}" for name in names)
            script = (
                f'load glm\nmodel in "model.bug"\ndata in "data.R"\ncompile\ninitialize\nupdate {burnin}\n{watch}\n'
            )
            Path(folder, "run.cmd").write_text(script + f"update {length}\ncoda *\nexit\n")
            before = child_cpu()
            subprocess.run(["jags", "run.cmd"], cwd=folder, check=True, capture_output=True, timeout=60 * seconds)
            return child_cpu() - before

        burnin = 100
        bare = run(0, 1)
        settling = run(burnin, 1)
        each = max((settling - bare) / burnin, 1e-5)
        length = int(np.clip(seconds / each, 200, 20000))
        spent = max(run(burnin, length) - settling, 1e-9)
        index = [line.split() for line in Path(folder, "CODAindex.txt").read_text().splitlines()]
        values = np.loadtxt(Path(folder, "CODAchain1.txt"))[:, 1]
        columns = {name: values[int(a) - 1 : int(b)] for name, a, b in index}
    wanted = [f"beta[{k + 1}]" for k in range(case.x.shape[1])] + names[1:]
    return np.column_stack([columns[name] for name in wanted]), spent


NUMPYRO = '''
import json, os, sys, time
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import jax, jax.numpy as jnp, numpy as np, numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
jax.config.update("jax_enable_x64", True)
d = np.load(sys.argv[1]); family = str(d["family"]); seconds = float(sys.argv[2]); count = int(d["count"])
codes = [jnp.asarray(d[f"g{c}"]) for c in range(count)]; units = [int(c.max()) + 1 for c in codes]
x, y, off = jnp.asarray(d["x"]), jnp.asarray(d["y"]), jnp.asarray(d["off"])
def model():
    eta = x @ numpyro.sample("beta", dist.Normal(0, 1e3).expand([x.shape[1]]).to_event(1)) + off
    for c in range(count):
        v = numpyro.sample(f"v{c}", dist.InverseGamma(0.001, 0.001))
        if sys.argv[5] == "centred":
            eta = eta + numpyro.sample(f"u{c}", dist.Normal(0, jnp.sqrt(v)).expand([units[c]]).to_event(1))[codes[c]]
        else:
            z = numpyro.sample(f"z{c}", dist.Normal(0, 1).expand([units[c]]).to_event(1))
            eta = eta + jnp.sqrt(v) * z[codes[c]]
    if family == "normal":
        numpyro.sample("y", dist.Normal(eta, jnp.sqrt(numpyro.sample("v", dist.InverseGamma(0.001, 0.001)))), obs=y)
    elif family == "binomial":
        numpyro.sample("y", dist.Bernoulli(logits=eta), obs=y)
    else:
        numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=y)
def cpu():
    t = os.times(); return t.user + t.system
init = numpyro.infer.init_to_value(values={**{f"v{c}": 0.1 for c in range(count)}, "v": 1.0})
kernel = NUTS(model, init_strategy=init)
first = MCMC(kernel, num_warmup=int(sys.argv[3]), num_samples=20, progress_bar=False)
first.warmup(jax.random.PRNGKey(0))
def run(mcmc, state):
    mcmc.post_warmup_state = state
    before = cpu(); mcmc.run(state.rng_key); jax.block_until_ready(mcmc.last_state.z)
    return cpu() - before
state = first.post_warmup_state
run(first, state)  # compiles
each = max(run(first, first.last_state) / 20, 1e-5)
mcmc = MCMC(kernel, num_warmup=int(sys.argv[3]), num_samples=int(np.clip(seconds / each, 50, 5000)), progress_bar=False)
quick = run(mcmc, first.last_state)  # compiles for this length
spent = run(mcmc, mcmc.last_state)
s = mcmc.get_samples()
names = [f"v{c}" for c in range(count)] + (["v"] if family == "normal" else [])
np.savez(sys.argv[4], draws=np.column_stack([s["beta"], *[s[k] for k in names]]), spent=spent)
'''  # fmt: skip


def numpyro(case: Case, python: str, seconds: float, warmup: int) -> tuple[np.ndarray, float]:
    """NUTS with the effects centred, and in standard units (non-centred): the better of the two."""
    found = [_nuts(case, python, seconds, warmup, how) for how in ("centred", "standard")]
    variances = len(case.codes) + (case.family == "normal")
    return max(found, key=lambda pair: smallest(pair[0], variances)[0] / pair[1])


def _nuts(case: Case, python: str, seconds: float, warmup: int, how: str) -> tuple[np.ndarray, float]:
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.npz"), Path(folder, "found.npz")
        groups = {f"g{c}": codes for c, codes in enumerate(case.codes)}
        np.savez(given, x=case.x, y=case.y, off=case.offset, family=case.family, count=len(case.codes), **groups)
        command = [python, "-c", NUMPYRO, str(given), str(seconds), str(warmup), str(found), how]
        subprocess.run(command, check=True, timeout=40 * seconds)
        with np.load(found) as values:
            return values["draws"], float(values["spent"])


def report(name: str, draws: np.ndarray, spent: float, case: Case) -> float:
    variances = len(case.codes) + (case.family == "normal")
    ess, at = smallest(draws, variances)
    each = 1e3 * spent / len(draws)
    means = " ".join(format(v, ".4g") for v in draws.mean(axis=0))
    print(f"  {name:<10} {ess / spent:>10.2f} ESS/s  {each:>9.3f} ms a draw  {len(draws):>6} draws  "
          f"smallest ESS {ess:.0f} (column {at})  means {means}", flush=True)  # fmt: skip
    return ess / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU seconds a peer may sample for")
    parser.add_argument("--no-numpyro", action="store_true")
    parser.add_argument("--warmup", type=int, default=300, help="warm-up draws of NUTS")
    parser.add_argument("--no-jags", action="store_true")
    given = parser.parse_args()
    python = None if given.no_numpyro else peers.interpreter("numpyro", peers.NUMPYRO)
    ratios: dict[str, dict[str, float]] = {}
    for key in given.cases:
        case = CASES[key]()
        print(f"\n{case.title}; units: {', '.join(str(c.max() + 1) for c in case.codes)}", flush=True)
        mine = report("ours", *ours(case, 2000 if key == "crossed" else 10000), case)
        others = {}
        if shutil.which("jags") and not given.no_jags:
            others["JAGS"] = lambda case=case: jags(case, given.seconds)
        if python:
            others["NumPyro"] = lambda case=case: numpyro(case, python, given.seconds, given.warmup)
        for name, run in others.items():
            try:
                theirs = report(name, *run(), case)
            except (subprocess.SubprocessError, OSError) as error:
                print(f"  {name:<10} gave no result: {type(error).__name__}", file=sys.stderr)
                continue
            ratios.setdefault(key, {})[name] = mine / theirs
            print(f"  {'':<10} ours is {mine / theirs:,.1f} times {name}", flush=True)
    print("\n" + json.dumps(ratios))


if __name__ == "__main__":
    main()
