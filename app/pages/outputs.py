"""One output in a tab of its own, its file, and its table in other forms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, PlainTextResponse, Response

from app import db, runs
from app.declared import Declared
from app.models import Artifact, Run
from app.pages.objects import read_table, schema_of, show
from app.pages.render import page, render
from app.pages.runs import here_of_run, output_url, run_of
from app.pages.tables import as_latex, as_markdown, journal, named

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".dta": "application/x-stata-dta",
    ".txt": "text/plain; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".py": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
# A stored picture sets its own styles and nothing else; opened by itself it may load and run nothing.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def _found(session: Session, number: int, name: str) -> tuple[Run, Artifact, list[Artifact]]:
    run = run_of(session, number)
    every = runs.artifacts(session, run)
    artifact = next((a for a in every if a.name == name), None) or next((a for a in every if a.file == name), None)
    if artifact is None:
        raise HTTPException(404, f"Run {number} has no output of that name.")
    return run, artifact, every


@router.get("/runs/{number}/output/{name:path}")
def popout(request: Request, session: Db, number: int, name: str) -> Response:
    """The output by itself, in its own tab."""
    run, artifact, every = _found(session, number, name)
    if artifact.state == "pending":
        runs.want(session, artifact.run_id, artifact.name)
        run, artifact, every = _found(session, number, name)
    return page(
        request,
        session,
        "runs/popout.html",
        title=f"{artifact.name}, run {run.id}",
        here=here_of_run(run),
        run=run,
        shown=[show(session, run, artifact, every, Declared(run, runs.children(session, run)))],
        output_url=output_url,
        body_class="popout",
        explicit=True,
        going=run.state in ("queued", "running"),
        chosen=artifact.name,
    )


@router.get("/runs/{number}/file/{name:path}")
def file(session: Db, number: int, name: str, download: bool = False) -> Response:
    """The file itself."""
    run, artifact, _ = _found(session, number, name)
    if artifact.state != "ready":
        raise HTTPException(404, "This picture is not drawn yet.")
    path = runs.artifact_path(run, artifact)
    kind = TYPES.get(path.suffix, "application/octet-stream")
    headers = {"Content-Security-Policy": PICTURE_POLICY} if path.suffix == ".svg" else {}
    return FileResponse(path, media_type=kind, headers=headers, filename=artifact.file if download else None)


@router.get("/runs/{number}/copy/{name:path}")
def copy(request: Request, session: Db, number: int, name: str, form: str = "markdown") -> Response:
    """A table as Markdown, LaTeX or an HTML table for a word processor."""
    run, artifact, every = _found(session, number, name)
    content = read_table(run, artifact, every) if artifact.kind == "table" else None
    if content is None or form not in ("markdown", "latex", "html"):
        raise HTTPException(404, "Tables are copied as markdown, latex or html.")
    schema, declared = schema_of(session, run), Declared(run, runs.children(session, run))
    words = declared.words(artifact, named(content), schema)
    table = journal(content, schema, 5000, words, declared.of(artifact).heads)
    if form == "html":
        return Response(render(request, "runs/copy.html", table=table), media_type="text/html; charset=utf-8")
    return PlainTextResponse(as_latex(table) if form == "latex" else as_markdown(table))
