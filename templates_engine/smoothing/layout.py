"""How a model, its constants and its start lie in the vectors of the compiled kernels, and back."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from templates_engine.smoothing.models import PHI_RANGE, Array, Constants, Gamma, Model, Start, Whole
from templates_engine.smoothing.search import (
    ALPHA_LEAST,
    BACKCAST,
    DECOMPOSE,
    HYNDMAN,
    OPTIMAL,
    REGRESSION,
    ROBUST_START,
    USER,
)

KINDS = {"none": 0, "additive": 1, "multiplicative": 2}
START_CODES = {
    "decompose": DECOMPOSE,
    "hyndman": HYNDMAN,
    "regression": REGRESSION,
    "backcast": BACKCAST,
    "optimal": OPTIMAL,
    "robust": ROBUST_START,
    "user": USER,
}
AT_BOUND = 1e-6  # a constant this near its bound, as a share of the range, is said to lie on it


@dataclass(frozen=True)
class Layout:
    """z = (alpha, beta, phi, gammas, level, trend, seasons): where each thing lies, and the box."""

    model: Model
    periods: Whole
    offsets: Whole
    kind: int
    constants: int  # 3 + number of periods
    lower: Array  # (z,)
    upper: Array
    fixed: dict[str, bool]  # by name, only constants that the model has

    @property
    def size(self) -> int:
        return self.constants + 2 + int(self.periods.sum())

    def entries(self) -> dict[str, int]:
        """Entry of each constant of the model, by name (in the order of Constants.named())."""
        many = len(self.periods)
        found = {"alpha": 0} | ({"beta": 1} if self.model.trend else {})
        found |= {"gamma" if many == 1 else f"gamma{i + 1}": 3 + i for i in range(many)}
        return found | ({"phi": 2} if self.model.trend and self.model.damped else {})

    def columns(self, start: str) -> Whole:
        """Entries of z to be estimated: constants that are not fixed; with start "optimal" the start states too."""
        entries = [e for name, e in self.entries().items() if not self.fixed[name]]
        if start == "optimal":
            entries += [self.constants] + ([self.constants + 1] if self.model.trend else [])
            for m, at in zip(self.periods, self.offsets, strict=True):
                entries += [self.constants + 2 + int(at) + p for p in range(int(m) - 1)]
        return np.array(entries, np.int64)

    def start_states(self) -> int:
        """Free start states: level, trend and the rank of all seasonal patterns (periods may share harmonics)."""
        harmonics = {Fraction(j, int(m)) for m in self.periods for j in range(1, int(m))}
        return 1 + int(self.model.trend) + len(harmonics)

    def constants_of(self, z: Array) -> Constants:
        model = self.model
        return Constants(
            float(z[0]),
            float(z[1]) if model.trend else None,
            tuple(float(g) for g in z[3 : self.constants]),
            float(z[2]) if model.trend and model.damped else None,
        )

    def seasons_of(self, flat: Array, roll: int = 0) -> tuple[Array, ...]:
        """One array a period; roll: rows that the kernels' row 0 lies after the series' row 0."""
        pairs = zip(self.periods, self.offsets, strict=True)
        return tuple(np.roll(flat[at : at + m], roll % m) for m, at in pairs)

    def at_bound(self, z: Array) -> tuple[str, ...]:
        found = []
        for name, e in self.entries().items():
            near = AT_BOUND * (self.upper[e] - self.lower[e])
            if not self.fixed[name] and (z[e] - self.lower[e] <= near or self.upper[e] - z[e] <= near):
                found.append(name)
        return tuple(found)


def gammas(gamma: Gamma, many: int) -> list[float | None]:
    """One gamma a period from what was given."""
    if gamma is None or isinstance(gamma, int | float | np.floating):
        return [None if gamma is None else float(gamma)] * many
    found = [None if g is None else float(g) for g in gamma]
    if len(found) != many:
        raise ValueError(f"{many} gammas are needed, one a period, not {len(found)}")
    return found


def layout(model: Model, alpha: float | None, beta: float | None, gamma: Gamma, phi: float | None) -> Layout:
    """The layout of a model with these constants fixed (None: to be estimated)."""
    periods = np.array(model.periods if model.seasonal != "none" else (), np.int64)
    offsets = np.concatenate([[0], np.cumsum(periods)[:-1]]).astype(np.int64)[: len(periods)]
    many = len(periods)
    constants = 3 + many
    size = constants + 2 + int(periods.sum())
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    lower[:constants], upper[:constants] = 0.0, 1.0
    lower[0] = ALPHA_LEAST
    lower[2], upper[2] = PHI_RANGE
    if model.seasonal == "multiplicative":
        lower[constants + 2 :] = 1e-6
    damped = model.trend and model.damped
    given: list[float | None] = [alpha, beta if model.trend else 0.0, phi if damped else 1.0, *gammas(gamma, many)]
    for e, value in enumerate(given):
        if value is not None:
            lower[e] = upper[e] = value
    fixed = {"alpha": alpha is not None} | ({"beta": beta is not None} if model.trend else {})
    fixed |= {"gamma" if many == 1 else f"gamma{i + 1}": given[3 + i] is not None for i in range(many)}
    fixed |= {"phi": phi is not None} if damped else {}
    return Layout(model, periods, offsets, KINDS[model.seasonal], constants, lower, upper, fixed)


def put_start(lay: Layout, z: Array, start: Start, roll: int) -> None:
    """Write given start states into z; roll: as in `Layout.seasons_of`."""
    z[lay.constants], z[lay.constants + 1] = start.level, start.trend if lay.model.trend else 0.0
    for s, m, at in zip(start.seasons, lay.periods, lay.offsets, strict=True):
        if len(s) != m:
            raise ValueError(f"the start has {len(s)} seasonal values for period {m}")
        begin = lay.constants + 2 + int(at)
        z[begin : begin + int(m)] = np.roll(s, -roll % int(m))
