"""The missing-value patterns of a model's variables: counted from the rows, drawn as a small picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from app import datasets
from app.models import Dataset
from app.pages.conversation import Talk
from app.pages.format import fixed, plural
from templates_engine.asking import Walk
from templates_engine.data import Schema

MOST_PATTERNS = 8  # drawn; rarer ones are joined in words
MOST_VARIABLES = 12
WIDTH, LEFT, RIGHT, ROW, BAR = 360, 104, 40, 24, 19
FIRST, SHRINK, LEAST = 66.0, 0.86, 9.0


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    missing: bool


@dataclass(frozen=True)
class Label:
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Pattern:
    """The picture and the sentences that say the same."""

    rows: int
    complete: int
    variables: tuple[str, ...]
    missing: tuple[int, ...]
    boxes: tuple[Box, ...]
    names: tuple[Label, ...]
    totals: tuple[Label, ...]
    counts: tuple[Label, ...]
    height: int
    sentence: str
    more: str

    @property
    def share(self) -> str:
        return f"{100 * self.complete / self.rows:.0f}%" if self.rows else "0%"


def model_variables(walk: Walk, schema: Schema) -> list[str]:
    """The columns that the answers name, in order, without identifiers and constants."""
    found: dict[str, None] = {}
    for asked in walk.asked.values():
        if not asked.answered or asked.question.kind not in ("column", "columns") or asked.groups:
            continue
        names = [asked.value] if isinstance(asked.value, str) else [term.name for term in asked.value]
        for name in names:
            if name in schema and schema[name].kind != "constant":
                found[name] = None
    return list(found)


def pattern_of(talk: Talk, walk: Walk) -> Pattern | None:
    """The patterns among the incomplete variables of the answers so far; None where no variable is named yet."""
    wanted = model_variables(walk, talk.schema)
    if not wanted or not talk.schema.n_rows:
        return None
    shown = [n for n in wanted if not talk.schema[n].complete][:MOST_VARIABLES]
    lead = [n for n in wanted if n not in shown][: max(0, 2 if shown else 0)]
    chosen = [n for n in wanted if n in shown or n in lead][:MOST_VARIABLES]
    if not shown:
        n = talk.schema.n_rows
        return Pattern(n, n, tuple(wanted), (0,) * len(wanted), (), (), (), (), 0, "", "")
    counts = _counts(talk.row.sha256, talk.row.id, tuple(chosen), _Row(talk.row))
    return _drawn(talk.schema.n_rows, chosen, counts)


class _Row:
    """A dataset's row as an argument that does not take part in caching."""

    def __init__(self, row: Dataset):
        self.row = row

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Row)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _counts(_sha256: str, _id: int, names: tuple[str, ...], row: _Row) -> tuple[tuple[tuple[bool, ...], int], ...]:
    """Each pattern (True is missing) with its number of rows: complete first, then the commonest."""
    from templates_engine.data import missing_patterns

    return tuple(sorted(missing_patterns(datasets.open(row.row), names), key=lambda item: (any(item[0]), -item[1])))


def _drawn(n_rows: int, names: Sequence[str], counts: Sequence[tuple[tuple[bool, ...], int]]) -> Pattern:
    complete = next((n for pattern, n in counts if not any(pattern)), 0)
    missing = [sum(n for pattern, n in counts if pattern[i]) for i in range(len(names))]
    drawn = counts[:MOST_PATTERNS]
    # Widths say the order of size, not the size: a column for one row would be invisible at scale.
    widths = [max(LEAST, FIRST if k == 0 else FIRST * 0.66 * SHRINK**k) for k in range(len(drawn))]
    left = min(150.0, max(len(n) for n in names) * 7.9 + 10)
    scale = (WIDTH - left - RIGHT) / (sum(widths) + 2 * len(widths))
    widths = [w * scale for w in widths]
    boxes, labels, x, taken = [], [], left, -1.0
    for (pattern, n), width in zip(drawn, widths, strict=True):
        boxes += [Box(round(x, 1), i * ROW + 2, round(width, 1), gone) for i, gone in enumerate(pattern)]
        text, middle = fixed(n), x + width / 2
        half = 3.6 * len(text)
        if middle - half > taken:  # a label that would touch its neighbour is left out; the sentence has the total
            labels.append(Label(round(middle, 1), len(names) * ROW + 15, text, "middle"))
            taken = middle + half + 4
        x += width + 2 * scale
    names_ = tuple(Label(0, i * ROW + 16, name) for i, name in enumerate(names))
    totals = tuple(Label(WIDTH, i * ROW + 16, fixed(m), "end") for i, m in enumerate(missing))
    said = [f"{plural(m, 'value')} of {name}" for name, m in zip(names, missing, strict=True) if m]
    sentence = "Missing: " + ", ".join(said) + "."
    rest = len(counts) - len(drawn)
    rare = sum(n for _, n in counts[len(drawn) :])
    more = f" {plural(rest, 'rarer pattern')} not drawn, {plural(rare, 'row')}." if rest else ""
    return Pattern(
        n_rows,
        complete,
        tuple(names),
        tuple(missing),
        tuple(boxes),
        names_,
        totals,
        tuple(labels),
        len(names) * ROW + 22,
        sentence,
        more,
    )
