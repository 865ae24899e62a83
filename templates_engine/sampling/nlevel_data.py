"""From a dataset and the answers of NLevelMod or NLevelRS to the arrays that are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset
from templates_engine.data.design import design
from templates_engine.sampling.mixed_data import Rows, prepare
from templates_engine.sampling.mixed_stats import Floats
from templates_engine.sampling.nlevel_questions import NModel
from templates_engine.sampling.nlevel_stats import Factor


@dataclass(frozen=True)
class NRows:
    """The complete rows of a model with several classifications."""

    rows: Rows
    factors: tuple[Factor, ...]
    units: tuple[npt.NDArray[Any], ...]  # (J,) the identifiers' own values, by classification
    z_names: tuple[tuple[str, ...], ...]  # ("",) for a random intercept


def prepare_classes(model: NModel, data: Dataset) -> NRows:
    """Leave out incomplete rows and make the design matrices. Raises Refused for a column that cannot be one."""
    rows = prepare(model, data)
    complete = data.complete_cases(model.columns)
    factors, units, names = [], [], []
    for k, name in enumerate(model.classes):
        codes, _ = complete.groups(name)
        z: Floats = np.ones((rows.n, 1))
        z_names: tuple[str, ...] = ("",)
        if model.slopes:
            random = design(complete, model.slopes[k])
            z, z_names = random.matrix, random.names
        factors.append(Factor(codes, z))
        units.append(np.unique(complete[name]))
        names.append(z_names)
    return NRows(rows, tuple(factors), tuple(units), tuple(names))
