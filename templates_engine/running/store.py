"""A run's artifacts on disk: one folder, a manifest with checksums, and the zip a person downloads.

    Artifact   one output: the name the page shows, its file, its kind, whether it is drawn yet
    Store      writes artifacts into a folder; every byte depends on the content alone, never on the clock
    write_zip  the bundle of a finished folder

A file's name is the artifact's name with every character outside letters, digits, `_`, `-` and `.` replaced by
`_`, and an extension where the name has none. So no name, whatever it holds, can leave the folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from templates_engine.outputs import Cell, Draws, Table

if TYPE_CHECKING:
    from templates_engine.data import Dataset

MANIFEST = "manifest.json"
STATE = "state.npz"  # where the chains stand: beside the artifacts, not one of them
_TEXTS = (".csv", ".json", ".html", ".md", ".tex", ".txt", ".py", ".log")
EXTENSIONS = frozenset((*_TEXTS, ".dta", ".parquet", ".npz", ".svg", ".png", ".pdf", ".safetensors"))
_LONGEST = 180  # bytes of a file name; common file systems allow 255
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: every bundle of the same files is the same bytes


@dataclass(frozen=True)
class Artifact:
    """One output of a run. `state` is "pending" for a picture that is not drawn yet (no checksum, no file)."""

    name: str
    file: str
    kind: str  # "table", "figure", "dataset", "text", "equation", "code", "draws"
    title: str
    sha256: str = ""
    size: int = 0
    state: str = "ready"
    order: int = 0
    listed: bool = False  # a dataset that joins the list of datasets
    content: Any = field(default=None, compare=False, repr=False)  # a listed dataset itself, so nobody reads it back


def extension_of(name: str) -> str:
    """The known extension a name ends in, "" where it has none ("x.5" has none)."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix if suffix in EXTENSIONS else ""


def file_name(name: str, extension: str) -> str:
    """The file of the artifact `name`; `extension` (with its dot) is added where the name has none."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    ending = safe[len(safe) - len(extension_of(name)) :] if extension_of(name) else extension
    stem = safe[: len(safe) - len(ending)] if extension_of(name) else safe
    if len(stem) + len(ending) > _LONGEST:  # cut, and keep apart what the cut would make equal
        stem = stem[: _LONGEST - len(ending) - 9] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return stem + ending


def as_csv(table: Table) -> bytes:
    """A table as CSV: floats so that reading gives the same number back, None and non-finite values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return out.getvalue().encode()


def as_json(table: Table) -> bytes:
    """A table as strict JSON (no NaN): title, columns, rows, notes."""
    content = {
        "title": table.title,
        "columns": list(table.columns),
        "rows": [[_plain(cell) for cell in row] for row in table.rows],
        "notes": list(table.notes),
    }
    return (json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _plain(cell: Cell) -> Cell:
    """A cell as a plain Python value; NaN and infinities have no place in JSON and become None."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell


def _csv_cell(cell: Cell) -> str:
    cell = _plain(cell)
    if cell is None:
        return ""
    if isinstance(cell, float):
        return repr(cell)
    text = str(cell)
    # A spreadsheet takes text that begins so for a formula (OWASP, "CSV injection"): an apostrophe makes it text.
    if isinstance(cell, str) and text[:1] in tuple("=+-@\t\r") and not re.fullmatch(r"[+-]?[\d.,]+", text):
        return "'" + text
    return text


class Store:
    """The artifacts of one run in one folder. Safe to use from several threads.

    Files are written under a temporary name and renamed, so that a reader never sees half a file. Adding the
    same name with the same content again changes nothing; with other content it is kept beside the first as
    `name-2`. A run that is taken up again starts a new Store on the same folder and writes the same bytes.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._artifacts: dict[str, Artifact] = {}
        self._files = {MANIFEST, STATE}  # lower case: some file systems do not tell "Beta" from "beta"
        self._lock = threading.RLock()
        self._count = count()

    # What is there

    @property
    def artifacts(self) -> list[Artifact]:
        """In the order in which a reader should meet them."""
        with self._lock:
            return sorted(self._artifacts.values(), key=lambda a: a.order)

    def __contains__(self, name: object) -> bool:
        return name in self._artifacts

    def __getitem__(self, name: str) -> Artifact:
        return self._artifacts[name]

    def path(self, artifact: Artifact | str) -> Path:
        """Where an artifact's file is."""
        return self.folder / (self._artifacts[artifact] if isinstance(artifact, str) else artifact).file

    def place(self) -> int:
        """A place in the order, to be given to outputs that come later and out of turn."""
        with self._lock:
            return next(self._count)

    # Adding

    def table(self, name: str, table: Table, title: str = "", order: int | None = None) -> list[Artifact]:
        """A table as .csv under its own name and as .json beside it."""
        title = title or table.title
        stem = name[: len(name) - len(".csv")] if name.lower().endswith(".csv") else name
        first = self._bytes(name, ".csv", as_csv(table), kind="table", title=title, order=order)
        second = self._bytes(f"{stem}.json", ".json", as_json(table), kind="table", title=title, order=order)
        return [first, second]

    def text(
        self, name: str, text: str, title: str = "", kind: str | None = None, order: int | None = None
    ) -> list[Artifact]:
        """Text, code (.py) or an equation (.tex); without an extension it is .txt."""
        if kind is None:
            kind = {".py": "code", ".tex": "equation" if "equation" in name else "text"}.get(extension_of(name), "text")
        return [self._bytes(name, ".txt", text.encode(), kind=kind, title=title, order=order)]

    def dataset(
        self,
        name: str,
        dataset: Dataset,
        title: str = "",
        *,
        listed: bool = False,
        also: Sequence[str] = (),
        kind: str = "dataset",
        order: int | None = None,
    ) -> list[Artifact]:
        """A dataset as .dta; `also` are further names of the same content. Only the first joins the list."""
        from templates_engine.data import write

        with self._scratch(extension_of(name) or ".dta") as scratch:
            write(dataset, scratch)
            content = scratch.read_bytes()

        def keep(name: str, same_as: Artifact | None = None) -> Artifact:
            joins = listed and same_as is None
            return self._bytes(
                name, ".dta", content, kind=kind, title=title, order=order, same_as=same_as, listed=joins,
                source=dataset if joins else None,
            )  # fmt: skip

        first = keep(name)
        return [first, *(keep(other, first) for other in also)]

    def draws(self, name: str, draws: Draws, title: str = "", order: int | None = None) -> list[Artifact]:
        """Parameter chains: a dataset (iteration, chain from 0, one column a parameter) and an .npz to redraw from."""
        stem = name[: -len(extension_of(name))] if extension_of(name) else name
        packed = io.BytesIO()
        np.savez_compressed(
            packed,
            values=draws.values,
            parameters=np.array(draws.parameters, dtype=str),
            variables=np.array(draws.variables, dtype=str),
            first_thin=np.array([draws.first, draws.thin]),
        )
        listing = self.dataset(name, draws_dataset(stem, draws), title, kind="draws", order=order)
        return [*listing, self._bytes(f"{stem}.npz", ".npz", packed.getvalue(), kind="draws", title=title, order=order)]

    def add(
        self, name: str, content: bytes, *, kind: str, title: str = "", extension: str = "", order: int | None = None
    ) -> Artifact:
        """Any other content, ready made."""
        return self._bytes(name, extension, content, kind=kind, title=title, order=order)

    def expect(self, name: str, *, kind: str, extension: str, title: str = "", order: int | None = None) -> Artifact:
        """Announce an artifact that will be made later: its name and file are fixed now."""
        with self._lock:
            name = self._free_name(name)
            pending = Artifact(name, self._free_file(name, extension), kind, title, state="pending")
            return self._keep(pending, order)

    def fulfil(self, name: str, content: bytes) -> Artifact:
        """The content of an artifact announced before."""
        pending = self._artifacts[name]
        self._write(pending.file, content)
        with self._lock:
            ready = replace(pending, sha256=hashlib.sha256(content).hexdigest(), size=len(content), state="ready")
            self._artifacts[name] = ready
            return ready

    def replace(self, name: str, content: bytes, title: str) -> Artifact:
        """Other content for an artifact that is there, while the run goes on; its place and file stay."""
        with self._lock:
            present = self._artifacts[name]
            self._write(present.file, content)
            digest = hashlib.sha256(content).hexdigest()
            made = replace(present, sha256=digest, size=len(content), title=title or present.title)
            self._artifacts[name] = made
            return made

    # The whole

    def keep_state(self, content: bytes) -> None:
        """Where the chains stand, for a run that goes on from here; it is not an output and in no bundle."""
        self._write(STATE, content)

    def manifest(self) -> dict[str, Any]:
        """What is in the folder: name, file, kind, title and sha256 of everything that is ready."""
        return manifest_of(self.artifacts)

    def write_manifest(self) -> Path:
        self._write(MANIFEST, (json.dumps(self.manifest(), ensure_ascii=False, indent=1) + "\n").encode())
        return self.folder / MANIFEST

    def write_zip(self, target: Path | IO[bytes], inside: str) -> None:
        """Write the manifest, then the bundle: everything under the folder name `inside`."""
        self.write_manifest()
        write_zip(self.folder, target, inside)

    # How

    def _bytes(
        self,
        name: str,
        extension: str,
        content: bytes,
        *,
        kind: str,
        title: str,
        order: int | None = None,
        same_as: Artifact | None = None,
        listed: bool = False,
        source: Dataset | None = None,
    ) -> Artifact:
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            present = self._artifacts.get(name)
            if present is not None and present.sha256 == digest:
                return present
            name = self._free_name(name)
            file = self._free_file(name, extension)
            self._write(file, content, same_as.file if same_as else None)
            made = Artifact(name, file, kind, title, digest, len(content), listed=listed, content=source)
            return self._keep(made, order)

    def _keep(self, artifact: Artifact, order: int | None) -> Artifact:
        artifact = replace(artifact, order=next(self._count) if order is None else order)
        self._artifacts[artifact.name] = artifact
        self._files.add(artifact.file.lower())
        return artifact

    def _free_name(self, name: str) -> str:
        return next(n for n in _numbered(name) if n not in self._artifacts)

    def _free_file(self, name: str, extension: str) -> str:
        return next(f for f in _numbered(file_name(name, extension)) if f.lower() not in self._files)

    def _write(self, file: str, content: bytes, same_as: str | None = None) -> None:
        target = self.folder / file
        with self._scratch("") as scratch:
            try:
                if same_as is None:
                    raise OSError
                os.link(self.folder / same_as, scratch)  # the same content twice costs no second copy
            except OSError:
                scratch.write_bytes(content)
            os.replace(scratch, target)

    @contextmanager
    def _scratch(self, extension: str) -> Iterator[Path]:
        """A temporary file beside the final ones, so that renaming it is one step."""
        scratch = self.folder / f".{os.getpid()}-{threading.get_ident()}-{next(_serial)}{extension}"
        try:
            yield scratch
        finally:
            scratch.unlink(missing_ok=True)


_serial = count()


def _numbered(name: str) -> Iterator[str]:
    """name.csv, name-2.csv, name-3.csv, ..."""
    yield name
    extension = extension_of(name)
    stem = name[: len(name) - len(extension)]
    for k in count(2):
        yield f"{stem}-{k}{extension}"


def draws_dataset(name: str, draws: Draws) -> Dataset:
    """Draws as a dataset: iteration, chain (from 0), then a column a parameter, rows by chain and iteration."""
    from templates_engine.data import Dataset

    chains, kept, _ = draws.values.shape
    iteration = draws.first + draws.thin * np.arange(kept, dtype=np.float64)
    columns = {"iteration": np.tile(iteration, chains), "chain": np.repeat(np.arange(chains, dtype=np.float64), kept)}
    titles = {}
    for k, parameter in enumerate(draws.parameters):
        stem = re.sub(r"[^A-Za-z0-9_]", "_", parameter)[:32] or "p"
        stem = "_" + stem[:31] if stem[0].isdigit() else stem
        column = next(c for c in (stem, *(f"{stem[:28]}_{i}" for i in range(2, 1000))) if c not in columns)
        values = draws.values[:, :, k].reshape(-1)
        columns[column] = np.where(np.isfinite(values), values, np.nan)  # a dataset has no infinity
        titles[column] = f"{parameter} {draws.variables[k]}".strip()[:80]
    return Dataset(name, columns, titles=titles)


def load_draws(path: Path) -> Draws:
    """The draws of an .npz that Store.draws wrote."""
    with np.load(path, allow_pickle=False) as packed:
        first, thin = (int(i) for i in packed["first_thin"])
        names = tuple(str(p) for p in packed["parameters"]), tuple(str(v) for v in packed["variables"])
        return Draws(*names, packed["values"], first, thin)


def manifest_of(artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """The manifest of these artifacts; what is still pending has no file and is left out."""
    keys = ("name", "file", "kind", "title", "sha256")
    return {"artifacts": [{k: getattr(a, k) for k in keys} for a in artifacts if a.state == "ready"]}


def write_zip(folder: Path, target: Path | IO[bytes], inside: str) -> None:
    """Zip what the manifest in `folder` lists, and the manifest, under the folder name `inside`.

    Nothing outside `folder` is read, whatever the manifest says. To a path it is written beside and renamed.
    """
    if isinstance(target, Path):
        scratch = target.with_name(f".{target.name}.{os.getpid()}-{next(_serial)}")
        try:
            with scratch.open("wb") as stream:
                write_zip(folder, stream, inside)
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)
        return
    listing: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    inside = re.sub(r"[^A-Za-z0-9_.-]", "_", inside).strip(".") or "bundle"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for file in [MANIFEST, *(entry["file"] for entry in listing["artifacts"])]:
            source = folder / file
            if source.name != file or source.is_symlink():
                raise ValueError(f"{file!r} is not a file of this bundle")
            entry = zipfile.ZipInfo(f"{inside}/{file}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with source.open("rb") as read, bundle.open(entry, "w", force_zip64=True) as write:
                shutil.copyfileobj(read, write)
