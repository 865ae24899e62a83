"""What the answers to HoltWinters' questions come to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """A run's answers. A constant of None is to be chosen; those given are kept as they are."""

    y: str
    time: str  # "" for rows in order
    series: str  # "" for one series
    periods: tuple[int, ...]  # (1,) without a season
    method: str
    damped: bool
    seasonal: str  # "Additive", "Multiplicative"; "" without a season and for Automatic
    robust: bool
    k: float
    start: str
    alpha: float | None
    beta: float | None
    gamma: tuple[float, ...] | None
    phi: float | None
    outside: bool
    horizon: int
    level: float
    seed: int
    intervals: str = "auto"  # "auto", "formula", "normal", "resample"
    estimated: bool = True  # the intervals allow for estimated constants
    correct: bool = False  # the mean of the residuals is added to the forecasts
    drawn: tuple[str, ...] = ()  # series whose pictures are drawn beside those of the worst
    phase: str = ""  # the time at which the second phase begins, "" for no such picture

    @property
    def period(self) -> int:
        """The longest period."""
        return max(self.periods)

    @property
    def period_text(self) -> str:
        return ", ".join(str(p) for p in self.periods)

    @property
    def trend(self) -> bool:
        return self.method in ("Holt", "Holt-Winters")

    @property
    def multiplicative(self) -> bool:
        return self.seasonal == "Multiplicative"

    @property
    def given(self) -> dict[str, float]:
        """The constants that were given, by name."""
        found = {"alpha": self.alpha, "beta": self.beta, "phi": self.phi}
        gammas = self.gamma or ()
        found |= dict(zip(self.gamma_names, gammas, strict=False))
        return {name: value for name, value in found.items() if value is not None}

    @property
    def gamma_names(self) -> tuple[str, ...]:
        """gamma, or gamma_24 and gamma_168 with several seasons."""
        if len(self.periods) == 1:
            return ("gamma",)
        return tuple(f"gamma_{p}" for p in self.periods)
