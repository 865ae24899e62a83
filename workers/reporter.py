"""What a running template tells the database: one thread writes a sign of life every half second.

The thread writes in every phase, also where a template computes for minutes without a word, and it alone talks to
the database while a run goes on; the template's threads hand it what is new and go on.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from app import db, runs
from app.settings import settings
from templates_engine import registry
from templates_engine.data import Schema
from templates_engine.running import Artifact, Job
from templates_engine.runspec import RunSpec
from workers import warming

log = logging.getLogger("statgrove.worker")


class Superseded(BaseException):
    """The run is not ours any more: cancelled for good, or given up and taken up again elsewhere.

    A BaseException, so that a template's own `except Exception` does not swallow it.
    """


_beats: weakref.WeakSet[Beat] = weakref.WeakSet()  # of the runs that this process carries out


def leave(*_: object) -> None:
    """This process is to end (a signal's handler): its runs keep their chains and are handed back."""
    for beat in _beats:
        beat.leaving = True


class Beat:
    """The reporter of one attempt of one run (templates_engine.running.progress.Reporter), with its thread."""

    def __init__(self, run_id: int, attempt: int, *, own_process: bool):
        self.run_id, self.attempt, self._own_process = run_id, attempt, own_process
        self.flag = ""  # the run's cancel flag as last seen
        self.lost_at: float | None = None  # when it was seen that the run is not ours any more
        self.compiling = ""  # the template whose kernels may still have to be compiled
        self.job: Job | None = None  # once there is one
        self.leaving = False  # the process is to end
        self.outage = False  # the database has been away for longer than is waited for
        self._progress: dict[str, Any] | None = None
        self._last: dict[str, Any] = {}
        self._new: list[Artifact] = []
        self._lock = threading.Lock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def __enter__(self) -> Beat:
        _beats.add(self)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        _beats.discard(self)
        self._closed.set()
        self._wake.set()
        self._thread.join()

    # What the job calls

    def progress(self, state: dict[str, Any]) -> None:
        self._check()
        if self.compiling and (state["percent"] > 0 or warming.done(self.compiling)):
            self.compiling = ""
        if self.compiling:  # the first run after an installation compiles what it needs, beside those that compile all
            ready, of = warming.progress()
            state = {**state, "step": f"Getting ready: {ready} of {of} samplers compiled (only the first time)"}
        with self._lock:
            self._progress = finite(state)

    def artifact(self, artifact: Artifact) -> None:
        self._check()
        with self._lock:
            self._new.append(artifact)
        self._wake.set()

    def cancelled(self) -> bool:
        return bool(self.flag) or self.lost_at is not None

    def wanted(self) -> str | None:
        self._check()
        try:
            with db.session() as session:
                return runs.wanted(session, self.run_id)
        except Exception as error:
            if not db.away(error):
                raise
            return None  # which picture comes first is of no weight

    def child(self, template: str, answers: Mapping[str, str], dataset_name: str, prefix: str, schema: Schema) -> None:
        self._check()
        version = registry.get(template).version
        db.patiently(
            lambda session, again: runs.add_child(
                session,
                self.run_id,
                self.attempt,
                template=template,
                version=version,
                dataset_name=dataset_name,
                dataset_sha256="",  # made inside the run: the parent's hash and answers say what it was
                answers=answers,
                spec_hash=RunSpec(template, version, "", answers).hash(),
                prefix=prefix,
                again=again,
            )
        )

    # Writing

    @property
    def state(self) -> dict[str, Any]:
        """The progress as last reported."""
        with self._lock:
            return self._progress or self._last

    def flush(self) -> None:
        """Write what is new now, however long the database takes. Superseded where the run is not ours any more."""
        db.patiently(lambda *_: self._write())
        self._check()

    def _check(self) -> None:
        if self.lost_at is not None:
            raise Superseded

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                new, self._new = self._new, []
                progress, self._progress = self._progress, None
            try:
                with db.session() as session:
                    if new:
                        runs.add_artifacts(session, self.run_id, self.attempt, list({a.name: a for a in new}.values()))
                    flag = runs.heartbeat(session, self.run_id, self.attempt, progress)
            except BaseException:
                with self._lock:  # not written: the next beat writes it, under what came meanwhile
                    self._new = new + self._new
                    self._progress = self._progress or progress
                raise
            self._last = progress or self._last
            if flag is None:
                self.lost_at = self.lost_at or time.monotonic()
            else:
                self.flag = flag

    def _run(self) -> None:
        every, grace = settings().heartbeat, settings().cancel_grace
        while not self._closed.is_set():
            self._wake.wait(every)
            self._wake.clear()
            if self.leaving and self.job is not None:
                self.job.hand_back()
            try:
                if self.lost_at is None:
                    self._write()
                    db.outage.over()
            except Exception as error:  # the database may come back; until then the lease runs
                self._missed(error)
            if self.lost_at is not None and self._own_process and time.monotonic() - self.lost_at > grace:
                # It does not stop though nobody waits for it: make room. Compiled code ignores gentler signals.
                log.warning("run %s does not stop; its process ends", self.run_id)
                os.kill(os.getpid(), signal.SIGKILL)

    def _missed(self, error: Exception) -> None:
        """A sign of life could not be written: one line for an outage; after a time the run is given back."""
        if not db.away(error):
            log.exception("run %s: its sign of life could not be written", self.run_id)
            return
        db.outage.missed(error.__cause__ or error)
        if db.outage.seconds > settings().outage:
            self.outage = self.leaving = True
        self._closed.wait(min(2.0, db.outage.seconds / 4))


def finite(value: Any) -> Any:
    """The same with NaN and infinities as None, tuples as lists, and NumPy numbers as plain ones: strict JSON."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if hasattr(value, "item"):
        return finite(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
