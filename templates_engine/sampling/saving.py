"""Where a chain stands, so that a later run can go on from there; and its draws while it grows.

1,000 iterations and then 1,000 more give bit for bit what 2,000 give. So a kernel keeps between sweeps nothing that is
not in `Saved`, and nothing that it does depends on how many iterations were asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Saved:
    """One chain after `sweeps` sweeps, those of the burn-in among them."""

    sweeps: int
    rng: Mapping[str, Any]  # the generator's state
    arrays: Mapping[str, npt.NDArray[Any]]  # what the next sweep depends on, and what has been kept

    def generator(self) -> np.random.Generator:
        """The random stream, at the point that it had reached."""
        bits = np.random.PCG64DXSM()
        bits.state = dict(self.rng)  # type: ignore[assignment]
        return np.random.Generator(bits)

    def fill(self, name: str, whole: npt.NDArray[Any]) -> int:
        """Copy the rows kept under `name` to the beginning of `whole`; how many there were. ValueError: no room."""
        rows = self.arrays[name]
        if rows.shape[1:] != whole.shape[1:] or len(rows) > len(whole):
            raise ValueError(f"{name}: {rows.shape} was saved, {whole.shape} is wanted")
        whole[: len(rows)] = rows
        return len(rows)


def saved(sweeps: int, rng: np.random.Generator, **arrays: npt.NDArray[Any]) -> Saved:
    """What to keep of a chain now. The arrays are copied."""
    return Saved(sweeps, dict(rng.bit_generator.state), {name: array.copy() for name, array in arrays.items()})


class Live:
    """One chain's draws while it grows, for the page and for a stopping rule.

    The kernel writes a row of `rows` for each kept draw, from the first on; a row whose last number is still NaN has
    not been written.
    """

    def __init__(self) -> None:
        self._rows: Floats = np.empty((0, 1))
        self._values: Callable[[Floats], Floats] = lambda rows: rows

    def show(self, rows: Floats, values: Callable[[Floats], Floats]) -> None:
        """rows (draw, ·): as the kernel writes them. values: makes parameters, (draw, parameter), of some of them."""
        self._values, self._rows = values, rows

    def draws(self, most: int | None = None) -> Floats:
        """(draw, parameter) of what has been drawn so far; with `most`, of so many of them at most, evenly spaced."""
        rows = self._rows
        done = bisect_left(range(len(rows)), True, key=lambda k: bool(np.isnan(rows[k, -1])))
        step = 1 if most is None else max(1, -(-done // most))
        return self._values(rows[:done:step])
