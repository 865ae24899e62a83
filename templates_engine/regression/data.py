"""From a dataset and a model's answers to the arrays that are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data import Dataset, design
from templates_engine.regression.binary import response
from templates_engine.regression.questions import Model
from templates_engine.sampling.normal import Factor, Floats, Ints


@dataclass(frozen=True)
class Rows:
    """The complete rows of a model; tuples are by classification, () without any."""

    n: int
    dropped: int  # rows left out because a value is missing
    y: Floats  # (n,)
    x: Floats  # (n, p)
    names: tuple[str, ...]  # (p,) columns of x: "cons", "schgend_0"
    trials: Floats  # (n,), ones unless Binomial
    offset: Floats  # (n,), zeros unless given
    factors: tuple[Factor, ...]
    units: tuple[npt.NDArray[Any], ...]  # (J,) the identifiers' own values
    labels: tuple[tuple[str, ...], ...]  # J labels
    z_names: tuple[tuple[str, ...], ...]  # ("",) for a random intercept

    @property
    def codes(self) -> Ints | None:
        """(n,) the unit of the first classification, 0..J-1."""
        return self.factors[0].codes if self.factors else None

    @property
    def z(self) -> Floats | None:
        """(n, q) what the random coefficients of the first classification multiply."""
        return self.factors[0].z if self.factors else None

    @property
    def J(self) -> int:  # noqa: N802 (the field's letter for the number of groups)
        """Units of the first classification."""
        return len(self.labels[0]) if self.labels else 0


def prepare(model: Model, data: Dataset) -> Rows:
    """Leave out incomplete rows and make the design matrices. Raises Refused for a column that cannot be one."""
    complete = data.complete_cases(model.columns)
    n = complete.n_rows
    fixed = design(complete, model.x)
    factors, units, labels, z_names = [], [], [], []
    for each in model.classifications:
        codes, found = complete.groups(each.name)
        z: Floats = np.ones((n, 1))
        names: tuple[str, ...] = ("",)
        if each.terms:
            random = design(complete, each.terms)
            z, names = random.matrix, random.names
        factors.append(Factor(codes, z))
        units.append(np.unique(complete[each.name]))
        labels.append(tuple(found))
        z_names.append(names)
    return Rows(
        n, data.n_rows - n, response(model, data, complete), fixed.matrix, fixed.names,
        np.asarray(complete[model.trials], dtype=float) if model.trials else np.ones(n),
        np.asarray(complete[model.offset], dtype=float) if model.offset else np.zeros(n),
        tuple(factors), tuple(units), tuple(labels), tuple(z_names),
    )  # fmt: skip
