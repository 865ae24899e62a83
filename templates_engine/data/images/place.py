"""Where the images of a dataset lie: in a zip, in a folder of this machine, or simulated when they are asked for.

A place is a text: `zip:<file>`, `folder:<path>`, `simulated:<generator>?<parameters>`. Nothing of a zip is unpacked
onto the disk; a name that leads out of its zip or folder is refused.
"""

from __future__ import annotations

import threading
import zipfile
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Problem, Refused

Pixels = npt.NDArray[np.uint8]  # (height, width, 3)
LARGEST = 300_000_000  # bytes of one image file, unpacked
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm")


class Place(Protocol):
    """Reads images by the names that the dataset's column of files holds."""

    def pixels(self, name: str) -> Pixels:
        """The image as (height, width, 3) bytes. Unreadable when it cannot be read."""


def opened(place: str) -> Place:
    """The images of a dataset. Refused when they are not there any more."""
    kind, _, rest = place.partition(":")
    if kind == "simulated":
        return Drawings(rest)
    if kind == "zip":
        return Zipped(Path(rest))
    if kind == "folder":
        return Folder(Path(rest))
    raise Refused(Problem("no-images", f"This dataset's images lie in an unknown kind of place: {place}."))


def is_image(name: str) -> bool:
    """By its ending; what macOS and editors leave beside images is none."""
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in ENDINGS and not hidden


def inside(name: str) -> bool:
    """Does this name stay inside its zip or folder?"""
    plain = name.replace("\\", "/")
    return bool(plain) and not plain.startswith("/") and ":" not in plain[:3] and ".." not in PurePosixPath(plain).parts


class Zipped:
    """Images in a zip, which is read in place, by several threads if need be."""

    def __init__(self, file: Path):
        if not file.is_file():
            raise Refused(Problem("no-images", f"The images of this dataset are not there any more ({file.name})."))
        self._file, self._lock = file, threading.Lock()

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self._file)

    def pixels(self, name: str) -> Pixels:
        from templates_engine.data.images.reading import Unreadable, decoded

        try:
            with self._lock, self._zip.open(name) as member:
                content = member.read(LARGEST + 1)
        except KeyError:
            raise Unreadable("it is not in the zip") from None
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise Unreadable(f"its part of the zip is damaged ({error})") from error
        if len(content) > LARGEST:
            raise Unreadable(f"it is larger than {LARGEST // 1_000_000} MB")
        return decoded(content, name)


class Drawings:
    """Images that are simulated when they are asked for."""

    def __init__(self, text: str):
        from templates_engine.data.simulate import Simulated

        self._drawn = Simulated(text)

    def pixels(self, name: str) -> Pixels:
        from templates_engine.data.images.reading import Unreadable

        try:
            return self._drawn.pixels(name)
        except KeyError:
            raise Unreadable("it is not among the simulated images") from None


class Folder:
    """Images in a folder of this machine."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise Refused(Problem("no-images", f"The folder of this dataset's images is not there any more: {folder}."))
        self._folder = folder.resolve()

    def pixels(self, name: str) -> Pixels:
        from templates_engine.data.images.reading import Unreadable, decoded

        path = (self._folder / name).resolve()
        if not inside(name) or not path.is_relative_to(self._folder):
            raise Unreadable("its name leads out of the dataset's folder")
        try:
            if path.stat().st_size > LARGEST:
                raise Unreadable(f"it is larger than {LARGEST // 1_000_000} MB")
            return decoded(path.read_bytes(), name)
        except OSError as error:
            raise Unreadable(f"the file cannot be opened ({error.strerror or error})") from error
