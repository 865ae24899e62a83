"""Automatic choice among models by an information criterion, and accuracy by rolling origin beside naive forecasts.

All candidates are fitted to the same values from the first on, with optimal start states (with long seasons: those of
"hyndman"), so that their likelihoods can be compared: absolute errors for additive models, errors relative to the
forecast for multiplicative seasons, as ETS(A,A,A) is compared with ETS(M,A,M). MASE: Hyndman and Koehler (2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Problem, Refused
from templates_engine.smoothing.fitting import fit
from templates_engine.smoothing.intervals.forecasts import forecast
from templates_engine.smoothing.models import Accuracy, Array, Candidate, Model, RollingOrigin, Start
from templates_engine.smoothing.validation import needed, problems

LONG_SEASON = 60  # more seasonal states than this are not optimised for every candidate


def candidates(periods: Sequence[int], seasonal: Sequence[str] = ("additive", "multiplicative")) -> list[Model]:
    """The models tried: without season, with each period, with all of them; each with and without trend, damped."""
    trends = ((False, False), (True, False), (True, True))
    sets = [(m,) for m in periods] + ([tuple(periods)] if len(periods) > 1 else [])
    found = [Model(trend, damped, "none", ()) for trend, damped in trends]
    for chosen in sets:
        for kind in seasonal:
            found += [Model(trend, damped, kind, chosen) for trend, damped in trends]  # type: ignore[arg-type]
    return found


def choose(
    y: npt.ArrayLike,
    periods: Sequence[int] = (),
    criterion: str = "aicc",
    *,
    robust: bool = False,
    k: float = 2.0,
    lam: float = 0.1,
    models: Sequence[Model] | None = None,
) -> list[Candidate]:
    """Every candidate with its criterion ("aic", "aicc" or "bic"), best first; the first is `chosen` if any was fitted.

    robust: robust likelihoods with robust start values instead.
    """
    if criterion not in ("aic", "aicc", "bic"):
        raise ValueError(f"the criterion is aic, aicc or bic, not {criterion}")
    values = np.asarray(y, np.float64)
    tried = list(models) if models is not None else candidates(tuple(periods))
    long = max((sum(m.periods) for m in tried), default=0) > LONG_SEASON
    found = []
    for model in tried:
        relative = model.seasonal == "multiplicative"
        options: dict[str, Any] = {"start": "hyndman" if long else "optimal", "robust": False}
        options["criterion"] = "likelihood" if relative else "sse"
        if robust:
            options = {"start": "robust", "criterion": "roblik", "robust": True, "k": k, "lam": lam}
        faults = [p.message for p in problems(values, model, **options) if p.level == "error"]
        if faults:
            found.append(Candidate(model, None, criterion, math.inf, reason=" ".join(faults)))
            continue
        done = fit(values, model, **options)
        value = float(getattr(done, criterion))
        reason = "" if math.isfinite(value) else "Too few values for the number of its parameters."
        found.append(Candidate(model, done, criterion, value if math.isfinite(value) else math.inf, reason=reason))
    found.sort(key=lambda c: (c.value, bool(c.reason)))
    if found and math.isfinite(found[0].value):
        found[0] = replace(found[0], chosen=True)
    return found


def rolling_origin(
    y: npt.ArrayLike,
    model: Model,
    *,
    horizon: int = 1,
    n_origins: int = 12,
    start: str | Start | None = None,
    correct: bool = False,
    **options: Any,
) -> RollingOrigin:
    """Forecast errors at the last `n_origins` origins, the model fitted anew to the values before each.

    correct: the mean of the residuals known at the origin is added to the forecasts from it.
    options: as for `fit`. An origin is left out where too few values precede it; raises Refused where none is left.
    The naive forecast repeats the last value, the seasonal one that of the same position in the last (longest) period.
    """
    values = np.asarray(y, np.float64)
    lag = model.longest
    names = [model.title, "Naive"] + (["Seasonal naive"] if lag > 1 else [])
    errors: dict[str, list[Array]] = {name: [] for name in names}
    actual, scales = [], []
    last = len(values) - horizon
    for origin in range(max(last - n_origins + 1, needed(model)), last + 1):
        train = values[:origin]
        request = {**options, "start": start} if start is not None else options
        if any(p.level == "error" for p in problems(train, model, **_checked(request))):
            continue
        future = values[origin : origin + horizon]
        fitted = fit(train, model, **request)
        point = forecast(fitted, horizon, method="analytic").point
        errors[model.title].append(future - point - (float(np.nanmean(fitted.residuals)) if correct else 0.0))
        errors["Naive"].append(future - _last(train, 1, horizon))
        if lag > 1:
            errors["Seasonal naive"].append(future - _last(train, lag, horizon))
        actual.append(future)
        with np.errstate(invalid="ignore"):
            step = np.abs(train[lag:] - train[:-lag])
        scales.append(float(np.mean(step[np.isfinite(step)])) if np.isfinite(step).any() else math.nan)
    if not actual:
        message = f"The series is too short for a rolling origin: {len(values)} values, horizon {horizon}."
        raise Refused(Problem("no-origin", message, "horizon"))
    truth, scale = np.array(actual), np.array(scales)[:, None]
    rows = tuple(_accuracy(name, np.array(errors[name]), truth, scale) for name in names)
    return RollingOrigin(rows, horizon, len(actual), {name: _by_horizon(np.array(errors[name])) for name in names})


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `fit` as `problems` takes them."""
    robust = bool(options.get("robust"))
    kept = {name: value for name, value in options.items() if name != "tries" and value is not None}
    kept.setdefault("criterion", "roblik" if robust else "sse")
    kept.setdefault("start", "robust" if robust else "decompose")
    return kept


def _last(train: Array, lag: int, horizon: int) -> Array:
    """The newest value present at the same position of a cycle of `lag`, for each of the next rows; NaN without one."""
    found = np.full(horizon, np.nan)
    for h in range(horizon):
        row = len(train) + h - lag * (1 + h // lag) if lag > 1 else len(train) - 1
        while row >= 0 and np.isnan(train[row]):
            row -= lag
        if row >= 0:
            found[h] = train[row]
    return found


def _accuracy(name: str, errors: Array, truth: Array, scale: Array) -> Accuracy:
    """MAE, RMSE, MAPE (NaN with a zero among the values), MASE of (origins, horizon) errors without the missing."""
    seen = np.isfinite(errors)
    n = int(seen.sum())
    if n == 0:
        return Accuracy(name, math.nan, math.nan, math.nan, math.nan, 0)
    e, absolute = errors[seen], np.abs(errors)
    zero = bool((truth[seen] == 0).any())
    mape = math.nan if zero else float(100 * np.mean(np.abs(e / truth[seen])))
    usable = bool(np.all(scale > 0))
    mase = float(np.mean((absolute / np.where(scale > 0, scale, np.nan))[seen])) if usable else math.nan
    return Accuracy(name, float(np.mean(np.abs(e))), math.sqrt(float(np.mean(e**2))), mape, mase, n)


def _by_horizon(errors: Array) -> Array:
    """(horizon,) RMSE over origins, NaN where none was seen."""
    seen = np.isfinite(errors)
    total = np.sum(np.where(seen, errors, 0.0) ** 2, axis=0)
    with np.errstate(invalid="ignore"):
        found: Array = np.sqrt(total / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan))
    return found
