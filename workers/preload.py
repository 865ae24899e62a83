"""Import and compile what runs need, before the first run asks for it."""

from __future__ import annotations

import fcntl
import importlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.settings import settings

MODULES = ("numba", "pandas", "scipy.stats", "scipy.special", "arviz_stats.base", "templates_engine.running.job")
log = logging.getLogger("statgrove.worker")


def preload() -> None:
    """Import the numerics and every template, and load (the first time: compile) their kernels."""
    began = time.monotonic()
    for module in MODULES:
        importlib.import_module(module)
    if settings().warm:
        with _alone():
            warm()
    log.info("worker ready after %.1f s", time.monotonic() - began)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: what the first compiles the others load, instead of all compiling the same."""
    from templates_engine.sampling import kernels_folder

    folder = kernels_folder()
    if not folder.is_dir():
        log.info("compiling the samplers; this is done once and takes a minute or two")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compiling.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, also by the death of the process
        yield


def warm() -> dict[str, float]:
    """Compile every template's kernels into the cache on disk; seconds by template.

    A template that cannot be compiled is reported and left out: the others must work all the same.
    """
    from templates_engine import registry

    seconds = {}
    for name, template in registry.all().items():
        began = time.monotonic()
        try:
            template.warm()
        except Exception:
            log.exception("the kernels of %s could not be compiled", name)
        seconds[name] = time.monotonic() - began
    return seconds
