"""Group effects of some of the draws, kept while a chain runs, for what needs them row by row afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.saving import Saved

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shelf:
    """Room for the effects of at most `len(at)` draws of one chain, evenly spaced.

    A chain may be stopped at any moment, or go on later, so the spacing starts at 1 and doubles each time the room is
    full, every other draw going.
    """

    effects: Floats  # (room, J, q)
    at: Ints  # (room,) which kept draw each is, from 0
    pace: Ints  # [spacing now, filled]

    @property
    def filled(self) -> tuple[Ints, Floats]:
        """(positions, effects) of what has been kept."""
        count = int(self.pace[1])
        return self.at[:count], self.effects[:count]

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What a chain that goes on later needs of it."""
        at, effects = self.filled
        return {"kept_at": at, "kept_effects": effects, "kept_pace": self.pace}

    def restore(self, saved: Saved) -> None:
        """Put in what was there when the chain was saved."""
        saved.fill("kept_at", self.at)
        saved.fill("kept_effects", self.effects)
        self.pace[:] = saved.arrays["kept_pace"]


def shelf(room: int, groups: int, q: int) -> Shelf:
    """An empty one."""
    return Shelf(np.empty((room, groups, q)), np.empty(room, dtype=np.int64), np.array([1, 0], dtype=np.int64))


@njit
def put(kept: int, u: Any, effects: Any, at: Any, pace: Any) -> None:
    """Keep the effects u (J, q) of draw number `kept` (from 1) when it is its turn."""
    room = len(at)
    if room < 2 or kept % pace[0] != 0:
        return
    groups, q = u.shape
    if pace[1] == room:
        for k in range(room // 2):
            at[k] = at[2 * k + 1]
            for j in range(groups):
                for a in range(q):
                    effects[k, j, a] = effects[2 * k + 1, j, a]
        pace[1] = room // 2
        pace[0] *= 2
        if kept % pace[0] != 0:
            return
    k = pace[1]
    at[k] = kept - 1
    for j in range(groups):
        for a in range(q):
            effects[k, j, a] = u[j, a]
    pace[1] += 1
