"""One output, ready to be drawn: a table, a picture with its words, the first rows of a dataset, mathematics, text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import runs
from app.declared import Declared
from app.models import Artifact, Dataset, Run
from app.pages import tables
from app.pages.format import fixed
from app.pages.intervals import Axis, Mark, axis, marks
from app.pages.plain_names import Words, plain_name, references
from app.pages.tables import MOST_ROWS
from templates_engine.data import Schema
from templates_engine.outputs import HEADS, Beside, Head

ROWS = 10  # first rows of a dataset
MOST_TEXT = 400_000  # characters shown; the rest is in the file
DWARFED = 4  # times the range of the coefficients from which the variances have no place beside them
ROW_HEIGHT = 48  # of a table row with a name and a parameter under it


@dataclass(frozen=True)
class Both:
    """Two tables of the same parameters, row by row, such as pooled estimates and those of the complete cases."""

    title: str
    over: tuple[str, str]
    keys: tuple[str, str]  # what the two dots stand for
    short: tuple[str, str]
    heads: tuple[tuple[Head, ...], tuple[Head, ...]]
    rows: tuple[BothRow, ...]
    sizes: tuple[tuple[str, str, str], ...]  # what is counted, at the left, at the right
    axis: Axis | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BothRow:
    name: str
    under: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    marks: tuple[Mark, ...]
    block: bool
    number: bool = False  # as of a tables.Line


@dataclass
class Shown:
    """One output and what the page needs to draw it."""

    artifact: Artifact
    kind: str  # table, both, figure, dataset, equation, text, pending
    table: tables.Journal | None = None
    both: Both | None = None
    words: str = ""
    said: bool = False  # the words stand in the picture itself
    panels: list[tuple[str, str]] = field(default_factory=list)  # of a six-part picture: name and fragment
    plot: str = ""  # the picture's numbers, from which the page draws it anew
    as_is: bool = False  # a photograph: its colours are not turned round in the dark
    text: str = ""
    schema: Schema | None = None
    grid: list[list[str]] = field(default_factory=list)
    variables: int = 0  # of the dataset, of which the first are shown
    dataset_id: int | None = None
    cut: bool = False


def show(
    session: Session,
    run: Run,
    artifact: Artifact,
    every: Sequence[Artifact],
    declared: Declared,
    rows: int = MOST_ROWS,
) -> Shown:
    """An output of a run, read from its file; of a table the first rows."""
    if artifact.state != "ready":
        return Shown(artifact, "pending")
    path = runs.artifact_path(run, artifact)
    if artifact.kind == "table":
        return _table(session, run, artifact, every, declared, rows)
    if artifact.kind == "figure" and path.suffix != ".json":
        return _figure(artifact, path, every)
    if artifact.kind in ("dataset", "draws"):
        return _dataset(session, run, artifact, path)
    if artifact.kind == "file":
        return Shown(artifact, "text", text="A binary file; download it to use it.")
    text = path.read_text(encoding="utf-8", errors="replace")
    if artifact.kind == "equation" or (artifact.name.endswith(".tex") and r"\begin{" in text):
        return Shown(artifact, "equation", text=text)
    return Shown(artifact, "text", text=text[:MOST_TEXT], cut=len(text) > MOST_TEXT)


def schema_of(session: Session, run: Run) -> Schema | None:
    """The columns of the run's dataset, for plain names; None where the dataset is gone."""
    row = session.get(Dataset, run.dataset_id) if run.dataset_id else None
    if row is None and run.parent_id:
        parent = runs.get(session, run.parent_id)
        row = session.get(Dataset, parent.dataset_id) if parent and parent.dataset_id else None
    return row.as_schema() if row else None


def read_table(run: Run, artifact: Artifact, every: Sequence[Artifact]) -> dict[str, Any] | None:
    """A table's content from its .json twin."""
    stem = artifact.name.removesuffix(".csv").removesuffix(".json")
    twin = next((a for a in every if a.name == f"{stem}.json" and a.state == "ready"), None)
    if twin is None:
        return None
    found = json.loads(runs.artifact_path(run, twin).read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else None


def _table(
    session: Session, run: Run, artifact: Artifact, every: Sequence[Artifact], declared: Declared, rows: int
) -> Shown:
    content = read_table(run, artifact, every)
    if content is None:
        text = runs.artifact_path(run, artifact).read_text(encoding="utf-8", errors="replace")
        return Shown(artifact, "text", text=text[:MOST_TEXT], cut=len(text) > MOST_TEXT)
    schema, said = schema_of(session, run), declared.of(artifact)
    words = declared.words(artifact, tables.named(content), schema)
    shown = Shown(artifact, "table", table=tables.journal(content, schema, rows, words, said.heads))
    beside = said.output.beside
    if beside is not None:
        name = artifact.name.removesuffix(said.own) + beside.table
        other = next((a for a in every if a.name == name and a.state == "ready"), None)
        right = read_table(run, other, every) if other else None
        if right:
            shown.kind = "both"
            shown.both = side_by_side(
                content, right, beside, schema, said.by.answers.get(beside.group, ""), words, said.heads
            )
    return shown


def side_by_side(
    left: dict[str, Any],
    right: dict[str, Any],
    beside: Beside,
    schema: Schema | None,
    group: str,
    words: Words | None = None,
    heads: Mapping[str, Head] = HEADS,
) -> Both:
    """A table and the one that its template puts beside it. group: the column of the groups that their notes count."""
    rows_left = tables.records(left)
    rows_right = {(r["parameter"], r["variable"]): r for r in tables.records(right)}
    every = rows_left + list(rows_right.values())
    est = tables.places_for("estimate", [r["estimate"] for r in every])
    se = max(est, tables.places_for("se", [r["se"] for r in every]))
    width = tables.interval_places([r[k] for r in every for k in ("lower", "upper")])
    more = {name: tables.places_for(name, [r[name] for r in rows_left], heads) for name in beside.more}

    def cells(r: dict[str, Any] | None, more: Mapping[str, int]) -> tuple[str, ...]:
        if r is None:
            return ("",) * (3 + len(more))
        return (
            fixed(tables.number(r["estimate"]), tables.row_places(r, est)),
            fixed(tables.number(r["se"]), tables.row_places(r, se)),
            tables.interval(r["lower"], r["upper"], tables.width_places(r["lower"], r["upper"], width)),
            *(fixed(tables.number(r[name]), places) for name, places in more.items()),
        )

    def span(r: dict[str, Any] | None) -> tuple[float, float, float] | None:
        found = [tables.number(r[k]) for k in ("lower", "estimate", "upper")] if r else [None]
        return None if None in found else (found[0], found[1], found[2])  # type: ignore[return-value]

    pairs = [(r, rows_right.get((r["parameter"], r["variable"]))) for r in rows_left]
    spans = [(span(a), span(b)) for a, b in pairs]
    coefficients = [bool(a["variable"]) for a, _ in pairs]
    shared, kept = _shared(spans, coefficients)
    rows, before = [], None
    for (a, b), both, seen in zip(pairs, spans, kept, strict=True):
        name, under = plain_name(a["parameter"], a["variable"] or "", schema, words)
        drawn = tuple(marks(shared, both, ROW_HEIGHT)) if shared and seen else ()
        fixed_part = bool(a["variable"])
        rows.append(BothRow(name, under, cells(a, more), cells(b, {}), drawn, before not in (None, fixed_part)))
        before = fixed_part
    common = (heads["estimate"], heads["se"], Head("95% interval"))
    notes = tuple(left.get("notes") or ())  # the first counts what stands in the table's own rows
    pattern, head = beside.counted
    n = next((int(n.replace(",", "")) for n in re.findall(pattern, _joined(left))), 0) if pattern else 0
    return Both(
        (left.get("title") or "").rstrip("."),
        (head.format(n) if n else beside.heads[0], beside.heads[1]),
        (beside.heads[0].lower(), beside.heads[1].lower()),
        beside.short,
        ((*common, *(heads.get(name, Head(name)) for name in beside.more)), common),
        tuple(rows),
        _sizes(left, right, group),
        shared,
        (*(notes[1:] or notes), *references([r["variable"] or "" for r in rows_left], schema)),
    )


Spans = Sequence[tuple[tuple[float, float, float] | None, ...]]


def _shared(spans: Spans, coefficients: Sequence[bool]) -> tuple[Axis | None, list[bool]]:
    """The axis of all rows, and which are drawn on it: not the variances where they would dwarf the coefficients."""

    def values(which: Sequence[bool]) -> list[float]:
        return [v for pair, use in zip(spans, which, strict=True) if use for s in pair if s is not None for v in s]

    every = [True] * len(spans)
    own, all_ = [*values(coefficients), 0.0], [*values(every), 0.0]
    dwarfed = any(coefficients) and max(all_) - min(all_) > DWARFED * (max(own) - min(own)) > 0
    kept = list(coefficients) if dwarfed else every
    return axis(values(kept)), kept


def _joined(table: dict[str, Any]) -> str:
    return " ".join(str(n) for n in table.get("notes") or ())


def _sizes(left: dict[str, Any], right: dict[str, Any], group: str) -> tuple[tuple[str, str, str], ...]:
    """N and groups of both, from what the tables' notes say."""
    found = []
    groups = f"Groups of {group}" if group else "Groups"
    for words, pattern in (("Rows", r"N = ([\d,]+)"), (groups, r"in ([\d,]+) groups")):
        pair = [next(iter(re.findall(pattern, _joined(t))), "") for t in (left, right)]
        if any(pair):
            found.append((words, pair[0], pair[1]))
    return tuple(found)


PANELS = ("Trace", "Density", "Autocorrelation", "Partial autocorrelation", "Monte Carlo error", "Brooks–Gelman–Rubin")


def _figure(artifact: Artifact, path: Path, every: Sequence[Artifact]) -> Shown:
    """A picture, the words that its file carries, the numbers beside it, and, of a six-part one, the places of its
    parts."""
    head = path.read_text(encoding="utf-8", errors="replace") if path.suffix == ".svg" else ""
    words = re.search(r"<desc[^>]*>(.*?)</desc>", head[:20_000], re.S)
    shown = Shown(artifact, "figure", words=_plain(words[1]) if words else "")
    shown.said = bool(shown.words) and shown.words in map(_plain, re.findall(r"<text[^>]*>([^<]*)</text>", head))
    shown.plot = next((a.name for a in every if a.name == f"{artifact.name}.json" and a.state == "ready"), "")
    shown.as_is = path.suffix != ".svg" or "<image" in head
    if re.search(r'viewBox="0 0 932 748"', head[:2_000]):
        shown.panels = [
            (name, f"svgView(viewBox({468 * (k % 2)},{64 + 234 * (k // 2)},464,228))") for k, name in enumerate(PANELS)
        ]
    return shown


def _plain(markup: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", markup)).strip()


def _dataset(session: Session, run: Run, artifact: Artifact, path: Path) -> Shown:
    from app.pages.datasets import COLUMNS, grid_of
    from templates_engine.data import readers

    shown = Shown(artifact, "dataset")
    if path.suffix not in (".dta", ".csv", ".parquet"):
        return Shown(artifact, "text", text="A binary file; download it to use it.")
    data = readers.read(path, artifact.file)
    first = data.names[:COLUMNS]
    shown.schema, shown.grid = data.select(first).schema(), grid_of(data, 1, first)[:ROWS]
    shown.variables = len(data.names)
    owner = run.parent_id or run.id
    rows = session.scalars(select(Dataset).where(Dataset.run_id == owner))
    digest = data.sha256()
    shown.dataset_id = next((row.id for row in rows if row.sha256 == digest), None)
    return shown
