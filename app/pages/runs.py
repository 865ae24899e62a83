"""Runs: history, a run that goes on, its results, why it failed."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from app import db, folders, leads, runs
from app.declared import Declared
from app.models import Artifact, Dataset, Run
from app.pages import conversation as talks
from app.pages.ask import Form, begun, word
from app.pages.home import took
from app.pages.listing import FIGURES, TABLES, Entry, first_of, first_picture, groups
from app.pages.longer import Offer, faulty, offer_of, whole
from app.pages.objects import show
from app.pages.render import Here, gauge_of, page, remember, see_other
from app.pages.tables import MOST_ROWS
from app.pages.trace import converging_of, curves_of, trace_of
from app.pages.verdicts import TARGETS, verdicts_of
from templates_engine import registry
from templates_engine.asking import UNTIL_TARGETS, walk
from templates_engine.problems import Problem, Refused
from templates_engine.template import Lead

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]
PER_PAGE = 30
PICTURES = "Pictures"
AT_FIRST = 40  # rows of a table on a run's first page


def run_of(session: Session, number: int) -> Run:
    run = runs.get(session, number) if 0 < number < 2**31 else None
    if run is None:
        raise HTTPException(404, f"There is no run {number}." if number < 10**9 else "There is no such run.")
    return run


def here_of_run(run: Run) -> Here:
    return Here(run.dataset_name, run.dataset_id, run.template, None)


def output_url(run: Run, name: str) -> str:
    return f"/runs/{run.id}/output/{quote(name, safe='')}"


@router.get("/runs")
def history(request: Request, session: Db) -> Response:
    number = int(request.query_params.get("page", "1")) if request.query_params.get("page", "1").isdecimal() else 1
    number = min(max(1, number), 100_000)
    found = runs.recent(session, PER_PAGE + 1, (number - 1) * PER_PAGE)
    return page(
        request,
        session,
        "runs/history.html",
        title="History",
        runs=found[:PER_PAGE],
        number=number,
        more=len(found) > PER_PAGE,
        took=took,
        gauge_of=gauge_of,
        json_url="/api/v1/runs",
    )


@router.get("/runs/{number}")
def one(request: Request, session: Db, number: int, output: str = "") -> Response:
    run = run_of(session, number)
    every = runs.artifacts(session, run)
    step = (run.progress or {}).get("step", "")
    if run.state in ("queued", "running") and not output and step != PICTURES:
        return _running(request, session, run, every)
    if run.state == "failed":
        return _failed(request, session, run, every)
    return _results(request, session, run, every, output)


def _running(request: Request, session: Session, run: Run, every: list[Artifact]) -> Response:
    progress: dict[str, Any] = run.progress or {}
    percent = float(progress.get("percent") or 0.0)
    steps = progress.get("steps") or []
    seconds = next((s["seconds"] for s in steps if s.get("state") == "now"), 0) or 0
    chains = [
        {
            "n": k,
            "done": done,
            "total": total,
            "percent": 100 * done / total if total else 0,
            "speed": f"{done / seconds:,.0f}/s" if seconds > 0.5 and done else "",
        }
        for k, (done, total) in enumerate(progress.get("chains") or [], start=1)
    ]
    listed = [g for g in groups(every, Declared(run, runs.children(session, run))) if g.title == TABLES]
    ready = [e.artifact for g in listed for e in (g.entries or [x for f in g.folds.values() for x in f.entries])]
    return page(
        request,
        session,
        "runs/running.html",
        title=f"{percent:.0f}%, {run.title}",
        here=here_of_run(run),
        run=run,
        progress=progress,
        percent=percent,
        steps=steps,
        chains=chains,
        ready=ready[:4],
        trace=trace_of(progress.get("trace")),
        curves=curves_of(progress.get("curves")),
        converging=converging_of(progress.get("converging")),
        looks=run.answers.get("stopping") == UNTIL_TARGETS,
        targets=f"until the targets are met, {run.answers.get('maxminutes', '')} min at most",
        output_url=output_url,
        json_url=f"/api/v1/runs/{run.id}",
        say=_say(run, percent),
    )


def _say(run: Run, percent: float) -> str:
    """What is read out: changes of state, and every tenth per cent."""
    if run.cancel:
        return "Stopping."
    return "Queued." if run.state == "queued" else f"{int(percent // 10) * 10}% done."


def _results(
    request: Request,
    session: Session,
    run: Run,
    every: list[Artifact],
    output: str = "",
    offer: Offer | None = None,
    status: int = 200,
) -> Response:
    children = runs.children(session, run)
    declared = Declared(run, children)
    listed = groups(every, declared)
    chosen, extra = _chosen(listed, every, output)
    if chosen is not None and chosen.state == "pending":
        runs.want(session, chosen.run_id, chosen.name)
        run = run_of(session, run.id)
    rows = MOST_ROWS if output else AT_FIRST
    shown = [show(session, run, a, every, declared, rows) for a in (chosen, extra) if a is not None]
    offer = offer or offer_of(session, run)
    pending = sum(a.state == "pending" for a in every)
    return page(
        request,
        session,
        "runs/results.html",
        title=run.title,
        here=here_of_run(run),
        run=run,
        groups=listed,
        shown=shown,
        chosen=chosen.name if chosen else "",
        explicit=bool(output),
        pending=pending,
        verdicts=verdicts_of(run, every, declared, offer),
        longer=offer,
        followers=runs.followers(session, run),
        children=children,
        made=_made(session, run),
        took=took(run),
        notices=[p for p in run.problems or [] if p.get("level") == "notice" and p.get("code") not in TARGETS],
        output_url=output_url,
        leads=_leads(run),
        going=run.state in ("queued", "running"),
        percent=float((run.progress or {}).get("percent") or 0),
        parent=run_of(session, run.parent_id) if run.parent_id else None,
        status=status,
        title_error=status != 200,
        json_url=f"/api/v1/runs/{run.id}",
    )


def _leads(run: Run) -> list[Lead]:
    """Where this run's answers may be carried over to; of a run inside another one nowhere."""
    form = registry.all().get(run.template)
    if form is None or run.parent_id or run.dataset_id is None or run.state not in ("done", "cancelled"):
        return []
    said = [Problem(str(p.get("code")), "", lead=str(p.get("lead", ""))) for p in run.problems or []]
    return leads.shown(form, run.answers, said)


def _made(session: Session, run: Run) -> list[Dataset]:
    """The datasets that a run of a data template was asked for; those of a model stand in its list of outputs."""
    form = registry.all().get(run.template)
    if form is None or form.heading != "Data":
        return []
    return list(session.scalars(select(Dataset).where(Dataset.run_id == run.id).order_by(Dataset.id)))


def _chosen(listed: list[Any], every: list[Artifact], output: str) -> tuple[Artifact | None, Artifact | None]:
    """The output to show, and on the first page a second one under it."""
    if output:
        found = next((a for a in every if a.name == output), None)
        if found is None:
            raise HTTPException(404, "This run has no output of that name.")
        return found, None
    first: Entry | None = first_of(listed)
    picture = first_picture(listed)
    lead = first.artifact if first else None
    if picture is None or lead is None or lead.kind != "table":
        return lead, None
    if any(g.title == FIGURES for g in listed):  # a picture of the data is the result itself
        return picture.artifact, lead
    return lead, picture.artifact


def _failed(request: Request, session: Session, run: Run, every: list[Artifact]) -> Response:
    ready = [a for a in every if a.state == "ready" and not a.name.endswith((".json", ".npz"))]
    errors = [p for p in run.problems or [] if p.get("level", "error") == "error"]
    labels = _labels(session, run) if errors else {}
    return page(
        request,
        session,
        "runs/failed.html",
        title=f"Failed: {run.title}",
        here=here_of_run(run),
        run=run,
        ready=ready[:20],
        errors=errors,
        labels=labels,
        told=bool(errors)
        and run.message == "\n".join(f"{p['key']}: {p['message']}" if p.get("key") else p["message"] for p in errors),
        took=took(run),
        output_url=output_url,
        json_url=f"/api/v1/runs/{run.id}",
    )


def _labels(session: Session, run: Run) -> dict[str, str]:
    """The questions' words by key; none where the dataset is gone."""
    row = session.get(Dataset, run.dataset_id) if run.dataset_id else None
    if row is None or run.template not in registry.all():
        return {}
    walked = walk(registry.get(run.template), run.answers, row.as_schema(), datasets=runs.Schemas(session))
    return {asked.key: asked.question.label for asked in walked.asked.values()}


@router.post("/runs/{number}/stop")
def stop(session: Db, number: int, form: Form) -> Response:
    """Stop and keep the draws; or, after its own page, stop and discard."""
    run = run_of(session, number)
    runs.cancel(session, run.parent_id or run.id, discard=word(form, "do") == "discard")
    return see_other(f"/runs/{run.parent_id or run.id}")


@router.get("/runs/{number}/stop")
def confirm(request: Request, session: Db, number: int) -> Response:
    run = run_of(session, number)
    if run.ended:
        return see_other(f"/runs/{run.id}")
    return page(request, session, "runs/stop.html", title="Stop and discard?", here=here_of_run(run), run=run)


def _dataset_of(session: Session, run: Run) -> Dataset:
    """The dataset that a run's answers are about, so that they can be used again."""
    row = session.get(Dataset, run.dataset_id) if run.dataset_id else None
    if row is None:
        raise HTTPException(404, "The dataset of this run is not in the list any more, so its answers cannot be used.")
    return row


@router.post("/runs/{number}/again")
def again(session: Db, number: int, form: Form) -> Response:
    """A new conversation that begins with this run's answers; `key` and `value` change one of them."""
    run = run_of(session, number)
    row = _dataset_of(session, run)
    answers = dict(run.answers)
    key, value = word(form, "key"), word(form, "value")
    if key in answers and value:
        answers[key] = value
    talk = talks.start(session, registry.get(run.template).name, row, answers)
    changed = key and talk.walk.complete
    if not changed and run.state == "failed":  # what the rows forbade is asked again
        talks.reopen(talk, {p["key"] for p in run.problems or [] if p.get("key") in talk.conversation.answers})
    answer = see_other(f"/ask/{talk.conversation.id}/model" if changed else f"/ask/{talk.conversation.id}")
    remember(answer, talk.conversation.id)
    return answer


@router.post("/runs/{number}/lead")
def lead_on(session: Db, number: int, form: Form) -> Response:
    """A new conversation with another template, this run's answers carried over."""
    run = run_of(session, number)
    row = _dataset_of(session, run)
    to, answers = leads.carry(session, registry.get(run.template), word(form, "lead"), run.answers, row)
    return begun(session, to.template, row, answers)


@router.post("/runs/{number}/longer")
def longer(request: Request, session: Db, number: int, form: Form) -> Response:
    """A new run that goes on from this one's chains."""
    run = run_of(session, number)
    text = word(form, "more")
    more = whole(text)
    try:
        if more is not None:
            return see_other(f"/runs/{runs.longer(session, run.id, more).id}")
        fault = "Give a whole number: how many more."
    except Refused as refused:
        fault = " ".join(problem.message for problem in refused.problems)
    if not run.ended or run.state == "failed":
        return see_other(f"/runs/{run.id}")
    offer = faulty(offer_of(session, run), text, fault)
    return _results(request, session, run, runs.artifacts(session, run), offer=offer, status=422)


@router.get("/runs/{number}/bundle.zip")
def bundle(session: Db, number: int) -> Response:
    run = run_of(session, number)
    return FileResponse(
        runs.bundle(session, run), media_type="application/zip", filename=f"{folders.bundle_name(run)}.zip"
    )
