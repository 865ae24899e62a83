"""A model without an intercept: told in one line, in the same words by every template that fits one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset
from templates_engine.data.intercept import CONS, with_intercept
from templates_engine.problems import Problem


def spans_ones(x: npt.NDArray[np.float64]) -> bool:
    """Whether a column of x (n, p) is constant, or the ones lie in their span, as with a full set of indicators."""
    if not x.size:
        return False
    if any(np.ptp(x[:, k]) == 0 and x[0, k] != 0 for k in range(x.shape[1])):
        return True
    scale = np.linalg.norm(x, axis=0)
    scaled = x / np.where(scale > 0, scale, 1.0)
    fitted = scaled @ np.linalg.lstsq(scaled, np.ones(len(x)), rcond=None)[0]
    return bool(np.abs(fitted - 1.0).max() < 1e-8)


def no_intercept(data: Dataset, consequence: str, key: str, of: str = "") -> Problem:
    """The notice. A column called cons that is no column of ones is told apart. of: what has no intercept."""
    rows = with_intercept(data)
    ones = [name for name in rows.names if not rows.is_text(name) and bool((rows[name] == 1.0).all())]
    made = CONS if CONS in ones else ones[0]
    text = f"There is no intercept{f' {of}' if of else ''}: {consequence}. Add {made} if that is not meant."
    if CONS in data and made != CONS:
        values = len(np.unique(data[CONS][~data.missing(CONS)]))
        text = f"{CONS} is a variable with {values:,} values here, not a column of ones. {text}"
    return Problem("no-intercept", text, key=key, level="notice")
