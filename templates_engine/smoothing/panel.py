"""Many series fitted alike, in compiled code and several threads.

Each series goes through the very kernel of a single fit, so that with the same `tries` a panel's row equals the fit of
that series alone, whatever the number of threads. A series that cannot be fitted gets its reason in `status` and NaN
elsewhere; the others go on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Refused
from templates_engine.smoothing.fit_kernel import fit_rows
from templates_engine.smoothing.fitting import criterion_code, information, minus_two_log
from templates_engine.smoothing.intervals.forecasts import limits, mixed, relative_sd, tails, unit_variance
from templates_engine.smoothing.intervals.sampled import Draws, begin_of, drawn, estimates, layout_of
from templates_engine.smoothing.layout import AT_BOUND, START_CODES, Layout, layout
from templates_engine.smoothing.models import Array, Constants, Gamma, Model, Panel, PanelForecast, Whole
from templates_engine.smoothing.recursions import ahead
from templates_engine.smoothing.robust import ROBLIK, TAU2
from templates_engine.smoothing.validation import (
    constant_problems,
    model_problems,
    needed,
    option_problems,
    series_problems as reasons,
)

TRIES, ROBUST_TRIES = 5, 2  # a single fit follows more places; with the same `tries` the two agree
CHUNK = 64  # series a thread takes at a time; between chunks a stop is noticed


def fit_many(
    series: npt.ArrayLike | Sequence[npt.ArrayLike],
    model: Model,
    *,
    start: str | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: Gamma = None,
    phi: float | None = None,
    criterion: str | None = None,
    robust: bool = False,
    k: float = 2.0,
    lam: float = 0.1,
    allow_inadmissible: bool = False,
    tries: int | None = None,
    threads: int | None = None,
    advance: Callable[[int, int], bool] | None = None,
) -> Panel:
    """Fit `model` to every series: an array (series, n) or a sequence of arrays of any lengths, NaN for missing values.

    Options as for `fit` (tries: None takes 5, robust 2). threads: None takes the processors this process may use.
    advance(done, total) is called now
    and then; when it returns True the fitting stops and the series not reached have the status "stopped".
    Raises Refused for faults of the request; faults of single series are in `Panel.status`.
    """
    start = start or ("robust" if robust else "decompose")
    criterion = criterion or ("roblik" if robust else "sse")
    tries = tries or (ROBUST_TRIES if robust else TRIES)
    request = model_problems(model) + option_problems(model, start, criterion, robust, k, lam)
    request += constant_problems(model, alpha, beta, gamma, phi, allow_inadmissible)
    if faults := [p for p in request if p.level == "error"]:
        raise Refused(faults)
    if isinstance(series, np.ndarray) and series.ndim == 2:
        values = np.ascontiguousarray(series, np.float64).ravel()
        lengths = np.full(len(series), series.shape[1], np.int64)
    else:
        rows = [np.asarray(y, np.float64) for y in series]  # type: ignore[union-attr]
        values = np.concatenate([*rows, np.zeros(0)])
        lengths = np.array([len(y) for y in rows], np.int64)
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    lay = layout(model, alpha, beta, gamma, phi)
    total = len(lengths)
    z, last = np.full((total, lay.size), np.nan), np.full((total, lay.size), np.nan)
    found, whole = np.full((total, 9), np.nan), np.zeros((total, 5), np.int64)
    whole[:, 0] = -2
    settings = (math.nan, float(k), float(lam), TAU2 if criterion == "tau2" else ROBLIK)

    def work(low: int) -> None:
        fit_rows(
            values, begins, low, min(low + CHUNK, total), lay.constants, lay.periods, lay.offsets, lay.kind,
            model.trend, START_CODES[start], 0, criterion_code(criterion, lay.kind), settings, lay.columns(start),
            lay.lower, lay.upper, tries, needed(model), model.longest, z, last, found, whole,
        )  # fmt: skip

    _spread(work, total, threads or len(os.sched_getaffinity(0)), advance)
    return _panel(model, lay, start, criterion, robust, values, begins, lengths, z, last, found, whole)


def _spread(work: Callable[[int], None], total: int, threads: int, advance: Callable[[int, int], bool] | None) -> None:
    """Do the chunks in `threads` threads (the kernels hold no interpreter lock)."""
    chunks = range(0, total, CHUNK)
    stopped = False
    if threads <= 1:
        for low in chunks:
            if not stopped:
                work(low)
                stopped = advance is not None and advance(min(low + CHUNK, total), total)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, low) for low in chunks]
        for i, future in enumerate(futures):
            if future.cancelled():
                continue
            future.result()
            if advance is not None and not stopped and advance(min((i + 1) * CHUNK, total), total):
                stopped = True
                for other in futures[i + 1 :]:
                    other.cancel()


def _panel(
    model: Model, lay: Layout, start: str, criterion: str, robust: bool, values: Array, begins: Whole, lengths: Whole,
    z: Array, last: Array, found: Array, whole: Whole,
) -> Panel:  # fmt: skip
    """Arrays of results from the kernel's."""
    entries = list(lay.entries().values())
    lead = whole[:, 0]
    status = []
    for i in range(len(lengths)):
        if lead[i] >= 0:
            status.append("")
        elif lead[i] == -2:
            status.append("stopped")
        else:
            status.append(" ".join(p.message for p in reasons(values[begins[i] : begins[i + 1]], model)))
    n = np.where(lead >= 0, found[:, 0], 0).astype(np.int64)
    free = len(lay.columns("decompose"))
    parameters = free if robust else free + 1 + lay.start_states()
    info = np.full((len(lengths), 3), np.nan)
    for i in np.flatnonzero(lead >= 0).tolist():
        two_log = minus_two_log(criterion, found[i, 6], found[i, 1], int(n[i]))
        info[i] = information(two_log, parameters, int(n[i]))
    near = AT_BOUND * (lay.upper[entries] - lay.lower[entries])
    free_entries = lay.upper[entries] > lay.lower[entries]
    estimates = z[:, entries]
    bound = ((estimates - lay.lower[entries] <= near) | (lay.upper[entries] - estimates <= near)) & free_entries
    flat = last[:, lay.constants + 2 :]
    seasons = []
    for m, at in zip(lay.periods, lay.offsets, strict=True):
        turned = (np.arange(m)[None, :] - np.maximum(lead, 0)[:, None]) % m  # from the kernel's rows to the series'
        seasons.append(np.take_along_axis(flat[:, at : at + m], turned, axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        mse, mae = found[:, 1] / n, found[:, 2] / n
    return Panel(
        model=model,
        start=start,
        constants=estimates,
        names=tuple(lay.entries()),
        sse=found[:, 1],
        mse=mse,
        rmse=np.sqrt(mse),
        mae=mae,
        mape=found[:, 3],
        mase=found[:, 4],
        aic=info[:, 0],
        aicc=info[:, 1],
        bic=info[:, 2],
        sigma=found[:, 7] if robust else found[:, 5],
        n_used=n,
        converged=whole[:, 2].astype(np.bool_),
        at_bound=bound,
        n_outliers=whole[:, 3],
        status=tuple(status),
        last_level=last[:, lay.constants],
        last_trend=last[:, lay.constants + 1],
        last_seasons=tuple(seasons),
        lengths=lengths,
        robust=robust,
        criterion=criterion,
        fixed=lay.fixed,
    )


def forecast_many(
    panel: Panel, horizon: int, level: float = 95.0, *, series: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None
) -> PanelForecast:
    """Forecasts of every series of a panel, `horizon` rows beyond each one's last, intervals by formula.

    series: those that the panel was fitted to; given them, the intervals allow for the constants and start values
    having been estimated, as those of a single series do (not of a robust panel: see sampled.py).
    """
    model, total = panel.model, len(panel.status)
    lay = layout(model, None, None, None, None)
    point, sd = np.full((total, horizon), np.nan), np.full((total, horizon), np.nan)
    season = np.concatenate([*panel.last_seasons, np.zeros((total, 0))], axis=1)
    totals = np.empty(horizon)
    for i in np.flatnonzero([s == "" for s in panel.status]).tolist():
        constants = _constants(panel, int(i))
        ahead(
            int(panel.lengths[i]), panel.last_level[i], panel.last_trend[i], season[i], lay.periods, lay.offsets,
            lay.kind, 1.0 if constants.phi is None else constants.phi, point[i], totals,
        )  # fmt: skip
        if panel.robust and model.relative:
            sd[i] = relative_sd(model, constants, float(panel.sigma[i]), point[i], totals)
        else:
            ratio = totals if model.seasonal == "multiplicative" else None
            sd[i] = panel.sigma[i] * np.sqrt(unit_variance(model, constants, horizon, ratio))
    lower, upper = limits(point, sd, level)
    if series is not None and not panel.robust and not all(panel.fixed.values()):
        for i, y in enumerate(series):  # type: ignore[arg-type]
            draws = _draws(panel, i, np.asarray(y, np.float64)) if panel.status[i] == "" else None
            if draws is not None:
                sd[i], (lower[i], upper[i]) = mixed(draws, horizon, tails(level))
    return PanelForecast(np.arange(1, horizon + 1), point, lower, upper, sd, level)


def _draws(panel: Panel, i: int, y: Array) -> Draws | None:
    """Draws of one series' constants."""
    constants = _constants(panel, i)
    lay = layout_of(panel.model, constants, panel.fixed)
    return drawn(y[begin_of(y) :], lay, estimates(lay, constants))


def _constants(panel: Panel, i: int) -> Constants:
    """The constants of one series."""
    named = dict(zip(panel.names, (float(v) for v in panel.constants[i]), strict=True))
    gamma = tuple(v for name, v in named.items() if name.startswith("gamma"))
    return Constants(named["alpha"], named.get("beta"), gamma, named.get("phi"))
