"""The table of the quantities that the user makes of the parameters (quantities.py)."""

from __future__ import annotations

import math

import numpy as np

from templates_engine import Cell, Dataset, Table
from templates_engine.data import Node, columns_of, work_out
from templates_engine.sampling.cloning import NOT_ESTIMABLE, slope, word
from templates_engine.sampling.normal import Floats

from .fitting import Fitted
from .names import correlations
from .quantities import split
from .tables import normal_quantile
from .verdicts import BOUNDARY, UNSETTLED, Judged


def table(fitted: Fitted, judged: Judged) -> Table | None:
    """Derived: a row for each quantity and clone number; estimate, standard error and Wald interval from the draws."""
    if not fitted.spec.derived:
        return None
    quantities = split(fitted.spec.derived)
    draws = {clones: _draws(fitted, clones, quantities) for clones in fitted.spec.clones}
    edge = {name for name, verdict in judged.words.items() if verdict == BOUNDARY}
    apart = {name for name, verdict in judged.words.items() if verdict == UNSETTLED}
    z = normal_quantile(fitted.spec.level)
    rows: list[tuple[Cell, ...]] = []
    for name, node in quantities:
        if edge & set(columns_of(node)):
            edge.add(name)
        if apart & set(columns_of(node)):
            apart.add(name)
        spread = [float(draws[k][name].var(ddof=1)) for k in fitted.spec.clones]
        fall = slope(fitted.spec.clones, spread) if all(math.isfinite(v) for v in spread) else math.nan
        verdict = BOUNDARY if name in edge else UNSETTLED if name in apart else word(fall)
        shown = fall if math.isfinite(fall) else None
        for clones in fitted.spec.clones:
            values = draws[clones][name]
            gaps = int(np.isnan(values).sum())
            mean, se = float(values.mean()), math.sqrt(clones) * float(values.std(ddof=1))
            cells: tuple[Cell, ...] = (mean, se, mean - z * se, mean + z * se)
            said = verdict
            if gaps:
                cells, said = (None, None, None, None), f"not defined in {gaps:,} of {len(values):,} draws"
            elif verdict in (NOT_ESTIMABLE, UNSETTLED):
                cells = (None, None, None, None)
            elif verdict == BOUNDARY:
                cells = (mean, None, None, None)
            rows.append((name, clones, *cells, shown, said))
    columns = ("quantity", "clones", "estimate", "dcsd", "lower", "upper", "slope", "verdict")
    notes = (
        f"estimate: mean over the draws; dcsd = sqrt(clones) × their sd; {fitted.spec.level:g} % Wald intervals.",
        "The largest clone number gives the answer; slope and verdict as in Estimability.",
    )
    return Table(columns, tuple(rows), "Quantities of your own", notes)


def _draws(fitted: Fitted, clones: int, quantities: list[tuple[str, Node]]) -> dict[str, Floats]:
    """(chains x draws,) of each quantity."""
    values = fitted.values(clones).reshape(-1, len(fitted.names))
    columns = {name: values[:, k] for k, name in enumerate(fitted.names)}
    for c, a, b, rho in correlations(fitted.spec, fitted.parts):
        omega = fitted.matrices(values[:, len(fitted.exact.beta) :])[c]
        columns[rho] = omega[:, a, b] / np.sqrt(omega[:, a, a] * omega[:, b, b])
    found = {}
    for name, node in quantities:
        found[name], _ = work_out(node, Dataset("draws", dict(columns)))
        columns[name] = found[name]
    return found
