"""SIMULATED pairs of offspring by sire, for data cloning: a weight, lambs weaned out of a litter, and a count of ticks.

breeding        60 sires with two offspring each (some with one or three), a row an offspring
breeding_wide   the weights of 100 other sires, a row a sire, two offspring side by side

weight = 2.5 + 0.15 male + α + e,   α ~ N(0, 0.25),  e ~ N(0, 0.04), as in the animal breeding example of Solymos and
Lele (2016); weaned ~ Binomial(litter, logit⁻¹(0.6 + 0.4 male + a)), var(a) = 0.5; ticks ~ Poisson(days / 10 ×
exp(0.5 − 0.3 male + b)), var(b) = 0.4.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from templates_engine.data.dataset import Dataset, Values

SEED = 1949
NOTE = "Simulated data: made by a seeded generator. No row is of a real animal."


@cache
def breeding() -> Dataset:
    """Long form: sire, offspring, weight, male, litter, weaned, days, log_days, ticks, cons, and the true effect α."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    sizes = rng.permutation(np.repeat([2, 1, 3], [44, 8, 8]))
    sire = np.repeat(np.arange(60), sizes)
    n = len(sire)
    alpha, a, b = rng.normal(0, 0.5, 60), rng.normal(0, np.sqrt(0.5), 60), rng.normal(0, np.sqrt(0.4), 60)
    male = (rng.random(n) < 0.5).astype(float)
    weight = 2.5 + 0.15 * male + alpha[sire] + rng.normal(0, 0.2, n)
    weight[rng.choice(n, 3, replace=False)] = np.nan
    litter = rng.integers(2, 9, n)
    weaned = rng.binomial(litter, 1 / (1 + np.exp(-(0.6 + 0.4 * male + a[sire]))))
    days = rng.integers(5, 31, n)
    ticks = rng.poisson(days / 10 * np.exp(0.5 - 0.3 * male + b[sire]))
    columns = {
        "sire": sire + 1.0,
        "offspring": np.concatenate([np.arange(1.0, size + 1) for size in sizes]),
        "weight": np.round(weight, 4),
        "male": male,
        "litter": litter.astype(float),
        "weaned": weaned.astype(float),
        "days": days.astype(float),
        "log_days": np.round(np.log(days / 10), 6),
        "ticks": ticks.astype(float),
        "cons": np.ones(n),
        "alpha": np.round(alpha, 6)[sire],
    }
    titles = {
        "sire": "Sire",
        "offspring": "Offspring of the sire",
        "weight": "Weight of the offspring (3 missing)",
        "male": "Male offspring",
        "litter": "Lambs born in the offspring's litters",
        "weaned": "Lambs weaned",
        "days": "Days on pasture",
        "log_days": "log of days / 10",
        "ticks": "Ticks found",
        "cons": "Constant (1)",
        "alpha": "True effect of the sire on weight",
    }
    return _dataset("breeding", columns, titles, {"male": {"0": "female", "1": "male"}})


@cache
def breeding_wide() -> Dataset:
    """Wide form: sire, weight1, weight2, cons, alpha; without the columns of one offspring the variances are lost."""
    rng = np.random.Generator(np.random.PCG64(SEED + 1))
    alpha = rng.normal(0, 0.5, 100)
    pair = 2.5 + alpha[:, None] + rng.normal(0, 0.2, (100, 2))
    columns = {
        "sire": np.arange(1.0, 101.0),
        "weight1": np.round(pair[:, 0], 4),
        "weight2": np.round(pair[:, 1], 4),
        "cons": np.ones(100),
        "alpha": np.round(alpha, 6),
    }
    titles = {
        "sire": "Sire",
        "weight1": "Weight of the first offspring",
        "weight2": "Weight of the second offspring",
        "cons": "Constant (1)",
        "alpha": "True effect of the sire",
    }
    return _dataset("breeding_wide", columns, titles, {})


def _dataset(
    name: str, columns: dict[str, Values], titles: dict[str, str], labels: dict[str, dict[str, str]]
) -> Dataset:
    return Dataset(name, columns, labels, {column: f"{title} (simulated)" for column, title in titles.items()}, (NOTE,))
