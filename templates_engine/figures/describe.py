"""A six-part picture in words: for screen readers, and for the sentence above it on the page."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from templates_engine.figures.curves import Gelman, autocorrelation, partial_autocorrelation
from templates_engine.figures.style import number
from templates_engine.sampling import measures

Array = npt.NDArray[np.float64]


Numbers = Mapping[str, float]  # mean, sd, mcse, rhat, ...: a row of the summary, NaN where there is no number


def numbers_of(values: Array) -> Numbers:
    """The numbers of one parameter's draws (chain, draw)."""
    return {name: float(column[0]) for name, column in measures(values[None]).items()}


def describe(values: Array, numbers: Numbers | None = None) -> str:
    """Two sentences on the draws (chain, draw) of one parameter: R-hat, ESS, and what the plots show."""
    chains, kept = values.shape
    if chains * kept == 0:
        return "There are no draws."
    if not np.isfinite(values).all():
        lost = int((~np.isfinite(values)).sum())
        return f"{lost:,} of {values.size:,} draws are not numbers; the picture shows the others."
    if np.ptp(values) == 0:
        return f"All {values.size:,} draws are the same, {values.flat[0]:.4g}: nothing can be said of convergence."
    found = numbers or numbers_of(values)
    rhat, ess = found["rhat"], found["ess_bulk"]
    if not np.isfinite(ess):
        return f"{kept} draws a chain are too few for R-hat or an effective sample size."
    first = f"Effective sample size {ess:,.0f}."
    if np.isfinite(rhat):
        first = f"R-hat {rhat:.2f}, effective sample size {ess:,.0f}."
    return f"{first} {_agreement(chains, rhat)} {_memory(values)}"


def details(values: Array, numbers: Numbers, gelman: Gelman | None) -> str:
    """What a reader who cannot see the six plots would want of them in numbers."""
    chains, kept = values.shape
    mean, sd, low, high = (numbers[name] for name in ("mean", "sd", "q025", "q975"))
    if not np.isfinite(sd):
        return ""
    many = f"{chains} chains" if chains > 1 else "1 chain"
    said = [
        f"{many} of {kept:,} draws.",
        f"Mean {number(mean)}, standard deviation {number(sd)}, 95% of the draws from {number(low)} to {number(high)}.",
    ]
    if np.isfinite(numbers["mcse"]):
        said.append(f"Monte Carlo standard error of the mean {number(numbers['mcse'], 2)}.")
    partial = partial_autocorrelation(values.reshape(-1), 1)
    if len(partial) and np.isfinite(partial[0]):
        said.append(f"Autocorrelation at lag 1: {number(float(partial[0]), 2)}.")
    if gelman is not None:
        said.append(f"The Brooks–Gelman–Rubin ratio ends at {gelman.ratio[-1]:.2f} (aim 1.0).")
    return " ".join(said)


def description_of(svg: bytes) -> str:
    """The words inside a drawn picture."""
    found = re.search(rb"<desc>(.*?)</desc>", svg[:4000], re.DOTALL)
    return html.unescape(found.group(1).decode()) if found else ""


def _agreement(chains: int, rhat: float) -> str:
    if not np.isfinite(rhat):
        return ""
    whole, apart = ("The chains overlap", "The chains differ") if chains > 1 else (
        "Both halves of the chain agree", "The halves of the chain differ")  # fmt: skip
    if rhat <= 1.01:
        return f"{whole}."
    return f"{apart} a little." if rhat <= 1.1 else f"{apart}: they have not settled on one answer."


def _memory(values: Array) -> str:
    """From which lag on the autocorrelation stays within chance, chains joined."""
    joined = values.reshape(-1)
    rho = autocorrelation(joined)
    chance = 1.96 / np.sqrt(len(joined))
    inside = np.flatnonzero(np.abs(rho) <= chance)
    if len(inside) == 0:
        return f"The autocorrelation at lag {len(rho) - 1} is still {rho[-1]:.2f}."
    return f"The autocorrelation is gone by lag {inside[0]}."
