"""Two checkouts of the project beside each other: CPU seconds of whole runs, in turns, least of several.

    git worktree add ../before COMMIT
    .venv/bin/python benchmarks/before_after.py ../before . [--turns 5] [--only NAME,NAME]

Every run is an example of a template, in a process of its own per checkout and turn: one run first, so that libraries
are loaded and kernels compiled, then the same run with another seed, which is timed (its children too). What is
printed is the least of the turns and the ratio after / before. Both checkouts use this Python. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = {  # template -> examples that both checkouts have
    "2LevelImpute": ["published"],
    "Regression1": ["guide"],
    "1LevelMod": ["probit"],
    "2LevelMod": ["normal", "binomial", "poisson", "negative_binomial"],
    "2LevelRS": ["slopes", "binomial"],
    "NLevelMod": ["crossed", "poisson"],
    "NLevelRS": ["crossed"],
    "LMM/DC": ["breeding", "crossed", "ticks"],
    "HoltWinters": ["quarterly_automatic", "hours_two_seasons", "many_shops"],
}

CHILD = """
import json, os, resource, sys
order = json.loads(sys.argv[1])
os.environ["STATGROVE_DATA"] = order["data"]
sys.path.insert(0, order["checkout"])
os.chdir(order["data"])
import templates_engine
assert os.path.realpath(templates_engine.__file__).startswith(order["checkout"]), templates_engine.__file__
from statgrove import RunStatJR
from templates_engine import inputs, registry
template = registry.all()[order["template"]]
example = next(e for e in template.examples if e.name == order["example"])
answers = dict(inputs.read(example.inputs).answers)
def cpu():
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)
def run(seed):
    if "seed" in answers:
        answers["seed"] = str(seed)
    RunStatJR(template=order["template"], dataset=example.dataset, invars=answers)
run(7)
start = cpu()
run(8)
print(json.dumps(cpu() - start))
"""


def timed(checkout: Path, template: str, example: str) -> float:
    """CPU seconds of one warm run."""
    with tempfile.TemporaryDirectory(prefix="before-after-") as data:
        order = {"checkout": str(checkout), "data": data, "template": template, "example": example}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-c", CHILD, json.dumps(order)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{template}/{example} in {checkout}: {done.stderr[-2000:]}")
        return float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    both = [given.before.resolve(), given.after.resolve()]
    print(f"{'run':34} {'before':>8} {'after':>8} {'ratio':>6}   CPU seconds, least of {given.turns}")
    for template, examples in RUNS.items():
        for example in examples:
            name = f"{template}/{example}"
            if any(part in name for part in given.only.split(",")):
                took = [[timed(c, template, example) for c in both] for _ in range(given.turns)]
                before, after = (min(turn[i] for turn in took) for i in (0, 1))
                print(f"{name:34} {before:8.2f} {after:8.2f} {after / before:6.2f}", flush=True)


if __name__ == "__main__":
    main()
