"""What the draws are worth in a table and in words; the numbers are those of sampling.diagnostics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from templates_engine.outputs import Cell, Draws, Table
from templates_engine.sampling import MEASURES, measures

COLUMNS = ("parameter", "variable", *MEASURES)
RHAT = 1.01  # Vehtari and others (2021), section 4: below it, the chains agree
RHAT_DOUBT = 1.2  # so far apart that a longer run is no longer the first thing to think of
ESS_PER_CHAIN = 100  # the same section: R-hat and ESS themselves are reliable from here on


def summary(draws: Draws, title: str = "", notes: tuple[str, ...] = ()) -> Table:
    """One row a parameter, with COLUMNS. What cannot be computed is None.

    Needs 4 draws a chain for ESS, MCSE and R-hat; R-hat of one chain compares its two halves. A parameter with a
    value that is not finite has no summary; one that never moves has no ESS, MCSE or R-hat.
    """
    numbers = measures(np.moveaxis(draws.values, 2, 0))
    rows = []
    for k, parameter in enumerate(draws.parameters):
        cells: list[Cell] = [_finite(numbers[name][k]) for name in MEASURES]
        rows.append((parameter, draws.variables[k], *cells))
    return Table(COLUMNS, tuple(rows), title, notes)


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def verdicts(draws: Draws, table: Table | None = None, subject: str = "The chains") -> list[tuple[str, str]]:
    """What to think of these draws: (word, sentence) pairs, words as "Fine", "Too short", "Read with care".

    `table` is their summary, if it is there already. The iterations still needed are a forecast: for a chain that
    mixes, R-hat - 1 falls, and the ESS rises, in proportion to the length.
    """
    chains, kept = draws.values.shape[:2]
    if chains * kept == 0:
        return [("Too short", "There are no draws.")]
    rows = (table or summary(draws)).records()
    iterations = kept * draws.thin
    said: list[tuple[str, str]] = []

    unknown = [r for r in rows if r["rhat"] is None or r["ess_bulk"] is None]
    known = [r for r in rows if r not in unknown]
    broken = [r for r in unknown if r["mean"] is None]
    if broken:
        said.append(("Model in doubt", f"{_names(broken)} left the range of numbers; its draws cannot be used."))
    still = [r for r in unknown if r["mean"] is not None]
    if still and kept < 8:
        said.append(("Too short", f"With {kept} draws a chain nothing can be said of convergence."))
    elif still:
        said.append(("Read with care", f"{_names(still)} never moved, so nothing can be said of convergence."))
    if not known:
        return said

    worst = max(known, key=_of("rhat"))
    fewest = min(known, key=lambda r: min(_of("ess_bulk")(r), _of("ess_tail")(r)))
    rhat = _of("rhat")(worst)
    ess = min(_of("ess_bulk")(fewest), _of("ess_tail")(fewest))
    enough = ESS_PER_CHAIN * chains
    halves = "the chains have" if chains > 1 else "the two halves of the chain have"
    if rhat > RHAT_DOUBT:
        sentence = f"R-hat of {worst['parameter']} is {rhat:.2f}: {halves} settled on different answers."
        said.append(("Model in doubt", f"{sentence} A longer run alone may not mend it."))
    elif rhat > RHAT:
        more = _round_up(iterations * max((rhat - 1) / (RHAT - 1), enough / ess) - iterations)
        sentence = f"R-hat of {worst['parameter']} is {rhat:.{2 if rhat >= 1.015 else 3}f}"
        said.append(("Too short", f"{sentence}; {more:,} more iterations should bring it under {RHAT}."))
    elif ess < enough:
        more = _round_up(iterations * (enough / ess - 1))
        sentence = f"The effective sample size of {fewest['parameter']} is {ess:,.0f}"
        said.append(("Too short", f"{sentence}; {more:,} more iterations should bring it to {enough:,}."))
    elif not said:
        agree = "agree" if chains > 1 else "has settled"
        name = subject if chains > 1 or subject != "The chains" else "The chain"
        numbers = f"largest R-hat {rhat:.2f}, smallest effective sample size {ess:,.0f} ({fewest['parameter']})"
        said.append(("Fine", f"{name} {agree}: {numbers}."))
    return said


def _of(column: str) -> Callable[[dict[str, Cell]], float]:
    return lambda record: float(record[column] or 0.0)


def _names(records: list[dict[str, Cell]]) -> str:
    names = [str(r["parameter"]) for r in records]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _round_up(number: float) -> int:
    """A number of iterations that does not pretend to precision: one significant digit, upwards, at least 100."""
    if number <= 100:
        return 100
    unit = 10 ** int(np.floor(np.log10(number)))
    return int(np.ceil(number / unit) * unit)
