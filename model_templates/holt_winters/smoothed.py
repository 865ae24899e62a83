"""One fitted series with its forecast and checks: what tables and pictures are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from templates_engine.data.times import MONTHS, Clock
from templates_engine.smoothing import Diagnostics, Draws, Fit, Forecast, draws_of, forecast, residual_diagnostics

from .spec import Spec
from .timeline import Series

Array = npt.NDArray[np.float64]

FAN = (50, 80, 95)  # per cent of the bands in the picture
PATHS = 20_000  # simulated futures behind an interval
MOST_CELLS = 4_000_000  # simulated values at once; longer horizons take fewer paths


@dataclass(frozen=True)
class Smoothed:
    """A series, its fit, its forecast at the level asked for, the bands of the picture, and its residuals' figures."""

    series: Series
    name: str  # the series' name, or that of the column where there is one series
    fit: Fit
    forecast: Forecast
    bands: Mapping[int, tuple[Array, Array]]  # per cent -> lower, upper
    checks: Diagnostics
    shift: float = 0.0  # added to the forecasts: the mean of the residuals where that is asked for

    @property
    def period(self) -> int:
        """The longest period of the model's season, 1 without one."""
        return self.fit.model.longest if self.fit.model.seasonal != "none" else 1

    @property
    def season_columns(self) -> tuple[str, ...]:
        """Names of the season's columns: season, or season_24 and season_168."""
        model = self.fit.model
        if model.seasonal == "none":
            return ()
        return ("season",) if len(model.periods) == 1 else tuple(f"season_{m}" for m in model.periods)

    @property
    def flagged(self) -> npt.NDArray[np.int64]:
        """Steps that the pictures mark: those the robust recursion cut, or residuals beyond the outer fences."""
        if self.fit.robust is not None:
            return np.flatnonzero(self.fit.robust.flags)
        return np.asarray(self.checks.extreme, np.int64)


def complete(spec: Spec, series: Series, fitted: Fit, fan: bool = True) -> Smoothed:
    """Forecast and checks of a fit; `fan` adds the picture's bands."""
    checks = residual_diagnostics(fitted.residuals, lags=lags(fitted, spec))
    shift = checks.mean if spec.correct and np.isfinite(checks.mean) else 0.0
    draws = draws_of(fitted) if spec.estimated else None
    ahead = _forecast(spec, fitted, spec.level, shift, draws)
    bands = {}
    for level in FAN if fan else ():
        one = ahead if level == spec.level else _forecast(spec, fitted, float(level), shift, draws)
        bands[level] = (one.lower, one.upper)
    return Smoothed(series, series.name or spec.y, fitted, ahead, bands, checks, shift)


def _forecast(spec: Spec, fitted: Fit, level: float, shift: float, draws: Draws | None) -> Forecast:
    """The forecast with its intervals as they were asked for, moved by `shift`."""
    method = {"auto": "auto", "formula": "analytic"}.get(spec.intervals, "simulate")
    if spec.intervals == "auto" and spec.series:  # a simulation of thousands of series only where it is asked for
        method = "analytic"
    # The same seed at every level: the bands come from the same futures, and so lie inside one another.
    generator = np.random.Generator(np.random.PCG64DXSM(spec.seed))
    errors = "bootstrap" if spec.intervals == "resample" else "normal"
    made = forecast(
        fitted, spec.horizon, level, method=method, n_paths=paths_of(spec), generator=generator, errors=errors,
        draws=draws,
    )  # fmt: skip
    median = None if made.median is None else made.median + shift
    return replace(made, point=made.point + shift, lower=made.lower + shift, upper=made.upper + shift, median=median)


def paths_of(spec: Spec) -> int:
    """Simulated futures behind an interval."""
    return max(1000, min(PATHS, MOST_CELLS // spec.horizon))


def how_made(spec: Spec, ahead: Forecast) -> str:
    """How the intervals were made, for a note: "by formula, with normal errors"."""
    if ahead.method != "simulated":
        return "by formula, with normal errors"
    errors = "errors drawn again from the residuals" if spec.intervals == "resample" else "normal errors"
    return f"simulated ({paths_of(spec):,} futures, seed {spec.seed}), with {errors}"


def allowed_for(spec: Spec, every: Sequence[Smoothed]) -> str:
    """Which uncertainty the intervals hold, for a note: they allow for constants, or these are taken as known."""
    known = [one for one in every if one.forecast.known]
    if not known:
        return "they allow for constants, start values and error variance having been estimated"
    if all(all(one.fit.fixed.values()) for one in every):
        return "the constants are those given, and are taken as known"
    if spec.robust or not spec.estimated:
        return "the constants are taken as known" + (", as always in the robust variant" if spec.robust else "")
    if len(every) == 1:
        return "the constants are taken as known, since the series says too little about them"
    allowed = "" if len(known) == len(every) else "they allow for constants having been estimated; "
    return f"{allowed}in {len(known):,} series that say too little about them the constants are taken as known"


def lags(fitted: Fit, spec: Spec) -> int:
    """Lags of Ljung and Box's test: two periods, or ten without a season, and a fifth of the residuals at most."""
    wanted = 2 * spec.period if spec.period > 1 else 10
    return max(1, min(wanted, fitted.n_used // 5))


def season_names(clock: Clock, start: int, m: int) -> tuple[int, list[str]]:
    """(season of the step at grid position `start`, names of the m seasons): months, quarters, hours, or numbers."""
    years, per_year = clock.in_years(start), clock.per_year
    place = clock.origin + clock.step * start
    if per_year == m and years is not None:
        first = round((years - np.floor(years + 1e-9)) * m) % m
        if m == 12:
            return first, list(MONTHS)
        return first, [f"{'Quarter' if m == 4 else 'Half-year' if m == 2 else 'Season'} {k + 1}" for k in range(m)]
    if m == 7 and clock.unit == "day" and clock.step == 1:
        return int(place) % 7, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    if m == 24 and clock.unit == "second" and clock.step == 3600:
        return int(place) // 3600 % 24, [f"{k:02d} h" for k in range(24)]
    return start % m, [f"Season {k + 1}" for k in range(m)]
