"""What is said of a run: verdicts over the results, and the paragraph for a paper's methods section."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine import Table
from templates_engine.figures import number
from templates_engine.smoothing import Candidate, RollingOrigin

from .smoothed import Smoothed, allowed_for, how_made
from .spec import Spec
from .timeline import Timeline

FINE, CARE, DOUBT = "Fine", "Read with care", "Model in doubt"
BEHIND = 1.06  # times the naive forecast's error: less is within what a few origins leave open
P_LOW = 0.05  # below it a test speaks
Said = list[tuple[str, str]]
_AT_ONE = {
    "alpha": "the level is the last value alone",
    "beta": "the trend is the last change of the level alone",
    "gamma": "the season is that of the last cycle alone",
    "phi": "the trend dies out as slowly as the search allows",
}
_AT_ZERO = {
    "alpha": "the level hardly moves",
    "beta": "the trend never changes",
    "gamma": "the season never changes",
    "phi": "the trend dies out as fast as the search allows",
}
GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "phi": "φ"}


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def verdicts_of_one(spec: Spec, line: Timeline, one: Smoothed, accuracy: RollingOrigin | None) -> Table:
    """One line a judgement: the search, its bounds, the residuals, outliers, and forecasts against naive ones."""
    said = [*_search(spec, one), *_bounds(one), *_residuals(one), *_outliers(spec, line, one)]
    if accuracy is not None:
        said += _against_naive(accuracy)
    said += _kind(spec, one)
    return Table(("word", "sentence"), tuple(said), "What to think of these results")


def _search(spec: Spec, one: Smoothed) -> Said:
    fit = one.fit
    if all(fit.fixed.values()) and fit.start.kind != "optimal":
        return [(FINE, "All smoothing constants are those given; nothing was searched for.")]
    what = "robust criterion" if spec.robust else "sum of squared errors"
    if not fit.converged:
        return [(CARE, f"The search for the constants stopped before the {what} had settled.")]
    many = f"The best of {fit.n_starts} starts" if fit.n_starts > 1 else "The search settled"
    return [(FINE, f"{many} of the search for the smallest {what}.")]


def _bounds(one: Smoothed) -> Said:
    said = []
    values = one.fit.constants.named()
    for name in one.fit.at_bound:
        stem = name.rstrip("0123456789")
        value = values[name]
        meaning = (_AT_ONE if value > 0.5 and not (stem == "phi" and value < 0.9) else _AT_ZERO)[stem]
        which = ""
        if stem == "gamma" and len(one.fit.model.periods) > 1:
            which = f" of period {one.fit.model.periods[int(name.removeprefix('gamma')) - 1]}"
        said.append((CARE, f"{GREEK[stem]}{which} is at the end of its range, {number(value)}: {meaning}."))
    return said


def _residuals(one: Smoothed) -> Said:
    checks = one.checks
    said: Said = []
    tests = [f"Ljung–Box, {checks.ljung_box_lag} lags, {p_text(checks.ljung_box_p)}"] if checks.ljung_box_p >= 0 else []
    tests += [f"runs test {p_text(checks.runs_p)}"] if checks.runs_p >= 0 else []
    told = "; ".join([*tests, f"Durbin–Watson {checks.durbin_watson:.2f}"])
    if checks.ljung_box_p < P_LOW:
        said.append((CARE, f"Residuals are autocorrelated ({told}), so the intervals are likely too narrow."))
    elif checks.runs_p < P_LOW:
        length = "long" if checks.runs_z < 0 else "short"
        said.append((CARE, f"Residuals of one sign come in too {length} runs ({told})."))
    elif tests:
        said.append((FINE, f"No autocorrelation of the residuals is seen ({told})."))
    if checks.mean_p < P_LOW:
        text = f"The residuals have a mean of {number(checks.mean)} ({p_text(checks.mean_p)})"
        side = "too low" if checks.mean > 0 else "too high"
        more = "; it is added to the forecasts" if one.shift else ""
        said.append((CARE, f"{text}: forecasts one step ahead were {side} by that on average{more}."))
    cycles = one.fit.n_used / one.period
    if one.period > 1 and cycles < 3:
        said.append(
            (CARE, f"The residuals cover {cycles:.1f} periods; the season is known from little more than its start.")
        )
    return said


def _outliers(spec: Spec, line: Timeline, one: Smoothed) -> Said:
    rows = sorted((int(r) for r in one.flagged), key=lambda r: -abs(float(one.fit.residuals[r])))
    when = [f"{shown_time(line, one, r)} ({number(float(one.fit.residuals[r]))})" for r in rows[:4]]
    told = ", ".join(when) + (f" and {len(rows) - 4} smaller ones" if len(rows) > 4 else "")
    if one.fit.robust is not None:
        if not rows:
            return [(FINE, f"No value lay more than {spec.k:g} scales from its forecast.")]
        many = f"{len(rows)} values were" if len(rows) > 1 else "One value was"
        share = len(rows) / max(1, one.fit.n_used)
        word = CARE if share > 0.1 else FINE
        return [(word, f"{many} cut as outliers, {100 * share:.0f}% of all: {told}. The table Outliers shows each.")]
    if not rows:
        return []
    many = f"{len(rows)} residuals lie" if len(rows) > 1 else "One residual lies"
    return [(CARE, f"{many} beyond the outer fences: {told}. The robust variant is not led by such values.")]


def shown_time(line: Timeline, one: Smoothed, row: int) -> str:
    return line.words(one.series.start + row)


def _against_naive(found: RollingOrigin) -> Said:
    ours, *others = found.rows
    best = min((r for r in others if np.isfinite(r.mae)), key=lambda r: r.mae, default=None)
    if best is None or not np.isfinite(ours.mae):
        return []
    where = f"Over {found.n_origins} rolling origins and {found.horizon} steps ahead"
    text = f"the mean absolute error is {number(ours.mae)}, "
    text += f"against {number(best.mae)} of the {best.method.lower()} forecast"
    word = FINE if ours.mae < best.mae else DOUBT if ours.mae > BEHIND * best.mae else CARE
    return [(word, f"{where} {text}.")]


def _kind(spec: Spec, one: Smoothed) -> Said:
    """Whether the size of the season follows the level, where an additive season was chosen.

    Least squares of log range on log mean of whole cycles: 0 for a constant season, 1 for a proportional one.
    """
    m, y = one.period, one.fit.y
    whole = len(y) // m
    if spec.seasonal != "Additive" or m < 2 or whole < 4 or not (y[np.isfinite(y)] > 0).all():
        return []
    cycles = y[len(y) - whole * m :].reshape(whole, m)
    cycles = cycles[np.isfinite(cycles).all(axis=1)]
    if len(cycles) < 4:
        return []
    centre, span = np.log(cycles.mean(axis=1)), np.ptp(cycles, axis=1)
    if (span <= 0).any() or np.ptp(centre) < 0.2:
        return []
    slope = float(np.polyfit(centre, np.log(span), 1)[0])
    if slope < 0.6:
        return []
    text = (
        f"The season's range grows with the level (slope {slope:.2f} on log scales; 0 if constant, 1 if proportional): "
    )
    return [(CARE, f"{text}a multiplicative season may suit better.")]


def verdicts_of_many(spec: Spec, every: Sequence[Smoothed], failed: int) -> Table:
    """Counts over the series, and the worst."""
    n = len(every)
    said: Said = []
    if failed:
        said.append((CARE, f"{failed:,} of {n + failed:,} series could not be used; the table Fit says why."))
    loose = sum(not one.fit.converged for one in every)
    if loose:
        said.append((CARE, f"In {loose:,} of {n:,} series the search stopped before the criterion had settled."))
    else:
        said.append((FINE, f"All {n:,} series were fitted and the search settled in each."))
    low = sum(one.checks.ljung_box_p < P_LOW for one in every)
    share = low / n
    text = f"{low:,} of {n:,} series ({100 * share:.0f}%) have autocorrelated residuals (Ljung–Box, p < 0.05)"
    said.append((CARE if share > 0.1 else FINE, f"{text}; 5% are expected by chance."))
    marked = [one for one in every if len(one.flagged)]
    if marked:
        total = sum(len(one.flagged) for one in marked)
        if spec.robust:
            what = f"{'value was' if total == 1 else 'values were'} cut at {spec.k:g} scales"
        else:
            what = f"{'residual lies' if total == 1 else 'residuals lie'} beyond the outer fences"
        more = "." if spec.robust else ". The robust variant is not led by such values."
        said.append((FINE if spec.robust else CARE, f"{total:,} {what}, in {len(marked):,} series{more}"))
    ranked = [one for one in every if np.isfinite(one.fit.mase)]
    if ranked:
        worst = max(ranked, key=lambda one: one.fit.mase)
        middle = float(np.median([one.fit.mase for one in ranked]))
        word = CARE if worst.fit.mase > 1 else FINE
        said.append(
            (word, f"The worst series is {worst.name} with MASE {worst.fit.mase:.2f}; the median is {middle:.2f}.")
        )
    return Table(("word", "sentence"), tuple(said), "What to think of these results")


_STARTS = {
    "decompose": "from a moving-average decomposition of the first two periods (as in R's HoltWinters)",
    "hyndman": "from a moving-average decomposition of the first two periods, placed before the first observation",
    "regression": "by regression on trend and seasonal dummies",
    "backcast": "by backcasting",
    "optimal": "chosen together with the constants",
    "robust": "by repeated medians",
}


def methods(
    spec: Spec, line: Timeline, every: Sequence[Smoothed], failed: int, tried: Sequence[Candidate],
    accuracy: RollingOrigin | None,
) -> str:  # fmt: skip
    """A paragraph with the numbers, for a paper; the reader edits it."""
    first = every[0]
    said = []
    if spec.series:
        lengths = [int(np.isfinite(one.fit.y).sum()) for one in every]
        span = f"{min(lengths):,} to {max(lengths):,}" if min(lengths) < max(lengths) else f"{lengths[0]:,}"
        said.append(
            f"{len(every):,} series of {spec.y} ({span} values each, identified by {spec.series}) were smoothed"
        )
        if failed:
            said[-1] += f"; {failed:,} more could not be used"
    else:
        n = int(np.isfinite(first.fit.y).sum())
        begin, end = shown_time(line, first, 0), shown_time(line, first, len(first.fit.y) - 1)
        said.append(f"The series {spec.y} ({n:,} values, {begin} to {end}) was smoothed")
    model = first.fit.model
    if spec.method == "Automatic":
        said[-1] += " by the exponential smoothing model with the smallest AICc"
        if not spec.series:
            said[-1] += f" of {len(tried)} compared: {_named(model.title)}"
    else:
        said[-1] += f" by {_named(model.title)}"
    said[-1] += "."
    start = _STARTS[first.fit.start.kind]
    said.append(
        f"Start values were obtained {start}." if first.fit.start.kind != "optimal" else f"Start values were {start}."
    )
    if spec.robust:
        said.append(f"The robust recursion of Gelper, Fried and Croux (2010) was used with k = {spec.k:g}, and the "
                    "constants were chosen by a robust likelihood.")  # fmt: skip
    elif not all(first.fit.fixed.values()):
        said.append(
            "Smoothing constants were chosen by least squares of the one-step errors within their admissible range."
        )
    if not spec.series:
        values = ", ".join(
            f"{GREEK[name.rstrip('0123456789')]}{name.removeprefix(name.rstrip('0123456789'))} = {value:.3f}"
            + (" (given)" if first.fit.fixed[name] else "")
            for name, value in first.fit.constants.named().items()
        )
        said.append(
            f"The constants were {values}; the root mean square error one step ahead was {number(first.fit.rmse)}."
        )
        checks = first.checks
        if np.isfinite(checks.ljung_box_p):
            text = f"Residuals had mean {number(checks.mean)}, Durbin–Watson statistic {checks.durbin_watson:.2f}, "
            said.append(
                f"{text}runs test {p_text(checks.runs_p)} and Ljung–Box {p_text(checks.ljung_box_p)} at "
                f"{checks.ljung_box_lag} lags."
            )
    made = how_made(spec, first.forecast)
    text = f"Forecasts for {spec.horizon} steps have {spec.level:g}% prediction intervals, {made}; "
    said.append(f"{text}{allowed_for(spec, every)}.")
    if not first.forecast.known:
        said.append(
            "The distribution of a forecast is a mixture over constants, start values and error variance, drawn by "
            "importance sampling from their posterior distribution (Forbes, Snyder and Shami, 2000)."
        )
    if spec.correct:
        said.append("The mean of the residuals was added to the forecasts (Hyndman and Athanasopoulos, 2018).")
    if accuracy is not None:
        ours = accuracy.rows[0]
        others = "; ".join(f"{row.method.lower()} {number(row.mae)}" for row in accuracy.rows[1:])
        said.append(
            f"Over {accuracy.n_origins} rolling origins the mean absolute error was {number(ours.mae)} ({others})."
        )
    return " ".join([*said, "Computed with StatGrove."]) + "\n"


def _named(title: str) -> str:
    """A model's title inside a sentence."""
    return title if title.startswith("Holt") else title[0].lower() + title[1:]
