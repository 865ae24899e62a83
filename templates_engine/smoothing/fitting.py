"""Fit one series: checks the request, runs the compiled estimation, and works out the figures of fit."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Refused
from templates_engine.smoothing.fit_kernel import fit_rows
from templates_engine.smoothing.layout import START_CODES, Layout, layout, put_start
from templates_engine.smoothing.models import Array, Fit, Gamma, Model, Robust, Start
from templates_engine.smoothing.optimise import LIKELIHOOD, MAE, ROBUST, SSE
from templates_engine.smoothing.recursions import smooth
from templates_engine.smoothing.robust import ROBLIK, TAU2, robust_errors, robust_smooth, tau_square
from templates_engine.smoothing.search import figures
from templates_engine.smoothing.validation import needed, problems

TRIES = 14  # places from which the minimiser is followed, of about twice as many
ROBUST_TRIES = 60  # a thorough search: the robust criterion has many shallow minima
CRITERION_CODES = {"sse": SSE, "mae": MAE, "likelihood": LIKELIHOOD, "roblik": ROBUST, "tau2": ROBUST}


def fit(
    y: npt.ArrayLike,
    model: Model,
    *,
    start: str | Start | None = None,
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
) -> Fit:
    """Fit `model` to y (n,), NaN for missing values; constants given are fixed, the others are estimated.

    start: one of STARTS or a Start with the states; None: "decompose", with `robust` "robust".
    criterion: "sse" (default), "mae" or "likelihood" (relative errors for multiplicative seasons, else as "sse");
    with `robust` "roblik" (default) or "tau2". k: clipping constant, lam: rate of the robust scale.
    tries: places from which the minimiser is followed (None: 14, robust 60).
    Raises Refused where the data or the constants cannot be used: see `problems`.
    """
    values = np.ascontiguousarray(y, np.float64)
    start = start if start is not None else ("robust" if robust else "decompose")
    criterion = criterion or ("roblik" if robust else "sse")
    tries = tries or (ROBUST_TRIES if robust else TRIES)
    given = {"alpha": alpha, "beta": beta, "gamma": gamma, "phi": phi}
    remarks = problems(
        values, model, start=start, criterion=criterion, robust=robust, k=k, lam=lam,
        allow_inadmissible=allow_inadmissible, **given,  # type: ignore[arg-type]
    )  # fmt: skip
    faults = [p for p in remarks if p.level == "error"]
    if faults:
        raise Refused(faults)
    lay = layout(model, alpha, beta, gamma, phi)
    lead = int(np.argmax(np.isfinite(values)))  # the recursion begins at the first value present
    series = values[lead:]
    z = np.zeros(lay.size)
    z[: lay.constants] = lay.lower[: lay.constants]
    kind = start.kind if isinstance(start, Start) else start
    sigma, code, first = math.nan, START_CODES[kind], 0
    if isinstance(start, Start):
        put_start(lay, z, start, lead)
        code, first = START_CODES["user"], max(start.first - lead, 0)
        sigma = math.nan if start.sigma is None else start.sigma
    settings = (sigma, float(k), float(lam), TAU2 if criterion == "tau2" else ROBLIK)
    found, whole = np.full((1, 9), math.nan), np.zeros((1, 5), np.int64)
    fit_rows(
        series, np.array([0, len(series)]), 0, 1, lay.constants, lay.periods, lay.offsets, lay.kind, model.trend, code,
        first, criterion_code(criterion, lay.kind), settings, lay.columns(kind), lay.lower, lay.upper, tries,
        needed(model), model.longest, z[None, :], np.empty((1, lay.size)), found, whole,
    )  # fmt: skip
    value, sigma = float(found[0, 6]), float(found[0, 8])
    _, starts, converged, _, first = (int(v) for v in whole[0])
    return _collect(values, series, lead, lay, z, kind, first, value, sigma, starts, bool(converged), criterion, k, lam)


def _collect(
    values: Array, series: Array, lead: int, lay: Layout, z: Array, kind: str, first: int, value: float, sigma: float,
    starts: int, converged: bool, criterion: str, k: float, lam: float,
) -> Fit:  # fmt: skip
    """Run the recursion at the estimates, writing every row, and put everything into a Fit."""
    model, n, c = lay.model, len(values), lay.constants
    fitted, levels, trends = (np.full(n, np.nan) for _ in range(3))
    seasons = np.full((n, len(lay.periods)), np.nan)
    last = z[c + 2 :].copy()
    rows = (fitted[lead:], levels[lead:], trends[lead:], seasons[lead:])
    shape = (series, first, z[c], z[c + 1])
    robust = None
    if criterion in ("roblik", "tau2"):
        scale, cleaned, flags = np.full(n, np.nan), values.copy(), np.zeros(n, np.bool_)
        more = (scale[lead:], cleaned[lead:], flags[lead:])
        level, trend, sigma_last = robust_smooth(
            *shape, last, lay.periods, lay.offsets, lay.kind, z[:c], sigma, k, lam, *rows, *more
        )
        room = np.empty((2, len(series)))
        count = robust_errors(
            *shape, z[c + 2 :].copy(), lay.periods, lay.offsets, lay.kind, z[:c], sigma, k, lam, room[0], room[1]
        )
        tau2 = float(tau_square(room[0], count)) if count > 0 else math.nan
        robust = Robust(float(k), float(lam), criterion, float(value), tau2, scale, cleaned, flags)
    else:
        level, trend = smooth(*shape, last, lay.periods, lay.offsets, lay.kind, z[:c], *rows)
    residuals = values - fitted
    found = np.empty(6)
    figures(series, first, residuals[lead:], model.longest, found)
    used, free = int(found[0]), len(lay.columns("decompose"))
    parameters = free if robust else free + 1 + (lay.start_states() if kind != "user" else 0)
    aic, aicc, bic = information(minus_two_log(criterion, value, found[1], used), parameters, used)
    return Fit(
        y=values,
        model=model,
        constants=lay.constants_of(z),
        fixed=lay.fixed,
        start=Start(
            kind,  # type: ignore[arg-type]
            float(z[c]),
            float(z[c + 1]),
            lay.seasons_of(z[c + 2 :], lead),
            lead + first,
            float(sigma) if robust else None,
        ),
        fitted=fitted,
        residuals=residuals,
        levels=levels,
        trends=trends,
        seasons=seasons,
        last_level=float(level),
        last_trend=float(trend),
        last_seasons=lay.seasons_of(last, lead),
        n_used=used,
        n_parameters=parameters,
        sse=float(found[1]),
        mse=float(found[1] / used) if used else math.nan,
        rmse=math.sqrt(found[1] / used) if used else math.nan,
        mae=float(found[2] / used) if used else math.nan,
        mape=float(found[3]),
        mase=float(found[4]),
        aic=aic,
        aicc=aicc,
        bic=bic,
        sigma=float(sigma_last) if robust else float(found[5]),
        at_bound=lay.at_bound(z),
        n_starts=int(starts),
        converged=bool(converged),
        criterion=criterion,
        robust=robust,
    )


def minus_two_log(criterion: str, value: float, sse: float, n: int) -> float:
    """-2 log L without its constant: n log SSE, of relative errors n log (G^2 sum r^2), robust "roblik"."""
    if criterion == "roblik":
        return value
    if criterion == "tau2":
        return n * math.log(max(n * value, 1e-300)) if n else math.nan
    square = value if criterion == "likelihood" else sse
    return n * math.log(max(square, 1e-300)) if n else math.nan


def information(two_log: float, p: int, n: int) -> tuple[float, float, float]:
    """AIC, AICc, BIC with p parameters and n values (Hurvich and Tsai 1989; infinite AICc with too few values)."""
    aic = two_log + 2 * p
    aicc = aic + 2 * p * (p + 1) / (n - p - 1) if n - p - 1 > 0 else math.inf
    return aic, aicc, two_log + p * math.log(n) if n else math.nan


def criterion_code(criterion: str, kind: int) -> int:
    """Relative errors are for multiplicative seasons; elsewhere the likelihood is the squared error's."""
    return SSE if criterion == "likelihood" and kind != 2 else CRITERION_CODES[criterion]
