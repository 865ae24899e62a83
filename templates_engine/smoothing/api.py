"""The smoothing methods as the template calls them: fit, forecast, many series, choice, accuracy, diagnostics, checks.

    y         (n,) floats, NaN for a missing value: the forecast is carried forward and no state is updated
    constants alpha, beta, gamma, phi: a number fixes it, None leaves it to be estimated
              (gamma: one number, or one a period)

Sources: Holt (1957), Winters (1960), Gardner and McKenzie (1985, damped trend), Taylor (2003, several seasons),
Gelper, Fried and Croux (2010, robust), Hyndman, Koehler, Ord and Snyder (2008).
"""

from __future__ import annotations

from model_templates.holt_winters.checking import forecastable_radius, problems
from model_templates.holt_winters.choosing import choose, rolling_origin
from model_templates.holt_winters.fitting import fit
from model_templates.holt_winters.intervals import forecast
from model_templates.holt_winters.models import (
    CRITERIA,
    PHI_RANGE,
    ROBUST_CRITERIA,
    STARTS,
    Accuracy,
    Candidate,
    Constants,
    Fit,
    Forecast,
    Model,
    Panel,
    PanelForecast,
    Robust,
    RollingOrigin,
    Start,
)
from model_templates.holt_winters.panel import fit_many, forecast_many
from model_templates.holt_winters.residuals import Diagnostics, residual_diagnostics

__all__ = [
    "CRITERIA",
    "PHI_RANGE",
    "ROBUST_CRITERIA",
    "STARTS",
    "Accuracy",
    "Candidate",
    "Constants",
    "Diagnostics",
    "Fit",
    "Forecast",
    "Model",
    "Panel",
    "PanelForecast",
    "Robust",
    "RollingOrigin",
    "Start",
    "choose",
    "fit",
    "fit_many",
    "forecast",
    "forecast_many",
    "forecastable_radius",
    "problems",
    "residual_diagnostics",
    "rolling_origin",
]
