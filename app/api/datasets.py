"""Datasets: sent, listed, described, fetched."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from app import datasets
from app.api import lookup
from app.api.shapes import DatasetFull, DatasetOut, Name
from app.db import get_session
from app.settings import settings
from app.waiting import while_there

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
    session: Session = Depends(get_session),
) -> DatasetFull:
    """Send a dataset. The same content under the same name is kept once."""
    row = await while_there(
        request, lambda gone: datasets.upload(session, file.filename or "data", file.file, name=name, gone=gone)
    )
    return DatasetFull.of(row)


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
