"""Datasets: the list, upload, summary, paged grid, downloads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, Response

from app import datasets, db, rereading
from app.models import Dataset
from app.pages.fields import kind_of
from app.pages.format import decimals_for, short
from app.pages.home import SUPPORTING, grouped, in_order
from app.pages.render import page, remembered, see_other, with_dataset
from app.pages.tables import Cell, number_cells
from app.waiting import while_there
from templates_engine import registry
from templates_engine.data import folders, readers
from templates_engine.problems import Problem, Refused

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]
PAGE = 50  # rows of the grid at a time
COLUMNS = 40  # columns of it, and lines of the table of variables
LISTED = 200  # datasets of the list at a time
SOURCES = {"supplied": "Supplied", "upload": "Uploaded", "run": "Made by a run"}
ENCODINGS = {  # offered beside those that the file may be in
    "utf-8": "UTF-8",
    "cp1252": "Western European (Windows-1252)",
    "windows-1250": "Central European (Windows-1250)",
    "windows-1251": "Cyrillic (Windows-1251)",
    "windows-1253": "Greek (Windows-1253)",
    "windows-1254": "Turkish (Windows-1254)",
    "mac_roman": "Western European (Mac)",
    "utf-16": "UTF-16",
}
FORMATS = {
    "dta": "application/x-stata-dta",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


@router.get("/datasets")
def listing(request: Request, session: Db) -> Response:
    return _listing(request, session)


@router.post("/datasets")
async def upload(request: Request, session: Db) -> Response:
    from starlette.concurrency import run_in_threadpool

    async with request.form(max_files=2, max_fields=20) as form:
        sent = form.get("file")
        if not isinstance(sent, UploadFile) or not sent.filename:
            problem = Problem("no-file", "Choose a file first.", key="file")
            return await run_in_threadpool(_listing, request, session, [problem], 422)
        try:
            name, file = sent.filename, sent.file
            row = await while_there(request, lambda gone: datasets.upload(session, name, file, gone=gone))
        except Refused as refused:
            status = 413 if refused.problems[0].code == "too-large" else 422
            return await run_in_threadpool(_listing, request, session, refused.problems, status)
    return see_other(f"/datasets/{row.id}")


@router.post("/datasets/folder")
async def folder(request: Request, session: Db) -> Response:
    """A dataset of a folder of images on the server."""
    from starlette.concurrency import run_in_threadpool

    async with request.form(max_files=0, max_fields=5) as form:
        named = str(form.get("folder") or "")
    try:
        row = await run_in_threadpool(datasets.from_folder, session, named)
    except Refused as refused:
        return await run_in_threadpool(_listing, request, session, refused.problems, 422)
    return see_other(f"/datasets/{row.id}")


def _listing(request: Request, session: Session, problems: list[Problem] | None = None, status: int = 200) -> Response:
    every = in_order(session)
    text = request.query_params.get("page", "1")
    last = max(1, -(-len(every) // LISTED))
    number = min(max(1, int(text)), last) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
    rows = every[(number - 1) * LISTED : number * LISTED]
    return page(
        request,
        session,
        "datasets/list.html",
        title="Datasets",
        status=status,
        title_error=bool(problems),
        problems=problems or [],
        rows=rows,
        number=number,
        last=last,
        total=len(every),
        made=sum(row.source == "run" for row in every),
        sources=SOURCES,
        readable=[str(root) for root in folders.roots()],
        json_url="/api/v1/datasets",
    )


def _row(session: Session, number: int) -> Dataset:
    row = session.get(Dataset, number) if 0 < number < 2**31 else None
    if row is None:
        raise HTTPException(404, "There is no such dataset.")
    return row


@router.get("/datasets/{number}")
def view(request: Request, session: Db, number: int, start: int = 1, column: int = 1) -> Response:
    return _view(request, session, _row(session, number), start, column)


@router.post("/datasets/{number}/reading")
async def read_again(request: Request, session: Db, number: int) -> Response:
    """The dataset's file read again as the form says."""
    from starlette.concurrency import run_in_threadpool

    row = await run_in_threadpool(_row, session, number)
    async with request.form(max_files=0, max_fields=COLUMNS + 40) as form:
        sent = {option: str(text) for option, text in form.multi_items()}
    column = sent.pop("column", "1")
    at = int(column) if column.isascii() and column.isdecimal() and len(column) < 9 else 1
    kind, _, named = sent.pop("as", "").partition(":")
    told = (await run_in_threadpool(datasets.how, row)).get("told", {})
    kinds = {option: text for option, text in told.items() if option.startswith(readers.KIND)}
    texts = {**kinds, **sent, **({readers.KIND + named: kind} if named else {})}
    if any(sent.get(option, "") != told.get(option, "") for option in ("sheet", "first", "names", "separator")):
        texts = {option: text for option, text in texts.items() if option in readers.OPTIONS}  # other columns
    try:
        made = await run_in_threadpool(rereading.read_again, session, row, texts)
    except Refused as refused:
        return await run_in_threadpool(_view, request, session, row, 1, at, refused.problems, texts)
    return see_other(f"/datasets/{made.id}" + (f"?column={at}" if at > 1 else "") + "#reading-title")


def _view(
    request: Request,
    session: Session,
    row: Dataset,
    start: int,
    column: int,
    problems: Sequence[Problem] = (),
    texts: dict[str, str] | None = None,
) -> Response:
    schema = row.as_schema()
    left = (max(1, min(column, row.n_columns or 1)) - 1) // COLUMNS * COLUMNS
    shown = schema.columns[left : left + COLUMNS]
    first = max(1, min(start, row.n_rows or 1))
    first = (first - 1) // PAGE * PAGE + 1
    data = datasets.open(row)
    suited = grouped([t for t in registry.all().values() if t.images or not schema.images])
    suited.sort(key=lambda group: group[0] in SUPPORTING)  # models first, as on the start page
    return page(
        request,
        session,
        "datasets/view.html",
        title=row.name,
        status=422 if problems else 200,
        title_error=bool(problems),
        problems=problems,
        how=data.how if datasets.source(row) else {},
        told=data.how.get("told", {}) if texts is None else texts,
        kind_choices=readers.KINDS,
        sheets=[(sheet, sheet) for sheet in data.how.get("sheets", [])],
        delimiters=[(word, word.capitalize()) for word in readers.DELIMITERS],
        decimals=[(word, word.capitalize()) for word in readers.DECIMALS],
        encodings=ENCODINGS,
        here=with_dataset(remembered(request, session), row),
        row=row,
        columns=shown,
        n_rows=schema.n_rows,
        left=left + 1,
        right=left + len(shown),
        columns_step=COLUMNS,
        source=SOURCES.get(row.source, ""),
        kinds=kind_of,
        summary=summary_of(shown),
        grid=grid_of(data, first, [c.name for c in shown]),
        first=first,
        last=min(first + PAGE - 1, row.n_rows),
        step=PAGE,
        templates=suited,
        json_url=f"/api/v1/datasets/{row.id}",
        short=short,
    )


def summary_of(columns: Any) -> list[list[Cell]]:
    """Minimum, maximum, mean and SD of each column, decimals by column."""
    found = []
    for c in columns:
        places = decimals_for([v for v in (c.minimum, c.maximum) if v is not None])
        found.append(number_cells([c.minimum, c.maximum], places) + number_cells([c.mean, c.sd], max(places, 3)))
    return found


def grid_of(data: Any, first: int, names: Sequence[str]) -> list[list[str]]:
    """Rows of some columns as text, numbers as short as they can be read; "" where a value is missing."""
    columns = [_column(data[name][first - 1 : first - 1 + PAGE].tolist()) for name in names]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(values: list[float] | list[str]) -> list[str]:
    """Values as they stand in the data, at most six decimals, equally many in a column; codes have no comma."""
    if any(isinstance(v, str) for v in values):
        return [str(v) for v in values]
    seen = [f"{v:.6f}".rstrip("0").partition(".")[2] for v in values if v == v and abs(float(v)) < 1e9]
    places = max(map(len, seen), default=0)
    texts = ["" if v != v else f"{v:.{places}f}" if abs(float(v)) < 1e9 else f"{v:.7g}" for v in values]
    return [text.replace("-", "\N{MINUS SIGN}") for text in texts]


@router.get("/datasets/{number}/download.{extension}")
def download(session: Db, number: int, extension: str) -> Response:
    row = _row(session, number)
    if extension not in FORMATS:
        raise HTTPException(404, "Datasets are downloaded as .dta, .csv or .parquet.")
    from templates_engine.data import write

    with tempfile.NamedTemporaryFile(suffix=f".{extension}", delete=False) as scratch:
        path = Path(scratch.name)
    try:
        write(datasets.open(row), path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=FORMATS[extension], filename=f"{row.name}.{extension}", background=gone)
