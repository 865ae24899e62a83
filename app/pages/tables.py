"""Tables as a journal sets them: equal decimals in a column, intervals as one column, the plain name first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.pages.format import decimals_for, fixed, short
from app.pages.plain_names import Words, plain_name, references
from templates_engine.data import Schema
from templates_engine.outputs import HEADS, Head

Row = Mapping[str, Any]
NOTHING = ""


@dataclass(frozen=True)
class Cell:
    text: str
    number: bool = True


@dataclass(frozen=True)
class Line:
    """One row: its name, the name of the parameter under it, its cells; `block` begins a new group of rows."""

    name: str
    under: str
    cells: tuple[Cell, ...]
    block: bool = False
    mono: bool = False
    number: bool = False  # its name is a number, as the lower limit of a bar


@dataclass(frozen=True)
class Journal:
    """A table ready to be drawn."""

    title: str
    first: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    cut: int = 0  # rows that are there and not drawn
    records: tuple[Row, ...] = field(default=(), repr=False)


INTERVALS = {("lower", "upper"): "95% interval", ("q025", "q975"): "95% interval"}
TIMES = ("time", "year")  # numbers that are read as dates: 1961, never 1,961
# Columns on the scale of the estimates: one that is small beside the others still shows two digits of its error.
SPREADS = ("se", "sd")
SCALED = (*SPREADS, "estimate", "mean", "median", "mode", "min", "q1", "q3", "max", "minimum", "maximum")
ALONE = ("value", "mcse")  # one row's number has nothing to do with the next's
MOST_PLACES = 9
MOST_ROWS = 200


def number(value: Any) -> float | None:
    """A cell as a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number_cells(values: Sequence[Any], places: int) -> list[Cell]:
    return [Cell(fixed(number(v), places)) for v in values]


def interval(low: Any, high: Any, places: int = 2) -> str:
    """ "−0.41 to −0.05"."""
    a, b = number(low), number(high)
    return f"{fixed(a, places)} to {fixed(b, places)}" if a is not None and b is not None else NOTHING


def is_parameters(table: Mapping[str, Any]) -> bool:
    return "parameter" in table["columns"] and "variable" in table["columns"]


def named(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(parameter, variable) of every row; [] of a table of something else."""
    if not is_parameters(table):
        return []
    return [(str(r["parameter"]), str(r["variable"] or "")) for r in records(table)]


def records(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=False)) for row in table["rows"]]


def places_for(name: str, values: Sequence[Any], heads: Mapping[str, Head] = HEADS) -> int:
    """Decimals of a column; Monte Carlo errors that three decimals would show as zero get a fourth."""
    if name in heads and (given := heads[name].places) is not None:
        return given
    numbers = [abs(v) for v in map(number, values) if v is not None]
    if name == "mcse" and numbers and max(numbers) < 0.005:
        return 4
    return decimals_for(values)


def interval_places(values: Sequence[Any]) -> int:
    """Decimals of a column of intervals: two, more where all are small."""
    places = decimals_for(values)
    return min(2, places) if places <= 3 else places - 1


def row_places(row: Row, places: int) -> int:
    """Decimals of an estimate and its error: the column's, more where two digits of the error would not be seen.

    Beside coefficients near 1, one of income per euro is 0.00023 (0.00004) and must not read 0.000 (0.000).
    """
    spread = next((v for v in (number(row.get(name)) for name in SPREADS) if v is not None), 0.0)
    if spread <= 0 or spread * 10**places >= 2:
        return places
    return min(MOST_PLACES, 1 - math.floor(math.log10(spread)))


def width_places(low: Any, high: Any, places: int) -> int:
    """Decimals of one interval: the column's, more where its ends would read alike."""
    a, b = number(low), number(high)
    width = abs(b - a) if a is not None and b is not None else 0.0
    if width <= 0 or width * 10**places >= 3:
        return places
    return min(MOST_PLACES, math.ceil(math.log10(3 / width)))


def _cell(name: str, row: Row, places: int) -> Cell:
    value = number(row[name])
    if value is not None and name == "p" and 0 <= value < 0.001:
        return Cell("<0.001")
    if name in SCALED:
        return Cell(fixed(value, row_places(row, places)))
    if value and name in ALONE and 1e-6 < abs(value) < 0.5 * 10**-places:
        return Cell(fixed(value, 1 - math.floor(math.log10(abs(value)))))
    return Cell(fixed(value, places))


def journal(
    table: Mapping[str, Any],
    schema: Schema | None,
    rows: int = MOST_ROWS,
    words: Words | None = None,
    known: Mapping[str, Head] = HEADS,
) -> Journal:
    """Any table; one of parameters gets their plain names and intervals.

    words, known: what the template calls its parameters and columns.
    """
    found = records(table)
    shown = found[:rows]
    heads: list[Head] = []
    columns: list[list[Cell]] = []
    names = [c for c in table["columns"] if not (is_parameters(table) and c in ("parameter", "variable"))]
    skip: set[str] = set()
    for low, high in INTERVALS:
        if low in names and high in names:
            skip.add(high)
    first = "" if is_parameters(table) or not names else names.pop(0)
    for name in names:
        values = [r[name] for r in found]
        if name in skip or (name in known and all(v is None for v in values)):
            continue
        pair = next((p for p in INTERVALS if p[0] == name and p[1] in skip), None)
        if pair:
            if all(v is None for v in values):
                continue
            both = values + [r[pair[1]] for r in found]
            places = interval_places(both)
            heads.append(Head(_level(table) or INTERVALS[pair]))
            spans = [(r[pair[0]], r[pair[1]]) for r in shown]
            columns.append([Cell(interval(low, high, width_places(low, high, places))) for low, high in spans])
            continue
        if name in TIMES:
            heads.append(Head(_plain(name), number=False))
            columns.append([Cell(_time(r[name]), number=False) for r in shown])
            continue
        text = any(isinstance(v, str) for v in values)
        heads.append(known.get(name) or Head(_head(name, schema), number=not text))
        if text:
            columns.append([Cell(short(r[name]), number=False) for r in shown])
        else:
            places = places_for(name, values, known)
            columns.append([_cell(name, r, places) for r in shown])
    lines = []
    before: bool | None = None
    counted = bool(first) and first not in TIMES and all(number(r[first]) is not None for r in found)
    starts = places_for(first, [r[first] for r in found], known) if counted else 0
    for i, record in enumerate(shown):
        cells = tuple(column[i] for column in columns)
        if first:
            value = record[first]
            text_ = _time(value) if first in TIMES else fixed(number(value), starts) if counted else short(value)
            lines.append(Line(text_, "", cells, number=counted))
            continue
        name, under = plain_name(record["parameter"], record["variable"] or "", schema, words)
        fixed_part = bool(record["variable"])
        lines.append(Line(name, under, cells, block=before is not None and before != fixed_part, mono=name == under))
        before = fixed_part
    head = "Parameter" if not first else (known[first].text if first in known else _head(first, schema))
    return Journal(
        table.get("title") or "",
        head,
        tuple(heads),
        tuple(lines),
        (*(table.get("notes") or ()), *references([] if first else [r["variable"] or "" for r in found], schema)),
        len(found) - len(shown),
        tuple(shown),
    )


def _level(table: Mapping[str, Any]) -> str:
    """ "80% interval" of a table whose title names another level than the usual."""
    found = re.search(r"([\d.]+%) (?:prediction )?intervals?", table.get("title") or "")
    return f"{found[1]} interval" if found else ""


def _time(value: Any) -> str:
    """A time as the data write it: a date, or a number without thousands commas."""
    found = number(value)
    return f"{found:.10g}" if found is not None else "" if value is None else str(value)


def _head(name: str, schema: Schema | None) -> str:
    """The words over a column; the data's own names and words stay as they are written there."""
    if schema is not None and (
        name in schema or any(name in c.labels.values() or name in c.levels for c in schema.columns)
    ):
        return name
    return _plain(name)


def _plain(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else name


# --- other ways of writing a table


def numbered(table: Journal) -> bool:
    """Are the names of the rows numbers, as the lower limits of bars?"""
    return bool(table.lines) and table.lines[0].number


def as_grid(table: Journal) -> list[list[str]]:
    """Head and rows as texts, for copying."""
    grid = [[table.first, *(h.text for h in table.heads)]]
    for line in table.lines:
        name = line.name if not line.under or line.under == line.name else f"{line.name} ({line.under})"
        grid.append([name, *(c.text for c in line.cells)])
    return grid


def as_markdown(table: Journal) -> str:
    grid = [[cell.replace("|", "\\|") for cell in row] for row in as_grid(table)]
    align = ["---:" if numbered(table) else "---"] + ["---:" if h.number else "---" for h in table.heads]
    lines = [f"| {' | '.join(row)} |" for row in (grid[0], align, *grid[1:])]
    title = [f"**{table.title}**", ""] if table.title else []
    return "\n".join(title + lines + (["", *table.notes] if table.notes else [])) + "\n"


def as_latex(table: Journal) -> str:
    """With booktabs rules, as journals set tables."""

    def tex(text: str) -> str:
        found = "".join(
            {
                "&": r"\&",
                "%": r"\%",
                "_": r"\_",
                "#": r"\#",
                "$": r"\$",
                "{": r"\{",
                "}": r"\}",
                "\\": r"\textbackslash{}",
                "~": r"\textasciitilde{}",
                "^": r"\textasciicircum{}",
            }.get(c, c)
            for c in text
        )
        return found.replace("\N{MINUS SIGN}", "$-$")

    grid = [[tex(cell) for cell in row] for row in as_grid(table)]
    align = ("r" if numbered(table) else "l") + "".join("r" if h.number else "l" for h in table.heads)
    body = [" & ".join(row) + r" \\" for row in grid]
    lines = [
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        body[0],
        r"\midrule",
        *body[1:],
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [f"% {note}" for note in table.notes]
    return "\n".join([f"% {table.title}"] * bool(table.title) + lines + notes) + "\n"
