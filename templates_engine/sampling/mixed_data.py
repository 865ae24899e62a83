"""From a dataset and a model's answers to the arrays that are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset
from templates_engine.data.design import design
from templates_engine.sampling.mixed_questions import Model
from templates_engine.sampling.mixed_stats import Floats, Ints


@dataclass(frozen=True)
class Rows:
    """The complete rows of a model."""

    n: int
    dropped: int  # rows left out because a value is missing
    y: Floats  # (n,)
    x: Floats  # (n, p)
    names: tuple[str, ...]  # (p,) columns of x: "cons", "schgend_0"
    codes: Ints | None  # (n,) group 0..J-1
    groups: tuple[str, ...]  # J labels
    group_values: npt.NDArray[Any]  # (J,) the identifier's own values
    z: Floats | None  # (n, q)
    z_names: tuple[str, ...]
    trials: Floats  # (n,), ones unless Binomial
    offset: Floats  # (n,), zeros unless given

    @property
    def J(self) -> int:  # noqa: N802 (the field's letter for the number of groups)
        return len(self.groups)


def prepare(model: Model, data: Dataset) -> Rows:
    """Leave out incomplete rows and make the design matrices. Raises Refused for a column that cannot be one."""
    complete = data.complete_cases(model.columns)
    n = complete.n_rows
    fixed = design(complete, model.x)
    codes: Ints | None = None
    labels: list[str] = []
    values: npt.NDArray[Any] = np.zeros(0)
    z: Floats | None = None
    z_names: tuple[str, ...] = ()
    if model.group is not None:
        codes, labels = complete.groups(model.group)
        values = np.unique(complete[model.group])
        z, z_names = np.ones((n, 1)), ("",)
        if model.x2:
            random = design(complete, model.x2)
            z, z_names = random.matrix, random.names
    return Rows(
        n, data.n_rows - n, np.asarray(complete[model.y], dtype=float), fixed.matrix, fixed.names, codes,
        tuple(labels), values, z, z_names,
        np.asarray(complete[model.trials], dtype=float) if model.trials else np.ones(n),
        np.asarray(complete[model.offset], dtype=float) if model.offset else np.zeros(n),
    )  # fmt: skip
