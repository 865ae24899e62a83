"""The column of ones that an intercept needs, made where a dataset has none.

Questions are asked over the schema with it, checks and runs get the rows with it, so that it is chosen like any other
column. It is called cons, as in published input strings, and is there also where the data have a column of ones under
another name; where the data have a cons that is something else, and no column of ones, it is _cons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from templates_engine.data.schema import Column, Schema

if TYPE_CHECKING:
    from templates_engine.data.dataset import Dataset

CONS = "cons"
TITLE = "the intercept (a column of ones)"


def ones(schema: Schema) -> str:
    """The name of a column of ones: cons where it is one, else the first; "" where there is none."""
    found = [c.name for c in schema.columns if c.kind == "constant" and c.minimum == 1.0 and not c.n_missing]
    return CONS if CONS in found else next(iter(found), "")


def schema_with_intercept(schema: Schema) -> Schema:
    """The schema with a column of ones at its end, where it has no cons, or a cons that is none and no other one."""
    if not schema.n_rows or (CONS in schema.names and ones(schema)):
        return schema
    n = schema.n_rows
    made = Column(_name(schema.names), "constant", n, 0, 1.0, 1.0, 1.0, 0.0 if n > 1 else None, 1, (1.0,), title=TITLE)
    return replace(schema, columns=(*schema.columns, made))


def with_intercept(data: Dataset) -> Dataset:
    """The dataset with a column of ones at its end, where `schema_with_intercept` has one."""
    import numpy as np

    if not data.n_rows:
        return data
    for values in data.columns.values() if CONS in data.names else ():
        if values.dtype.kind == "f" and values[0] == 1.0 and bool((values == 1.0).all()):
            return data
    name = _name(data.names)
    made = data.with_columns({name: np.ones(data.n_rows)})
    return replace(made, titles={**made.titles, name: TITLE})


def _name(taken: Iterable[str]) -> str:
    name, others = CONS, set(taken)
    while name in others:
        name = "_" + name
    return name
