"""A run while it goes on: what a job and its children share, and the thread that keeps telling how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from templates_engine.figures import Drawers, Picture
from templates_engine.problems import Problem
from templates_engine.running.checkpoints import Checkpoints, HandedBack
from templates_engine.running.live import Curves, Watched
from templates_engine.running.progress import Reporter, Steps, time_left
from templates_engine.running.store import Store
from templates_engine.sampling import Progress, Saved

if TYPE_CHECKING:
    from templates_engine.data import Dataset
    from templates_engine.template import Template

BEAT = 0.25  # seconds between looks at the chains: at most four reports a second
AT_LEAST = 1.0  # and one a second even when nothing has changed: the run's heartbeat
PICTURES = "Pictures"  # the step that follows a template's own
PICTURES_SHARE = 0.25  # of the whole, the time they are reckoned to take


class Run:
    """Store, reporter, the wish to stop, the pictures still to be drawn, and the clock."""

    def __init__(self, store: Store, reporter: Reporter):
        self.store, self.reporter = store, reporter
        self.others: dict[str, Dataset] = {}  # the datasets named in the answers
        self.lock = threading.RLock()  # around every call of the reporter
        self.began = time.monotonic()
        self.stopped_at: float | None = None
        self.fault: BaseException | None = None  # raised by the reporter in the helper thread
        self.broken = False  # the reporter has failed: it is told nothing more
        self.notes: list[Problem] = []
        self.pictures: dict[str, Picture] = {}  # not drawn yet
        self.announced = self.drawn = 0  # pictures
        self.drawing_since: float | None = None
        self.drawing_until: float | None = None
        self.drawers: Drawers | None = None
        self.watched: Watched | None = None
        self.curves = Curves(None)
        self.continues: dict[str, list[Saved]] = {}  # where the chains of the run before this one stood
        self.kept: dict[str, list[Saved]] = {}  # and where this one's stand
        self.template: Template | None = None  # whose program the chains are of
        self.checkpoints = Checkpoints()
        self.leaving = False  # the process is to end: keep what there is, and hand the run back
        self.closed = threading.Event()
        self.helper: threading.Thread | None = None
        self._furthest = 0.0

    def stop(self) -> None:
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()

    def check(self) -> None:
        """Raise in the job's own thread what the reporter raised in the helper's."""
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if self.leaving:
            raise HandedBack

    def note(self, problem: Problem) -> None:
        """Keep a notice, once."""
        problem = replace(problem, level="notice")
        with self.lock:
            if problem not in self.notes:
                self.notes.append(problem)

    def state(self, steps: Steps, fraction: float, chains: Sequence[Progress]) -> dict[str, Any]:
        """The report: percent, step, steps, chains, elapsed and left (seconds), notes, trace. Percent never falls."""
        clock = time.monotonic()
        listed = steps.as_list()
        left = None
        drawing = self.drawing_since is not None and self.drawn < self.announced
        if self.announced:
            share = PICTURES_SHARE if steps.steps else 1.0
            fraction = fraction * (1 - share) + share * self.drawn / self.announced
            seconds = 0.0
            if self.drawing_since is not None:
                seconds = (self.drawing_until or clock) - self.drawing_since
                left = time_left(seconds, self.drawn / self.announced)  # pictures go at a pace of their own
            state = "now" if drawing else "todo" if self.drawing_since is None else "done"
            listed.append({"title": PICTURES, "state": state, "seconds": round(seconds, 1)})
        self._furthest = max(self._furthest, fraction)
        if self.drawing_since is None:
            left = time_left(clock - self.began, self._furthest)
        report: dict[str, Any] = {
            "percent": round(100 * self._furthest, 1),
            "step": steps.now.title if steps.now else PICTURES if drawing else "",
            "steps": listed,
            "chains": [[p.done, p.total] for p in chains],
            "elapsed": round(clock - self.began, 1),
            "left": None if left is None else round(left, 1),
            "notes": [p.as_dict() for p in self.notes],
        }
        if (watched := self.watched) is not None:
            report |= watched.report()
        if curves := self.curves.report():
            report["curves"] = curves
        return report


class Reports(Protocol):
    """What the heartbeat needs of a job."""

    @property
    def stopped(self) -> bool: ...
    def stop(self) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def pause(self) -> None: ...
    def hand_back(self) -> None: ...


def heartbeat(run: Run, job_of: Callable[[], Reports | None]) -> None:
    """The helper thread: asks whether to stop, passes a stop on to the chains, reports progress.

    It holds the job weakly, so that a job that was never closed takes its thread with it.
    """
    told, before = 0.0, None
    while not run.closed.wait(BEAT):
        job = job_of()
        if job is None:
            return
        try:
            with run.lock:
                if job.stopped or run.reporter.cancelled():
                    job.stop()
                if run.leaving:
                    job.hand_back()
                elif run.checkpoints.due():
                    job.pause()
                state = job.state()
                changing = {k: v for k, v in state.items() if k not in ("elapsed", "left", "steps")}
                if changing != before or time.monotonic() - told >= AT_LEAST:
                    run.reporter.progress(state)
                    told, before = time.monotonic(), changing
        except BaseException as fault:
            run.fault, run.broken = fault, True
            job.stop()
            return
        del job
