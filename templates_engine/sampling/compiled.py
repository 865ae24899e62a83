"""One decorator for all compiled kernels, with a disk cache that notices every change.

Numba's own cache follows a function's own file and not the files of the functions it calls, so a changed helper would
go unnoticed. Here each module's kernels are cached in a folder that bears a digest of the module's source, of the
sources of the project's modules that it imports (and that they import), and of Numba's version: a change anywhere
below starts a fresh cache for those that depend on it, and for nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from templates_engine.sources import closure, digest


def kernels_folder() -> Path:
    """Where compiled kernels are kept ($STATGROVE_CACHE, else the user's cache)."""
    base = os.environ.get("STATGROVE_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(base) if base else home / "statgrove") / "kernels"


@cache
def _digest(file: Path) -> str:
    """Digest of a module's source and of all the project's sources that it rests on, with Numba's version."""
    return digest(closure([file]), numba.__version__)


def njit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, cached on disk, IEEE arithmetic (no fastmath)."""
    return _compile(function)


def njit_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, put into its callers: for small functions in the innermost loops.

    A call that passes a Generator or an array counts references atomically, which costs more than a draw.
    """
    return _compile(function, forceinline=True)


def _compile(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    # Numba asks for the folder when a function is decorated.
    file = Path(function.__code__.co_filename).resolve()
    numba.config.CACHE_DIR = str(kernels_folder() / _digest(file))  # type: ignore[attr-defined]
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, **options)(function)
    return compiled
