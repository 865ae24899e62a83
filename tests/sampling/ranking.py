"""Ranks of true parameters among thinned draws, and how uniform they are: simulation-based calibration (Talts,
Betancourt, Simpson, Vehtari and Gelman, 2018)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.stats

from templates_engine.sampling.rng import streams

FALSE_ALARM = 1e-4  # a case: Bonferroni's threshold over its parameters
BINS = 8
KEPT = 31  # thinned draws of a fit: 32 ranks, 4 to a bin

Fit = Callable[[np.random.Generator, np.random.Generator], tuple[tuple[str, ...], np.ndarray, np.ndarray]]


def ranks(fit: Fit, fits: int, seed: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Ranks (fits, parameters). fit: (generator of the data, of the chain) -> (names, KEPT draws, true parameters)."""
    rng = np.random.default_rng(seed)
    out = []
    names: tuple[str, ...] = ()
    for generator in streams(seed, fits):
        names, draws, truth = fit(rng, generator)
        assert draws.shape == (KEPT, truth.size)
        out.append((draws < truth).sum(0))
    return names, np.array(out)


def worst(names: tuple[str, ...], r: np.ndarray) -> tuple[float, str]:
    """Bonferroni-corrected p-value of the least uniform parameter, and its name with its histogram."""
    p_values = []
    for k in range(r.shape[1]):
        counts = np.bincount(r[:, k] * BINS // (KEPT + 1), minlength=BINS)
        p_values.append((scipy.stats.chisquare(counts).pvalue, f"{names[k]} {counts}"))
    p, what = min(p_values)
    return p * r.shape[1], what
