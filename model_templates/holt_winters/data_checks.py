"""What can be wrong with the series once the rows are looked at.

Errors stop the run; notices stand with the results.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from templates_engine import Dataset, Problem, Refused
from templates_engine.smoothing import Model, problems, series_problems

from .spec import Spec
from .timeline import Series, Timeline, arrange, split_at, usable

SHOWN = 5  # series named in a message


def model_of(spec: Spec) -> Model:
    """The model that the answers say; for Automatic the simplest of those compared."""
    if spec.method == "Holt-Winters":
        return Model(True, spec.damped, "multiplicative" if spec.multiplicative else "additive", spec.periods)
    return Model(spec.method == "Holt", spec.damped, "none", ())


def options(spec: Spec) -> dict[str, Any]:
    """What `fit` and its relatives are given beside the series and the model."""
    return {
        "start": str(spec.start),  # the answer to a choice refuses other words
        "alpha": spec.alpha,
        "beta": spec.beta,
        "gamma": list(spec.gamma) if spec.gamma is not None else None,
        "phi": spec.phi,
        "robust": spec.robust,
        "k": spec.k,
        "allow_inadmissible": spec.outside,
    }


def faults(spec: Spec, series: Series, model: Model) -> list[Problem]:
    """Why a series cannot be fitted, each at the question that could be answered otherwise."""
    if series.fault:
        key = "time" if spec.time and spec.time in series.fault else "y"
        return [Problem("unusable-series", series.fault, key=key, column=spec.time if key == "time" else spec.y)]
    found = series_problems(series.values, model)
    return [replace(p, column=p.column or spec.y) for p in found if p.level == "error"]


def phase_faults(spec: Spec, line: Timeline) -> list[Problem]:
    """Whether the time at which the second phase begins is one of the series', with values at both sides."""
    if not spec.phase or spec.series or line.series[0].fault:
        return []
    (series,) = line.series
    step = split_at(line, series, spec.phase)
    first, last = (line.words(series.start + k) for k in (0, len(series.values) - 1))
    if step is None:
        text = f"{spec.phase} is no time of the series, which goes from {first} to {last}. Write it as the data do."
    elif not usable(series.values, step):
        text = f"With {spec.phase} as its beginning one of the two phases has fewer than two values."
    else:
        return []
    return [Problem("phase", text, key="phase", column=spec.time, word=spec.phase, nearest="none")]


def unknown_series(spec: Spec, line: Timeline) -> list[Problem]:
    """Names of series to draw that are none."""
    names = [series.name for series in line.series]
    found = []
    for word in spec.drawn:
        if word not in names:
            nearest = next(iter(get_close_matches(word, names, 1)), "")
            hint = f" Did you mean {nearest}?" if nearest else ""
            found.append(Problem("no-series", f"There is no series {word} in {spec.series}.{hint}", "draw", word=word,
                                 nearest=nearest))  # fmt: skip
    return found


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """All faults and notices at once. With a series column a run is refused only when no series can be used."""
    try:
        line = arrange(spec, data)
    except Refused as refused:
        return refused.problems
    model = model_of(spec)
    criterion = "roblik" if spec.robust else "sse"
    request = [] if spec.method == "Automatic" else problems(
        line.series[0].values, model, criterion=criterion, **options(spec)
    )  # fmt: skip
    about_series = {p.code for p in series_problems(line.series[0].values, model)}
    found = [*line.notices, *(p for p in request if p.code not in about_series)]
    found += phase_faults(spec, line) + unknown_series(spec, line)
    bad = [(series.name, wrong) for series in line.series if (wrong := faults(spec, series, model))]
    if not bad:
        return found
    if not spec.series:
        return [*found, *bad[0][1]]
    told = "; ".join(f"{name}: {wrong[0].message.rstrip('.')}" for name, wrong in bad[:SHOWN])
    total = len(line.series)
    if len(bad) == total:
        text = f"None of the {total:,} series can be used. {told}."
        return [*found, Problem("unusable-series", text, key=bad[0][1][0].key, column=spec.series)]
    rest = f"; and {len(bad) - SHOWN:,} more, all in the table Fit" if len(bad) > SHOWN else ""
    text = f"{len(bad):,} of {total:,} series cannot be used and are left out: {told}{rest}."
    return [*found, Problem("unusable-series", text, key="series", column=spec.series, level="notice")]
