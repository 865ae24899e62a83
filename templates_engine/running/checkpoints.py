"""How far a long calculation is, kept while it goes on: a run whose worker is lost is taken up again and goes on there.

A checkpoint is no output and no part of a result: it is dropped when the run ends. One that another version of the
program wrote is not found.
"""

from __future__ import annotations

import os
from pathlib import Path

from templates_engine.running import kept_chains
from templates_engine.template import Template


class Checkpoints:
    """The checkpoints of one run, in a folder that all its attempts share; None keeps nothing."""

    def __init__(self, folder: Path | None, template: Template | None):
        self._folder, self._template = folder, template

    def put(self, name: str, content: bytes) -> None:
        """Keep this in the place of what was there. Whole or not at all, also when the process is killed."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._path(name)
        scratch = target.with_suffix(f".{os.getpid()}")
        try:
            scratch.write_bytes(content)
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)

    def get(self, name: str) -> bytes | None:
        """What was kept, by this program; None: begin at the beginning."""
        try:
            return self._path(name).read_bytes() if self._folder is not None else None
        except OSError:
            return None

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}-{kept_chains.program(self._template)[:16]}.checkpoint"
