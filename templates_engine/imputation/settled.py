"""Have the imputation chains and the fits settled: judged by what matters for the pooled answer.

The imputation chains matter from the first imputation on; how they came there does not. A fit's simulation error
matters as far as it moves the pooled estimates. How often the words come by chance: docs/verdicts.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine.imputation.pooling import Pooled
from templates_engine.outputs import Draws
from templates_engine.sampling import diagnostics

Said = list[tuple[str, str]]
WINDOW = 400  # draws of each chain that are looked at, where there are fewer behind the first imputation
RHAT, RHAT_MOST = 1.05, 1.6  # agreement that always does; disagreement that never does
ALARM = 0.01  # how often chains that have settled are told to have not, between the two
INFLATED = 1.6  # effective sizes found in short pieces are about so much too large for this purpose (docs/verdicts.md)
MOVES = 0.10  # simulation error of a pooled estimate, in its standard error, from which on a fit is too short


def chains_have_settled(draws: Draws, first: int) -> Said:
    """On the imputation chains (their iterations counted from 1), `first` the iteration of the first imputation.

    R-hat of split chains over the iterations from the first imputation on, at least the last WINDOW or half. Settled:
    R-hat at most 1.05, or at most what independent stationary chains of the effective size found within them exceed by
    chance once in a hundred runs (F distribution of between- over within-chain variance; Bonferroni over parameters),
    never above 1.6.
    """
    from scipy import stats

    chains, length = draws.values.shape[:2]
    begin = min(first - 1, max(length - WINDOW, length // 2))
    window = draws.values[:, begin:]
    if window.shape[1] < 8:
        return [("Too short", f"With {window.shape[1]} iterations a chain nothing can be said of convergence.")]
    values = np.moveaxis(window, 2, 0)
    rhat = diagnostics.measures(values)["rhat"]
    half = window.shape[1] // 2
    pieces = np.concatenate([values[:, :, :half], values[:, :, half : 2 * half]], axis=1)  # (parameter, 2 chains, half)
    each = np.stack([diagnostics.measures(pieces[:, [c]])["ess_bulk"] for c in range(pieces.shape[1])])
    known = np.isfinite(rhat)
    if not known.any():
        return [("Read with care", "The imputation chains never moved, so nothing can be said of convergence.")]
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.nan_to_num(np.nanmean(each, axis=0), nan=half) / INFLATED, 2.0)
    among = pieces.shape[1] - 1
    level = 1.0 - ALARM / (2 * int(known.sum()))  # R-hat is the larger of two
    chance = np.sqrt(1.0 + np.maximum(stats.f.ppf(level, among, among * size), 1.0) / size)
    limit = np.minimum(np.maximum(RHAT, chance), RHAT_MOST)
    over = np.where(known, rhat / limit, 0.0)
    worst = int(over.argmax())
    name, span = draws.parameters[worst], f"iterations {begin + 1:,} to {length:,}"
    if over[worst] > 1.0 and chance[worst] > RHAT_MOST:
        text = (
            f"The imputation chains move so slowly ({name}) that {span} cannot tell whether they have settled: R-hat "
        )
        return [("Read with care", f"{text}{rhat[worst]:.2f}. Set imputefirst to {max(1000, 4 * first):,} or more.")]
    if over[worst] > 1.0:
        more = max(1000, 2 * first)
        sentence = f"The imputation chains have not settled by iteration {first:,} (imputefirst): R-hat of {name} is "
        return [("Too short", f"{sentence}{rhat[worst]:.2f} over {span}. Set imputefirst to {more:,} or more.")]
    subject = "chains agree" if chains > 1 else "chain has settled"
    top = int(np.where(known, rhat, 0.0).argmax())
    return [("Fine", f"The imputation {subject} over {span}: largest R-hat {rhat[top]:.2f} ({draws.parameters[top]}).")]


def fits_are_long_enough(fits: Sequence[Draws], parameters: Sequence[str], pooled: Sequence[Pooled]) -> Said:
    """On the chains of the fits: how far their simulation moves each pooled estimate, in its standard error.

    A fit's error is its sd / sqrt(ESS), or what its halves and chains differ by where that is more (sd times the root
    of R-hat² - 1); that of the pooled estimate the root of the mean square over the root of the number of fits.
    """
    errors = np.zeros((len(fits), len(parameters)))
    length = min(fit.values.shape[1] for fit in fits)
    for k, fit in enumerate(fits):
        found = diagnostics.measures(np.moveaxis(fit.values, 2, 0))
        chains = fit.values.shape[0]
        share = 1.0 / np.maximum(np.nan_to_num(found["ess_bulk"], nan=1.0), 1.0)
        apart = np.maximum(np.nan_to_num(found["rhat"], nan=1.0) ** 2 - 1.0 - 4.0 * chains * share, 0.0)
        errors[k] = found["sd"] * np.sqrt(np.maximum(share, apart))
    moves = np.sqrt(np.mean(errors**2, axis=0) / len(fits)) / np.array([p.se for p in pooled])
    worst = int(np.nanargmax(moves))
    text = f"the simulation of the fits moves the pooled {parameters[worst]} by {100 * moves[worst]:.0f}% of its SE"
    if moves[worst] <= MOVES:
        return [("Fine", f"The {len(fits)} fits are long enough: {text} at most.")]
    thin = fits[0].thin
    more = int(np.ceil(length * thin * ((moves[worst] / MOVES) ** 2 - 1.0) / 100.0) * 100)
    guilty = int(errors[:, worst].argmax()) + 1
    text = text[0].upper() + text[1:]
    return [
        ("Too short", f"Fit {guilty} and others are short: {text}; {more:,} more iterations should bring it to 10%.")
    ]
