"""A column of texts that people typed: missing spellings, words of truth, identifiers, numbers, or text.

begin(...) ──▶ the values, or Open where the column alone does not say what its marks mean
Open.end(...) ──▶ the values, once the other columns have been seen
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from templates_engine.data.dataset import Values
from templates_engine.data.readers import identifiers, numerals
from templates_engine.data.readers.found import Found
from templates_engine.data.readers.raw import Raw

MISSING_SPELLINGS = ("", "NA", "N/A", "n/a", ".", "NaN", "nan", "NULL", "null", "#N/A")
SAMPLE = 1000  # different texts looked at before all are
FEWEST = 0.1  # of the sample are numbers, or none of the column is tried
NAMED_ROWS = 5  # rows that a note on cells which are no numbers names

# Words of truth as programs write them, in the languages of spreadsheets.
_TRUE = ("true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda", "истина", "doğru", "sant", "sand")
_FALSE = ("false", "falsch", "faux", "falso", "onwaar", "fałsz", "ложь", "yanlış", "falskt", "falsk")
TRUTH = {**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0), "t": 1.0, "f": 0.0}

Codes = npt.NDArray[np.intp]


@dataclass
class Typed:
    """The different texts of a column, and which cell holds which (-1: none)."""

    name: str
    texts: list[str]
    codes: Codes  # (n,)

    def spread(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n,) each text's value to its cells, NaN where there is none."""
        return np.append(values, np.nan)[self.codes]

    def row(self, i: int) -> int:
        """The first row, from 1, that holds text i."""
        return int(np.argmax(self.codes == i)) + 1

    def counts(self) -> npt.NDArray[np.int64]:
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))


@dataclass
class Open:
    """Numbers whose marks other columns may explain."""

    typed: Typed
    written: numerals.Written

    def end(self, found: Found, raw: Raw) -> Values:
        settled = numerals.settle(self.written, found.decimals, raw.separator)
        assert settled is not None  # no mark is told here
        tell_marks(self.typed, self.written, settled, found, raw)
        return _values(self.typed, self.written, settled.marks, found)


def begin(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found, raw: Raw) -> Values | Open:
    """seen: the texts of the cells that are not absent. Notes and problems go to `found`."""
    typed = of(name, seen, absent, found)
    plain = [numerals.plain(text) for text in typed.texts]
    if not typed.texts:
        return np.full(len(absent), np.nan)
    truth = _truth(plain)
    if truth is not None:
        found.yes_no.append(name)
        return typed.spread(truth)
    if len(plain) > SAMPLE and sum(numerals.take(t) is not None for t in plain[:SAMPLE]) < FEWEST * SAMPLE:
        return text(typed, found)
    kind, sample = identifiers.judge(plain)
    if kind:
        found.identifiers.setdefault(kind, []).append((name, sample))
        found.others[name] = "number"
        typed.texts = identifiers.without_point(typed.texts) if kind == identifiers.LONG else typed.texts
        return text(typed, found)
    return _numbers(typed, found, raw)


def of(name: str, seen: pd.Series, absent: npt.NDArray[np.bool_], found: Found, *, free_text: bool = True) -> Typed:
    """The column's different texts; those that mean a missing value left out where people typed them."""
    inside, different = pd.factorize(seen.to_numpy(object))
    codes = np.full(len(absent), -1, np.intp)
    codes[~absent] = inside
    typed = Typed(name, [str(text) for text in different.tolist()], codes)
    return _without_missing(typed, found) if free_text else typed


def _without_missing(typed: Typed, found: Found) -> Typed:
    plain = [numerals.plain(text) for text in typed.texts]
    gaps = [text in MISSING_SPELLINGS for text in plain]
    if not any(gaps):
        return typed
    found.spellings |= {text for text, gap in zip(plain, gaps, strict=True) if gap and text}
    at = np.full(len(gaps) + 1, -1, np.intp)
    kept = np.flatnonzero(~np.array(gaps))
    at[kept] = np.arange(len(kept))
    left = [typed.texts[i] for i in kept.tolist()]
    return Typed(typed.name, left, at[typed.codes])


def _truth(plain: list[str]) -> npt.NDArray[np.float64] | None:
    """1 and 0 where all are words of truth, one of them in full: t and f alone may be anything."""
    if len(plain) > 8:
        return None
    words = [text.casefold() for text in plain]
    if not all(word in TRUTH for word in words) or all(len(word) == 1 for word in words):
        return None
    return np.array([TRUTH[word] for word in words])


def _numbers(typed: Typed, found: Found, raw: Raw) -> Values | Open:
    written = numerals.read(typed.texts)
    if written.wrong or written.why:
        _tell_wrong(typed, written, found)
        return text(typed, found)
    if not raw.told and len(written.possible) > 1:
        settled = numerals.settle(written, set(), "")
        if settled is not None and settled.how:
            return Open(typed, written)
    settled = numerals.settle(written, set(), "", raw.told)
    if settled is None:
        if raw.told == "," and all(marks.decimal == "." for marks in written.possible):
            found.notes.append(
                f"{typed.name}: numbers with a point were read as decimals, though the decimal mark is said to be the "
                "comma."
            )
            settled = numerals.settle(written, set(), "")
        if settled is None:
            return text(typed, found)
    tell_marks(typed, written, settled, found, raw)
    return _values(typed, written, settled.marks, found)


def _values(typed: Typed, written: numerals.Written, marks: numerals.Marks, found: Found) -> Values:
    parts = [part for part in written.parts if part is not None]
    values = np.array([numerals.value(part, marks) for part in parts])
    return found.finite(typed.name, typed.spread(values))


def tell_marks(typed: Typed, written: numerals.Written, settled: numerals.Settled, found: Found, raw: Raw) -> None:
    name, (decimal, thousands) = typed.name, settled.marks
    if written.unit:
        found.units.append(f"{name} ({written.unit})")
    if any(part is not None and part.bracketed for part in written.parts):
        found.brackets.append(name)
    if not settled.how and any(part is not None and decimal in part.body for part in written.parts):
        found.decimals.add(decimal)
    group = numerals.example(written, typed.texts, thousands) if thousands else -1
    if not settled.how:
        if group >= 0:
            found.thousands.append(f"{name} ({numerals.word(thousands)})")
        return
    mark = thousands or decimal
    at = max(0, numerals.example(written, typed.texts, mark))
    part = written.parts[at]
    assert part is not None
    is_number = f"{numerals.plain(typed.texts[at])} (row {typed.row(at)}) is {numerals.value(part, settled.marks):.15g}"
    role = "a thousands mark" if thousands else "the decimal mark"
    because = {
        "columns": f"as the decimal mark of other columns is the {numerals.word(decimal)}",
        "semicolon": "as the fields are separated by semicolons, where the comma marks decimals",
    }
    if settled.how in because:
        found.notes.append(
            f"{name}: the {numerals.word(mark)} was read as {role} ({is_number}), {because[settled.how]}."
        )
        return
    other = "the values are a thousandth of these" if thousands else "the values are 1,000 times as large"
    contrary = "marks decimals" if thousands else "marks thousands"
    found.others[name] = "decimal comma" if decimal == "." else "decimal point"
    found.doubts[name] = (
        f"{name}: the {numerals.word(mark)} was read as {role} ({is_number}). Nothing in the file settles it: if it "
        f"{contrary}, {other}."
    )


def _tell_wrong(typed: Typed, written: numerals.Written, found: Found) -> None:
    """Which cells are no numbers, where most are."""
    if written.why:
        found.notes.append(f"{typed.name}: kept as text: {written.why}.")
        return
    counts = typed.counts()
    total, strange = int(counts.sum()), int(counts[written.wrong].sum())
    if strange * 2 >= total:
        return
    found.others[typed.name] = "number"
    rows = np.flatnonzero(np.isin(typed.codes, written.wrong))[: NAMED_ROWS + 1]
    named = []
    for k, row in enumerate(rows[:NAMED_ROWS].tolist()):
        text = typed.texts[typed.codes[row]][:40]
        named.append(f"row {row + 1} {'holds ' if k == 0 else ''}'{text}'")
    more = strange - len(named)
    also = f", and {more:,} more row{'s are' if more > 1 else ' is'} like {'these' if len(named) > 1 else 'it'}"
    found.notes.append(f"{typed.name}: {', '.join(named)}{also if more else ''}; the column is kept as text.")


def text(typed: Typed, found: Found) -> Values:
    """The texts in their cells."""
    return found.texts(typed.name, pd.Series(typed.texts, dtype=object), typed.codes)
