"""Measurements that are not Normal themselves: how they come of a latent Normal, and what their values must be."""

from __future__ import annotations

import numpy as np

from templates_engine import Problem
from templates_engine.sampling.onepass import Scale

from .spec import BOUNDED, COUNT, SKEWED, Response


def scale_of(response: Response) -> Scale | None:
    """None of one that is Normal or a category."""
    if response.kind == COUNT:
        return Scale("count")
    if response.kind == SKEWED:
        return Scale("skewed", response.low)
    return Scale("bounded", response.low, response.high) if response.kind == BOUNDED else None


def misfits(response: Response, seen: np.ndarray, key: str) -> list[Problem]:
    """Values that a Count, Skewed or Bounded variable cannot have."""
    name, low, high = response.name, response.low, response.high
    if response.kind == COUNT and not bool(((seen >= 0) & (seen == np.floor(seen))).all()):
        text = f"{name} is a Count, and has values that are no whole numbers from 0. Choose another type."
        return [Problem("not-a-count", text, key=key, column=name)]
    if response.kind == SKEWED and (below := int((seen <= low).sum())):
        text = f"{name} has {below:,} values that are not above {low:g}; the smallest is {seen.min():g}. Lower its end."
        return [Problem("outside-range", text, key=f"low{name}", column=name)]
    if response.kind == BOUNDED:
        if not low < high:
            text = f"The range of {name} ends at {high:g}, which is not above {low:g}."
            return [Problem("empty-range", text, key=f"high{name}", column=name)]
        if outside := int(((seen <= low) | (seen >= high)).sum()):
            text = (
                f"{name} has {outside:,} values that are not between {low:g} and {high:g}; they go from {seen.min():g} "
                f"to {seen.max():g}. Put the ends outside the data, or choose another type where many values lie there."
            )
            return [
                Problem("outside-range", text, key=f"low{name}" if seen.min() <= low else f"high{name}", column=name)
            ]
    return []
