"""A response of two values, however they are coded: 1 and 2, 0 and 1, "No" and "Yes".

The engine numbers them 0 and 1 in their order (numbers by size, texts by letter), so that the second is a success;
tables and datasets keep the codes that the data have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.data import Dataset, code_text, levels_of
from templates_engine.problems import Problem, Refused
from templates_engine.regression.questions import BINOMIAL, Model


def two_values(model: Model, data: Dataset) -> tuple[float | str, float | str] | None:
    """(failure, success) of a binomial response of single trials with two values; None elsewhere."""
    if model.family != BINOMIAL or (model.trials and not _ones(data, model.trials)):
        return None
    found = levels_of(data[model.y])
    return (found[0], found[1]) if len(found) == 2 else None


def _ones(data: Dataset, name: str) -> bool:
    values = data[name]
    return values.dtype.kind == "f" and bool((values[~np.isnan(values)] == 1.0).all())


def response(model: Model, data: Dataset, complete: Dataset) -> npt.NDArray[np.float64]:
    """(n,) the response of the complete rows as numbers. Refused where it is text that is no response of two values."""
    values = complete[model.y]
    both = two_values(model, data)
    if both is not None:
        return np.asarray(values == both[1], dtype=float)
    if values.dtype.kind != "U":
        return np.asarray(values, dtype=float)
    n = len(levels_of(data[model.y]))
    if model.family != BINOMIAL:
        text = f"{model.y} holds text, so it can only be the response of D = Binomial."
        raise Refused(Problem("text-response", text, key="D", column=model.y))
    if n != 2:
        text = f"{model.y} holds {n:,} different texts; a yes/no response has two."
        raise Refused(Problem("not-binary", text, key="y", column=model.y))
    text = f"{model.y} says of each row whether it is a success, so {model.trials} must be 1 throughout, as cons is."
    raise Refused(Problem("not-single-trials", text, key="n", column=model.trials or ""))


def told(model: Model, data: Dataset) -> list[Problem]:
    """A notice on which value is the success, where it is not 1 beside 0."""
    both = two_values(model, data)
    if both is None or both == (0.0, 1.0):
        return []
    failure, success = (said(data, model.y, value) for value in both)
    text = f"{model.y}: {success} is counted as success and {failure} as failure."
    return [Problem("binary-coded", text, key="y", column=model.y, level="notice")]


def said(data: Dataset, name: str, value: float | str) -> str:
    """A code with its label: "2 (girl)"."""
    code = code_text(value)
    label = data.labels.get(name, {}).get(code, "")
    return f"{code} ({label})" if label else code
