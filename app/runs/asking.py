"""Asking for a run, for its end, or for one of its pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import queue
from app.models import Artifact, Dataset, Run, now
from app.runs.changing import change
from app.runs.looking import find_same, get
from templates_engine.data import Schema
from templates_engine.problems import Refused

if TYPE_CHECKING:
    from templates_engine.data import Dataset as Rows
    from templates_engine.template import Template

CHECKED = 5_000_000  # cells of a dataset that is read and checked while somebody waits for the answer
log = logging.getLogger("statgrove.runs")


class Schemas(Mapping[str, Schema]):
    """Every dataset's schema by name, read from the database only when a template asks for it."""

    def __init__(self, session: Session):
        self._session = session

    def __getitem__(self, name: str) -> Schema:
        row = self._session.scalar(select(Dataset).where(Dataset.name == name))
        if row is None:
            raise KeyError(name)
        return row.as_schema()

    def with_images(self) -> dict[str, Schema]:
        """The datasets of images only, by name."""
        rows = self._session.scalars(
            select(Dataset).where(Dataset.schema["images"].as_boolean()).order_by(Dataset.name)
        )
        return {row.name: row.as_schema() for row in rows}

    def sha256(self, name: str) -> str:
        """The hash of a dataset's content, "" where there is no such dataset."""
        return self._session.scalar(select(Dataset.sha256).where(Dataset.name == name)) or ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._session.scalars(select(Dataset.name).order_by(Dataset.name)).all())

    def __len__(self) -> int:
        return self._session.scalar(select(func.count(Dataset.id))) or 0


def submit(
    session: Session,
    template: str,
    dataset: Dataset,
    answers: Mapping[str, str],
    *,
    origin: str = "page",
    enqueue: bool = True,
    reuse: bool = False,
    title: str = "",
    continues: int | None = None,
    rows: Callable[[Dataset], Rows] | None = None,
) -> Run:
    """Write a run and send it to the queue; returns the row (state "queued").

    answers: the conversation's answers as text; defaults fill the gaps. enqueue=False: this process carries the run
    out itself (queue.run_here). reuse=True: a finished run of the same specification is returned instead.
    continues: the run whose chains this one makes longer (app.runs.continuing).
    rows: reads a dataset. Where it is given, what only the rows forbid is refused at once, too; of more than CHECKED
    cells the run says it. A page has checked already when it asks for a run.
    Refused when an answer is missing, wrong or unknown, with every problem. Commits.
    """
    from templates_engine import registry
    from templates_engine.asking import walk
    from templates_engine.runspec import RunSpec

    form = registry.get(template)
    there = Schemas(session)
    walked = walk(form, answers, dataset.as_schema(), datasets=there, recover=True, strict_keys=True)
    walked.require()
    others = {key: there.sha256(name) for key, name in walked.datasets.items()}
    spec = RunSpec(form.name, form.version, dataset.sha256, walked.answers, others).hash()
    if reuse and (same := find_same(session, spec)):
        return same
    if rows is not None and dataset.n_rows * dataset.n_columns <= CHECKED:
        _check_rows(form, walked.spec, dataset, rows)
    run = Run(
        template=form.name,
        version=form.version,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        answers=dict(walked.answers),
        title=(title.replace("\0", "") or f"{form.name} on {dataset.name}")[:400],
        spec_hash=spec,
        origin=origin,
        queue=form.queue if enqueue else "",
        problems=[p.as_dict() for p in walked.problems],
        continues=continues,
        progress={},
        sent=now(),
        sends=1,
    )
    session.add(run)
    session.commit()
    if enqueue:  # after commit: a worker that is quick must find the row
        queue.send(run.id, run.attempt, run.queue)
    return run


def _check_rows(form: Template, spec: object, dataset: Dataset, rows: Callable[[Dataset], Rows]) -> None:
    """Refused with the errors that the rows bring to light. A check that breaks is left to the run, which keeps why."""
    try:
        problems = form.check(spec, form.rows(rows(dataset)))
    except Refused:
        raise
    except Exception:
        log.exception("the check of %s on %s", form.name, dataset.name)
        return
    if errors := [problem for problem in problems if problem.level == "error"]:
        raise Refused(errors)


def cancel(session: Session, run_id: int, *, discard: bool = False) -> Run | None:
    """Ask a run to stop. A queued one is cancelled at once; one that has ended stays as it is. Commits.

    A running one keeps what it has drawn (unless discard) and stops by itself, or is ended after the grace time.
    """
    how = "discard" if discard else "keep"
    moment = now()
    at_once = change(
        session, run_id, "queued", state="cancelled", cancel=how, finished=moment, message="Cancelled before it began."
    )
    if not at_once:
        request = update(Run).where(Run.id == run_id, Run.state == "running", Run.parent_id.is_(None))
        if not discard:
            request = request.where(Run.cancel == "")  # asking again does not bring back what is to be discarded
        session.execute(
            request.values(cancel=how, cancel_asked=func.coalesce(Run.cancel_asked, moment)),
            execution_options={"synchronize_session": False},
        )
    session.commit()
    return get(session, run_id)


def want(session: Session, run_id: int, name: str) -> None:
    """A picture that someone has opened is drawn before the others. Commits."""
    session.execute(
        update(Artifact)
        .where(Artifact.run_id == run_id, Artifact.name == name, Artifact.state == "pending", Artifact.wanted.is_(None))
        .values(wanted=now()),
        execution_options={"synchronize_session": False},
    )
    session.commit()
