"""Each season's own series over the cycles and its exponential trend, y = a exp(b t), fitted on the log scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeasonTrend:
    """One season: its values against the number of the cycle (from 0), and log y = log a + b t by least squares.

    a, b and r2 are None with fewer than three values, values that are not all positive, or no variation.
    r2 is that of the log values.
    """

    name: str
    cycles: Array
    values: Array
    a: float | None
    b: float | None
    r2: float | None

    @property
    def curve(self) -> Callable[[Array], Array] | None:
        """The fitted trend as a function of the cycle."""
        a, b = self.a, self.b
        if a is None or b is None:
            return None
        return lambda t: np.asarray(a * np.exp(b * t))

    @property
    def heading(self) -> str:
        return f"{self.name}, R² {self.r2:.3f}" if self.r2 is not None else self.name

    @property
    def sentence(self) -> str:
        if self.a is None or self.b is None or self.r2 is None:
            return "no exponential trend (needs three positive values that vary)."
        return f"{100 * np.expm1(self.b):+.1f}% a cycle, R² {self.r2:.3f}.".replace("-", "−")


def season_trends(y: Array, period: int, first_season: int, names: Sequence[str]) -> list[SeasonTrend]:
    """One a season, in the order of `names`.

    y: (n,) with NaN for missing; first_season: the season (from 0) of y[0]. Cycle 0 is the one y[0] stands in.
    """
    at = np.arange(len(y)) + first_season
    found = []
    for season in range(period):
        mine = (at % period == season) & np.isfinite(y)
        found.append(_trend(names[season], (at[mine] // period).astype(np.float64), y[mine]))
    return found


def _trend(name: str, cycles: Array, values: Array) -> SeasonTrend:
    if len(values) < 3 or (values <= 0).any() or np.ptp(values) == 0:
        return SeasonTrend(name, cycles, values, None, None, None)
    logs = np.log(values)
    t, z = cycles - cycles.mean(), logs - logs.mean()
    b = float(t @ z / (t @ t))
    a = float(np.exp(logs.mean() - b * cycles.mean()))
    r2 = float((b * t) @ (b * t) / (z @ z))
    return SeasonTrend(name, cycles, values, a, b, r2)
