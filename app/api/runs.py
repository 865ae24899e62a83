"""Runs: asked for, followed, cancelled; their outputs fetched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.sse import format_sse_event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app import datasets, db, folders, runs
from app.api import lookup
from app.api.shapes import MAX_JSON, ArtifactOut, Cancel, Id, Longer, RunOut, Submission
from app.db import get_session
from app.declared import Declared
from app.errors import ApiError
from templates_engine.problems import Problem, Refused

router = APIRouter(tags=["runs"])
POLL = 0.3  # seconds between looks at the database while somebody follows a run
PING = 15.0  # seconds after which a silent stream says that it is alive
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".dta": "application/x-stata-dta",
    ".npz": "application/octet-stream",
    ".tex": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".py": "text/plain; charset=utf-8",
}


@router.post("/runs", status_code=201, max_body_size=MAX_JSON)
def submit_run(body: Submission, session: Session = Depends(get_session)) -> RunOut:
    """Ask for a run. 422 with every problem where an answer is missing, wrong or unknown, or where the rows forbid it.

    The rows of a dataset of more than 5,000,000 cells are looked at by the run only, which then fails with the
    same problems.
    """
    if body.inputs and body.command:
        raise Refused(Problem("both", "Give an input string or a command, not both.", key="command"))
    answers, named, data = lookup.answers(body.answers, body.inputs or body.command)
    template = body.template or named
    wanted = body.dataset if body.dataset not in (None, "") else data
    missing = [
        Problem("missing", f"Which {key}? Give its name.", key=key)
        for key, value in (("template", template), ("dataset", wanted))
        if not value
    ]
    if missing:
        raise Refused(missing)
    row = datasets.get(session, wanted or "")
    run = runs.submit(
        session, template, row, answers, origin="api", title=body.title, reuse=body.reuse, rows=datasets.open
    )
    return RunOut.of(run)


@router.get("/runs")
def list_runs(
    limit: int = Query(default=50, ge=1, le=500),
    offset: int = Query(default=0, ge=0, le=2**31),
    state: Literal["", "queued", "running", "done", "failed", "cancelled"] = "",
    template: str = Query(default="", max_length=100),
    session: Session = Depends(get_session),
) -> list[RunOut]:
    """Runs, newest first; the runs that a run makes are not listed.

    An answer of more than 300 characters is cut, and its key stands in `shortened`: ask for that run by its number.
    """
    return [RunOut.listed(run) for run in runs.recent(session, limit, offset, state=state, template=template)]


@router.get("/runs/{run_id}")
def get_run(run_id: Id, session: Session = Depends(get_session)) -> RunOut:
    """A run: its state, progress, notices, and why it failed where it did."""
    return RunOut.of(lookup.run(session, run_id))


@router.get("/runs/{run_id}/children")
def list_children(run_id: Id, session: Session = Depends(get_session)) -> list[RunOut]:
    """The runs of other templates that a run made; long answers are cut as in the list of runs."""
    return [RunOut.listed(run) for run in runs.children(session, lookup.run(session, run_id))]


@router.post("/runs/{run_id}/cancel", max_body_size=MAX_JSON)
def cancel_run(run_id: Id, body: Cancel | None = None, session: Session = Depends(get_session)) -> RunOut:
    """Ask a run to stop; what it has drawn is kept, unless it is to be discarded. 409 where it has ended."""
    run = lookup.run(session, run_id)
    if run.ended:
        raise ApiError(409, f"Run {run_id} has ended ({run.state}).", code="ended")
    if run.parent_id is not None:
        raise ApiError(409, f"Run {run_id} is part of run {run.parent_id}; cancel that one.", code="child")
    return RunOut.of(runs.cancel(session, run_id, discard=body.discard if body else False) or run)


@router.post("/runs/{run_id}/longer", status_code=202, max_body_size=MAX_JSON)
def make_longer(run_id: Id, body: Longer | None = None, session: Session = Depends(get_session)) -> RunOut:
    """Ask for a new run that goes on from this one's chains: its draws are those of one run of the whole length.

    409 where this run cannot be made longer; 422 where the number will not do.
    """
    lookup.run(session, run_id)
    try:
        return RunOut.of(runs.longer(session, run_id, body.more if body else None, origin="api"))
    except Refused as refused:
        if any(problem.key for problem in refused.problems):
            raise
        raise ApiError(409, str(refused), code=refused.problems[0].code, problems=refused.problems) from None


@router.get("/runs/{run_id}/events", response_class=StreamingResponse)
def follow_run(
    run_id: Id,
    request: Request,
    last_event_id: Annotated[str, Header()] = "",
    session: Session = Depends(get_session),
) -> StreamingResponse:
    """Server-sent events: `progress` at every change, `end` when the run has ended. Each bears an id."""
    lookup.run(session, run_id)
    return StreamingResponse(
        _events(run_id, request, last_event_id),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.get("/runs/{run_id}/artifacts")
def list_artifacts(run_id: Id, session: Session = Depends(get_session)) -> list[ArtifactOut]:
    """The outputs, those still to be drawn too (state "pending")."""
    run = lookup.run(session, run_id)
    declared = Declared(run, runs.children(session, run))
    said = [(one, declared.of(one)) for one in runs.artifacts(session, run)]
    return [ArtifactOut.of(one, part=known.part, about=known.output.about) for one, known in said]


@router.get("/runs/{run_id}/artifacts/{name}", response_class=FileResponse)
def get_artifact(run_id: Id, name: str, session: Session = Depends(get_session)) -> FileResponse:
    """An output by its name or its file. 409 where it is not drawn yet; it is then drawn before the others."""
    run = lookup.run(session, run_id)
    one = runs.artifact(session, run, name)
    if one is None:
        raise ApiError(404, f"Run {run_id} has no output of that name.")
    if one.state != "ready":
        runs.want(session, one.run_id, one.name)
        raise ApiError(409, f"{one.name} is not drawn yet.", code="pending")
    path = runs.artifact_path(run, one)
    if not path.is_file():
        raise ApiError(404, f"The file of {one.name} is not there any more.")
    answer = FileResponse(path, media_type=TYPES.get(path.suffix, "application/octet-stream"), filename=one.file)
    # Should a browser open it as a page of its own: no script, nothing from elsewhere.
    answer.headers["content-security-policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    return answer


@router.get("/runs/{run_id}/bundle", response_class=FileResponse)
def get_bundle(run_id: Id, session: Session = Depends(get_session)) -> FileResponse:
    """Everything that is ready as a zip, with manifest.json. 409 while there is nothing."""
    run = lookup.run(session, run_id)
    if not any(one.state == "ready" for one in runs.artifacts(session, run)):
        raise ApiError(409, f"Run {run_id} has no outputs ({run.state}).", code="nothing")
    return FileResponse(
        runs.bundle(session, run), media_type="application/zip", filename=folders.bundle_name(run) + ".zip"
    )


async def _events(run_id: int, request: Request, last: str) -> AsyncIterator[bytes]:
    """The stream: an event when something has changed since the id that the client saw last."""
    silent = 0.0
    while not await request.is_disconnected():
        try:
            found = await run_in_threadpool(_look, run_id)
        except OperationalError as error:  # the run goes on: the stream is silent until the database answers
            db.outage.missed(error.__cause__ or error)
            await asyncio.sleep(POLL)
            continue
        if found is None:
            return
        event, number, content = found
        if number != last or event == "end":
            yield format_sse_event(data_str=json.dumps(content, default=str), event=event, id=number, retry=1000)
            last, silent = number, 0.0
        if event == "end":
            return
        await asyncio.sleep(POLL)
        silent += POLL
        if silent >= PING:
            yield format_sse_event(comment="alive")
            silent = 0.0


def _look(run_id: int) -> tuple[str, str, dict[str, Any]] | None:
    """The present state of a run as an event: its kind, an id that changes with the content, the content."""
    with db.session() as session:
        run = runs.get(session, run_id)
        if run is None:
            return None
        outputs = runs.artifacts(session, run)
    ready = sum(one.state == "ready" for one in outputs)
    content = {
        "id": run.id,
        "state": run.state,
        "attempt": run.attempt,
        "cancel": run.cancel,
        "message": run.message,
        "progress": run.progress,
        "outputs": {"ready": ready, "pending": len(outputs) - ready},
    }
    moment = run.finished or run.heartbeat or run.created
    number = f"{run.attempt}.{ready}.{len(outputs)}.{int(moment.timestamp() * 1000)}.{run.cancel or '-'}"
    return ("end" if run.ended else "progress"), number, content
