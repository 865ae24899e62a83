"""An LMM/DC run made longer gives, byte for byte, the files of one run of that length."""

from __future__ import annotations

from pathlib import Path

import pytest
from beside import data_file

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import tutorial as simulate
from templates_engine.running.job import Job
from templates_engine.running.store import STATE, Store

SHORT = {"nchains": "2", "burnin": "30", "clones": "1,10"}
SLEEP = {"y": "Reaction", "C1": "Subject", "x": "Days", "x2_1": "Days"}
CBPP = {"y": "incidence", "C1": "herd", "D": "Binomial", "n": "size", "x": "period"}
CASES = [
    ("one random intercept", "lmm/Dyestuff.csv", {"y": "Yield", "C1": "Batch", "x": "cons"}),
    ("without smoothing", "lmm/Dyestuff.csv", {"y": "Yield", "C1": "Batch", "x": "cons", "smoothing": "No"}),
    ("random slopes", "lmm/sleepstudy.csv", SLEEP),
    ("counts", "lmm/cbpp.csv", CBPP),
    (
        "crossed counts",
        "crossed_schools",
        {
            "y": "absences",
            "D": "Poisson",
            "offset": "logdays",
            "x": "cons,verbal",
            "numclass": "2",
            "C1": "primary",
            "C2": "second",
            "clones": "1,3",
            "predict": "No",
        },
    ),
    (
        "crossed",
        "crossed_schools",
        {"y": "attain", "x": "cons,verbal", "numclass": "2", "C1": "primary", "C2": "second"},
    ),
]


def run(data: Dataset, answers: dict[str, str], folder: Path, continues: Path | None = None) -> None:
    template = registry.get("LMM/DC")
    walked = walk(template, answers, data.schema(), strict_keys=True)
    walked.require()
    with Job(Store(folder), continues=continues) as job:
        template.run(walked.spec, data, job)


@pytest.mark.parametrize(("file", "answers"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_longer_is_byte_for_byte_one_run(file: str, answers: dict[str, str], tmp_path: Path) -> None:
    data = readers.read(data_file(file), file) if file.endswith(".csv") else simulate.SUPPLIED[file]()
    asked = {**SHORT, **answers}
    run(data, {**asked, "iterations": "110"}, tmp_path / "first")
    run(data, {**asked, "iterations": "230"}, tmp_path / "longer", tmp_path / "first" / STATE)
    run(data, {**asked, "iterations": "230"}, tmp_path / "whole")
    names = {path.name for path in (tmp_path / "whole").iterdir()} - {STATE}
    assert names == {path.name for path in (tmp_path / "longer").iterdir()} - {STATE}
    for name in sorted(names):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "longer" / name).read_bytes(), name
