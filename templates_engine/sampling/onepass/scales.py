"""How a measurement comes of its latent Normal z: a skewed one, one between bounds, a count.

skewed   x = low + exp(z)
bounded  x = low + (high - low) / (1 + exp(-z))
count    x = exp(z) rounded down (Kowal and Canale, 2020, Electronic Journal of Statistics 14, 1744-1772): of an
         observed count only log x <= z < log(x + 1) is known
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit

Array = npt.NDArray[np.float64]
PLAIN, SKEWED, BOUNDED, COUNT = range(4)
FARTHEST = 700.0  # exponent of the largest number
NAMES = {"skewed": SKEWED, "bounded": BOUNDED, "count": COUNT}


@dataclass(frozen=True)
class Scale:
    """One variable's."""

    kind: str  # a key of NAMES
    low: float = 0.0
    high: float = 1.0  # of a bounded one

    def __post_init__(self) -> None:
        if self.kind not in NAMES:
            raise ValueError(f"scale {self.kind!r} is not one of {', '.join(NAMES)}")

    def of(self, z: Array) -> Array:
        """The measurement at these latents."""
        with np.errstate(over="ignore"):
            if self.kind == "bounded":
                return np.asarray(self.low + (self.high - self.low) / (1.0 + np.exp(-z)))
            grown = np.exp(np.minimum(z, FARTHEST))
            return np.asarray(np.floor(grown) if self.kind == "count" else self.low + grown)

    def inverse(self, x: Array) -> Array:
        """The latents of measurements; of a count the logarithm of the middle of its interval."""
        if self.kind == "count":
            return np.asarray(np.log(x + 0.5))
        if self.kind == "skewed":
            return np.asarray(np.log(x - self.low))
        return np.asarray(np.log(x - self.low) - np.log(self.high - x))


@njit
def measured(kind: int, low: float, high: float, z: float) -> float:
    """The measurement at a latent."""
    if kind == PLAIN:
        return z
    if kind == BOUNDED:
        return low + (high - low) / (1.0 + math.exp(min(-z, FARTHEST)))
    grown = math.exp(min(z, FARTHEST))
    return math.floor(grown) if kind == COUNT else low + grown
