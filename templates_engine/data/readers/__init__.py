"""Reading data files of the usual kinds into a Dataset.

    read(path, filename)  ─ extension → one module of this package → Raw ─ names, cells → Dataset

A file that cannot be used is Refused with a sentence that says why; what was decided while reading (renamed columns,
missing codes, texts cut) is told in Dataset.notes. File names from outside are never used as paths.
"""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from templates_engine.data.readers.reading import (
    DECIMALS as DECIMALS,
    DELIMITERS as DELIMITERS,
    KIND as KIND,
    KINDS as KINDS,
    OPTIONS as OPTIONS,
    TOTALS as TOTALS,
    Reading as Reading,
)
from templates_engine.problems import Problem, Refused

if TYPE_CHECKING:
    from templates_engine.data.dataset import Dataset
    from templates_engine.data.readers.raw import Raw

EXTENSIONS: dict[str, str] = {  # extension -> (module of this package), in the order that messages list them
    ".dta": "stata",
    ".csv": "text",
    ".txt": "text",
    ".sav": "spss",
    ".xlsx": "excel",
    ".parquet": "parquet",
}
APART = frozenset({"spss"})  # read in a process of their own: the library crashes on some damaged files
PACKED = frozenset({"excel", "parquet"})  # small files may hold very much
QUICK = 4_000_000  # bytes that are read at once
MAX_COLUMNS = 20_000
MAX_CELLS = 250_000_000  # 2 GB as numbers


class Left(Exception):
    """Nobody waits for the dataset any more."""


@dataclass(frozen=True)
class Limits:
    """What the reading of one file may use."""

    seconds: float = 900.0
    memory: int = 0  # bytes; 0: all that there is
    gone: Callable[[], bool] = lambda: False  # does nobody wait any more?


_KINDS = {
    "stata": "a Stata file",
    "text": "a text file",
    "spss": "an SPSS file",
    "excel": "an Excel file",
    "parquet": "a Parquet file",
    "ole": "an old Office file",
    "pdf": "a PDF",
    "gzip": "a gzip archive",
}


FOUND = Reading()  # nothing is told


def read(path: str | os.PathLike[str], filename: str | None = None, reading: Reading = FOUND) -> Dataset:
    """The dataset in the file at `path`; `filename`, what its owner called it, gives the format and the name.

    reading: what is told of the file's form; the rest is found. Dataset.how has what was found and told.
    """
    given = filename if filename is not None else os.fspath(path)
    shown, module = _format(given)
    reading.refuse_others(module, shown)
    _check_beginning(Path(path), shown, module)
    if module in APART:
        from templates_engine.data.readers.apart import read_apart

        return read_apart(Path(path), given, shown, Limits(), reading)
    return read_here(Path(path), given, reading)


def read_sent(path: Path, filename: str, limits: Limits, reading: Reading = FOUND) -> Dataset:
    """As read, of a file that somebody has sent: in a process of its own, within limits of time and memory.

    A small file that holds what it is, and is no archive of more, is read here: it needs little of either. Refused;
    Left where nobody waits for it any more.
    """
    from templates_engine.data.readers.apart import read_apart

    shown, module = _format(filename)
    reading.refuse_others(module, shown)
    _check_beginning(path, shown, module)
    if module in APART | PACKED or path.stat().st_size > QUICK:
        return read_apart(path, filename, shown, limits, reading)
    return read_here(path, filename, reading)


def read_here(path: Path, filename: str, reading: Reading = FOUND) -> Dataset:
    """As read, after the first checks and in this process."""
    from templates_engine.data.names import dataset_name

    shown, module = _format(filename)
    reader: Any = importlib.import_module(f"{__name__}.{module}")
    made = _assembled(lambda: reader.read_raw(path, shown, reading), module, dataset_name(filename), shown)
    return replace(made, how={**made.how, "file": shown, "kind": module, "told": reading.texts()})


def read_text(text: str, name: str, shown: str, told: Reading) -> Dataset:
    """The dataset in a delimited text; `shown` is what messages call the text, `told` what is known of its form."""
    from templates_engine.data.readers import text as reader

    if not text.strip():
        raise refused("empty-file", f"{shown} is empty.")
    return _assembled(lambda: reader.read_text(text, shown, told), "text", name, shown)


def _assembled(read_raw: Callable[[], Raw], module: str, name: str, shown: str) -> Dataset:
    from templates_engine.data.readers.assemble import assemble

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's finer points, for programmers
            raw = read_raw()
    except Refused:
        raise
    except MemoryError:
        raise refused("too-large", f"{shown} does not fit into this machine's memory.") from None
    except Exception as error:  # damaged files raise anything
        text = f"{shown} cannot be read as {_KINDS[module]}: it is damaged or incomplete ({_short(error)})."
        raise refused("damaged-file", text) from error
    return assemble(raw, name, shown)


def _format(filename: str) -> tuple[str, str]:
    """(the file's name as messages show it, the module that reads it)."""
    shown = re.split(r"[/\\]", filename)[-1] or "the file"
    extension = Path(shown).suffix.lower()
    if extension not in EXTENSIONS:
        accepted = ", ".join(EXTENSIONS)
        what = f"a file of kind {extension}" if extension else "a file without an extension"
        raise refused(
            "unknown-format", f"{shown}: {what} cannot be read. Accepted are {accepted}. Images come as .zip."
        )
    return shown, EXTENSIONS[extension]


def refused(code: str, text: str, column: str = "") -> Refused:
    return Refused(Problem(code, text, column=column))


def _short(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said[:120] if said else type(error).__name__


def _check_beginning(path: Path, shown: str, module: str) -> None:
    """Refuse an empty file and one whose first bytes belong to another format."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise refused("empty-file", f"{shown} is empty.")
    found = _looks_like(head)
    if found == module or (found == "unknown" and module == "text"):
        return
    if module == "excel" and found == "ole":
        with path.open("rb") as file:
            whole = file.read(1 << 25)
        if "EncryptedPackage".encode("utf-16-le") in whole:
            text = f"{shown} is protected by a password. Save a copy without one and try again."
            raise refused("password", text)
        raise refused("wrong-format", f"{shown} is an old Excel file (.xls). Save it as .xlsx and try again.")
    guess = f"; it looks like {_KINDS[found]}" if found in _KINDS else ""
    raise refused("wrong-format", f"{shown} is not what its name says, {_KINDS[module]}{guess}.")


def _looks_like(head: bytes) -> str:
    old_stata = len(head) > 2 and head[0] in range(104, 116) and head[1] in (1, 2) and head[2] == 1
    if old_stata or head.startswith(b"<stata_dta>"):
        return "stata"
    if head.startswith((b"$FL2", b"$FL3")):
        return "spss"
    if head.startswith(b"PK\x03\x04"):
        return "excel"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "ole"
    if head.startswith(b"%PDF"):
        return "pdf"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if b"\x00" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text"
    return "unknown"
