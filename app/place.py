"""The data folder: private to its owner, writable, and without what an earlier process left half done."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from app.settings import settings
from templates_engine.problems import Problem, Refused

DAY, MINUTE = 86_400.0, 60.0  # seconds without a write after which a temporary file is nobody's any more
SCRATCH = (
    "incoming/*",
    "datasets/*.part",
    "runs/*/*/.[0-9]*",
    "runs/*/*/.bundle-*-*",
    "runs/*/checkpoints/.*",
)
log = logging.getLogger("statgrove.serve")


def ready() -> None:
    """The data folder, made if it is not there. Refused, in one line, where nothing can be written into it.

    It is closed to other users also where it was there before; so is the database that is a file in it.
    """
    place = settings().data.expanduser()
    try:
        folder = settings().folder()
        with tempfile.TemporaryFile(dir=folder) as one:
            one.write(b"written")
            one.flush()
    except OSError as error:
        raise Refused(
            Problem(
                "data-folder",
                f"Nothing can be written into the data folder {place} ({error.strerror or error}). Choose another one "
                "(setting STATGROVE_DATA), make room, or let its owner give you the right to write.",
            )
        ) from None
    _close(folder, 0o700)
    for file in folder.glob("*.db*"):
        _close(file, 0o600)


def no_room(error: BaseException | None) -> str:
    """The sentence for a disk that takes nothing more, "" where the error is another one."""
    if error is None:
        return ""
    number = getattr(error, "errno", None)
    said = str(getattr(error, "orig", ""))  # SQLite's own words
    if number in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in said:
        why = "The disk is full"
    elif number == errno.EROFS or "readonly database" in said:
        why = "The disk can only be read"
    elif number == errno.EACCES:
        why = "The server may not write there"
    else:
        return no_room(error.__cause__)
    return f"{why}, so nothing could be kept. What was there before is untouched; make room and try again."


def tidy() -> None:
    """Remove what processes that are gone left half written: uploads, downloads, outputs, checkpoints, bundles."""
    folder = settings().folder()
    for pattern in SCRATCH:
        for file in folder.glob(pattern):
            with suppress(OSError):  # gone meanwhile
                if file.is_file() and _left(file):
                    file.unlink()


def _left(file: Path) -> bool:
    """Is a temporary file nobody's any more? Its name holds the process that writes it, if one of this machine does."""
    age = time.time() - file.stat().st_mtime
    if not settings().embedded_broker:  # others may write into this folder from elsewhere
        return age > DAY
    named = re.match(r"\.?(?:.*\.(?:npz|checkpoint)-)?(\d+)-", file.name)
    return not os.path.exists(f"/proc/{named[1]}") if named and os.path.isdir("/proc/self") else age > MINUTE


def _close(path: Path, mode: int) -> None:
    """Take from other users what they may do with it."""
    try:
        if path.stat().st_mode & 0o077:
            os.chmod(path, mode)
    except OSError as error:  # another user's
        log.warning("%s is open to other users of this machine and cannot be closed to them (%s)", path, error)
