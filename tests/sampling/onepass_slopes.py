"""Random slopes of an incomplete covariate: one-pass against the same data before deletion, and against imputation.

300 groups of 25, 40 % of x missing completely at random. Before deletion the same sampler with the same flat prior
fits the complete data, so that the paired difference of the two posterior means is what the missing values do.

    python tests/sampling/onepass_slopes.py 200 20        sets, and how many of them are imputed jointly too
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from templates_engine.sampling import joint
from templates_engine.sampling.normal import statistics, two_level_ml
from templates_engine.sampling.onepass import Factor, Interest, OnePass, Product, run_chain
from templates_engine.sampling.rng import streams

SLOPE, RESIDUAL = 0.25, 0.56
OMEGA = np.array([[0.30, 0.10], [0.10, SLOPE]])
PLACES = ("omega_uint_2", "sigma2")


@dataclass(frozen=True)
class Set:
    y: np.ndarray
    x: np.ndarray  # complete
    seen: np.ndarray  # x as it is left
    groups: np.ndarray


def draw(seed: int, groups: int = 300, size: int = 25, gone: float = 0.4) -> Set:
    rng = np.random.default_rng([20261130, seed])
    code = np.repeat(np.arange(groups), size)
    x = np.sqrt(0.1) * rng.standard_normal(groups)[code] + np.sqrt(0.9) * rng.standard_normal(code.size)
    u = rng.multivariate_normal(np.zeros(2), OMEGA, groups)
    y = 0.1 + 0.5 * x + u[code, 0] + u[code, 1] * x + np.sqrt(RESIDUAL) * rng.standard_normal(code.size)
    return Set(y, x, np.where(rng.random(code.size) < gone, np.nan, x), code)


def estimates(data: Set, x: np.ndarray, seed: int, iterations: int) -> np.ndarray:
    """Posterior means of the slope's variance and of the residual variance, by the one-pass sampler."""
    ones = np.ones(x.size)
    response = joint.Response("x", "Normal", x, 1, (ones[:, None],), (("cons",),))
    whole = not np.isnan(x).any()
    term = Product("x", x) if whole else Product("x", ones, (Factor("x"),))
    interest = Interest(data.y, (Product("cons", ones), term), (0, 1), (0, 1), data.groups)
    model = OnePass(interest, joint.JointModel((response,), (joint.Classification(data.groups),)))
    generator = streams(seed, 1)[0]
    chain = run_chain(model, generator, np.zeros(2, np.int64), burnin=iterations // 4, iterations=iterations)
    return np.array([chain.values[:, chain.parameters.index(name)].mean() for name in PLACES])


def imputed(data: Set, seed: int, sets: int = 5) -> np.ndarray:
    """The same two by joint imputation of y and x, and REML on each completed set."""
    ones = np.ones((data.x.size, 1))
    both = tuple(
        joint.Response(name, "Normal", values, 1, (ones,), (("cons",),))
        for name, values in (("y", data.y), ("x", data.seen))
    )
    at = [200 + 50 * k for k in range(sets)]
    model = joint.JointModel(both, (joint.Classification(data.groups),))
    chain = joint.run_chain(model, streams(seed, 1)[0], np.zeros(2, np.int64), at[-1], at)
    found = []
    for iteration in at:
        x = chain.imputed[iteration][0]["x"]
        design = np.column_stack([ones[:, 0], x])
        fit = two_level_ml.fit(statistics(data.y, design, data.groups, design))
        found.append([fit.omega[1, 1], fit.sigma2])
    return np.mean(found, axis=0)


def main(sets: int, jointly: int, iterations: int = 1000) -> None:
    before, after, half = [], [], []
    for k in range(sets):
        data = draw(k)
        before.append(estimates(data, data.x, 2 * k, iterations))
        after.append(estimates(data, data.seen, 2 * k + 1, iterations))
        if k < jointly:
            half.append(imputed(data, k))
        if (k + 1) % 10 == 0 or k + 1 == sets:
            difference = np.array(after) - np.array(before)
            error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
            print(
                k + 1, "before", np.mean(before, axis=0), "after", np.mean(after, axis=0), "difference",
                difference.mean(axis=0), "error", error, "imputed", np.mean(half, axis=0), flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
