"""Compiling the kernels behind the open page: processes side by side, each template's kernels once.

What is done is a file beside the compiled kernels, whose name holds a digest of all sources; so a change of the program
begins anew, and several workers share the work: a file is locked while a process compiles. A run that is asked for
meanwhile does not wait: it compiles what it needs itself, or finds it compiled.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

log = logging.getLogger("statgrove.worker")


@cache
def _program() -> str:
    from importlib.metadata import version

    from templates_engine.sources import digest, everything

    return digest(everything(), version("numba"))


def _folder() -> Path:
    from templates_engine.sampling import kernels_folder

    folder = kernels_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compiled_templates() -> list[str]:
    """The templates that have kernels, the longest to compile first: two processes then end at about the same time."""
    from templates_engine import registry
    from templates_engine.template import Template

    names = [name for name, template in registry.all().items() if type(template).warm is not Template.warm]
    return sorted(names, key=lambda name: name not in ("LMM/DC", "HoltWinters"))


def done(name: str) -> bool:
    return _file(name, "done").exists()


def progress() -> tuple[int, int]:
    """(how many templates are ready, of how many)."""
    names = compiled_templates()
    return sum(done(name) for name in names), len(names)


def complete() -> bool:
    ready, of = progress()
    return ready == of


def warm_one(name: str, *, wait: bool = True) -> bool:
    """Compile a template's kernels, unless that has been done; False where another process does it, and wait is False.

    A template whose kernels cannot be compiled is reported and taken as done: its runs will say so, the others work.
    """
    from templates_engine import registry

    if done(name):
        return True
    with _locked(name, wait) as mine:
        if not mine:
            return False
        if not done(name):
            began = time.monotonic()
            try:
                registry.get(name).warm()
            except Exception:
                log.exception("the kernels of %s could not be compiled", name)
            _file(name, "done").write_text(f"{time.monotonic() - began:.1f}\n", encoding="utf-8")
    return True


def start(processes: int) -> list[subprocess.Popen[bytes]]:
    """Compile everything in processes of their own, in this one's group and behind what people wait for."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    command = [sys.executable, "-P", "-m", "workers.warming"]
    root = Path(__file__).resolve().parents[1]
    return [
        subprocess.Popen(command, cwd=root, env={**environment, "PYTHONPATH": str(root)}, stdin=subprocess.DEVNULL)
        for _ in range(processes)
    ]


def warm_all(processes: int, tell: Callable[[int, int], None]) -> None:
    """Compile everything and wait for it; tell(ready, of) at the beginning and whenever one more is ready."""
    helpers, before = start(processes), (-1, 0)
    while (now := progress()) != before or any(helper.poll() is None for helper in helpers):
        if now != before:
            tell(*now)
            before = now
        time.sleep(0.2)


def _file(name: str, kind: str) -> Path:
    from templates_engine.template import slug_of

    return _folder() / f"{_program()}-{slug_of(name)}.{kind}"


@contextmanager
def _locked(name: str, wait: bool) -> Iterator[bool]:
    with _file(name, "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))  # let go also by the process's death
        except BlockingIOError:
            yield False
            return
        yield True


def main() -> None:
    """One of the processes that compile: what no other is at, then what others have left."""
    names = compiled_templates()
    left = [name for name in names if not warm_one(name, wait=False)]
    for name in left:
        warm_one(name)


if __name__ == "__main__":
    os.nice(5)  # behind what people wait for
    main()
