"""The run of HoltWinters: arrange the rows, fit, forecast, check, compare, draw."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from model_templates.holt_winters.data_checks import faults, model_of, options
from templates_engine import Dataset, Refused, Result, Table
from templates_engine.manual import wrapped
from templates_engine.sampling import cores
from templates_engine.smoothing import (
    ROBUST_TRIES,
    TRIES,
    Candidate,
    Fit,
    Model,
    RollingOrigin,
    choose,
    draws_of,
    fit,
    fit_many,
    forecast,
    needed,
    rolling_origin,
)

from . import reporting, tables
from .equations import form
from .smoothed import Smoothed, complete
from .spec import Spec
from .timeline import Series, Timeline, arrange

THOROUGH = 200  # series up to which each is searched as a single one would be

WORST = 3  # series whose pictures are drawn when there are many
MOST_ROWS = 50_000  # of the table Fitted; the dataset has all
ORIGINS = 12


def run(spec: Spec, data: Dataset, job: Any) -> Result:
    """Every output of the template; pictures come last."""
    job.steps(
        ("Read the times", 0.5), ("Fit", 4.0), ("Forecast and check", 1.0), ("Rolling origins", 2.0), ("Pictures", 1.5)
    )
    job.step("Read the times")
    line = arrange(spec, data)
    model = model_of(spec)
    judged = [(series, faults(spec, series, model)) for series in line.series]
    good = [series for series, wrong in judged if not wrong]
    bad = [(series, wrong[0].message) for series, wrong in judged if wrong]
    if not good:
        raise Refused(judged[0][1])

    job.step("Fit")
    tried: list[Candidate] = []
    fits: list[Fit | None]
    if spec.method == "Automatic":
        fits, chosen = _automatic(spec, good, job)
        tried = chosen[0] if not spec.series else []
        if spec.series:
            job.table("Candidates", _counted(chosen))
        elif tried:
            job.table("Candidates", _candidates(tried))
    else:
        fits = _fits(spec, good, job)
    job.step("Forecast and check")
    done: list[Smoothed] = []
    simulated = spec.intervals in ("normal", "resample")  # of thousands of series that takes its time
    for k, (series, fitted) in enumerate(zip(good, fits, strict=True)):
        if simulated and done and job.stopped:
            break
        if fitted is not None:
            done.append(complete(spec, series, fitted, fan=not spec.series))
        elif not job.stopped:
            bad.append((series, "No model could be fitted."))
        if simulated or k % 200 == 0:
            job.advance(k, len(good))
    if not done:
        return Result()
    records = [tables.fit_record(one) for one in done]
    records += [{"series": s.name or spec.y, "n": _seen(s), "status": why} for s, why in bad]
    found = _tables(spec, line, done, records, job)
    one = max(done, key=lambda d: d.fit.mase if np.isfinite(d.fit.mase) else -1.0)
    if not spec.series:
        _equation(spec, one, job)

    job.step("Rolling origins")
    accuracy = None if spec.series or job.stopped else _accuracy(spec, one, job)
    if accuracy is not None:
        found["Accuracy"] = tables.accuracy_table(accuracy, "Forecast errors from rolling origins", spec.correct)
        job.table("Accuracy", found["Accuracy"])
    elif spec.series and not job.stopped:
        worst = sorted(done, key=lambda d: -d.fit.mase if np.isfinite(d.fit.mase) else 0.0)[:WORST]
        found["Accuracy"] = _accuracies(spec, worst, job)
        job.table("Accuracy", found["Accuracy"])
    if spec.series:
        found["Verdicts"] = reporting.verdicts_of_many(spec, done, len(bad))
    else:
        found["Verdicts"] = reporting.verdicts_of_one(spec, line, one, accuracy)
    job.table("Verdicts", found["Verdicts"])
    job.text("Methods", reporting.methods(spec, line, done, len(bad), tried, accuracy), title="Methods paragraph")

    job.step("Pictures")
    if not job.stopped:
        _pictures(spec, line, done, job)
    info = {"n": float(sum(_seen(d.series) for d in done)), "series": float(len(done)), "rmse": one.fit.rmse}
    return Result(tables=found, info=info)


def _seen(series: Series) -> int:
    return int(np.isfinite(series.values).sum())


def _fits(spec: Spec, good: Sequence[Series], job: Any) -> list[Fit | None]:
    """The fits, None where the user has stopped the run before."""
    model = model_of(spec)
    wanted = options(spec)
    if len(good) == 1:
        return [fit(good[0].values, model, **wanted)]
    # As thorough as a single fit, so that a series among many has the numbers it has alone; a large panel is quicker.
    thorough = (ROBUST_TRIES if wanted.get("robust") else TRIES) if len(good) <= THOROUGH else None
    panel = fit_many([s.values for s in good], model, **wanted, tries=thorough, threads=cores(), advance=_advance(job))
    made: list[Fit | None] = []
    for k, series in enumerate(good):
        if panel.status[k]:
            made.append(None)
            continue
        # The panel has found the constants; one pass with these gives every row.
        found = dict(zip(panel.names, (float(v) for v in panel.constants[k]), strict=True))
        gammas = [v for name, v in found.items() if name.startswith("gamma")]
        known = {"alpha": found["alpha"], "beta": found.get("beta"), "gamma": gammas or None, "phi": found.get("phi")}
        one = fit(series.values, model, **{**wanted, **known})
        given = {name: value is not None for name, value in _given(spec, panel.names).items()}
        bounds = tuple(name for name, at in zip(panel.names, panel.at_bound[k], strict=True) if at)
        made.append(
            replace(
                one,
                fixed=given,
                at_bound=bounds,
                converged=bool(panel.converged[k]),
                aic=float(panel.aic[k]),
                aicc=float(panel.aicc[k]),
                bic=float(panel.bic[k]),
            )
        )
    return made


def _given(spec: Spec, names: Sequence[str]) -> dict[str, float | None]:
    """The constants that were given, by the core's names."""
    gammas = spec.gamma or (None,) * len(spec.periods)
    found = {"alpha": spec.alpha, "beta": spec.beta, "phi": spec.phi}
    found |= {name: gammas[int(name[5:] or 1) - 1] for name in names if name.startswith("gamma")}
    return {name: found[name] for name in names}


def _advance(job: Any) -> Any:
    def advance(done: int, total: int) -> bool:
        job.advance(done, total)
        return bool(job.stopped)

    return advance


def _automatic(spec: Spec, good: Sequence[Series], job: Any) -> tuple[list[Fit | None], list[list[Candidate]]]:
    """The chosen fit of each series and all that was compared."""
    periods = () if spec.periods == (1,) else spec.periods
    every: list[list[Candidate]] = [[] for _ in good]

    def work(k: int) -> None:
        if not job.stopped:
            every[k] = choose(good[k].values, periods, robust=spec.robust, k=spec.k)

    with ThreadPoolExecutor(max(1, cores())) as pool:
        for k, _ in enumerate(pool.map(work, range(len(good)))):
            job.advance(k + 1, len(good))
    return [next((c.fit for c in tried if c.chosen), None) for tried in every], every


def _candidates(tried: Sequence[Candidate]) -> Table:
    best = tried[0].value
    rows = []
    for c in tried:
        known = c.fit is not None and not c.reason
        rows.append((
            c.model.title, tables.cell(c.value), tables.cell(c.value - best) if known else None,
            tables.cell(c.fit.sse) if c.fit is not None else None, "Yes" if c.chosen else "No", c.reason or None,
        ))  # fmt: skip
    notes = (
        (
            "All begin at the first value, with start states chosen with the constants (with long seasons: worked out "
            "before). Errors are absolute for additive models and relative to the forecast for multiplicative ones."
        ),
    )
    return Table(
        ("model", "aicc", "difference", "sse", "chosen", "reason"), tuple(rows), "Models compared by AICc", notes
    )


def _counted(every: Sequence[Sequence[Candidate]]) -> Table:
    """How often each model was chosen."""
    counts: dict[str, int] = {}
    for tried in every:
        for c in tried:
            counts[c.model.title] = counts.get(c.model.title, 0) + int(c.chosen)
    rows = tuple(sorted(counts.items(), key=lambda item: -item[1]))
    return Table(("model", "series"), rows, "How many series chose each model, by AICc")


def _tables(spec: Spec, line: Timeline, done: Sequence[Smoothed], records: list[Any], job: Any) -> dict[str, Table]:
    made = {
        "Coefficients": tables.coefficients(spec, line, done),
        "Fit": tables.fit_table(spec, records),
        "Forecast": tables.forecast_table(spec, line, done),
    }
    worst = sorted(done, key=lambda d: -d.fit.mase if np.isfinite(d.fit.mase) else 0.0)
    shown: list[Smoothed] = []
    rows = 0
    for one in worst:
        rows += len(one.fit.y)
        if rows > MOST_ROWS and shown:
            break
        shown.append(one)
    note = ""
    if len(shown) < len(done):
        note = f"The {len(shown):,} worst series; the dataset has all {len(done):,}."
    else:
        shown = list(done)
    made["Fitted"] = tables.fitted_table(spec, line, shown, note)
    made["ResidualDiagnostics"] = tables.diagnostics_table(spec, done)
    made["Outliers"] = tables.outliers_table(spec, line, done)
    for name, table in made.items():
        job.table(name, table)
    for name, make, title in (
        ("fitted", tables.fitted_dataset, "Fitted values and components"),
        ("forecast", tables.forecast_dataset, "Forecast"),
    ):
        job.dataset(name, make(spec, line, done, name), title=title, listed=True)
    return made


def _equation(spec: Spec, one: Smoothed, job: Any) -> None:
    model = one.fit.model
    values = {
        (f"gamma_{model.periods[int(name[5:]) - 1]}" if name[5:] and name.startswith("gamma") else name): value
        for name, value in one.fit.constants.named().items()
    }
    latex = wrapped(form(spec, model.trend, model.damped, model.seasonal, model.periods, values))
    job.text("equation.tex", latex, title=f"The recursion that was run: {model.title}")


def _accuracy(spec: Spec, one: Smoothed, job: Any) -> RollingOrigin | None:
    """Rolling origins of a series; a notice where it is too short."""
    fit_, y = one.fit, one.fit.y
    spare = len(y) - needed(fit_.model)
    horizon = min(spec.horizon, max(1, spare // 2))
    wanted: dict[str, Any] = options(spec)
    if spec.method == "Automatic" and not spec.robust:
        wanted = {"start": fit_.start.kind, "criterion": fit_.criterion}
    elif spec.method == "Automatic":
        wanted = {"start": "robust", "robust": True, "k": spec.k}
    try:
        return rolling_origin(y, fit_.model, horizon=horizon, n_origins=ORIGINS, correct=spec.correct, **wanted)
    except Refused as refused:
        for problem in refused.problems:
            job.note(replace(problem, level="notice"))
        return None


def _accuracies(spec: Spec, worst: Sequence[Smoothed], job: Any) -> Table:
    """Accuracy of the worst series."""
    rows: list[tuple[Any, ...]] = []
    about: tuple[str, ...] = ()
    for one in worst:
        found = _accuracy(spec, one, job)
        if found is not None:
            table = tables.accuracy_table(found, "", spec.correct)
            about = table.notes
            rows += [(one.name, *row) for row in table.rows]
    columns = ("series", "method", "mae", "rmse", "mape", "mase", "n")
    title = "Forecast errors from rolling origins, of the worst series"
    return Table(columns, tuple(rows), title, about)


def _pictures(spec: Spec, line: Timeline, done: Sequence[Smoothed], job: Any) -> None:
    """The pictures of the series; of many those of the worst few, and of those that are named."""
    from .pictures import draw

    worst = sorted(done, key=lambda d: -d.fit.mase if np.isfinite(d.fit.mase) else 0.0)[:WORST]
    shown = [(f"worst{k + 1}_", one) for k, one in enumerate(worst)] if spec.series else [("", one) for one in done]
    named = {one.name: one for one in done}
    shown += [(f"series_{name}_", named[name]) for name in spec.drawn if name in named]
    for k, (mark, one) in enumerate(shown):
        full = one if one.bands else complete(spec, one.series, one.fit)
        for made in draw(spec, line, full):
            if made.table is not None and not spec.series:
                job.table("SeasonTrends", made.table)
            job.figure(f"{mark}{made.name}.svg", made.svg, title=made.data.title, data=made.data)
        job.advance(k + 1, len(shown))


def warm() -> None:
    """Compile the kernels by tiny fits of each kind."""
    rng = np.random.default_rng(1)
    y = 10 + np.arange(24.0) + np.tile([1.0, 2.0, 3.0, 4.0], 6) + rng.standard_normal(24)
    model = Model(True, False, "multiplicative", (4,))
    fitted = fit(y, model)
    for method in ("analytic", "simulate"):
        forecast(fitted, 1, method=method, generator=rng, draws=draws_of(fitted))
    forecast(fitted, 1, generator=rng)
    fit(y, model, robust=True)
    fit_many([y, y], model)
