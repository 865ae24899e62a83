"""The pictures of a run: drawn after its tables, one that somebody has opened before the others."""

from __future__ import annotations

import time

from templates_engine.figures import Drawers, Picture
from templates_engine.problems import Problem
from templates_engine.running import Run
from templates_engine.sampling import cores

_GRACE = 4.0  # seconds that pictures may still take once the user has asked to stop


def draw(run: Run) -> None:
    """Draw all that is pending.

    A picture that cannot be drawn becomes a picture that says so, and a notice; never a failed run. When the user has
    asked to stop, what is not drawn within a few seconds is left out in the same way.
    """
    run.drawing_since = time.monotonic()
    drawers(run).draw_all(lambda: following(run), lambda name, svg, fault: _drawn(run, name, svg, fault))
    run.drawing_until = time.monotonic()
    run.check()


def drawers(run: Run) -> Drawers:
    """The processes that draw, started by the first who asks."""
    with run.lock:
        if run.drawers is None:
            run.drawers = Drawers(min(2, cores(), max(1, len(run.pictures))))
        return run.drawers


def following(run: Run) -> tuple[str, Picture, bool] | None:
    """What to draw next: its name, the picture, and whether there is no time left to draw it."""
    with run.lock:
        if not run.pictures or run.fault is not None:
            return None
        wanted = run.reporter.wanted()
        name = wanted if wanted in run.pictures else next(iter(run.pictures))
        late = run.stopped_at is not None and time.monotonic() - run.stopped_at > _GRACE
        return name, run.pictures.pop(name), late


def _drawn(run: Run, name: str, svg: bytes, fault: str) -> None:
    artifact = run.store.fulfil(name, svg)
    with run.lock:
        run.drawn += 1
        if fault and run.stopped_at is None:
            run.note(Problem("picture", f"The picture {name} could not be drawn: {fault}"))
        run.reporter.artifact(artifact)
