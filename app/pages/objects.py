"""One output, ready to be drawn: a table, a picture with its words, the first rows of a dataset, mathematics, text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import runs
from app.models import Artifact, Dataset, Run
from app.pages import tables
from app.pages.format import fixed
from app.pages.intervals import Axis, Mark, axis, marks
from app.pages.listing import COMPLETE, POOLED
from app.pages.plain_names import Random, plain_name, random_of, references, whole
from app.pages.tables import MOST_ROWS
from templates_engine.data import Schema

ROWS = 10  # first rows of a dataset
MOST_TEXT = 400_000  # characters shown; the rest is in the file
DWARFED = 4  # times the range of the coefficients from which the variances have no place beside them
ROW_HEIGHT = 48  # of a table row with a name and a parameter under it


@dataclass(frozen=True)
class Both:
    """The pooled estimates and those of the complete cases, row by row."""

    title: str
    over: tuple[str, str]
    heads: tuple[tuple[tables.Head, ...], tuple[tables.Head, ...]]
    rows: tuple[BothRow, ...]
    sizes: tuple[tuple[str, str, str], ...]  # what is counted, imputed, complete
    axis: Axis | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BothRow:
    name: str
    under: str
    imputed: tuple[str, ...]
    complete: tuple[str, ...]
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
    dataset_id: int | None = None
    cut: bool = False


def show(session: Session, run: Run, artifact: Artifact, every: Sequence[Artifact], rows: int = MOST_ROWS) -> Shown:
    """An output of a run, read from its file; of a table the first rows."""
    if artifact.state != "ready":
        return Shown(artifact, "pending")
    path = runs.artifact_path(run, artifact)
    if artifact.kind == "table":
        return _table(session, run, artifact, every, rows)
    if artifact.kind == "figure" and path.suffix != ".json":
        return _figure(artifact, path, every)
    if artifact.kind in ("dataset", "draws"):
        return _dataset(session, run, artifact, path)
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


def _table(session: Session, run: Run, artifact: Artifact, every: Sequence[Artifact], rows: int) -> Shown:
    content = read_table(run, artifact, every)
    if content is None:
        text = runs.artifact_path(run, artifact).read_text(encoding="utf-8", errors="replace")
        return Shown(artifact, "text", text=text[:MOST_TEXT], cut=len(text) > MOST_TEXT)
    schema = schema_of(session, run)
    random = random_for(run, artifact, schema)
    shown = Shown(artifact, "table", table=tables.journal(content, schema, rows, random))
    if artifact.name == POOLED:
        other = next((a for a in every if a.name == COMPLETE and a.state == "ready"), None)
        complete = read_table(run, other, every) if other else None
        if complete:
            shown.kind, shown.both = (
                "both",
                side_by_side(content, complete, schema, run.answers.get("L2ID", ""), random),
            )
    return shown


def random_for(run: Run, artifact: Artifact, schema: Schema | None) -> Random:
    """The columns with random coefficients of the model whose table this is; none for an imputation model's."""
    return {} if artifact.name.startswith("Imputation_Model_") else random_of(run.answers, schema)


def side_by_side(
    pooled: dict[str, Any], complete: dict[str, Any], schema: Schema | None, group: str, random: Random | None = None
) -> Both:
    """`ResultsTable:Imputation` beside `ResultsTable:CompleteCases`."""
    left = tables.records(pooled)
    random = whole(random or {}, [str(r["parameter"]) for r in left])
    right = {(r["parameter"], r["variable"]): r for r in tables.records(complete)}
    every = left + list(right.values())
    est = tables.places_for("estimate", [r["estimate"] for r in every])
    se = max(est, tables.places_for("se", [r["se"] for r in every]))
    width = tables.interval_places([r[k] for r in every for k in ("lower", "upper")])

    def cells(r: dict[str, Any] | None, fmi: bool) -> tuple[str, ...]:
        if r is None:
            return ("",) * (4 if fmi else 3)
        found = (
            fixed(tables.number(r["estimate"]), tables.row_places(r, est)),
            fixed(tables.number(r["se"]), tables.row_places(r, se)),
            tables.interval(r["lower"], r["upper"], tables.width_places(r["lower"], r["upper"], width)),
        )
        return (*found, fixed(tables.number(r["fmi"]), 2)) if fmi else found

    def span(r: dict[str, Any] | None) -> tuple[float, float, float] | None:
        found = [tables.number(r[k]) for k in ("lower", "estimate", "upper")] if r else [None]
        return None if None in found else (found[0], found[1], found[2])  # type: ignore[return-value]

    pairs = [(r, right.get((r["parameter"], r["variable"]))) for r in left]
    spans = [(span(a), span(b)) for a, b in pairs]
    coefficients = [bool(a["variable"]) for a, _ in pairs]
    shared, kept = _shared(spans, coefficients)
    rows, before = [], None
    for (a, b), both, seen in zip(pairs, spans, kept, strict=True):
        name, under = plain_name(a["parameter"], a["variable"] or "", schema, random)
        drawn = tuple(marks(shared, both, ROW_HEIGHT)) if shared and seen else ()
        fixed_part = bool(a["variable"])
        rows.append(BothRow(name, under, cells(a, True), cells(b, False), drawn, before not in (None, fixed_part)))
        before = fixed_part
    h = tables.HEADS
    ci = tables.Head("95% interval")
    notes = tuple(pooled.get("notes") or ())  # the first counts what stands in the table's own rows
    m = next((int(n.replace(",", "")) for n in re.findall(r"([\d,]+) completed datasets", _joined(pooled))), 0)
    return Both(
        (pooled.get("title") or "").rstrip("."),
        (f"Imputed, {m} datasets" if m else "Imputed", "Complete cases"),
        ((h["estimate"], h["se"], ci, h["fmi"]), (h["estimate"], h["se"], ci)),
        tuple(rows),
        _sizes(pooled, complete, group),
        shared,
        (*(notes[1:] or notes), *references([r["variable"] or "" for r in left], schema)),
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


def _sizes(pooled: dict[str, Any], complete: dict[str, Any], group: str) -> tuple[tuple[str, str, str], ...]:
    """N and groups of both, from what the tables' notes say."""
    found = []
    groups = f"Groups of {group}" if group else "Groups"
    for words, pattern in (("Rows", r"N = ([\d,]+)"), (groups, r"in ([\d,]+) groups")):
        pair = [next(iter(re.findall(pattern, _joined(t))), "") for t in (pooled, complete)]
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
    from app.pages.datasets import grid_of
    from templates_engine.data import readers

    shown = Shown(artifact, "dataset")
    if path.suffix not in (".dta", ".csv", ".parquet"):
        return Shown(artifact, "text", text="A binary file; download it to use it.")
    data = readers.read(path, artifact.file)
    shown.schema, shown.grid = data.schema(), grid_of(data, 1)[:ROWS]
    owner = run.parent_id or run.id
    rows = session.scalars(select(Dataset).where(Dataset.run_id == owner))
    digest = data.sha256()
    shown.dataset_id = next((row.id for row in rows if row.sha256 == digest), None)
    return shown
