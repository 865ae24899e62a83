"""The smoothing methods as the template calls them: fit, forecast, many series, choice, accuracy, diagnostics, checks.

    y         (n,) floats, NaN for a missing value: the forecast is carried forward and no state is updated
    constants alpha, beta, gamma, phi: a number fixes it, None leaves it to be estimated
              (gamma: one number, or one a period)

Sources: Holt (1957), Winters (1960), Gardner and McKenzie (1985, damped trend), Taylor (2003, several seasons),
Gelper, Fried and Croux (2010, robust), Hyndman, Koehler, Ord and Snyder (2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.smoothing.fitting import ROBUST_TRIES as ROBUST_TRIES, TRIES as TRIES, fit as fit
    from templates_engine.smoothing.intervals.forecasts import forecast as forecast
    from templates_engine.smoothing.intervals.sampled import Draws as Draws, draws_of as draws_of
    from templates_engine.smoothing.models import (
        Candidate as Candidate,
        Constants as Constants,
        Fit as Fit,
        Forecast as Forecast,
        Model as Model,
        Panel as Panel,
        RollingOrigin as RollingOrigin,
        Start as Start,
    )
    from templates_engine.smoothing.panel import fit_many as fit_many, forecast_many as forecast_many
    from templates_engine.smoothing.residuals import (
        Diagnostics as Diagnostics,
        residual_diagnostics as residual_diagnostics,
    )
    from templates_engine.smoothing.selection import choose as choose, rolling_origin as rolling_origin
    from templates_engine.smoothing.trends import SeasonTrend as SeasonTrend, season_trends as season_trends
    from templates_engine.smoothing.validation import (
        constant_problems as constant_problems,
        forecastable_radius as forecastable_radius,
        needed as needed,
        problems as problems,
        series_problems as series_problems,
    )

__getattr__, __all__ = lazily(__name__, __file__)
