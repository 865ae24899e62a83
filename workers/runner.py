"""Carry out one run: claim it, walk its answers again, check the data, run the template, draw the pictures, end it.

Tables can be read as soon as the template has made them; pictures are drawn after the last table. Whatever
happens, the run ends with a state and, where it failed, a sentence that a statistician understands.
"""

from __future__ import annotations

import json
import logging
import signal
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import datasets, db, folders, logs, queue, runs
from app.models import Dataset as Row, Run
from app.settings import settings
from templates_engine import registry
from templates_engine.asking import Walk, walk
from templates_engine.data import Dataset
from templates_engine.problems import Problem, Refused
from templates_engine.running import Artifact, Checkpoints, HandedBack, Job, Store
from templates_engine.runspec import RunSpec
from templates_engine.template import Template
from workers import warming
from workers.faults import sentence
from workers.reporter import Beat, Superseded, leave

log = logging.getLogger("statgrove.worker")


def carry_out(run_id: int, attempt: int, *, own_process: bool) -> None:
    """Carry out an attempt from queued to its end. own_process: this process may be ended with the run."""
    run = db.patiently(lambda session, again: runs.claim(session, run_id, attempt, again=again))
    if own_process:  # here, as Celery's pool sets handlers of its own before each task
        signal.signal(queue.LEAVE, leave)
    if run is None:
        return  # delivered twice, cancelled meanwhile, or a later attempt is on its way
    logs.about(run_id)
    try:
        _carry_out(run, own_process)
    finally:
        logs.about(None)


def _carry_out(run: Run, own_process: bool) -> None:
    """A run that was claimed, until it has ended."""
    run_id, attempt = run.id, run.attempt
    try:
        beat = Beat(run_id, attempt, own_process=own_process)
        with beat:
            ended = _work(run, beat, own_process)
    except Superseded:
        log.warning("run %s: attempt %s is not wanted any more and wrote nothing", run_id, attempt)
        return
    except HandedBack:
        _hand_back(run_id, attempt, wait=not beat.outage)
        return
    except BaseException as error:
        if db.away(error):  # for longer than is waited for: what the chains have reached is kept
            _hand_back(run_id, attempt, wait=False)
            return
        if own_process and isinstance(error, SystemExit):  # told to end before it could hear of leaving
            _hand_back(run_id, attempt)
            raise
        message, problems = sentence(error), error.problems if isinstance(error, Refused) else []
        trace = "" if isinstance(error, Refused) else traceback.format_exc()
        with suppress(Exception, Superseded):  # what it has made is listed, too
            beat.flush()
        _end_failed(run, message, trace, problems)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise
        return
    log.info("run %s: %s", run_id, ended)


def _hand_back(run_id: int, attempt: int, *, wait: bool = True) -> None:
    """Put the run back into the queue; where that cannot be written, its lease runs out and the sweep does it."""
    try:
        db.patiently(lambda session, _: runs.hand_back(session, run_id, attempt), seconds=None if wait else 0)
    except Exception as error:
        if not db.away(error):
            raise
        log.error("run %s: the database is away for too long; its chains are kept, its lease runs out", run_id)
        return
    log.warning("run %s: its process ends; its chains are kept and it goes back into the queue", run_id)


def _work(run: Run, beat: Beat, own_process: bool) -> str:
    """Everything between claim and end; returns how it ended."""
    data, template, walked, others = _prepare(run)
    if own_process and settings().warm and template.name in warming.compiled_templates():
        beat.compiling = template.name
    store = Store(folders.folder(run))
    kept = Checkpoints(folders.checkpoints(run), settings().checkpoint_every)
    with Job(store, beat, others=others, continues=_before(run), template=template, checkpoints=kept) as job:
        beat.job = job
        for problem in walked.problems:
            job.note(problem)
        spec, rows = job.begin(template, walked, data)
        fault: BaseException | None = None
        try:
            template.run(spec, rows, job)
        except Exception as error:
            if not job.stopped:
                raise
            fault = error  # a run that is stopped early may lack what its last steps need; what it has is kept
            log.info("run %s: after it was asked to stop: %r", run.id, error)
        if beat.flag != "discard":
            job.text("runspec.json", _specification(run, walked, others), "What identifies the run")
            _join_list(run, store)
            if fault is None:
                job.draw_pictures()
        notes = job.notes
    beat.flush()
    store.write_manifest()
    how = (beat.flag or "keep") if job.stopped else ""

    def settle(session: Session, again: bool) -> bool:
        runs.add_notices(session, run.id, run.attempt, notes)
        if how:
            return runs.stop(session, run.id, run.attempt, how, beat.state, again=again)
        return runs.finish(session, run.id, run.attempt, beat.state, again=again)

    if not db.patiently(settle):
        raise Superseded
    return "stopped on request" if job.stopped else "done"


def _prepare(run: Run) -> tuple[Dataset, Template, Walk, dict[str, Dataset]]:
    """The data, the template, its spec and the other datasets named in it, made again from what the run's row says."""

    def found(session: Session, _: bool) -> tuple[Row, Template, Walk, dict[str, Row]]:
        row = session.get(Row, run.dataset_id) if run.dataset_id else None
        if row is None:
            raise Refused(
                Problem("no-dataset", f"The dataset {run.dataset_name} is not there any more.", key="dataset")
            )
        template = registry.get(run.template)
        if template.version != run.version:
            raise Refused(
                Problem(
                    "other-version",
                    f"This run was asked for with version {run.version} of {run.template}; the version here is "
                    f"{template.version}. Open its answers again and run them anew.",
                )
            )
        walked = walk(template, run.answers, row.as_schema(), datasets=_schemas(session), strict_keys=True)
        walked.require()
        return row, template, walked, {name: datasets.get(session, name) for name in walked.datasets.values()}

    row, template, walked, rows = db.patiently(found)
    data = datasets.open(row)
    if data.sha256() != run.dataset_sha256:
        raise _changed(run.dataset_name)
    others = {name: datasets.open(other) for name, other in rows.items()}
    if others and _spec(run, walked, others).hash() != run.spec_hash:
        raise _changed(" or ".join(others))
    return data, template, walked, others


def _before(run: Run) -> Path | None:
    """The file from which a run goes on that makes an earlier one longer."""
    if (number := run.continues) is None:
        return None
    before = db.patiently(lambda session, _: runs.get(session, number))
    if before is None or not folders.state(before).is_file():
        text = f"The chains of run {run.continues}, from which this run was to go on, are not there any more."
        raise Refused(Problem("no-state", f"{text} Run the answers anew: their first draws will be the same."))
    return folders.state(before)


def _changed(name: str) -> Refused:
    return Refused(Problem("other-data", f"The dataset {name} is not what it was when this run was asked for."))


def _spec(run: Run, walked: Walk, others: Mapping[str, Dataset]) -> RunSpec:
    hashes = {key: others[name].sha256() for key, name in walked.datasets.items()}
    return RunSpec(run.template, run.version, run.dataset_sha256, walked.answers, hashes)


def _schemas(session: Session) -> runs.Schemas:
    return runs.Schemas(session)


def _specification(run: Run, walked: Walk, others: Mapping[str, Dataset]) -> str:
    content: dict[str, Any] = {
        "template": run.template,
        "version": run.version,
        "dataset": run.dataset_name,
        "dataset_sha256": run.dataset_sha256,
        "answers": run.answers,
        "hash": run.spec_hash,
    }
    if others:
        content["datasets_sha256"] = dict(_spec(run, walked, others).others)
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _join_list(run: Run, store: Store) -> None:
    """Put the datasets that the run has made for further use into the list of datasets."""
    for artifact in store.artifacts:
        if artifact.listed and artifact.content is not None:
            _join(run, artifact)


def _join(run: Run, artifact: Artifact) -> None:
    name = Path(artifact.file).stem
    note = f"Made by run {run.id} ({run.template} on {run.dataset_name}). {artifact.title}".strip()
    db.patiently(lambda session, _: datasets.add(session, artifact.content, "run", note=note, run_id=run.id, name=name))


def _end_failed(run: Run, message: str, trace: str, problems: list[Problem]) -> None:
    """End a run that raised. If even that fails, the lease runs out and the sweep settles it."""

    def end(session: Session, _: bool) -> None:
        now = runs.get(session, run.id)
        if now is not None and now.cancel and now.attempt == run.attempt:
            runs.stop(session, run.id, run.attempt, now.cancel)
        else:
            runs.fail(session, run.id, run.attempt, message, trace=trace, problems=problems)

    try:
        db.patiently(end)
    except Exception:
        log.exception("run %s failed (%s) and this could not be written", run.id, message)
