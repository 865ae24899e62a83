"""One decorator for all compiled kernels, with a disk cache that notices every change.

Numba's own cache follows a function's own file and not the files of the functions it calls, so a changed
helper would go unnoticed. Here the cache folder carries a digest of all kernel sources and of Numba's version:
any change starts a fresh cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def _digest() -> str:
    """Digest of every source file that may hold a kernel, with Numba's version."""
    root = Path(__file__).resolve().parents[2]
    files = sorted((root / "templates_engine").rglob("*.py")) + sorted((root / "model_templates").rglob("*.py"))
    total = hashlib.sha256(numba.__version__.encode())
    for file in files:
        text = file.read_bytes()
        if b"njit" in text:
            total.update(str(file.relative_to(root)).encode() + b"\0" + text)
    return total.hexdigest()[:16]


def cache_folder() -> Path:
    """Where the compiled kernels of these sources are kept ($STATGROVE_CACHE, else the user's cache)."""
    base = os.environ.get("STATGROVE_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(base) if base else home / "statgrove") / "kernels" / _digest()


# Numba asks for this folder when a kernel is first decorated, so it must be set before any kernel module.
numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]


def njit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, cached on disk, IEEE arithmetic (no fastmath)."""
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)(function)
    return compiled


def njit_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, put into its callers: for small functions in the innermost loops.

    A call that passes a Generator or an array counts references atomically, which costs more than a draw.
    """
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, forceinline=True)(function)
    return compiled
