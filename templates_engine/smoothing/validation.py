"""What stands in the way of a fit, said before it is tried: the series, the model, the constants, the options.

Admissible: alpha in (0, 1], beta and every gamma in [0, 1], phi in (0, 1]. Beyond that a model may still be
"forecastable" (Hyndman, Akram and Archibald 2008): the matrix that carries the effect of one error to the next step
has no eigenvalue outside the unit circle.
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.figures import number
from templates_engine.problems import Problem
from templates_engine.smoothing.models import CRITERIA, ROBUST_CRITERIA, STARTS, Array, Constants, Gamma, Model, Start

MOST_STATES = 1000  # of a model whose eigenvalues are worked out for a message


def needed(model: Model, start: str = "decompose") -> int:
    """Values that a fit needs at least: two whole (longest) periods and one, or two after a line or a mean."""
    if model.seasonal != "none" and model.periods:
        return 2 * model.longest + 1
    return 4 if model.trend else 3


def problems(
    y: Array,
    model: Model,
    *,
    start: str | Start = "decompose",
    criterion: str = "sse",
    robust: bool = False,
    k: float = 2.0,
    lam: float = 0.1,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: Gamma = None,
    phi: float | None = None,
    allow_inadmissible: bool = False,
) -> list[Problem]:
    """All faults (and notices) of one series and one request, empty where it can be fitted without a remark."""
    found = model_problems(model) + option_problems(model, start, criterion, robust, k, lam)
    found += constant_problems(model, alpha, beta, gamma, phi, allow_inadmissible)
    if not any(p.key == "period" and p.level == "error" for p in found):
        found += series_problems(np.asarray(y, np.float64), model)
    return found


def model_problems(model: Model) -> list[Problem]:
    """Whether the periods are whole numbers of 2 or more, each once, and there where the model has a season."""
    if model.seasonal == "none":
        return []
    found = []
    if not model.periods:
        text = "A seasonal model needs its period: 12 for months, 4 for quarters."
        found.append(Problem("no-period", text, "period"))
    for m in model.periods:
        if int(m) != m or m < 2:
            message = f"A period is a whole number of at least 2 values, not {m:g}."
            found.append(Problem("bad-period", message, "period", word=f"{m:g}"))
    if len(set(model.periods)) < len(model.periods):
        found.append(Problem("same-period", "The same period is given twice.", "period"))
    return found


def series_problems(y: Array, model: Model) -> list[Problem]:
    """Whether the values allow the model: enough of them, finite, not constant, positive where they must be."""
    if np.isinf(y).any():
        where = int(np.flatnonzero(np.isinf(y))[0]) + 1
        return [Problem("infinite", f"Row {where} of the series is infinite.", "y")]
    present = y[np.isfinite(y)]
    n = len(present)
    if n == 0:
        return [Problem("all-missing", "The series has no value: all are missing.", "y")]
    found = []
    least = needed(model)
    lead = int(np.argmax(np.isfinite(y)))
    span = len(y) - lead - int(np.argmax(np.isfinite(y[::-1])))
    if model.seasonal != "none" and model.periods and span < model.longest:
        message = f"The season of {model.longest} values is longer than the series, which has {span}.{_fits(span)}"
        found.append(Problem("season-too-long", message, "period", word=str(model.longest)))
    elif span < least or n < min(least, max(4, model.longest + 1)):
        if model.seasonal != "none":
            why = f"two whole periods of {model.longest} and one value more"
        else:
            why = "to start from and to fit"
        many = f"{n} value{'s' if n != 1 else ''}" + (f" over {span} rows" if span > n else "")
        seasonal = model.seasonal != "none"
        message = f"The series is too short: it has {many}, and the model needs {least} ({why})."
        message += _fits(min(span, n)) if seasonal else ""
        found.append(Problem("too-short", message, "period" if seasonal else "y"))
    if n > 1 and float(present.min()) == float(present.max()):
        found.append(Problem("constant", f"The series is constant: every value is {said(present[0])}.", "y"))
    if model.seasonal == "multiplicative" and float(present.min()) <= 0:
        count = int(np.sum(present <= 0))
        row = int(np.flatnonzero(np.nan_to_num(y, nan=1.0) <= 0)[0]) + 1
        many = f"{count} values are" if count > 1 else "one value is"
        message = (
            f"A multiplicative season needs positive values: {many} zero or negative, the first in row {row}. "
            "Choose an additive season, or add a constant to the series."
        )
        found.append(Problem("not-positive", message, "seasonal", nearest="Additive"))
    return found


def _fits(n: int) -> str:
    """What n values allow: the longest season of which there are two periods and one value more."""
    longest = (n - 1) // 2
    return f" They allow a season of at most {longest}." if longest >= 2 else " They allow no season."


def option_problems(
    model: Model, start: str | Start, criterion: str, robust: bool, k: float, lam: float
) -> list[Problem]:
    """Whether start, criterion and robust settings are known and go together."""
    found = []
    kind = start.kind if isinstance(start, Start) else start
    if kind not in STARTS and not isinstance(start, Start):
        found.append(Problem("bad-start", f"Start is one of {', '.join(STARTS)}, not {kind}.", "start", word=str(kind)))
    allowed = ROBUST_CRITERIA if robust else CRITERIA
    if criterion not in allowed:
        message = f"The criterion is one of {', '.join(allowed)}, not {criterion}."
        found.append(Problem("bad-criterion", message, "criterion", word=criterion))
    if kind == "optimal" and (robust or criterion == "mae"):
        what = "robust smoothing" if robust else "absolute errors"
        message = f"Start values can be optimised only by squared error or likelihood, not with {what}."
        found.append(Problem("optimal-start", message, "start", nearest="robust" if robust else "regression"))
    if robust and not (math.isfinite(k) and k > 0):
        found.append(Problem("bad-k", f"k is a positive number of scales, not {k:g}.", "k", word=f"{k:g}"))
    if robust and not 0 < lam < 1:
        found.append(Problem("bad-lambda", f"lambda lies between 0 and 1, not at {lam:g}.", "lambda", word=f"{lam:g}"))
    return found


def constant_problems(
    model: Model,
    alpha: float | None,
    beta: float | None,
    gamma: Gamma,
    phi: float | None,
    allow_inadmissible: bool = False,
) -> list[Problem]:
    """Whether given constants are admissible; outside the box an error, on request a notice with the reason."""
    many = len(model.periods) if model.seasonal != "none" else 0
    listed = list(gamma) if isinstance(gamma, list | tuple) else [gamma] * many
    found = []
    if isinstance(gamma, list | tuple) and len(listed) != many:
        found.append(Problem("gammas", f"The model has {many} periods but {len(listed)} gammas are given.", "gamma"))
    given = [("alpha", alpha), ("beta", beta if model.trend else None)]
    given += [("gamma", g) for g in listed] + [("phi", phi if model.trend and model.damped else None)]
    outside = []
    for name, value in given:
        if value is None:
            continue
        if not math.isfinite(value):
            found.append(Problem("not-finite", f"{name} is not a number.", name))
        elif value > 1 or value < 0 or (value == 0 and name in ("alpha", "phi")):
            outside.append((name, value))
    if not outside or found:
        return found
    radius = None
    small = sum(model.periods) <= MOST_STATES
    if small and all(v is not None for v in (alpha, beta if model.trend else 0.0, *listed)):
        damping = (phi if phi is not None else 1.0) if model.trend and model.damped else None
        constants = Constants(
            float(alpha or 0.0),
            float(beta or 0.0) if model.trend else None,
            tuple(float(g or 0) for g in listed),
            damping,
        )
        radius = forecastable_radius(model, constants)
    for name, value in outside:
        box = "above 0 and at most 1" if name in ("alpha", "phi") else "between 0 and 1"
        why = f"{_reason(name, value)}{_verdict(radius)}"
        message = f"{name} = {said(value)} is not admissible: it must be {box}. {why}"
        level = "notice" if allow_inadmissible else "error"
        nearest = "1" if value > 1 else ("0" if name in ("beta", "gamma") else "")
        found.append(Problem("inadmissible", message, name, word=f"{value:g}", nearest=nearest, level=level))
    return found


def said(value: float) -> str:
    """A value as given, with a true minus."""
    return f"{value:g}".replace("-", "−")


def _reason(name: str, value: float) -> str:
    if name == "phi":
        return "A damping constant above 1 makes the trend explode." if value > 1 else "Without it there is no trend."
    thing = {"alpha": "level", "beta": "trend", "gamma": "season"}[name]
    if value == 0:
        return "The level would never learn from the data."
    if value > 1:
        return f"The {thing} would weigh its own past by {number(1 - value)}, a negative weight."
    return f"The {thing} would move against the newest value."


def _verdict(radius: float | None) -> str:
    if radius is None:
        return ""
    if radius > 1 + 1e-8:
        return f" The effect of an error grows by a factor of {radius:.4g} each step: forecasts diverge from the data."
    return " The effect of an error does not grow, so forecasts are still tied to the data."


def forecastable_radius(model: Model, constants: Constants) -> float:
    """Largest |eigenvalue| of the matrix F - g w' of the additive model; above 1 the effect of an error grows.

    States: level, trend, and each period's indices, newest last. The unit root that every season adds (level against
    indices) counts as 1. For multiplicative seasons this is the additive analogue.
    """
    phi = constants.phi if constants.phi is not None else 1.0
    beta = constants.beta if constants.beta is not None else 0.0
    periods = model.periods if model.seasonal != "none" else ()
    size = 2 + sum(periods)
    move, see, gain = np.zeros((size, size)), np.zeros(size), np.zeros(size)
    move[0, 0] = 1.0
    move[0, 1] = move[1, 1] = phi if model.trend else 0.0
    see[0], see[1] = 1.0, move[0, 1]
    gain[0], gain[1] = constants.alpha, constants.alpha * beta
    at = 2
    for m, g in zip(periods, constants.gamma, strict=True):
        for p in range(m):  # entry 0 is in force now; afterwards it becomes the last
            move[at + (p - 1) % m, at + p] = 1.0
        see[at] = 1.0
        gain[at + m - 1] = g * (1.0 - constants.alpha)
        at += m
    return float(np.abs(np.linalg.eigvals(move - np.outer(gain, see))).max())
