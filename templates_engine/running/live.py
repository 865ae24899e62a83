"""What the page shows of what still grows: chains (a trace, R-hat and effective sample size so far), and curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from templates_engine.outputs import Curve
from templates_engine.sampling import Live

POINTS = 200  # of a trace, a chain
MOST_PARAMETERS = 12
MOST_DRAWS = 4000  # of a chain that R-hat and ESS are computed from; longer ones are thinned
FEWEST_DRAWS = 20
SHARE = 30.0  # R-hat and ESS are computed again after so many times the time that they took, and not before SECONDS
SECONDS = 2.0


@dataclass
class Watched:
    """The chains, their parameters, and the one whose trace is shown."""

    shown: str
    parameters: tuple[str, ...]
    chains: tuple[Live, ...]
    _again: float = field(default=0.0, repr=False)  # when to compute next
    _last: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def report(self) -> dict[str, Any]:
        """trace: {parameter, chains (of at most 200 points)}; converging: [{parameter, rhat, ess}], worst first."""
        few = [chain.draws(POINTS) for chain in self.chains]
        at = self.parameters.index(self.shown) if self.shown in self.parameters else 0
        points = [[float(f"{x:.4g}") for x in draws[:, at]] if draws.size else [] for draws in few]
        if time.monotonic() >= self._again:
            began = time.monotonic()
            self._last = self._measured()
            took = time.monotonic() - began
            self._again = began + max(SECONDS, SHARE * took)
        return {"trace": {"parameter": self.shown, "chains": points}, "converging": self._last}

    def _measured(self) -> list[dict[str, Any]]:
        from templates_engine.sampling import diagnostics  # brings SciPy: only a run needs it

        draws = [chain.draws() for chain in self.chains]
        longest = max(map(len, draws))
        draws = [each for each in draws if 2 * len(each) >= longest]  # with few cores, some chains begin much later
        shortest = min((len(each) for each in draws), default=0)
        if shortest < FEWEST_DRAWS:
            return []
        step = -(-shortest // MOST_DRAWS)
        columns = slice(0, MOST_PARAMETERS)
        values = np.stack([each[:shortest:step, columns] for each in draws])
        found = diagnostics.measures(np.moveaxis(values, 2, 0))
        ess = np.minimum(found["ess_bulk"], found["ess_tail"])
        rows = [
            {"parameter": name, "rhat": _number(found["rhat"][k], 4), "ess": _number(ess[k], 4)}
            for k, name in enumerate(self.parameters[columns])
        ]
        return sorted(rows, key=lambda row: -(row["rhat"] or np.inf))


@dataclass
class Curves:
    """The points of a template's curves so far. declared: None where no template is known, and nothing is drawn."""

    declared: Sequence[Curve] | None
    _points: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict, repr=False)

    def add(self, curve: str, line: str, x: float, y: float) -> None:
        """One more point; ValueError for a curve that the template has not declared."""
        if self.declared is None:
            return
        if all(curve != each.name for each in self.declared):
            raise ValueError(f"the template declares no curve {curve}")
        self._points.setdefault(curve, {}).setdefault(line, []).append((float(x), float(y)))

    def report(self) -> list[dict[str, Any]]:
        """[{title, across, about, lines: [{name, points (at most POINTS, the last among them)}]}], as declared."""
        return [
            {
                "title": curve.title,
                "across": curve.across,
                "about": curve.about,
                "lines": [{"name": name, "points": _few(points)} for name, points in lines.items()],
            }
            for curve in self.declared or ()
            if (lines := dict(self._points.get(curve.name, {})))
        ]


def _few(points: Sequence[tuple[float, float]]) -> list[list[float]]:
    step = -(-len(points) // POINTS) if points else 1
    kept = [p for p in points[::-1][::step][::-1] if np.isfinite(p).all()]
    return [[float(f"{x:.6g}"), float(f"{y:.4g}")] for x, y in kept]


def _number(x: float, digits: int) -> float | None:
    return float(f"{x:.{digits}g}") if np.isfinite(x) else None
