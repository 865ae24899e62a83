"""Import and compile what runs need, before the first run asks for it."""

from __future__ import annotations

import importlib
import logging
import time

from app.settings import settings

MODULES = ("numba", "pandas", "scipy.stats", "scipy.special", "arviz_stats.base", "templates_engine.job")
log = logging.getLogger("statgrove.worker")


def preload() -> None:
    """Import the numerics and every template, and load (the first time: compile) their kernels."""
    began = time.monotonic()
    for module in MODULES:
        importlib.import_module(module)
    if settings().warm:
        from templates_engine.sampling.compiled import kernels_folder

        if not kernels_folder().is_dir():
            log.info("compiling the samplers; this is done once and takes a minute or two")
        warm()
    log.info("worker ready after %.1f s", time.monotonic() - began)


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
