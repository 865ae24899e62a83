"""From a format's raw columns to a Dataset: sizes checked, names made safe, cells converted, notes collected."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from templates_engine.data.dataset import Dataset, Values
from templates_engine.data.names import column_names
from templates_engine.data.readers import MAX_CELLS, MAX_COLUMNS, refused
from templates_engine.data.readers.found import Found
from templates_engine.data.readers.raw import Raw
from templates_engine.data.readers.totals import look
from templates_engine.problems import Problem, Refused


def check_size(shown: str, n_rows: int, n_columns: int) -> None:
    """Refuse what is no dataset, or too large a one, before work is put into it."""
    if n_columns == 0:
        raise refused("no-columns", f"{shown} has no columns.")
    if n_rows == 0:
        raise refused("no-rows", f"{shown} has column names but no rows.")
    if n_columns > MAX_COLUMNS:
        raise refused("too-many-columns", f"{shown} has {n_columns:,} columns; at most {MAX_COLUMNS:,} can be read.")
    if n_rows * n_columns > MAX_CELLS:
        text = f"{shown} has {n_rows:,} rows and {n_columns:,} columns; at most {MAX_CELLS:,} cells can be read."
        raise refused("too-large", text)


def assemble(raw: Raw, name: str, shown: str) -> Dataset:
    """The dataset, or a refusal naming every column that cannot be used."""
    from templates_engine.data.readers.cells import values_of
    from templates_engine.data.readers.typed import Open

    check_size(shown, len(raw.columns[0]) if raw.columns else 0, len(raw.columns))
    names, notes = column_names(raw.names)
    refuse_unknown(raw.kinds, names, shown)
    found = Found()
    if raw.free_text:
        _totals(raw, found)
    columns: dict[str, Values] = {}
    waiting: dict[str, Open] = {}
    for i, column in enumerate(names):
        values = values_of(column, raw.columns[i], found, raw)
        raw.columns[i] = raw.columns[i].iloc[:0]  # let go of the memory as we go along
        if isinstance(values, Open):
            waiting[column] = values
            columns[column] = values.typed.codes.astype(float)  # keeps the place
        else:
            columns[column] = values
    for column, still in waiting.items():
        columns[column] = still.end(found, raw)
    if found.problems:
        raise Refused(found.problems)
    titles = {column: raw.titles.get(i) or _original(raw.names[i], column) for i, column in enumerate(names)}
    labels = {names[i]: labels for i, labels in raw.labels.items()}
    told = tuple(raw.notes + notes + found.all_notes())
    how = {**raw.how, "others": found.others}
    return Dataset(name, columns, labels, titles, told, found.doubts, how=how)


def refuse_unknown(kinds: Mapping[str, str], names: Sequence[str], shown: str) -> None:
    """Refuse kinds that are told of columns which are not there."""
    wrong = next((column for column in kinds if column not in names), None)
    if wrong is not None:
        near = next(iter(difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)), "")
        text = f"{shown} has no column {wrong}." + (f" Did you mean {near}?" if near else "")
        raise Refused(Problem("unknown-column", text, key=f"kind:{wrong}", column=wrong, nearest=near))


def _totals(raw: Raw, found: Found) -> None:
    """Rows of sums at the end: left out where they are certain or that is told, else told."""
    totals = look(raw)
    if totals is None:
        return
    out = raw.totals == "leave out" or (raw.totals is None and totals.sure)
    raw.how["totals"] = {"rows": totals.rows, "word": totals.word, "sure": totals.sure, "out": out}
    which = f"The last {totals.rows} rows hold" if totals.rows > 1 else "The last row holds"
    if out:
        raw.columns[:] = [column.iloc[: len(column) - totals.rows] for column in raw.columns]
        found.notes.append(
            f"{which} sums (“{totals.word.strip()}”) and {'were' if totals.rows > 1 else 'was'} left out."
        )
    elif raw.totals is None:
        found.notes.append(f"{which} the word “{totals.word.strip()}”, but no sums of the rows above; kept as data.")


def _original(given: str, name: str) -> str:
    """The name in the file, as title, where it had to change."""
    return given.strip() if " ".join(given.split()) != name else ""
