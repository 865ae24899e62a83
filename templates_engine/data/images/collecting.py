"""A zip or a folder of images becomes an image dataset: a row for each image, with file, label, subject, eye, split.

Two forms are known: one folder for each class (under folders train, val and test, if there are such), or a table beside
the images (a manifest: CSV, Excel, ...) with a column that names the files. Nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from templates_engine.data.dataset import Dataset, Images
from templates_engine.data.images.place import ENDINGS, LARGEST, inside, is_image
from templates_engine.data.images.splitting import WORDS
from templates_engine.data.names import dataset_name
from templates_engine.problems import Problem, Refused

FILE = "file"  # the column that names each row's image
MANIFESTS = (".csv", ".xlsx", ".dta", ".sav", ".parquet", ".txt")
MOST_FILES = 2_000_000
MOST_BYTES = 1 << 40  # of a whole zip, unpacked
BOMB_RATIO, BOMB_FROM = 200, 50_000_000  # a member that unpacks to so many times its size, and to so many bytes
EYES = {"left": "left", "right": "right", "l": "left", "r": "right", "os": "left", "od": "right", "le": "left",
        "re": "right"}  # fmt: skip
_EYE = re.compile(r"^(?P<subject>.+?)[_\-. ](?P<eye>left|right|os|od|le|re|l|r)(?:[_\-. ].*)?$", re.IGNORECASE)


def from_zip(file: Path, filename: str) -> Dataset:
    """The image dataset of a zip. file: where it is kept for good; filename: what its owner called it.

    Refused: a damaged or encrypted zip, a name that leads out of it, a bomb, no images.
    """
    shown = re.split(r"[/\\]", filename)[-1]
    try:
        with zipfile.ZipFile(file) as opened:
            members = [m for m in opened.infolist() if not m.is_dir()]
            _guard(members, shown, file.stat().st_size)
            names = [m.filename for m in members]
            sizes = [f"{m.filename} {m.CRC} {m.file_size}" for m in members]
            digest = hashlib.sha256("\n".join(sorted(sizes)).encode("utf-8", "surrogatepass")).hexdigest()
            images = Images(f"zip:{file}", digest)
            return _collected(names, lambda name: opened.read(name), dataset_name(shown), shown, images)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise _refused(
            "damaged-file", f"{shown} cannot be read as a zip: it is damaged or protected ({error})."
        ) from error


def from_folder(folder: Path) -> Dataset:
    """The image dataset of a folder of this machine; the images stay where they are. Refused: no images in it."""
    folder = folder.expanduser().resolve()
    names, lines = [], []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for one in sorted(files):
            path = Path(base) / one
            if path.is_symlink() and not path.resolve().is_relative_to(folder):
                text = f"{path.relative_to(folder)} leads out of the folder {folder.name} (a link); take it away."
                raise _refused("path-escapes", text)
            about = path.stat()
            names.append(path.relative_to(folder).as_posix())
            lines.append(f"{names[-1]} {about.st_size} {about.st_mtime_ns}")
            if len(names) > MOST_FILES:
                raise _refused("too-large", f"{folder.name} holds more than {MOST_FILES:,} files.")
    images = Images(f"folder:{folder}", hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest())
    return _collected(names, lambda name: (folder / name).read_bytes(), dataset_name(folder.name), folder.name, images)


def _guard(members: Sequence[zipfile.ZipInfo], shown: str, size: int) -> None:
    """Refuse what only a hostile or broken zip holds."""
    if len(members) > MOST_FILES:
        raise _refused("too-large", f"{shown} holds more than {MOST_FILES:,} files.")
    for m in members:
        if not inside(m.filename):
            text = f"{shown} holds a file whose name leads out of it, {m.filename[:80]!r}: it is refused as a whole."
            raise _refused("path-escapes", text)
        if m.flag_bits & 1:
            raise _refused("password", f"{shown} is protected by a password. Make a zip without one and try again.")
        bomb = m.file_size > BOMB_FROM and m.file_size > BOMB_RATIO * max(1, m.compress_size)
        if bomb or (is_image(m.filename) and m.file_size > LARGEST):
            text = f"{shown}: {m.filename[:80]} would unpack to {m.file_size / 1e6:,.0f} MB from "
            text += f"{m.compress_size / 1e6:,.1f} MB; no image does, so the zip is refused."
            raise _refused("zip-bomb", text)
    total = sum(m.file_size for m in members)
    if total > MOST_BYTES or total > BOMB_RATIO * max(BOMB_FROM // BOMB_RATIO, size):
        raise _refused(
            "zip-bomb", f"{shown} would unpack to {total / 1e9:,.1f} GB from {size / 1e9:,.3f} GB: it is refused."
        )


def _collected(names: Sequence[str], content: Callable[[str], bytes], name: str, shown: str, images: Images) -> Dataset:
    files = sorted(n for n in names if is_image(n))
    tables = [n for n in names if PurePosixPath(n).suffix.lower() in MANIFESTS and not _hidden(n)]
    if not files:
        accepted = "PNG, JPEG, TIFF or DICOM"
        raise _refused(
            "no-images", f"There are no images in {shown}: files of {accepted} are looked for by their endings."
        )
    if tables:
        return _by_manifest(files, min(tables, key=lambda n: (n.count("/"), n)), content, name, shown, images)
    return _by_folders(files, name, shown, images)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _by_folders(files: Sequence[str], name: str, shown: str, images: Images) -> Dataset:
    """Class by folder; part by a folder above it, subject and eye by the file's name where they can be told."""
    folders = [PurePosixPath(f).parts[:-1] for f in files]
    common = _shared(folders) if len(set(folders)) > 1 else max(0, len(folders[0]) - 1)
    rest = [parts[common:] for parts in folders]
    parted = all(len(p) >= 2 and p[0].casefold() in WORDS for p in rest)
    if not all(rest) or not all(len(p) > parted for p in rest):
        text = f"Some images of {shown} lie in no class's folder. Put each class into a folder of its own, or add a "
        text += "table (CSV) with the columns file and label."
        raise _refused("no-classes", text)
    columns = {FILE: np.array(files), "label": np.array([p[int(parted)] for p in rest])}
    subjects, eyes = _subjects(files)
    columns["subject"] = np.array(subjects)
    notes = [f"{len(files):,} images in {len(set(columns['label'].tolist()))} folders, one for each class."]
    if any(eyes):
        columns["eye"] = np.array(eyes)
        notes.append("Subject and eye are read from the files' names (subject_left, subject_right).")
    else:
        notes.append("Each image counts as a subject of its own; a table with a column subject would say more.")
    if parted:
        columns["split"] = np.array([p[0] for p in rest])
    return Dataset(name, columns, notes=tuple(notes), images=images)


def _shared(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders all of them begin with."""
    n = 0
    while all(len(f) > n and f[n] == folders[0][n] for f in folders):
        n += 1
    return n


def _subjects(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Subject and eye of each file, from names such as 17_left.jpeg; else the name, without its ending, and ""."""
    found = [_EYE.match(PurePosixPath(f).stem) for f in files]
    if all(found):
        return [m["subject"] for m in found if m], [EYES[m["eye"].casefold()] for m in found if m]
    return [str(PurePosixPath(f).with_suffix("")) for f in files], [""] * len(files)


def _by_manifest(
    files: Sequence[str], table: str, content: Callable[[str], bytes], name: str, shown: str, images: Images
) -> Dataset:
    """The rows of the table; the column whose words name the images becomes `file`."""
    from templates_engine.data import readers

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"manifest{PurePosixPath(table).suffix.lower()}"
        path.write_bytes(content(table))
        data = readers.read(path, PurePosixPath(table).name)
    words = [str(v) for c in data.names if data.is_text(c) for v in data[c]]
    escapes = [w for w in words if PurePosixPath(w).suffix.lower() in ENDINGS and not inside(w)]
    if escapes:
        text = f"{table} in {shown} names a file that leads out of the dataset's folder: {escapes[0][:80]!r}."
        raise _refused("path-escapes", text)
    known = _known(files)
    hits = {c: [known.get(_key(v)) for v in data[c].tolist()] for c in data.names}
    column = max(hits, key=lambda c: sum(h is not None for h in hits[c]))
    found = hits[column]
    if not any(found):
        text = f"No column of {table} names the images of {shown}: one with their file names is needed."
        raise _refused("no-file-column", text)
    lost = [str(v) for v, h in zip(data[column].tolist(), found, strict=True) if h is None]
    at = np.array([h is not None for h in found])
    columns = {FILE: np.array([h for h in found if h is not None])}
    columns |= {c: data[c][at] for c in data.names if c not in (column, FILE)}
    notes = [*data.notes, f"{len(columns[FILE]):,} images by the column {column} of {table}."]
    if lost:
        notes.append(f"{len(lost):,} rows name no image that is there and are left out ({', '.join(lost[:3])}, …).")
    return replace(Dataset(name, columns, data.labels, data.titles, tuple(notes)), images=images)


def _known(files: Sequence[str]) -> dict[str, str]:
    """Image by every way in which a table may name it: its path, the path's end, its name with and without ending."""
    known: dict[str, str] = {}
    repeated: set[str] = set()
    for f in files:
        path = PurePosixPath(f)
        ways = {"/".join(path.parts[k:]) for k in range(len(path.parts))}
        for way in ways | {str(PurePosixPath(w).with_suffix("")) for w in ways}:
            if known.setdefault(way.casefold(), f) != f:
                repeated.add(way.casefold())
    return {way: f for way, f in known.items() if way not in repeated}


def _key(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value == value and value.is_integer() else repr(value)
    return str(value).strip().replace("\\", "/").removeprefix("./").casefold()


def _refused(code: str, text: str) -> Refused:
    return Refused(Problem(code, text, key="file"))
