"""What an imputation looks like: which values are missing together, and observed beside imputed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.data import Dataset, Values, code_text, first_in_group, levels_of, missing
from templates_engine.figures import PlotPanel, density, picture, style
from templates_engine.imputation.spec import Imputation, Response
from templates_engine.outputs import Cell, Draws, Table
from templates_engine.running import summaries

MOST_PATTERNS = 200
MOST_CHAINS = 3  # drawn in a figure; the table has all

Floats = npt.NDArray[np.float64]
Sets = Mapping[tuple[int, int], tuple[Dataset, tuple[Dataset, ...]]]


@dataclass(frozen=True)
class Compared:
    """One incomplete variable: its observed values, and those imputed by each chain, all its datasets together."""

    response: Response
    levels: tuple[float | str, ...]  # () for a Normal variable
    observed: Values
    imputed: tuple[Values, ...]  # by chain


def patterns(spec: Imputation, data: Dataset) -> list[tuple[str, Table]]:
    """(where, table) by level: which variables are missing together, how often; the most frequent first."""
    found = []
    for level, responses in enumerate(spec.levels):
        if not responses:
            continue
        if level == 0:
            where, noun = "level 1", "rows"
            gaps = np.column_stack([data.missing(r.name) for r in responses])
        else:
            where, noun = spec.classes[level - 1].column, "units"
            codes, labels = data.groups(where)
            firsts = [first_in_group(codes, data[r.name], len(labels)) for r in responses]
            gaps = np.column_stack([missing(values) for values in firsts])
        lines, counts = np.unique(gaps, axis=0, return_counts=True)
        order = np.lexsort((lines.sum(axis=1), -counts))
        rows: list[tuple[Cell, ...]] = [
            (*("missing" if gap else "observed" for gap in lines[k]), int(counts[k]), 100.0 * counts[k] / len(gaps))
            for k in order[:MOST_PATTERNS]
        ]
        notes = [f"{len(gaps):,} {noun}, {len(lines):,} patterns."]
        if len(lines) > MOST_PATTERNS:
            notes.append(f"The {MOST_PATTERNS} most frequent are shown.")
        head = (*(r.name for r in responses), noun, "percent")
        found.append((where, Table(head, tuple(rows), f"Missing together, {where}", tuple(notes))))
    return found


def compared(spec: Imputation, data: Dataset, sets: Sets) -> list[Compared]:
    """Every variable with missing values beside what the chains made of them; variables of a classification by unit."""
    chains = sorted({chain for chain, _ in sets})
    found = []
    for level, responses in enumerate(spec.levels):
        rows = np.arange(data.n_rows)
        if level:
            codes, _ = data.groups(spec.classes[level - 1].column)
            rows = np.unique(codes, return_index=True)[1]
        for r in responses:
            seen = data[r.name][rows]
            if level:  # the first observed value of each unit, which need not stand in its first row
                codes, labels = data.groups(spec.classes[level - 1].column)
                seen = first_in_group(codes, data[r.name], len(labels))
            gaps = missing(seen)
            if not gaps.any() or not chains:
                continue
            levels = () if r.kind == "Normal" else tuple(levels_of(data[r.name]))
            imputed = [
                np.concatenate([full[r.name][rows][gaps] for (c, _), (full, _) in sets.items() if c == chain])
                for chain in chains
            ]
            found.append(Compared(r, levels, seen[~gaps], tuple(imputed)))
    return found


def comparison(found: Sequence[Compared]) -> Table:
    """Means and standard deviations, or shares of categories, of observed and of imputed values, chain by chain."""
    chains = len(found[0].imputed) if found else 0
    head = ("variable", "measure", "observed", "imputed", *(f"chain_{c}" for c in range(chains)))
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        groups = [each.observed, np.concatenate(each.imputed), *each.imputed]
        rows.append((each.response.name, "number of values", *(len(g) for g in groups)))
        if not each.levels:
            numbers = [np.asarray(g, dtype=float) for g in groups]
            rows.append((each.response.name, "mean", *(float(g.mean()) for g in numbers)))
            rows.append((each.response.name, "sd", *(float(g.std()) for g in numbers)))
        for level in each.levels:
            shares = (100.0 * float(np.mean(g == level)) for g in groups)
            rows.append((each.response.name, f"percent {code_text(level)}", *shares))
    note = "Differences are no fault by themselves: values that are missing at random may differ from observed ones."
    return Table(head, tuple(rows), "Observed and imputed values", (note,))


def figure(each: Compared) -> tuple[str, bytes]:
    """(title, SVG): densities, or shares of categories, of observed values in ink and of each chain's in its colour."""
    title = f"{each.response.name}: observed and imputed"
    shown = each.imputed[:MOST_CHAINS]
    names = ["observed", *(f"chain {c}" for c in range(len(shown)))]
    colours = [style.INK, *(style.look(c)[0] for c in range(len(shown)))]
    dashes: list[Sequence[float]] = [(), *(style.look(c)[1] for c in range(len(shown)))]
    words = f"{len(each.observed):,} observed values; {sum(len(g) for g in each.imputed):,} imputed ones by "
    words += f"{len(each.imputed)} chain{'s' if len(each.imputed) > 1 else ''}."
    groups = [each.observed, *shown]

    def paint(_: int, make: object) -> None:
        panel: PlotPanel = make("percent of the values" if each.levels else "density")  # type: ignore[operator]
        (_shares if each.levels else _densities)(panel, each, groups, colours, dashes)
        panel.under(each.response.name)
        panel.key("", list(zip(names, colours, dashes, strict=True)))

    return title, picture(title, words, 1, paint)


def _densities(
    panel: PlotPanel,
    each: Compared,
    groups: Sequence[Values],
    colours: Sequence[str],
    dashes: Sequence[Sequence[float]],
) -> None:
    numbers = [np.asarray(g, dtype=float) for g in groups]
    low, high = (float(f(np.concatenate(numbers))) for f in (np.min, np.max))
    room = 0.08 * (high - low) or 1.0
    curves = [density(g, low - room, high + room) for g in numbers]
    top = 1.25 * max(float(y.max()) for _, y in curves) or 1.0
    panel.scales((low - room, high + room), (0.0, top))
    for (x, y), colour, dash in zip(curves, colours, dashes, strict=True):
        panel.line(x, y, colour, 1.5, dash)


def _shares(
    panel: PlotPanel,
    each: Compared,
    groups: Sequence[Values],
    colours: Sequence[str],
    dashes: Sequence[Sequence[float]],
) -> None:
    shares = [np.array([100.0 * np.mean(g == level) for level in each.levels]) for g in groups]
    at = np.arange(len(each.levels), dtype=float)
    top = 1.45 * max(float(s.max()) for s in shares)
    panel.scales((-0.5, len(at) - 0.5), (0.0, top), list(at), None, [code_text(level) for level in each.levels])
    wide = 0.8 / len(groups)
    for k, (share, colour) in enumerate(zip(shares, colours, strict=True)):
        left = at - 0.4 + k * wide
        panel.boxes(left, left + 0.9 * wide, share, colour)


def slowest(draws: Draws) -> Table:
    """The parameters' summary, those that move most slowly first: what would be run longer, or asked in another way."""
    table = summaries.summary(draws)
    order = sorted(table.records(), key=lambda r: float(r["ess_bulk"] or 0.0))
    head = ("parameter", "variable", "ess_bulk", "ess_tail", "rhat", "mean", "sd", "mcse")
    rows = tuple(tuple(record[name] for name in head) for record in order)
    return Table(head, rows, "The parameters that move most slowly first")
