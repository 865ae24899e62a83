"""Making a run longer: a new run with the same answers but for its length, which goes on from the old one's chains.

A finished run never changes. The new one has the answers, and so the hash, of a run that is asked for with that length
at once; its results are the same, byte for byte.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app import folders
from app.models import Dataset, Run
from app.runs.asking import Schemas, submit
from app.runs.looking import get
from templates_engine.problems import Problem, Refused

MORE = "more"  # the key of problems with the number that was asked for


@dataclass(frozen=True)
class Standing:
    """Where the chains of a run stand."""

    key: str  # the answer that says how long the run is
    reached: int  # its value: of a cancelled run, what it was to reach
    program: str  # digest of the program that drew the chains
    words: str  # what there can be more of


def standing(run: Run) -> Standing | None:
    """None where nothing was kept to go on from."""
    from templates_engine import registry
    from templates_engine.running import kept_chains

    if run.parent_id is not None:  # its parent's folder is not its own
        return None
    try:
        about = kept_chains.read_about(folders.state(run))
        key = str(about["key"])
        form = registry.all().get(run.template)
        words = form.lengths.get(key, key) if form else key
        return Standing(key, int(about["reached"]), str(about["program"]), words)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def unfit(session: Session, run: Run) -> Problem | None:
    """Why this run cannot be made longer; None where it can."""
    from templates_engine import registry
    from templates_engine.running import kept_chains

    name = f"Run {run.id}"
    if run.parent_id is not None:
        return Problem("child", f"{name} is part of run {run.parent_id} and cannot be made longer by itself.")
    if not run.ended:
        return Problem("not-ended", f"{name} has not ended; it can be made longer then.")
    if run.state == "failed":
        return Problem("failed", f"{name} failed, so there are no chains to go on from.")
    there = standing(run)
    if there is None:
        text = "its template draws no chains, or they were stopped before they began, discarded or not kept."
        return Problem("no-state", f"{name} has nothing to go on from: {text}")
    form = registry.all().get(run.template)
    if form is None or form.version != run.version or there.program != kept_chains.program(form):
        return Problem("other-program", kept_chains.OTHER_PROGRAM)
    row = session.get(Dataset, run.dataset_id) if run.dataset_id else None
    if row is None:
        text = f"The dataset {run.dataset_name} is not there any more, so {name.lower()} cannot be made longer."
        return Problem("no-dataset", text)
    if row.sha256 != run.dataset_sha256:
        return Problem("other-data", f"The dataset {run.dataset_name} is not what it was in {name.lower()}.")
    return None


def longer(
    session: Session, run_id: int, more: int | None = None, *, origin: str = "page", enqueue: bool = True
) -> Run:
    """Ask for a run that goes on from this one's chains; returns the new row (state "queued").

    more: how much longer; None: twice as long, or, for a run that was stopped, what was asked for (as more=0 does).
    Refused when the run cannot be made longer, with the reason. Commits.
    """
    from templates_engine import registry
    from templates_engine.asking import AFTER_ITERATIONS, walk
    from templates_engine.runspec import RunSpec

    run = get(session, run_id) if 0 < run_id < 2**31 else None
    if run is None:
        raise Refused(Problem("unknown-run", f"There is no run {run_id}."))
    if problem := unfit(session, run):
        raise Refused(problem)
    there, row = standing(run), session.get(Dataset, run.dataset_id)
    if there is None or row is None:  # gone in this moment
        raise Refused(Problem("no-state", f"Run {run_id} has nothing to go on from."))
    if more is None:
        more = 0 if run.state == "cancelled" else there.reached
    if more < 0 or (more == 0 and run.state != "cancelled"):
        finishes = ", or 0 to finish what was asked for" if run.state == "cancelled" else ""
        raise Refused(Problem("more", f"Give a whole number from 1 on{finishes}: how many more.", key=MORE))

    answers = {**run.answers, there.key: str(there.reached + more)}
    if "stopping" in answers:
        answers["stopping"] = AFTER_ITERATIONS
    form, schemas = registry.get(run.template), Schemas(session)
    walked = walk(form, answers, row.as_schema(), datasets=schemas)
    others = {key: schemas.sha256(name) for key, name in walked.datasets.items()}
    if RunSpec(run.template, run.version, row.sha256, run.answers, others).hash() != run.spec_hash:
        names = " or ".join(walked.datasets.values()) or run.dataset_name
        raise Refused(Problem("other-data", f"The dataset {names} is not what it was in run {run_id}."))
    for key in walked.unasked:  # the targets of the stopping rule
        del answers[key]
    return submit(
        session, run.template, row, answers, origin=origin, enqueue=enqueue, title=run.title, continues=run.id
    )
