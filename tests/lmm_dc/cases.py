"""Data of the comparisons with lme4, made by a seeded generator: casks within batches, plates crossed with samples.

.venv/bin/python tests/lmm_dc/cases.py FOLDER    writes them, and the supplied crossed example, for reference.R
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.crossed import crossed_schools


def nested() -> Dataset:
    """60 rows: two tests of each of three casks of each of ten batches; a cask's code is unique."""
    rng = np.random.Generator(np.random.PCG64(11))
    batch, cask = np.repeat(np.arange(10), 6), np.repeat(np.arange(30), 2)
    strength = 60 + rng.normal(0, 1.4, 10)[batch] + rng.normal(0, 2.8, 30)[cask] + rng.normal(0, 0.8, 60)
    return Dataset("nested", {"batch": batch + 1.0, "cask": cask + 1.0, "strength": np.round(strength, 2)})


def crossed() -> Dataset:
    """140 rows: 24 plates by 6 samples, four of the 144 lost; the growth's slope on hours differs between plates."""
    rng = np.random.Generator(np.random.PCG64(12))
    plate, sample = np.repeat(np.arange(24), 6), np.tile(np.arange(6), 24)
    hours = np.round(rng.uniform(0, 4, 144), 1)
    effects = rng.multivariate_normal([0, 0], [[0.7, 0.1], [0.1, 0.25]], 24)
    diameter = 23 + 0.4 * hours + effects[plate, 0] + effects[plate, 1] * hours
    diameter += rng.normal(0, 1.8, 6)[sample] + rng.normal(0, 0.55, 144)
    kept = np.ones(144, bool)
    kept[[3, 50, 51, 120]] = False
    columns = {"plate": plate + 1.0, "sample": sample + 1.0, "hours": hours, "diameter": np.round(diameter, 2)}
    return Dataset("crossed", {name: values[kept] for name, values in columns.items()})


def seeds() -> Dataset:
    """160 dishes, 16 seed lots by 10 benches: how many of 30 to 50 seeds came up, more of them where it was warmer."""
    rng = np.random.Generator(np.random.PCG64(13))
    lot, bench = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16)
    warmth, sown = np.round(rng.normal(0, 1, 160), 1), rng.integers(30, 51, 160)
    eta = 0.3 + 0.25 * warmth + rng.normal(0, 0.5, 16)[lot] + rng.normal(0, 0.3, 10)[bench]
    came = rng.binomial(sown, special.ndtr(eta))
    columns = {"lot": lot + 1.0, "bench": bench + 1.0, "warmth": warmth, "sown": sown, "came": came}
    return Dataset("seeds", {name: np.asarray(values, dtype=float) for name, values in columns.items()})


CASES = {"nested": nested, "crossed": crossed, "schools": crossed_schools, "seeds": seeds}

if __name__ == "__main__":
    for name, make in CASES.items():
        data = make()
        pd.DataFrame({k: data[k] for k in data.columns}).to_csv(Path(sys.argv[1]) / f"{name}.csv", index=False)
