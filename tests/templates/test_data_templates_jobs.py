"""How a second dataset reaches a run: named by the walk, given to the job, handed on to other templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.problems import Refused
from templates_engine.running.job import Job
from templates_engine.running.store import Store
from templates_engine.runspec import RunSpec

PUPILS = Dataset("pupils", {"school": np.array([1.0, 2.0, 1.0]), "town": np.array(["A", "B", "A"])})
SCHOOLS = Dataset("schools", {"school": np.array([1.0, 2.0]), "size": np.array([10.0, 20.0])})
ANSWERS = {"right": "schools", "id": "school", "rightid": "school"}


def test_a_walk_names_the_other_datasets() -> None:
    schemas = {"schools": SCHOOLS.schema()}
    found = walk(registry.get("Merge"), ANSWERS, PUPILS.schema(), datasets=schemas)
    assert found.datasets == {"right": "schools"}
    assert walk(registry.get("Merge"), {}, PUPILS.schema(), datasets=schemas).datasets == {}


def test_a_job_hands_the_other_datasets_on(tmp_path: Path) -> None:
    """A template that calls Merge needs no knowledge of where datasets are."""
    with Job(Store(tmp_path), others={"schools": SCHOOLS}) as job:
        result = job.call("Merge", ANSWERS, PUPILS, prefix="joined_")
        made = pd.read_stata(job.store.path("joined_merged"))
    assert result.info["matched"] == 3
    np.testing.assert_array_equal(made["size"], [10, 20, 10])


def test_a_dataset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with Job(Store(tmp_path)) as job, pytest.raises(Refused) as refused:
        job.other("schools")
    assert "schools is not there" in refused.value.problems[0].message


def test_specifications_differ_by_the_other_datasets() -> None:
    """Without others the hash is what it was before there were any, so that finished runs are found again."""
    parts = ("Merge", "1", "00", ANSWERS)
    hashes = {RunSpec(*parts, others).hash() for others in ({}, {"right": "aa"}, {"right": "bb"}, {"left": "aa"})}
    assert len(hashes) == 4
    assert RunSpec(*parts).hash() == RunSpec(*parts, {}).hash()


def test_several_columns_may_be_texts() -> None:
    """Where texts make sense they can be chosen, and are no categories by that."""
    found = walk(registry.get("CompleteCases"), {"vars": "town,school"}, PUPILS.schema())
    assert found.spec.variables == ("town", "school")
    assert found.answers["vars"] == "town,school"
