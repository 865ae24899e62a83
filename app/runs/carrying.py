"""What the process that carries out a run writes: each write bears the attempt that it has claimed."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app import folders
from app.models import Artifact, Run, now
from app.runs.changing import ENDED, change
from app.runs.looking import get
from templates_engine.problems import Problem

RESULT_OF_CANCEL = {"keep": "Stopped on request; what was drawn until then is kept.", "discard": "Stopped on request."}


@lru_cache(maxsize=1)
def _place() -> str:
    """This machine and its process numbers' namespace: where a process number means something."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()[:150]}/{namespace}"


def me() -> str:
    """This process, as runs name the worker that carries them out."""
    return f"{_place()}#{os.getpid()}"


def worker_gone(worker: str) -> bool:
    """True where that process ran on this machine and is certainly not there any more."""
    number = process_of(worker)
    return bool(number) and not alive(number)


def process_of(worker: str) -> int:
    """The process number of a worker of this machine; 0 where it is another's."""
    place, _, number = worker.rpartition("#")
    return int(number) if place == _place() and number.isdigit() else 0


def alive(pid: int) -> bool:
    """Is this process of this machine running? One that has ended and waits for its parent is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # the state is the first word after the command's name in brackets, proc(5)
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def claim(session: Session, run_id: int, attempt: int, *, again: bool = False) -> Run | None:
    """Take a queued run; None where it is not there to be taken (taken, cancelled, or a later attempt). Commits.

    again: this process has tried before and heard no answer; a run that it has taken then is its own.
    """
    moment = now()
    mine = change(
        session,
        run_id,
        "queued",
        attempt=attempt,
        also=(Run.cancel == "",),
        state="running",
        started=moment,
        heartbeat=moment,
        worker=me(),
        progress={},
    )
    session.commit()
    run = get(session, run_id)
    ours = again and run is not None and (run.state, run.attempt, run.worker) == ("running", attempt, me())
    return run if mine or ours else None


def heartbeat(session: Session, run_id: int, attempt: int, progress: dict[str, Any] | None = None) -> str | None:
    """A sign of life, with the progress if there is any news. Returns the cancel flag; None: not ours any more."""
    values: dict[str, Any] = {"heartbeat": now()}
    if progress is not None:
        values["progress"] = progress
    alive = change(session, run_id, "running", attempt=attempt, **values)
    flag = session.scalar(select(Run.cancel).where(Run.id == run_id)) if alive else None
    session.commit()
    return flag


class Output(Protocol):
    """What add_artifacts needs to know of an output (templates_engine.running.store.Artifact is one)."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def order(self) -> int: ...


def add_artifacts(session: Session, run_id: int, attempt: int, outputs: Sequence[Output]) -> bool:
    """Write the outputs' rows, or bring them up to date. False: the run is not ours any more. Commits."""
    mine = change(session, run_id, "running", attempt=attempt, heartbeat=now())  # holds the row until commit
    if mine:
        names = [one.name for one in outputs]
        there = {
            row.name: row
            for row in session.scalars(
                select(Artifact).where(Artifact.run_id == run_id, Artifact.name.in_(names)),
                execution_options={"populate_existing": True},
            )
        }
        for one in outputs:
            if one.name not in there:
                there[one.name] = Artifact(run_id=run_id, name=one.name)
                session.add(there[one.name])
            row = there[one.name]
            row.file, row.kind, row.title, row.position = one.file, one.kind, one.title[:400], one.order
            row.sha256, row.size, row.state = one.sha256, one.size, one.state
    session.commit()
    return mine


def wanted(session: Session, run_id: int) -> str | None:
    """The picture that someone has been waiting for longest, of those still to be drawn."""
    asked = select(Artifact.name).where(
        Artifact.run_id == run_id, Artifact.state == "pending", Artifact.wanted.is_not(None)
    )
    return session.scalar(asked.order_by(Artifact.wanted).limit(1))


def add_notices(session: Session, run_id: int, attempt: int, problems: Sequence[Problem]) -> None:
    """Add what is worth knowing to the run. Commits."""
    run = get(session, run_id)
    if run is not None:
        known = list(run.problems)
        known += [p for p in (problem.as_dict() for problem in problems) if p not in known]
        change(session, run_id, "running", attempt=attempt, problems=known)
    session.commit()


def add_child(
    session: Session,
    run_id: int,
    attempt: int,
    *,
    template: str,
    version: str,
    dataset_name: str,
    dataset_sha256: str,
    answers: Mapping[str, str],
    spec_hash: str,
    prefix: str,
    again: bool = False,
) -> None:
    """The run of another template inside a run: a row of its own, folded under its parent. Commits.

    again: it was tried before and no answer was heard; a row that is there is not made twice.
    """
    there = select(Run.id).where(Run.parent_id == run_id, Run.prefix == prefix[:200], Run.template == template)
    if again and session.scalar(there.limit(1)) is not None:
        return
    parent = get(session, run_id)
    if parent is None or not change(session, run_id, "running", attempt=attempt, heartbeat=now()):
        session.commit()
        return
    moment = now()
    session.add(
        Run(
            template=template,
            version=version,
            dataset_id=None,
            dataset_name=dataset_name[:200],
            dataset_sha256=dataset_sha256,
            answers=dict(answers),
            title=f"{template} on {dataset_name}"[:400],
            spec_hash=spec_hash,
            origin="run",
            queue="",
            state="running",
            attempt=attempt,
            worker=parent.worker,
            started=moment,
            heartbeat=moment,
            parent_id=run_id,
            prefix=prefix[:200],
        )
    )
    session.commit()


def end(
    session: Session,
    run_id: int,
    attempt: int,
    state: str,
    *,
    message: str = "",
    trace: str = "",
    problems: Sequence[Problem] = (),
    progress: dict[str, Any] | None = None,
    again: bool = False,
) -> bool:
    """running -> done, failed or cancelled, children with it. False: it was not ours to end. Commits.

    again: it was tried before and no answer was heard; a run that has ended so in this attempt was ended by us.
    """
    if state not in ENDED:
        raise ValueError(f"a run does not end as {state!r}")
    run = get(session, run_id)
    if run is None:
        return False
    values: dict[str, Any] = {"state": state, "message": message, "trace": trace, "finished": now()}
    if problems:
        values["problems"] = list(run.problems) + [p.as_dict() for p in problems]
    if progress is not None:
        values["progress"] = progress
    mine = change(session, run_id, "running", attempt=attempt, **values)
    if mine:
        session.execute(
            update(Run).where(Run.parent_id == run_id, Run.state == "running").values(state=state, finished=now()),
            execution_options={"synchronize_session": False},
        )
        # A picture that was not drawn will not be drawn any more.
        gone = Artifact.run_id == run_id
        if not (state == "cancelled" and run.cancel == "discard"):
            gone = gone & (Artifact.state == "pending")
        session.execute(delete(Artifact).where(gone), execution_options={"synchronize_session": False})
    session.commit()
    mine = mine or (again and (run.state, run.attempt) == (state, attempt))
    if mine and run.cancel == "discard" and state == "cancelled":
        folders.drop(run)
    elif mine:
        folders.drop(run, keep=attempt)
    return mine


def finish(
    session: Session, run_id: int, attempt: int, progress: dict[str, Any] | None = None, *, again: bool = False
) -> bool:
    """running -> done."""
    return end(session, run_id, attempt, "done", progress=progress, again=again)


def fail(
    session: Session, run_id: int, attempt: int, message: str, *, trace: str = "", problems: Sequence[Problem] = ()
) -> bool:
    """running -> failed, with a message that a statistician understands."""
    return end(session, run_id, attempt, "failed", message=message, trace=trace, problems=problems)


def stop(
    session: Session,
    run_id: int,
    attempt: int,
    how: str,
    progress: dict[str, Any] | None = None,
    *,
    again: bool = False,
) -> bool:
    """running -> cancelled, as was asked ("keep" or "discard")."""
    message = RESULT_OF_CANCEL.get(how, RESULT_OF_CANCEL["keep"])
    return end(session, run_id, attempt, "cancelled", message=message, progress=progress, again=again)
