"""The one-pass sampler beside JAGS and jomo.lmer: effective draws of the model of interest per CPU second.

    make bench BENCH=one_pass          the interaction and the level 2 example of the tutorial data; needs ../shared

The peers' figures are those of tests/reference/imputation.json, made on another day: to compare, run them again on the
machine where you stand. Compiling and burn-in are not counted, for nobody.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from templates_engine import Dataset, Draws  # noqa: E402
from templates_engine.data import readers  # noqa: E402
from templates_engine.running import summaries  # noqa: E402
from templates_engine.sampling import joint, streams  # noqa: E402
from templates_engine.sampling.onepass import Factor, Interest, OnePass, Product, run_chain  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
CHAINS, BURNIN, ITERATIONS = 3, 500, 2000
INTEREST = ("beta_0", "beta_1", "beta_2", "beta_3", "omega_uint_0", "sigma2")


def covariate(name: str, kind: str, values: np.ndarray) -> joint.Response:
    return joint.Response(name, kind, values, 2, (np.ones((values.size, 1)),), (("cons",),))


def examples(data: Dataset) -> dict[str, tuple[OnePass, tuple[str, ...]]]:
    """The published examples, and the names of their peers in the reference."""
    codes, _ = data.groups("school")
    ones, x, g = np.ones(data.n_rows), Factor("standlrtmiss"), Factor("girlmiss")
    girl = covariate("girlmiss", "Binary", data["girlmiss"])
    first = (Product("cons", ones), Product("x", ones, (x,)), Product("g", ones, (g,)), Product("x*g", ones, (x, g)))
    reading = covariate("standlrtmiss", "Normal", data["standlrtmiss"])
    lower = joint.JointModel((reading, girl), (joint.Classification(codes),))
    place = np.unique(codes, return_index=True)[1]
    upper = covariate("avslrtmiss", "Normal", data["avslrtmiss"][place])
    both = joint.JointModel((girl,), (joint.Classification(codes, (upper,)),))
    second = (
        Product("cons", ones), Product("standlrt", data["standlrt"]), Product("g", ones, (g,)),
        Product("avslrtmiss", ones, (Factor("avslrtmiss"),)),
    )  # fmt: skip
    y, four = data["normexam"], (0, 1, 2, 3)
    return {
        "interaction": (OnePass(Interest(y, first, four, (0,), codes), lower),
                        ("jags_interaction_probit_joint", "jomo_lmer_interaction")),
        "level 2": (OnePass(Interest(y, second, four, (0,), codes), both), ("jags_avslrt_probit", "jomo_lmer_avslrt")),
    }  # fmt: skip


def main() -> None:
    reference = json.loads((ROOT / "tests/reference/imputation.json").read_text())["2LevelMissingOnePass"]
    data = readers.read(DATA / "tutmiss.csv", "tutmiss.csv")
    for name, (model, peers) in examples(data).items():
        run_chain(model, streams(9, 1)[0], np.zeros(2, np.int64), burnin=2, iterations=5)
        began = time.process_time()
        chains = [
            run_chain(model, s, np.zeros(2, np.int64), burnin=BURNIN, iterations=ITERATIONS) for s in streams(1, CHAINS)
        ]
        spent = time.process_time() - began
        draws = Draws(chains[0].parameters, chains[0].variables, np.stack([c.values for c in chains]))
        ess = {str(r["parameter"]): float(r["ess_bulk"] or 0) for r in summaries.summary(draws).records()}
        sweeps = CHAINS * ITERATIONS
        print(f"{name}: {spent:.2f} CPU s, {1e3 * spent / sweeps:.3f} ms an iteration")
        for parameter in INTEREST:
            mine = ess[parameter] / spent
            theirs = [reference[peer]["ess_per_cpu_s"].get(parameter, float("nan")) for peer in peers]
            print(
                f"  {parameter:14s} {mine:7.0f} a CPU second; "
                + ", ".join(
                    f"{peer} {value:.0f} ({mine / value:.0f} times)" for peer, value in zip(peers, theirs, strict=True)
                )
            )


if __name__ == "__main__":
    main()
