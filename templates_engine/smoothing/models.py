"""What exponential smoothing speaks of: the model, its constants, its start and what fits, forecasts and panels hold.

Constants follow R's HoltWinters: alpha moves the level, beta the trend, gamma the season by the *new* level.
Times are row numbers from 0; NaN in a series is a missing value. No kernel and no file is touched here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Gamma = float | list[float | None] | tuple[float | None, ...] | None  # one number, or one a period; None: estimated
Seasonal = Literal["none", "additive", "multiplicative"]
StartKind = Literal["decompose", "hyndman", "regression", "backcast", "optimal", "robust", "user"]

STARTS: tuple[str, ...] = ("decompose", "hyndman", "regression", "backcast", "optimal", "robust")
CRITERIA: tuple[str, ...] = ("sse", "mae", "likelihood")
ROBUST_CRITERIA: tuple[str, ...] = ("roblik", "tau2")
PHI_RANGE = (0.8, 0.98)  # the usual range of the damping constant: below it the trend is gone at once


@dataclass(frozen=True)
class Model:
    """Which components the series has. periods: () for no season, one number, or several seasons at once."""

    trend: bool = True
    damped: bool = False
    seasonal: Seasonal = "additive"
    periods: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """The longest period, 1 without a season."""
        return max(self.periods, default=1)

    @property
    def relative(self) -> bool:
        """Whether robust errors are relative to the forecast (multiplicative seasons)."""
        return self.seasonal == "multiplicative"

    @property
    def title(self) -> str:
        """The usual name: simple exponential smoothing, Holt, Holt-Winters."""
        damped = "damped " if self.damped else ""
        if self.seasonal == "none":
            return f"{damped}Holt".replace("damped H", "Damped H") if self.trend else "Simple exponential smoothing"
        trend = "" if self.trend else " without trend"
        season = " and ".join(str(m) for m in self.periods)
        return f"{damped}Holt-Winters, {self.seasonal}".replace("damped H", "Damped H") + f"{trend}, period {season}"


@dataclass(frozen=True)
class Constants:
    """Smoothing constants, None where the model has no such component; one gamma a period."""

    alpha: float
    beta: float | None = None
    gamma: tuple[float, ...] = ()
    phi: float | None = None

    def named(self) -> dict[str, float]:
        """By name: alpha, beta, phi, gamma (gamma1, gamma2, ... with several periods)."""
        found = {"alpha": self.alpha}
        if self.beta is not None:
            found["beta"] = self.beta
        if len(self.gamma) == 1:
            found["gamma"] = self.gamma[0]
        else:
            found.update({f"gamma{i + 1}": g for i, g in enumerate(self.gamma)})
        if self.phi is not None:
            found["phi"] = self.phi
        return found


@dataclass(frozen=True)
class Start:
    """The states before the first fitted value.

    level, trend (0 without one); seasons: one array (m,) a period, entry p is for rows t with t mod m == p;
    first: row of the first fitted value; sigma: first scale of the robust recursion (relative errors if
    multiplicative), None where it is to be worked out.
    """

    kind: StartKind
    level: float
    trend: float = 0.0
    seasons: tuple[Array, ...] = ()
    first: int = 0
    sigma: float | None = None


@dataclass(frozen=True)
class Robust:
    """What the robust recursion adds: scale after each value, cleaned values, flags |e / sigma_t| > k (all (n,))."""

    k: float
    lam: float
    criterion: str
    objective: float  # robust -2 log likelihood, or tau^2
    tau2: float
    scale: Array
    cleaned: Array
    flags: Flags


@dataclass(frozen=True)
class Fit:
    """A fitted series. Arrays are (n,), NaN before the first fitted value; seasons: (n, number of periods), the index
    in force when the row was forecast; levels and trends are those *after* the row's update, as the last states are.
    """

    y: Array
    model: Model
    constants: Constants
    fixed: Mapping[str, bool]  # by Constants.named()
    start: Start
    fitted: Array
    residuals: Array
    levels: Array
    trends: Array
    seasons: Array
    last_level: float
    last_trend: float
    last_seasons: tuple[Array, ...]  # like Start.seasons, after the last row
    n_used: int  # residuals that are not missing
    n_parameters: int  # free constants + free start states + 1 (robust: free constants)
    sse: float
    mse: float
    rmse: float
    mae: float
    mape: float
    mase: float
    aic: float
    aicc: float
    bic: float
    sigma: float  # sd of one-step errors (divisor n - 1, mean removed); robust: the last scale
    at_bound: tuple[str, ...]
    n_starts: int
    converged: bool
    criterion: str = "sse"
    robust: Robust | None = None


@dataclass(frozen=True)
class Forecast:
    """Point forecasts and limits, arrays (horizon,). method: "analytic" or "simulated".

    known: the limits take constants, start values and sigma as known; else they allow for their being estimated, lie
    about the mean over these, and `median` is there.
    """

    h: Whole
    point: Array
    lower: Array
    upper: Array
    sd: Array
    level: float
    method: str
    known: bool = True
    median: Array | None = None  # of the distribution of which the limits are quantiles, where that is not about point


@dataclass(frozen=True)
class Panel:
    """Many series fitted alike: arrays with a row a series (NaN where status is not "")."""

    model: Model
    start: str
    constants: Array  # (series, columns)
    names: tuple[str, ...]  # of the columns: alpha, beta, gamma..., phi
    sse: Array
    mse: Array
    rmse: Array
    mae: Array
    mape: Array
    mase: Array
    aic: Array
    aicc: Array
    bic: Array
    sigma: Array
    n_used: Whole
    converged: Flags
    at_bound: Flags  # (series, columns)
    n_outliers: Whole  # robust only, else 0
    status: tuple[str, ...]  # "" or why the series could not be fitted
    last_level: Array
    last_trend: Array
    last_seasons: tuple[Array, ...]  # one (series, m) a period; entry p is for rows with t mod m == p
    lengths: Whole
    robust: bool = False
    criterion: str = "sse"
    fixed: Mapping[str, bool] = field(default_factory=dict)  # by `names`


@dataclass(frozen=True)
class PanelForecast:
    """Forecasts of a panel: arrays (series, horizon), NaN for series that could not be fitted."""

    h: Whole
    point: Array
    lower: Array
    upper: Array
    sd: Array
    level: float


@dataclass(frozen=True)
class Candidate:
    """One model tried by the automatic choice; reason: why it could not be tried, else ""."""

    model: Model
    fit: Fit | None
    criterion: str
    value: float
    chosen: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Accuracy:
    """Errors of one method over all origins and horizons (mape, mase NaN where they are not defined)."""

    method: str
    mae: float
    rmse: float
    mape: float
    mase: float
    n: int


@dataclass(frozen=True)
class RollingOrigin:
    """Accuracy over rolling origins, the model beside naive forecasts; by_horizon: method -> (horizon,) RMSE."""

    rows: tuple[Accuracy, ...]
    horizon: int
    n_origins: int
    by_horizon: Mapping[str, Array] = field(default_factory=dict)
