"""How often each verdict comes by chance, and how often it comes where it should: the figures of docs/verdicts.md.

A chain here is an autoregression of known memory. Rates have a standard error of at most 1.1 percentage points (2,000
runs) in the long tests, and bounds are three of them away.
"""

from __future__ import annotations

import numpy as np
import pytest

from templates_engine.imputation import chains_have_settled, fits_are_long_enough
from templates_engine.imputation.pooling import rubin, verdicts as enough_imputations
from templates_engine.outputs import Draws


def chains(rng: np.random.Generator, parameters: int, count: int, length: int, memory: float) -> np.ndarray:
    """(chain, draw, parameter) stationary autoregressions with unit variance."""
    noise = rng.standard_normal((count, length, parameters))
    out = np.empty_like(noise)
    out[:, 0] = noise[:, 0]
    for t in range(1, length):
        out[:, t] = memory * out[:, t - 1] + np.sqrt(1 - memory**2) * noise[:, t]
    return out


def drawn(values: np.ndarray) -> Draws:
    names = tuple(f"p{k}" for k in range(values.shape[2]))
    return Draws(names, ("",) * len(names), values)


def wandering(values: np.ndarray, until: int) -> np.ndarray:
    """One parameter of one chain begins 8 sd away and comes back in a straight line by iteration `until`."""
    values = values.copy()
    values[0, :until, 0] += np.linspace(8.0, 0.0, until)
    return values


def alarms(runs: int, memory: float, until: int = 0, apart: float = 0.0, first: int = 1000) -> float:
    rng = np.random.default_rng(1)
    count = 0
    for _ in range(runs):
        values = chains(rng, 8, 4, first + 200, memory)
        if until:
            values = wandering(values, until)
        values[0, :, 0] += apart
        count += chains_have_settled(drawn(values), first)[0][0] != "Fine"
    return count / runs


def fit_alarms(runs: int, memory: float, fits: int = 4, length: int = 250) -> float:
    rng = np.random.default_rng(2)
    count = 0
    for _ in range(runs):
        every = [drawn(chains(rng, 6, 1, length, memory)) for _ in range(fits)]
        flat = [d.values[0] for d in every]
        pooled = rubin(np.stack([v.mean(axis=0) for v in flat]), np.stack([v.std(axis=0, ddof=1) for v in flat]))
        count += fits_are_long_enough(every, every[0].parameters, pooled)[0][0] != "Fine"
    return count / runs


def imputation_alarms(runs: int, fmi: float, m: int) -> float:
    """Of one estimate whose between-variance is fmi of the total."""
    rng = np.random.default_rng(3)
    estimates = np.sqrt(fmi) * rng.standard_normal((runs, m, 1))
    ses = np.full((m, 1), np.sqrt(1 - fmi))
    return float(np.mean([enough_imputations(["b"], rubin(q, ses))[0][0] != "Fine" for q in estimates]))


def test_what_happened_before_the_first_imputation_does_not_count() -> None:
    """A threshold that wandered for 680 sweeps and had come to rest long before iteration 1,000 is no fault."""
    assert alarms(40, 0.9, until=680, first=1200) <= 0.1


def test_chains_apart_are_told_with_what_to_set() -> None:
    rng = np.random.default_rng(4)
    values = chains(rng, 8, 4, 1200, 0.5)
    values[0, :, 3] += 3.0
    ((word, sentence),) = chains_have_settled(drawn(values), 1000)
    assert word == "Too short"
    assert "p3" in sentence
    assert "Set imputefirst to 2,000 or more." in sentence


def test_independent_draws_at_the_published_length_are_long_enough() -> None:
    assert fit_alarms(60, 0.0) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_settled_chains_are_seldom_called_unsettled(memory: float) -> None:
    assert alarms(2000, memory) < 0.06


@pytest.mark.slow
def test_powers() -> None:
    assert alarms(500, 0.9, apart=3.0) > 0.95
    assert alarms(500, 0.5, until=1100) > 0.9
    assert fit_alarms(2000, 0.0) < 0.01
    assert fit_alarms(2000, 0.5) < 0.05
    assert fit_alarms(500, 0.95) > 0.9
    assert imputation_alarms(2000, 0.05, 20) < 0.01
    assert imputation_alarms(2000, 0.4, 20) > 0.9
