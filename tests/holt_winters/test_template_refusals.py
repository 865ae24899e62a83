"""HoltWinters refuses what cannot be fitted: each fault at its question, in words that say what would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from smoothing import holt_winters

from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused

Y = np.array([5.0, 9.0, 6.0, 8.0, 5.5, 9.5, 6.5, 8.5, 6.0, 10.0, 7.0, 9.0])
REFUSED: list[tuple[dict[str, str], Any, str, str]] = [  # answers, y, question, a word of the message
    ({"period": "4"}, Y[:8], "period", "too short: it has 8 values, and the model needs 9"),
    ({"period": "4"}, Y[:8], "period", "They allow a season of at most 3."),
    ({"period": "1", "method": "Holt"}, Y[:3], "y", "too short"),
    ({"period": "24"}, Y, "period", "longer than the series"),
    ({"period": "4", "seasonal": "Multiplicative"}, Y - 5, "seasonal", "zero or less"),
    ({"period": "4", "seasonal": "Multiplicative"}, np.where(Y > 9.9, -1, Y), "seasonal", "zero or less"),
    ({"period": "4"}, np.full(12, np.nan), "y", "values are missing"),
    ({"period": "4"}, np.full(12, 3.0), "y", "cannot be chosen"),
    ({"period": "4"}, np.where(Y > 9.9, np.inf, Y), "y", "infinite"),
    ({"period": "4"}, np.array(list("abcdefghijkl")), "y", "text"),
    ({"period": "0"}, Y, "period", "0 is no season"),
    ({"period": "1"}, Y, "period", "at least 2"),
    ({"period": "4.5"}, Y, "period", "4.5"),
    ({"period": "-4"}, Y, "period", "-4"),
    ({"period": "four"}, Y, "period", "four"),
    ({"period": "4,4"}, Y, "period", "twice"),
    ({"period": "1,4"}, Y, "period", "1 is no season"),
    ({"period": "99999"}, Y, "period", "too long"),
    ({"period": "4", "horizon": "0"}, Y, "horizon", "out of range"),
    ({"period": "4", "horizon": "1001"}, Y, "horizon", "1000"),
    ({"period": "4", "level": "0.95"}, Y, "level", "50"),
    ({"period": "4", "level": "100"}, Y, "level", "99.9"),
    ({"period": "4", "alpha": "1.414"}, Y, "alpha", "−0.414"),
    ({"period": "4", "alpha": "0"}, Y, "alpha", "alpha = 0"),
    ({"period": "4", "beta": "-0.1"}, Y, "beta", "beta = −0.1"),
    ({"period": "4", "gamma": "2"}, Y, "gamma", "gamma = 2"),
    ({"period": "4", "gamma": "0.1,0.2"}, Y, "gamma", "One period needs one"),
    ({"period": "4", "alpha": "half"}, Y, "alpha", "auto"),
    ({"period": "4", "damped": "Yes", "phi": "1.5"}, Y, "phi", "phi = 1.5"),
    ({"period": "4", "robust": "Yes", "start": "optimal"}, Y, "start", "cannot be chosen"),
    ({"period": "4", "robust": "Yes", "k": "0"}, Y, "k", "out of range"),
    ({"period": "4", "time": "value"}, Y, "time", "already used"),
    ({"period": "4", "time": "when"}, Y, "time", "when"),
    ({"period": "4", "y": "valu"}, Y, "y", "valu"),
    ({"period": "4", "phase": "2009-H1"}, Y, "phase", "no time of the series, which goes from 1 to 12"),
    ({"period": "4", "phase": "12"}, Y, "phase", "fewer than two values"),
    ({"period": "4", "intervals": "bootstrap"}, Y, "intervals", "resample"),
]


@pytest.mark.parametrize(("answers", "y", "key", "word"), REFUSED, ids=[f"{k}-{w[:25]}" for _, _, k, w in REFUSED])
def test_bad_input_is_refused_at_its_question(
    answers: dict[str, str], y: Any, key: str, word: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as caught:
        holt_winters(tmp_path, Dataset("d", {"value": y}), **answers)
    there = [p for p in caught.value.problems if p.key == key]
    assert there, [p.line() for p in caught.value.problems]
    assert any(word in p.message for p in there), [p.message for p in there]
