"""From a format's raw columns to a Dataset: sizes checked, names made safe, cells converted, notes collected."""

from __future__ import annotations

from templates_engine.data.dataset import Dataset, Values
from templates_engine.data.names import column_names
from templates_engine.data.readers import MAX_CELLS, MAX_COLUMNS, refused
from templates_engine.data.readers.raw import Raw
from templates_engine.problems import Refused


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
    from templates_engine.data.readers.found import Found
    from templates_engine.data.readers.typed import Open

    check_size(shown, len(raw.columns[0]) if raw.columns else 0, len(raw.columns))
    names, notes = column_names(raw.names)
    found = Found()
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
    return Dataset(name, columns, labels, titles, tuple(raw.notes + notes + found.all_notes()), found.doubts)


def _original(given: str, name: str) -> str:
    """The name in the file, as title, where it had to change."""
    return given.strip() if " ".join(given.split()) != name else ""
