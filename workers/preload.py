"""Import what runs need, and load their kernels, before the first run asks for it."""

from __future__ import annotations

import importlib
import logging
import time

from app.settings import settings
from workers import warming

MODULES = ("numba", "pandas", "scipy.stats", "scipy.special", "arviz_stats.base", "templates_engine.running.job")
log = logging.getLogger("statgrove.worker")


def preload() -> None:
    """Import the numerics and every template; load the kernels, or, the first time, begin to compile them.

    Kernels that are compiled are loaded here, before children are forked. Others are compiled by processes beside this
    one, so that a run can begin as soon as those that it needs are there (workers.runner).
    """
    began = time.monotonic()
    for module in MODULES:
        importlib.import_module(module)
    if settings().warm:
        if warming.complete():
            load()
        else:
            log.info("compiling the samplers; this is done once and takes two minutes or so")
            warming.start(cores())
    log.info("worker ready after %.1f s", time.monotonic() - began)


def cores() -> int:
    from templates_engine.sampling import cores

    return cores()


def load() -> None:
    """Every template's kernels from the disk into this process."""
    from templates_engine import registry

    for name in warming.compiled_templates():
        try:
            registry.get(name).warm()
        except Exception:
            log.exception("the kernels of %s could not be loaded", name)
