"""Runs whose worker or message is lost are found and settled: none stays running for ever."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app import folders, messages, queue
from app.models import Artifact, Run, now
from app.runs.carrying import end, fail, process_of, stop, worker_gone
from app.runs.changing import change
from app.runs.looking import get
from app.settings import settings

LONGEST_WAIT = 300.0  # seconds after which a message is sent again, however often it was sent
MAX_CRASHES = 2  # a run is taken up again this often


def sweep(session: Session) -> list[str]:
    """Look for runs whose worker or message is lost, and settle them. Returns what was done, one line each.

    May be called by several processes at once: each change is made by one of them.
    """
    chosen, moment, did = settings(), now(), []
    for run in session.scalars(
        select(Run).where(Run.state == "running", Run.parent_id.is_(None)),
        execution_options={"populate_existing": True},
    ).all():
        beat = run.heartbeat or run.started or run.created
        asked = run.cancel_asked
        if asked is not None and moment - asked > timedelta(seconds=chosen.cancel_grace + 2 * chosen.heartbeat):
            message = "Stopped on request; it did not stop by itself and was ended. Finished outputs are kept."
            if end(session, run.id, run.attempt, "cancelled", message=message):
                did.append(_ended(run, "did not stop by itself"))
        elif moment - beat > timedelta(seconds=chosen.lease) or worker_gone(run.worker):
            did += _lost(session, run)
        elif run.started and moment - run.started > timedelta(hours=chosen.max_hours):
            message = f"It took longer than {chosen.max_hours:g} hours and was stopped (setting STATGROVE_MAX_HOURS)."
            if fail(session, run.id, run.attempt, message):
                did.append(_ended(run, "took too long"))
    return did + _waiting(session)


def _waiting(session: Session) -> list[str]:
    """Send the messages of queued runs again that have been waiting for long, those that the broker has no more."""
    chosen, moment, did = settings(), now(), []
    due = []
    for run in session.scalars(
        select(Run).where(Run.state == "queued"), execution_options={"populate_existing": True}
    ).all():
        wait = min(LONGEST_WAIT, chosen.resend_after * 2 ** min(run.sends - 1, 12))
        if moment - (run.sent or run.created) <= timedelta(seconds=wait):
            continue
        if run.queue:
            due.append(run)
            continue
        message = "The command that asked for it was stopped before it began."
        if change(session, run.id, "queued", attempt=run.attempt, state="failed", message=message, finished=moment):
            did.append(f"run {run.id}: its command is gone, failed")
        session.commit()
    there = messages.standing() if due else None
    if there is None:  # nothing is due, or the broker does not answer
        return did
    waiting = {message.task for message in there if message.queue}
    for run in due:
        task, to = queue.task_id(run.id, run.attempt), _served(session, run)
        again = task not in waiting or to != run.queue
        mine = change(
            session,
            run.id,
            "queued",
            attempt=run.attempt,
            also=(Run.sends == run.sends,),
            sends=run.sends + again,
            sent=moment,
            queue=to,
        )
        session.commit()
        if mine and again:
            messages.drop({task}, there)  # nobody takes it, or a worker has taken it and is gone
            queue.send(run.id, run.attempt, to)
            did.append(f"run {run.id}: sent to the queue again")
    return did


def _served(session: Session, run: Run) -> str:
    """The queue that a run which nobody took goes to: the processors' where no graphics card is at work either."""
    if run.queue != "gpu":
        return run.queue
    busy = select(Run.id).where(Run.state == "running", Run.queue == "gpu").limit(1)
    return "gpu" if session.scalar(busy) is not None else "cpu"


def release(session: Session) -> list[int]:
    """Put running runs whose workers were ended on purpose back into the queue; this is no crash. Commits."""
    wanted = select(Run).where(Run.state == "running", Run.parent_id.is_(None), Run.queue != "")
    released = []
    for run in session.scalars(wanted, execution_options={"populate_existing": True}).all():
        if not worker_gone(run.worker):
            continue
        if run.cancel:
            stop(session, run.id, run.attempt, run.cancel)
        elif _again(session, run, crashes=run.crashes):
            released.append(run.id)
        session.commit()
    return released


def hand_back(session: Session, run_id: int, attempt: int) -> bool:
    """A worker that is to end gives its run back: running -> queued, and no crash. Whoever takes it up goes on from its
    checkpoints; the next start, or the sweep, sends its message. Commits."""
    run = get(session, run_id)
    mine = run is not None and run.attempt == attempt and _again(session, run, crashes=run.crashes)
    session.commit()
    return bool(mine)


def going_on(session: Session) -> list[Run]:
    """The runs that processes of this machine carry out for the queue."""
    wanted = select(Run).where(Run.state == "running", Run.parent_id.is_(None), Run.queue != "")
    found = session.scalars(wanted, execution_options={"populate_existing": True}).all()
    return [run for run in found if process_of(run.worker)]


def waiting(session: Session) -> list[Run]:
    """The runs that wait in the queue."""
    found = session.scalars(select(Run).where(Run.state == "queued", Run.queue != ""))
    return list(found)


def resend(session: Session, only: Collection[int] | None = None) -> None:
    """Send queued runs, all or those of these numbers, again (the embedded broker starts empty). Commits."""
    for run in session.scalars(select(Run).where(Run.state == "queued", Run.queue != "").order_by(Run.id)).all():
        if only is not None and run.id not in only:
            continue
        if change(session, run.id, "queued", attempt=run.attempt, sent=now(), sends=1):
            session.commit()
            queue.send(run.id, run.attempt, run.queue)
    session.commit()


def _lost(session: Session, run: Run) -> list[str]:
    """Settle a run whose worker gives no sign of life any more."""
    if run.cancel:
        if stop(session, run.id, run.attempt, run.cancel):
            return [_ended(run, "its worker was lost after it had been cancelled")]
    elif not run.queue:
        if fail(session, run.id, run.attempt, "The command that carried it out was stopped before the run had ended."):
            return [_ended(run, "its command is gone")]
    elif (crashes := _crashes(run)) > MAX_CRASHES:
        known = "it was not there any more" if worker_gone(run.worker) else "it gave no sign of life"
        message = (
            f"The process that carried it out was lost {crashes} times without having got further ({known}), so it was "
            "given up. Where the log of the system says that it was ended for lack of memory: try fewer stored "
            "iterations, fewer chains or a smaller dataset."
        )
        if fail(session, run.id, run.attempt, message):
            return [_ended(run, "lost too often")]
    elif _again(session, run, crashes=crashes):
        session.commit()
        queue.kill(run.id, run.attempt)  # should it be alive after all
        queue.send(run.id, run.attempt + 1, run.queue)
        return [f"run {run.id}: its worker was lost, taken up again as attempt {run.attempt + 1}"]
    session.commit()
    return []


def _crashes(run: Run) -> int:
    """How often its process was lost without a checkpoint since it had begun, this time among them."""
    further = run.started is not None and folders.checkpointed(run) > run.started.timestamp()
    return run.crashes if further else run.crashes + 1


def _again(session: Session, run: Run, *, crashes: int) -> bool:
    """running -> queued with the next attempt; the rows of the one before go with it."""
    mine = change(
        session,
        run.id,
        "running",
        attempt=run.attempt,
        state="queued",
        attempt_to=run.attempt + 1,
        crashes=crashes,
        worker="",
        progress={},
        heartbeat=None,
        sent=now(),
        sends=1,
    )
    if mine:
        session.execute(delete(Artifact).where(Artifact.run_id == run.id))
        session.execute(delete(Run).where(Run.parent_id == run.id))
    return mine


def _ended(run: Run, why: str) -> str:
    """End the process of a run that was settled without it."""
    if run.queue:
        queue.kill(run.id, run.attempt)
    return f"run {run.id}: {why}"
