"""Draws pictures in processes of their own, so that a run's own process never waits for matplotlib.

A drawer is `python -m templates_engine.figures.drawer`: a subprocess and no fork, because a Celery child may not
use multiprocessing and a process with running threads should not fork. It reads pictures from its standard input
and writes SVGs to its standard output (figures/wire.py); it ends when its input ends, hence with its parent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from templates_engine.figures import wire
from templates_engine.figures.describe import numbers_of
from templates_engine.figures.wire import Picture

Next = Callable[[], "tuple[str, Picture, bool] | None"]
Done = Callable[[str, bytes, str], None]


class Drawers:
    """Up to `n` drawers, started at once; they read matplotlib while the caller goes on."""

    def __init__(self, n: int):
        self._processes = [process for process in (_start() for _ in range(max(1, n))) if process is not None]

    def draw_all(self, next_picture: Next, done: Done) -> None:
        """Draw until `next_picture` gives None.

        `next_picture` gives (name, picture, too late to draw it); `done` takes (name, svg, what went wrong or "").
        Both are called from several threads. The first exception they raise stops the drawing and is raised here.
        """
        faults: list[BaseException] = []

        def serve(process: subprocess.Popen[bytes] | None) -> None:
            try:
                while not faults and (job := next_picture()) is not None:
                    name, picture, late = job
                    if late:
                        reason = "the run was stopped"
                        done(name, wire.apology(picture.title, reason), reason)
                        continue
                    svg, reason, process = _drawn(process, picture)
                    done(name, svg, reason)
            except BaseException as fault:
                faults.append(fault)

        threads = [
            threading.Thread(target=serve, args=(process,), name="drawer", daemon=True)
            for process in (*self._processes, *([] if self._processes else [None]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def close(self) -> None:
        """End the drawers."""
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:  # what was still to be written has no reader any more
                    pass
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []


def _drawn(
    process: subprocess.Popen[bytes] | None, picture: Picture
) -> tuple[bytes, str, subprocess.Popen[bytes] | None]:
    """The SVG of a picture, what went wrong, and the drawer if it is still alive; without one it is drawn here."""
    picture = replace(picture, numbers=numbers_of(picture.values))
    if process is not None:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            wire.send_picture(process.stdin, picture)
            svg, reason = wire.receive_svg(process.stdout)
            return svg, reason, process
        except (OSError, EOFError, ValueError):  # the drawer is gone (killed, out of memory): go on without it
            process.kill()
    with _here:
        svg, reason = wire.draw(picture)
    return svg, reason, None


_here = threading.Lock()  # matplotlib is not for two threads at once


def _start() -> subprocess.Popen[bytes] | None:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "templates_engine.figures.drawer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except OSError:  # no more processes to be had: draw here
        return None
