"""Where the chains of a run stood at the last checkpoint, in files that outlive the process that draws them.

Every chain has a file of its own, so that chains keep their state when it suits them, and one that has ended is not
drawn again. A file is whole or not there (written beside, then renamed), and the generation before it stays. As 1,000
iterations and then 1,000 more give what 2,000 give, a run that is taken up from any such files gives the bytes of one
that nobody has disturbed.

At intervals a chain is paused: its kernel returns as if the user had stopped it, the state is written, and the kernel
goes on from there. So kernels know nothing of checkpoints.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from templates_engine.problems import Problem, Refused
from templates_engine.running.kept_chains import pack, program, read_about, unpack
from templates_engine.running.store import file_name
from templates_engine.sampling import Progress, Saved

if TYPE_CHECKING:
    from templates_engine.template import Template

EVERY = 30.0  # seconds between checkpoints unless told
SHORT = 0.2  # seconds of work that are rather done again than written down
_OLDER = ".before"
_FAULTS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, Refused)
log = logging.getLogger("statgrove.checkpoints")


class HandedBack(BaseException):
    """The process is to end: what the chains had reached is kept, and the run is taken up again elsewhere.

    A BaseException, so that a template's own `except Exception` does not swallow it.
    """


class Standing(Protocol):
    """A chain that says where it stands."""

    @property
    def saved(self) -> Saved | None: ...


C = TypeVar("C", bound=Standing)
Resume = Callable[[Saved | None, Progress], C]


class Checkpoints:
    """The checkpoints of one run. Without a folder nothing is kept and nothing found."""

    def __init__(self, folder: Path | None = None, every: float = EVERY):
        self.folder, self.every = folder, every
        self.fault: Problem | None = None  # why the last one could not be written
        self._began = time.monotonic()
        self._before = 0.0  # seconds that earlier attempts took until their last checkpoint
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How long the run has taken, with what earlier attempts took that is not lost."""
        return self._before + time.monotonic() - self._began

    def due(self, who: str = "") -> bool:
        """Is it time for the next checkpoint of this one? Then its interval begins anew."""
        if self.folder is None:
            return False
        with self._lock:
            if time.monotonic() - self._last.setdefault(who, self._began) < self.every:
                return False
            self._last[who] = time.monotonic()
            return True

    def read(self, name: str, template: Template | None) -> Saved | None:
        """A chain's state as kept last under this name by the same program; None where there is nothing whole."""
        for content in self._contents(name, ".npz"):
            try:
                found = unpack(io.BytesIO(content), template)[""][0]
                self._before = max(self._before, float(read_about(io.BytesIO(content))["seconds"]))
                return found
            except _FAULTS as fault:
                log.warning("a checkpoint of %s cannot be used: %s", name, fault)
        return None

    def write(self, name: str, state: Saved, template: Template | None) -> None:
        """Keep a chain's state."""
        if self.folder is not None:
            self._keep(name, ".npz", pack({"seconds": self.seconds}, {"": [state]}, template))

    def get(self, name: str, template: Template | None) -> bytes | None:
        """What was put last under this name by the same program."""
        start = f"{program(template)}\n".encode()
        for content in self._contents(name, ".checkpoint"):
            digest, _, inside = content.partition(b"\n")
            if hashlib.sha256(start + inside).hexdigest().encode() == digest:
                return inside
        return None

    def put(self, name: str, content: bytes, template: Template | None) -> None:
        """Keep what some other work needs to be taken up again."""
        if self.folder is not None:
            digest = hashlib.sha256(f"{program(template)}\n".encode() + content).hexdigest()
            self._keep(name, ".checkpoint", digest.encode() + b"\n" + content)

    def _contents(self, name: str, extension: str) -> Iterator[bytes]:
        """What there is under this name, the newest first."""
        if self.folder is None:
            return
        file = self.folder / _file(name, extension)
        for candidate in (file, file.with_name(file.name + _OLDER)):
            with suppress(FileNotFoundError):
                yield candidate.read_bytes()  # at once: what is broken must leave no file open

    def _keep(self, name: str, extension: str, content: bytes) -> None:
        """Whole or not at all. A disk that is full ends no run: the run goes on without it."""
        assert self.folder is not None
        file = self.folder / _file(name, extension)
        scratch = file.with_name(f".{file.name}-{os.getpid()}-{threading.get_ident()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with scratch.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if file.exists():
                os.replace(file, file.with_name(file.name + _OLDER))
            os.replace(scratch, file)
            self.fault = None
        except OSError as error:
            text = f"A checkpoint could not be written ({error.strerror or error}): after a crash work would be lost."
            self.fault = Problem("checkpoint", text)
            log.warning("the checkpoint %s could not be written: %s", file.name, error)
        finally:
            with suppress(OSError):
                scratch.unlink()


def _file(name: str, extension: str) -> str:
    return file_name(name, "") + extension


@dataclass(frozen=True)
class Chain(Generic[C]):
    """One chain that is run to its end by way of its checkpoints."""

    checkpoints: Checkpoints
    name: str
    template: Template | None
    begin: Saved | None  # where it stands without any
    task: Resume[C]
    leaving: Callable[[], bool]  # whether the process is to end: then HandedBack, once the state is kept

    def run(self, progress: Progress) -> C:
        progress.pauses = True
        resume = self.begin
        kept = self.checkpoints.read(self.name, self.template)
        if kept is not None and (resume is None or kept.sweeps > resume.sweeps):
            resume = kept
        since = time.monotonic()
        while True:
            if resume is not None:
                progress.cells[0] = min(resume.sweeps, progress.total)
            chain = self.task(resume, progress)
            now = chain.saved
            if now is None:
                return chain
            done, on = now.sweeps >= progress.total, progress.go_on()
            if (done and time.monotonic() - since >= SHORT) or (not done and (on or self.leaving())):
                self.checkpoints.write(self.name, now, self.template)
            if not done and self.leaving():
                raise HandedBack
            if done or not on:
                return chain
            resume = now
