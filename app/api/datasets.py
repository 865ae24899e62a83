"""Datasets: sent, listed, described, fetched."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from app import datasets, rereading
from app.api import lookup
from app.api.shapes import DatasetFull, DatasetOut, Name, Plain
from app.db import get_session
from app.models import Dataset
from app.settings import settings
from app.waiting import while_there
from templates_engine.data import readers
from templates_engine.problems import Problem, Refused

router = APIRouter(tags=["datasets"])
TYPES = {"csv": "text/csv", "dta": "application/x-stata-dta", "parquet": "application/vnd.apache.parquet"}


@router.get("/datasets")
def list_datasets(session: Session = Depends(get_session)) -> list[DatasetOut]:
    """Every dataset: supplied, uploaded, made by runs."""
    return [DatasetOut.of(row) for row in datasets.list_all(session)]


@router.post("/datasets", status_code=201)
async def upload_dataset(
    request: Request,
    file: UploadFile = File(description=".dta, .csv, .txt, .sav, .xlsx or .parquet; images as .zip"),
    name: Name = Form(default="", description="Its name in the list; by default the file's."),
    reading: Plain = Form(
        default="",
        description="How the file is read, where it is not as found: a JSON object of texts with any of encoding, "
        'separator, decimal, first, names, missing, totals, sheet and kind:COLUMN, such as {"decimal": "comma"}.',
    ),
    session: Session = Depends(get_session),
) -> DatasetFull:
    """Send a dataset. The same content under the same name is kept once."""
    told = readers.Reading.of(_options(reading))

    def read(gone: Callable[[], bool]) -> Dataset:
        return datasets.upload(session, file.filename or "data", file.file, name=name, reading=told, gone=gone)

    row = await while_there(request, read)
    return DatasetFull.of(row)


def _options(text: str) -> dict[str, str]:
    """Options of reading in a form's field."""
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused(Problem("reading", "reading is not a JSON object.", key="reading"))
    return {str(option): str(value) for option, value in given.items()}


@router.get("/datasets/{dataset}/reading")
def get_reading(dataset: str, session: Session = Depends(get_session)) -> dict[str, Any]:
    """How the dataset's file was read: what was told, and what was found. Empty where no file was read."""
    return datasets.how(lookup.dataset(session, dataset))


@router.post("/datasets/{dataset}/reading")
def read_again(dataset: str, options: dict[Name, Plain], session: Session = Depends(get_session)) -> DatasetFull:
    """Read the dataset's file again with these options. A dataset that is in use stays; a new one is given then."""
    return DatasetFull.of(rereading.read_again(session, lookup.dataset(session, dataset), options))


@router.post("/datasets/folder", status_code=201)
def folder_dataset(
    folder: str = Form(description="A folder of images on the server, inside one that may be read from"),
    name: Name = Form(default="", description="Its name in the list; by default the folder's."),
    session: Session = Depends(get_session),
) -> DatasetFull:
    """Make a dataset of a folder of images on the server. The images stay where they are."""
    return DatasetFull.of(datasets.from_folder(session, folder, name=name))


@router.get("/datasets/{dataset}")
def get_dataset(dataset: str, session: Session = Depends(get_session)) -> DatasetFull:
    """A dataset (number or name) with a summary of each column."""
    return DatasetFull.of(lookup.dataset(session, dataset))


@router.get("/datasets/{dataset}/download", response_class=FileResponse)
def download_dataset(
    dataset: str,
    format: Literal["csv", "dta", "parquet"] = Query(default="csv"),
    session: Session = Depends(get_session),
) -> FileResponse:
    """The rows of a dataset as a file."""
    row = lookup.dataset(session, dataset)
    return send_file(written(datasets.open(row), format), f"{row.name}.{format}", TYPES[format])


def written(dataset: object, format: str) -> Path:
    """The dataset in a temporary file of this format."""
    from templates_engine.data import write

    path = settings().folder("incoming") / f"{os.getpid()}-{secrets.token_hex(8)}.{format}"
    try:
        write(dataset, path)  # type: ignore[arg-type]
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def send_file(path: Path, name: str, media_type: str) -> FileResponse:
    """A temporary file, removed when it has been sent. The name is quoted as RFC 6266 says."""
    return FileResponse(
        path, media_type=media_type, filename=name, background=BackgroundTask(path.unlink, missing_ok=True)
    )
