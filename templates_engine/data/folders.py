"""Folders of this machine that a page or a script may name: images and weights are read from nowhere else.

The setting STATGROVE_FILES lists them; the folder `files` of the data folder is always among them.
"""

from __future__ import annotations

import os
from pathlib import Path

from templates_engine.problems import Problem, Refused

SETTING = "STATGROVE_FILES"


def data_folder() -> Path:
    """The data folder where no setting names another: $XDG_DATA_HOME/statgrove or ~/.local/share/statgrove."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "statgrove"


def roots() -> list[Path]:
    """The folders from which files may be read."""
    own = Path(os.environ.get("STATGROVE_DATA") or data_folder()).expanduser() / "files"
    named = [Path(part).expanduser() for part in os.environ.get(SETTING, "").split(os.pathsep) if part.strip()]
    return [root.resolve() for root in (own, *named)]


def of_run(number: int, pattern: str) -> list[Path]:
    """The files of a run's results whose names fit the pattern, in order; of its last attempt."""
    base = Path(os.environ.get("STATGROVE_DATA") or data_folder()).expanduser() / "runs" / str(number)
    attempts = sorted((p for p in base.glob("*") if p.name.isdigit()), key=lambda p: int(p.name))
    return sorted(attempts[-1].glob(pattern)) if attempts else []


def allowed(text: str, key: str) -> Path:
    """The file or folder of this name: a whole path, or one inside the first folder. Refused outside the folders."""
    given = Path(text).expanduser()
    path = (given if given.is_absolute() else roots()[0] / given).resolve()
    if any(path == root or path.is_relative_to(root) for root in roots()):
        return path
    where = " or ".join(str(root) for root in roots())
    message = f"{text} is not in a folder that may be read from here: {where}. Put it there, or name its folder in the "
    raise Refused(Problem("outside-folders", f"{message}setting {SETTING}.", key=key, word=text))
