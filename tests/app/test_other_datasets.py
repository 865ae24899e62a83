"""A run that names a second dataset gets its rows as they were when it was asked for, or fails and says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from run_service import look

from app import datasets, db, inline, queue, runs
from app.models import Run
from templates_engine.data.dataset import Dataset

PUPILS = Dataset("pupils", {"school": np.array([1.0, 2.0, 1.0]), "y": np.array([5.0, 6.0, 7.0])})
SCHOOLS = Dataset("schools", {"school": np.array([1.0, 2.0]), "size": np.array([10.0, 20.0])})
ANSWERS = {"right": "schools", "id": "school", "rightid": "school"}


def submit(reuse: bool = False) -> Run:
    with db.session() as session:
        row = datasets.get(session, "pupils")
        return runs.submit(session, "Merge", row, ANSWERS, origin="test", enqueue=False, reuse=reuse)


def put_in_place(data: Dataset) -> None:
    """Another dataset under the name schools."""
    with db.session() as session:
        if (row := datasets.find(session, "schools")) is not None:
            row.name = f"before_{row.id}"
            session.commit()
        datasets.add(session, data, "upload", name="schools")


@pytest.fixture(autouse=True)
def both(home: Path) -> None:
    with db.session() as session:
        datasets.add(session, PUPILS, "upload")
    put_in_place(SCHOOLS)


def test_the_rows_of_the_other_dataset_reach_the_run() -> None:
    with db.session() as session:
        row = datasets.get(session, "pupils")
    run = inline.carry_out("Merge", row, ANSWERS, origin="test")
    assert run.state == "done", run.message
    with db.session() as session:
        made = datasets.open(datasets.get(session, "merged"))
    np.testing.assert_array_equal(made["size"], [10, 20, 10])
    said = json.loads((runs.folder(run) / "runspec.json").read_text())
    assert said["datasets_sha256"] == {"right": SCHOOLS.sha256()}
    assert said["hash"] == run.spec_hash


def test_the_specification_holds_the_other_datasets_content() -> None:
    """Equal answers on another content under the same name are another run, never the old result."""
    first = submit()
    queue.run_here(first.id, first.attempt)
    assert look(first.id).state == "done"
    assert submit(reuse=True).id == first.id
    put_in_place(SCHOOLS.with_columns(size=np.array([11.0, 21.0])))
    other = submit(reuse=True)
    assert other.id != first.id
    assert other.spec_hash != first.spec_hash


def test_a_dataset_that_has_changed_meanwhile_is_refused() -> None:
    """Asked for with one content, carried out with another: nobody could tell what the result is of."""
    run = submit()
    put_in_place(SCHOOLS.with_columns(size=np.array([11.0, 21.0])))
    queue.run_here(run.id, run.attempt)
    ended = look(run.id)
    assert ended.state == "failed"
    assert "schools is not what it was" in ended.message
