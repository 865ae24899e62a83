"""Run a template on data in this process, as the worker does, and keep what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from beside import data_file

from templates_engine import inputs, registry
from templates_engine.asking import Walk, walk
from templates_engine.data import readers
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Result, declared
from templates_engine.problems import Problem
from templates_engine.running.job import Job
from templates_engine.running.store import STATE, Store


@dataclass(frozen=True)
class Ran:
    result: Result
    folder: Path
    notes: list[Problem]
    walked: Walk

    def table(self, file: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / f"{file}.csv")


def shared_data(name: str) -> Dataset:
    """A data file (beside.data_file), read as an upload would be."""
    return readers.read(data_file(name), name)


def published(template: str) -> dict[str, str]:
    """The published input string's answers."""
    parsed = inputs.read((data_file(f"strings/{template}.txt")).read_text())
    assert not parsed.problems
    return parsed.answers


def run(
    name: str,
    data: Dataset,
    answers: dict[str, str],
    folder: Path,
    pictures: bool = False,
    others: Mapping[str, Dataset] | None = None,
    continues: Path | None = None,
) -> Ran:
    """Walk, check and run; errors of the data raise Refused as they would in a real run. `others`: by name.
    continues: the folder of the run that this one makes longer."""
    template = registry.get(name)
    schemas = {name: other.schema() for name, other in (others or {}).items()}
    walked = walk(template, answers, data.schema(), datasets=schemas, strict_keys=True)
    walked.require()
    state = continues / STATE if continues else None
    with Job(Store(folder), others=others, continues=state) as job:
        spec, rows = job.begin(template, walked, data)
        result = template.run(spec, rows, job)
        if pictures:
            job.draw_pictures()
        notes = job.notes
        made = [a.name for a in job.store.artifacts if not a.name.endswith((".json", ".npz"))]
    said = template.outputs_of(walked.answers)
    assert not [n for n in made if declared(said, n) is None], "outputs that the template does not declare"
    return Ran(result, folder, notes, walked)
