"""What can be wrong with the series once the rows are looked at. Errors stop the run; notices stand with the results."""

from __future__ import annotations

from templates_engine.data.dataset import Dataset
from templates_engine.problems import Problem, Refused

from .spec import Spec

SHOWN = 5  # series named in a message


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """All faults and notices at once. With a series column a run is refused only when no series can be used."""
    from .timeline import arrange

    try:
        line = arrange(spec, data)
    except Refused as refused:
        return refused.problems
    found = list(line.notices)
    good, bad = 0, []
    for series in line.series:
        fault = series.fault or unfit(spec, series.values)
        if fault:
            bad.append((series.name, fault))
        else:
            good += 1
    if not bad:
        return found
    if not spec.series:
        return [*found, Problem("unusable-series", bad[0][1], key=_key(bad[0][1]), column=_column(spec, bad[0][1]))]
    told = "; ".join(f"{name}: {fault}" for name, fault in bad[:SHOWN])
    if not good:
        text = f"None of the {len(bad):,} series can be used. {told}"
        return [*found, Problem("unusable-series", text, key=_key(bad[0][1]), column=spec.series)]
    rest = f"; and {len(bad) - SHOWN:,} more, all in the table Fit" if len(bad) > SHOWN else ""
    text = f"{len(bad):,} of {good + len(bad):,} series cannot be used and are left out: {told}{rest}"
    return [*found, Problem("unusable-series", text, key="series", column=spec.series, level="notice")]
