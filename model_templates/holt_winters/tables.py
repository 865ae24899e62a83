"""The tables and datasets of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from templates_engine import Cell, Dataset, Table, table_from
from templates_engine.figures import number
from templates_engine.smoothing import RollingOrigin, SeasonTrend

from .smoothed import Smoothed, allowed_for, how_made
from .spec import Spec
from .timeline import Timeline

MEANINGS = {"alpha": "level", "beta": "trend", "gamma": "season", "phi": "damping of the trend"}


def cell(value: float | int | None) -> Cell:
    """A number for a table; what is not finite has no meaning."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int | np.integer) else float(value)


def constants(spec: Spec, one: Smoothed) -> list[dict[str, Cell]]:
    """alpha, beta, gamma (gamma_24, gamma_168 with several periods), phi, with whether each was given."""
    found: list[dict[str, Cell]] = []
    periods = one.fit.model.periods
    for name, value in one.fit.constants.named().items():
        shown, stem = name, name.rstrip("0123456789")
        meaning = f"smoothing constant of the {MEANINGS[stem]}"
        if stem == "gamma" and len(periods) > 1:
            shown = f"gamma_{periods[int(name.removeprefix('gamma')) - 1]}"
            meaning += f", period {shown.removeprefix('gamma_')}"
        found.append({"parameter": shown, "value": value, "fixed": _yes(one.fit.fixed[name]),
                      "meaning": "damping of the trend" if stem == "phi" else meaning})  # fmt: skip
    return found


def _yes(value: bool) -> str:
    return "Yes" if value else "No"


def coefficients(spec: Spec, line: Timeline, every: Sequence[Smoothed]) -> Table:
    """Constants, start values and last states; of several series the constants alone."""
    if spec.series:
        records = [{"series": one.name, **record} for one in every for record in constants(spec, one)]
        return table_from(
            ("series", "parameter", "value", "fixed"), records, title="Smoothing constants of each series"
        )
    (one,) = every
    fit = one.fit
    free = "No" if fit.start.kind == "optimal" else "Yes"
    records = constants(spec, one)
    first = line.words(one.series.start + fit.start.first)
    records.append(_state("l_start", fit.start.level, free, f"level before {first}"))
    if fit.model.trend:
        records.append(_state("b_start", fit.start.trend, free, f"trend before {first}"))
    n = len(fit.y)
    for m, values in zip(fit.model.periods, fit.start.seasons, strict=False):
        mark = "" if len(fit.model.periods) == 1 else f"{m}_"
        for k in range(m):
            row = fit.start.first + k
            when = line.words(one.series.start + row)
            records.append(_state(f"s_start{mark}{k + 1}", values[row % m], free, f"season at {when}, at the start"))
    last = line.words(one.series.start + n - 1)
    records.append(_state("a", fit.last_level, None, f"level after {last}"))
    if fit.model.trend:
        records.append(_state("b", fit.last_trend, None, f"trend after {last}, a step"))
    for m, values in zip(fit.model.periods, fit.last_seasons, strict=False):
        mark = "" if len(fit.model.periods) == 1 else f"{m}_"
        for k in range(m):
            when = line.words(one.series.start + n + k)
            records.append(_state(f"s{mark}{k + 1}", values[(n + k) % m], None, f"season for {when}"))
    notes = (
        (
            f"{fit.model.title}. Start values: {fit.start.kind}. Fixed: Yes where a value was given or worked out "
            "before the fit, No where it was chosen by it."
        ),
        (
            "l_start, b_start and s_start are the states before the first fitted value; a, b and s1, s2, … those after "
            "the last value, s1 for the first step ahead, as R names them."
        ),
    )
    return table_from(("parameter", "value", "fixed", "meaning"), records, title="Constants and states", notes=notes)


def _state(name: str, value: float, fixed: str | None, meaning: str) -> dict[str, Cell]:
    return {"parameter": name, "value": cell(float(value)), "fixed": fixed, "meaning": meaning}


FIT = (
    "series", "n", "n_used", "sse", "mse", "rmse", "mae", "mape", "mase", "aic", "aicc", "bic", "sigma", "n_outliers",
    "at_bound", "converged", "status", "model",
)  # fmt: skip


def fit_record(one: Smoothed) -> dict[str, Cell]:
    """One row of the table Fit."""
    fit = one.fit
    record: dict[str, Cell] = {
        "series": one.name,
        "model": fit.model.title,
        "n": int(np.isfinite(fit.y).sum()),
        "n_used": fit.n_used,
        "n_outliers": len(one.flagged),
        "at_bound": ", ".join(fit.at_bound) or None,
        "converged": _yes(fit.converged),
        "status": "fitted",
    }
    for name in ("sse", "mse", "rmse", "mae", "mape", "mase", "aic", "aicc", "bic", "sigma"):
        record[name] = cell(getattr(fit, name))
    return record


def fit_table(spec: Spec, records: Sequence[Mapping[str, Cell]]) -> Table:
    """The worst series first: those that failed, then by falling MASE."""

    def worst(record: Mapping[str, Cell]) -> tuple[int, float]:
        mase = record.get("mase")
        return (0, 0.0) if record["status"] != "fitted" else (1, -float(mase)) if mase is not None else (2, 0.0)

    scale = f"seasonal naive forecast (period {spec.period})" if spec.period > 1 else "naive forecast"
    notes = [
        (
            f"Errors are those of forecasts one step ahead within the series. MASE is the mean absolute error in units "
            f"of that of the {scale}. AIC is n log(SSE) + 2p."
        ),
    ]
    if spec.robust:
        notes.append("Robust fits: AIC is the robust −2 log likelihood + 2p, and sigma the last scale.")
    title = "Fit of each series, the worst first by MASE" if spec.series else "Fit"
    columns: tuple[str, ...] = FIT
    if spec.series and spec.method != "Automatic":  # one model for all, told once
        columns = FIT[:-1]
        notes.append(f"Model: {next((r['model'] for r in records if r.get('model')), '')}.")
    if any(record["status"] != "fitted" for record in records):  # why a series failed stands beside its name
        columns = ("series", "status", *(c for c in columns if c not in ("series", "status")))
    return table_from(columns, sorted(records, key=worst), title=title, notes=tuple(notes))


def fitted_columns(spec: Spec, every: Sequence[Smoothed]) -> list[str]:
    seasons = list(dict.fromkeys(name for one in every for name in one.season_columns))
    trend = ["trend"] if any(one.fit.model.trend for one in every) else []
    cleaned = ["cleaned", "outlier"] if spec.robust else []
    return ["observed", "fitted", "residual", "level", *trend, *seasons, *cleaned]


def fitted_arrays(spec: Spec, one: Smoothed) -> dict[str, np.ndarray]:
    """What the recursion made of each step, (n,) each."""
    fit = one.fit
    found = {"observed": fit.y, "fitted": fit.fitted, "residual": fit.residuals, "level": fit.levels}
    if fit.model.trend:
        found["trend"] = fit.trends
    found |= {name: fit.seasons[:, k] for k, name in enumerate(one.season_columns)}
    if fit.robust is not None:
        found |= {"cleaned": fit.robust.cleaned, "outlier": fit.robust.flags.astype(float)}
    return found


def _times(line: Timeline, one: Smoothed, first: int, count: int) -> list[str | float]:
    return [line.time(one.series.start + first + k) for k in range(count)]


def fitted_table(spec: Spec, line: Timeline, every: Sequence[Smoothed], note: str = "") -> Table:
    """A row a time: observed, fitted, residual and the components in force."""
    names = fitted_columns(spec, every)
    lead = ["series", "time"] if spec.series else ["time"]
    rows: list[tuple[Cell, ...]] = []
    for one in every:
        arrays = fitted_arrays(spec, one)
        empty = np.full(len(one.fit.y), np.nan)
        columns = [_cells(arrays.get(name, empty)) for name in names]
        times = _times(line, one, 0, len(one.fit.y))
        before = [[one.name] * len(times), times] if spec.series else [times]
        rows += list(zip(*before, *columns, strict=True))
    notes = (
        (
            "Level and trend are those after the row, the season that in force when the row was forecast. A missing "
            "value has no residual."
        ),
    )
    return Table((*lead, *names), tuple(rows), "Observed and fitted values", (*notes, *([note] if note else [])))


def _cells(values: np.ndarray) -> list[Cell]:
    return [value if value == value else None for value in values.tolist()]


def forecast_table(spec: Spec, line: Timeline, every: Sequence[Smoothed]) -> Table:
    """h, time, point, lower, upper, and the median where the limits are not about the point; the series first where
    there are several."""
    middle = ("median",) if all(one.forecast.median is not None for one in every) else ()
    rows: list[tuple[Cell, ...]] = []
    for one in every:
        ahead = one.forecast
        times = _times(line, one, len(one.fit.y), spec.horizon)
        cells = [_cells(np.asarray(c, float)) for c in (ahead.point, ahead.lower, ahead.upper)]
        if middle:
            cells.append(_cells(np.asarray(ahead.median, float)))
        columns: list[Sequence[Cell]] = [[int(h) for h in ahead.h], times, *cells]
        rows += list(zip(*([[one.name] * spec.horizon] if spec.series else []), *columns, strict=True))
    made = how_made(spec, every[0].forecast)
    notes = [f"{spec.level:g}% prediction intervals, {made}; {allowed_for(spec, every)}."]
    if not every[0].forecast.known:
        notes.append(
            "They lie about the mean over all constants that the series leaves possible, not about the point; median: "
            "the middle of that distribution."
        )
    if spec.correct and spec.series:
        notes.append("The mean of each series' residuals is added to its forecasts.")
    elif spec.correct:
        notes.append(f"The mean of the residuals, {number(every[0].shift)}, is added to the forecasts.")
    lead = ("series",) if spec.series else ()
    title = f"Forecast with {spec.level:g}% prediction intervals"
    return Table((*lead, "h", "time", "point", "lower", "upper", *middle), tuple(rows), title, tuple(notes))


def outliers_table(spec: Spec, line: Timeline, every: Sequence[Smoothed]) -> Table:
    """Values that the robust recursion cut, and residuals beyond the fences; of each series the largest first."""
    records: list[dict[str, Cell]] = []
    for one in every:
        fit, checks = one.fit, one.checks
        fence = dict.fromkeys(map(int, checks.mild), "inner") | dict.fromkeys(map(int, checks.extreme), "outer")
        cut = set(map(int, np.flatnonzero(fit.robust.flags))) if fit.robust is not None else set()
        for row in sorted(set(fence) | cut, key=lambda r: -abs(float(fit.residuals[r]))):
            record: dict[str, Cell] = {
                "time": line.time(one.series.start + row),
                "observed": cell(float(fit.y[row])),
                "fitted": cell(float(fit.fitted[row])),
                "residual": cell(float(fit.residuals[row])),
                "fence": fence.get(row),
            }
            if spec.series:
                record["series"] = one.name
            if fit.robust is not None:
                record["cut"] = _yes(row in cut)
                record["replaced_by"] = cell(float(fit.robust.cleaned[row])) if row in cut else None
            records.append(record)
    columns = [*(["series"] if spec.series else []), "time", "observed", "fitted", "residual", "fence"]
    notes = ["Fence: the inner fences lie 1.5 interquartile ranges beyond the quartiles of the residuals, the outer 3."]
    if spec.robust:
        columns += ["cut", "replaced_by"]
        notes.append(f"Cut: the value lay more than k = {spec.k:g} scales from its forecast; the recursion went on "
                     "with the value in replaced_by.")  # fmt: skip
    return table_from(columns, records, title="Outliers", notes=tuple(notes))


def diagnostics_table(spec: Spec, every: Sequence[Smoothed]) -> Table:
    """Figures of the residuals: a row each, or with several series a row a series."""
    if spec.series:
        names = ("n", "mean", "sd", "mean_p", "durbin_watson", "runs", "runs_z", "runs_p", "ljung_box_lag", "ljung_box",
                 "ljung_box_p", "jarque_bera", "jarque_bera_p", "shapiro", "shapiro_p")  # fmt: skip
        records = []
        for one in every:
            record: dict[str, Cell] = {"series": one.name}
            record |= {name: cell(getattr(one.checks, name)) for name in names}
            record |= {
                "beyond_inner": len(one.checks.mild) + len(one.checks.extreme),
                "beyond_outer": len(one.checks.extreme),
            }
            records.append(record)
        columns = ("series", *names, "beyond_inner", "beyond_outer")
        return table_from(columns, records, title="Residuals of each series")
    checks = every[0].checks
    rows: list[tuple[Cell, ...]] = [
        ("n", checks.n, None, "residuals"),
        ("mean", cell(checks.mean), cell(checks.mean_p), "should be near 0; p of a t test"),
        ("sd", cell(checks.sd), None, "divisor n − 1"),
        ("durbin_watson", cell(checks.durbin_watson), None, "near 2 without autocorrelation at lag 1; descriptive"),
        ("runs", checks.runs, None, f"runs about the median: {checks.n_above} at or above it, {checks.n_below} below"),
        ("runs_z", cell(checks.runs_z), cell(checks.runs_p), "Wald and Wolfowitz, without continuity correction"),
        ("ljung_box", cell(checks.ljung_box), cell(checks.ljung_box_p), f"{checks.ljung_box_lag} lags"),
        ("jarque_bera", cell(checks.jarque_bera), cell(checks.jarque_bera_p), "normality by skewness and kurtosis"),
        ("shapiro_wilk", cell(checks.shapiro), cell(checks.shapiro_p), "normality"),
        ("q1", cell(checks.q1), None, "first quartile, linear interpolation"),
        ("median", cell(checks.median), None, None),
        ("q3", cell(checks.q3), None, "third quartile"),
        ("lower_inner_fence", cell(checks.inner[0]), None, "q1 − 1.5 IQR"),
        ("upper_inner_fence", cell(checks.inner[1]), None, "q3 + 1.5 IQR"),
        ("lower_outer_fence", cell(checks.outer[0]), None, "q1 − 3 IQR"),
        ("upper_outer_fence", cell(checks.outer[1]), None, "q3 + 3 IQR"),
        ("beyond_inner", len(checks.mild) + len(checks.extreme), None, "residuals outside the inner fences"),
        ("beyond_outer", len(checks.extreme), None, "of them outside the outer fences"),
    ]
    return Table(("statistic", "value", "p", "meaning"), tuple(rows), "Residuals of forecasts one step ahead")


def accuracy_table(found: RollingOrigin, title: str, corrected: bool = False) -> Table:
    """The model beside the naive forecasts."""
    records = [
        {"method": row.method, "mae": cell(row.mae), "rmse": cell(row.rmse), "mape": cell(row.mape),
         "mase": cell(row.mase), "n": row.n}
        for row in found.rows
    ]  # fmt: skip
    notes = [f"{found.n_origins} origins, {found.horizon} steps ahead from each, fitted anew at each origin."]
    if corrected:
        notes.append("The mean of the residuals known at an origin is added to the forecasts from it.")
    return table_from(("method", "mae", "rmse", "mape", "mase", "n"), records, title=title, notes=tuple(notes))


def trends_table(trends: Sequence[SeasonTrend]) -> Table:
    """y = a exp(b t) of each season, t in cycles from the first."""
    records = [
        {"season": t.name, "n": len(t.values), "a": t.a, "b": t.b,
         "growth_percent": 100 * math.expm1(t.b) if t.b is not None else None, "r2_log": t.r2}
        for t in trends
    ]  # fmt: skip
    notes = ("y = a·exp(b·t), t counted in cycles from 0, by least squares on the log scale; R² is on that scale.",)
    columns = ("season", "n", "a", "b", "growth_percent", "r2_log")
    return table_from(columns, records, title="Exponential trend of each season", notes=notes)


def fitted_dataset(spec: Spec, line: Timeline, every: Sequence[Smoothed], name: str) -> Dataset:
    names = fitted_columns(spec, every)
    columns: dict[str, np.ndarray] = _keys(spec, line, every, [range(len(one.fit.y)) for one in every])
    stacked = [fitted_arrays(spec, one) for one in every]
    for column in names:
        parts = [a.get(column, np.full(len(one.fit.y), np.nan)) for a, one in zip(stacked, every, strict=True)]
        columns[_free(spec.y if column == "observed" else column, columns)] = np.concatenate(parts)
    return Dataset(name, columns, notes=(f"Fitted values of {spec.y} by HoltWinters.",))


def forecast_dataset(spec: Spec, line: Timeline, every: Sequence[Smoothed], name: str) -> Dataset:
    steps = [range(len(one.fit.y), len(one.fit.y) + spec.horizon) for one in every]
    columns = _keys(spec, line, every, steps)
    columns[_free("h", columns)] = np.concatenate([np.asarray(one.forecast.h, float) for one in every])
    parts = ("point", "lower", "upper")
    for part in (*parts, "median") if all(one.forecast.median is not None for one in every) else parts:
        columns[_free(part, columns)] = np.concatenate([getattr(one.forecast, part) for one in every])
    return Dataset(name, columns, notes=(f"Forecast of {spec.y} by HoltWinters, {spec.level:g}% intervals.",))


def _keys(spec: Spec, line: Timeline, every: Sequence[Smoothed], steps: Sequence[range]) -> dict[str, np.ndarray]:
    """The columns that say which series and which time a row is of, under the names they have in the data."""
    columns: dict[str, np.ndarray] = {}
    if spec.series:
        columns[spec.series] = np.repeat(np.array([one.name for one in every]), [len(s) for s in steps])
    times = [line.time(one.series.start + k) for one, some in zip(every, steps, strict=True) for k in some]
    columns[spec.time or "t"] = np.array(times)
    return columns


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, or the name with an underscore where a column of the data has it already."""
    return name if name not in taken else _free(name + "_", taken)
