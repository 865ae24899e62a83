"""Datasets: reading what is uploaded, keeping it, finding it by name.

The rows are kept as .npz in the data folder, the description of the columns in the database. A name is unique; the
same content under the same name is one dataset, however often it is sent.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from app.models import Dataset
from app.settings import settings
from templates_engine.data import Schema, dataset as data, readers
from templates_engine.problems import Problem, Refused

BLOCK = 1 << 20


def list_all(session: Session) -> list[Dataset]:
    """Every dataset: supplied ones first, then the newest first; their columns are read when they are asked for."""
    rows = session.scalars(select(Dataset).options(defer(Dataset.schema)).order_by(Dataset.id.desc())).all()
    return sorted(rows, key=lambda row: row.source != "supplied")


def find(session: Session, name_or_id: str | int) -> Dataset | None:
    """A dataset by its number (int) or its name (str)."""
    if isinstance(name_or_id, int):
        return session.get(Dataset, name_or_id) if 0 < name_or_id < 2**31 else None
    return session.scalar(select(Dataset).where(Dataset.name == name_or_id))


def get(session: Session, name_or_id: str | int) -> Dataset:
    """A dataset by its number (int) or its name (str); Refused with the nearest name where there is none."""
    import difflib

    row = find(session, name_or_id)
    if row is not None:
        return row
    names = list(session.scalars(select(Dataset.name)))
    near = next(iter(difflib.get_close_matches(str(name_or_id), names, n=1, cutoff=0.5)), "")
    shown = str(name_or_id)[:80]
    message = f'There is no dataset "{shown}".' + (f' Did you mean "{near}"?' if near else "")
    raise Refused(Problem("unknown-dataset", message, key="dataset", nearest=near, word=shown))


def schema(row: Dataset) -> Schema:
    """The columns of a dataset."""
    return row.as_schema()


def open(row: Dataset) -> data.Dataset:
    """The rows of a dataset, under its name in the list."""
    return data.Dataset.load(settings().folder("datasets") / PurePosixPath(row.file).name).with_name(row.name)


def add(
    session: Session, dataset: data.Dataset, source: str, *, note: str = "", run_id: int | None = None, name: str = ""
) -> Dataset:
    """Keep a dataset and put it into the list; its name gets a number where another one has it. Commits.

    The same content under the same name is not kept twice: the row that is there is returned.
    """
    wish = clean_name(name or dataset.name)
    digest = dataset.sha256()
    for row in session.scalars(select(Dataset).where(Dataset.sha256 == digest).order_by(Dataset.id)):
        if row.name == wish or re.fullmatch(re.escape(wish) + r"_\d+", row.name):
            return row
    file = f"{digest[:16]}-{secrets.token_hex(6)}.npz"
    path = settings().folder("datasets") / file
    dataset.with_name(wish).save(path)
    described = {**dataset.schema().as_dict(), "name": wish}
    try:
        for _ in range(100):
            row = Dataset(
                name=_free_name(session, wish),
                source=source,
                note=note or " ".join(dataset.notes),
                n_rows=dataset.n_rows,
                n_columns=len(dataset.columns),
                schema=described,
                sha256=digest,
                file=file,
                run_id=run_id,
            )
            session.add(row)
            try:
                session.commit()
                return row
            except IntegrityError:  # someone took the name meanwhile
                session.rollback()
        raise RuntimeError(f"no free name for {wish}")
    except BaseException:
        session.rollback()
        path.unlink(missing_ok=True)
        raise


def upload(
    session: Session,
    filename: str,
    stream: BinaryIO,
    *,
    name: str = "",
    reading: readers.Reading = readers.FOUND,
    gone: Callable[[], bool] = lambda: False,
) -> Dataset:
    """Read a file that someone sends and keep it, the file too, so that it can be read again. Commits.

    gone: does nobody wait for it any more?

    reading: what is told of the file's form.
    stream: the file's bytes, counted while they are read. Refused when it is too large (code "too-large") or cannot
    be read; nothing is left behind then.
    """

    limit = settings().max_upload
    shown = PurePosixPath(filename.replace("\\", "/")).name or "data"
    scratch = settings().folder("incoming") / (f"{os.getpid()}-{secrets.token_hex(8)}" + _extension(shown))
    try:
        size = 0
        with scratch.open("xb") as out:
            while block := stream.read(BLOCK):
                size += len(block)
                if size > limit:
                    raise Refused(
                        Problem(
                            "too-large",
                            f"{shown} is larger than {_bytes(limit)}, the largest file accepted here "
                            "(setting STATGROVE_MAX_UPLOAD).",
                            key="file",
                        )
                    )
                out.write(block)
        if _extension(shown) == ".zip":
            return _keep_images(session, scratch, shown, name)
        return keep(session, read_sent(scratch, shown, reading, gone), scratch, name=name)
    finally:
        scratch.unlink(missing_ok=True)


def read_sent(
    path: Path, filename: str, reading: readers.Reading, gone: Callable[[], bool] = lambda: False
) -> data.Dataset:
    """The dataset in a file that somebody has sent, within the limits of the settings."""
    chosen = settings()
    return readers.read_sent(path, filename, readers.Limits(chosen.upload_seconds, chosen.upload_memory, gone), reading)


def keep(session: Session, dataset: data.Dataset, read_from: Path, *, name: str = "") -> Dataset:
    """Keep a dataset and a copy of the file it was read from, so that it can be read again. Commits.

    Where the same content is in the list, what is newly told of it (doubts that are settled) is put there.
    """
    row = add(session, dataset, "upload", name=name)
    if row.source == "upload":
        if how(row).get("told") != dataset.how.get("told"):
            replace(session, row, dataset)
        keep_source(row, read_from)
    return row


def keep_source(row: Dataset, read_from: Path) -> None:
    """A copy of a dataset's file beside its rows."""
    if source(row) is None:
        place = settings().folder("datasets")
        part = place / f"{secrets.token_hex(8)}.part"
        try:
            shutil.copyfile(read_from, part)
            os.replace(part, place / f"{PurePosixPath(row.file).stem}.source{_extension(how(row).get('file', ''))}")
        finally:
            part.unlink(missing_ok=True)


def replace(session: Session, row: Dataset, dataset: data.Dataset) -> None:
    """Put other rows, or other words about them, in a dataset's place, under its name and number. Commits."""
    place, old, digest = settings().folder("datasets"), row.file, dataset.sha256()
    before = source(row)
    row.file = f"{digest[:16]}-{secrets.token_hex(6)}.npz"
    dataset.with_name(row.name).save(place / row.file)
    if before is not None:
        os.replace(before, place / f"{PurePosixPath(row.file).stem}.source{before.suffix}")
    row.note, row.sha256 = " ".join(dataset.notes), digest
    row.n_rows, row.n_columns = dataset.n_rows, len(dataset.columns)
    row.schema = {**dataset.schema().as_dict(), "name": row.name}
    session.commit()
    (place / PurePosixPath(old).name).unlink(missing_ok=True)


def source(row: Dataset) -> Path | None:
    """The file that a dataset was read from, where it is kept."""
    return next(settings().folder("datasets").glob(f"{PurePosixPath(row.file).stem}.source*"), None)


def how(row: Dataset) -> dict[str, Any]:
    """What was told and found of the form of a dataset's file (templates_engine.data.readers)."""
    return data.how(settings().folder("datasets") / PurePosixPath(row.file).name)


def register(session: Session, path: Path, reading: readers.Reading = readers.FOUND) -> Dataset:
    """A dataset from a file, or a folder of images, on this machine (command line, Python). Commits.

    Refused when it cannot be read.
    """
    if path.is_dir():
        return _folder(session, path)
    if not path.is_file():
        raise Refused(Problem("unknown-dataset", f"There is no dataset and no file {path}.", key="dataset"))
    if path.stat().st_size > settings().max_upload:
        limit = _bytes(settings().max_upload)
        raise Refused(
            Problem("too-large", f"{path.name} is larger than {limit} (STATGROVE_MAX_UPLOAD).", key="dataset")
        )
    if path.suffix.lower() == ".zip":
        scratch = settings().folder("incoming") / (f"{os.getpid()}-{secrets.token_hex(8)}" + ".zip")
        try:
            shutil.copyfile(path, scratch)
            return _keep_images(session, scratch, path.name, "")
        finally:
            scratch.unlink(missing_ok=True)
    return keep(session, readers.read(path, path.name, reading), path)


def from_folder(session: Session, folder: str, *, name: str = "") -> Dataset:
    """The image dataset of a folder of the server, one from which may be read (templates_engine.data.folders). Commits.

    The images stay where they are. Refused: another folder, none of that name, no images.
    """
    from templates_engine.data import folders

    path = folders.allowed(folder.strip(), "folder")
    if not path.is_dir():
        raise Refused(Problem("no-folder", f"There is no folder {folder}.", key="folder"))
    return _folder(session, path, name)


def _folder(session: Session, path: Path, name: str = "") -> Dataset:
    from templates_engine.data.images import from_folder

    return add(session, from_folder(path), "upload", name=name)


def _keep_images(session: Session, scratch: Path, shown: str, name: str) -> Dataset:
    """The image dataset of a zip, which is kept beside the datasets' tables under the digest of its bytes."""
    from templates_engine.data.images import from_zip

    with scratch.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    kept = settings().folder("datasets") / f"images-{digest[:32]}.zip"
    fresh = not kept.exists()
    if fresh:
        os.replace(scratch, kept)
    try:
        return add(session, from_zip(kept, shown), "upload", name=name)
    except BaseException:
        if fresh:
            kept.unlink(missing_ok=True)
        raise


def install_supplied(session: Session) -> None:
    """Put the supplied example datasets into the list, those that are not there yet. Commits."""
    from templates_engine.data.simulate import SUPPLIED

    there = set(session.scalars(select(Dataset.name).where(Dataset.source == "supplied")))
    for name, make in SUPPLIED.items():
        if name not in there:
            made = make()
            add(session, made, "supplied", name=name, note=" ".join(made.notes) or "Simulated example data.")


def clean_name(name: str) -> str:
    """A dataset's name: a word that can be typed on a command line and put into a file name."""
    stem = PurePosixPath(name.replace("\\", "/")).name
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._-")[:120]
    return stem if stem and not stem.isdigit() else f"data_{stem}".rstrip("_")


def _free_name(session: Session, wish: str) -> str:
    taken = set(session.scalars(select(Dataset.name).where(Dataset.name.startswith(wish, autoescape=True))))
    number, name = 1, wish
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    return name


def _extension(filename: str) -> str:
    found = os.path.splitext(filename)[1].lower()
    return found if re.fullmatch(r"\.[a-z0-9]{1,10}", found) else ""


def _bytes(n: int) -> str:
    return f"{n / 1e9:g} GB" if n >= 1e9 else f"{n / 1e6:g} MB" if n >= 1e6 else f"{n} bytes"
