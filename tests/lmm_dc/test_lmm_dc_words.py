"""What the results page says of a run: the verdict names parameters as the table beside it does, minus signs are
minus signs, and one clone is no clones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from running import run

from model_templates.lmm_dc.tables import many
from templates_engine.data.dataset import Dataset

QUICK = {"nchains": "2", "clones": "1,10", "burnin": "50", "iterations": "200", "tests": "No", "predict": "No"}


def test_words_over_the_results(tmp_path) -> None:
    """One observation a group: neither variance can be told, with slopes about 0, of either sign."""
    rng = np.random.default_rng(1)
    columns = {"y": rng.normal(size=40), "male": np.arange(40.0) % 2, "sire": np.arange(40.0), "cons": np.ones(40)}
    ran = run("LMM/DC", Dataset("d", columns), {"y": "y", "C1": "sire", "x": "cons,male", **QUICK}, tmp_path)
    lines = ran.table("Verdicts")
    fine = lines[lines["word"] == "Fine"]["sentence"].item()
    assert fine.startswith("The data can tell beta_0 (cons), beta_1 (male), sigma2_u+sigma2:")
    said = " ".join(pd.concat([lines["sentence"], ran.table("Estimability")["sentence"]]))
    assert "slope −" in said
    assert "slope -" not in said


def test_numbers_of_clones_in_words() -> None:
    assert [many(1), many(10)] == ["1 clone", "10 clones"]
