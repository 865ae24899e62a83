"""One decorator for all compiled kernels, with a disk cache that notices every change.

Numba's own cache follows a function's own file and not the files of the functions it calls, so a changed helper would
go unnoticed. Here each module's kernels are cached in a folder that bears a digest of the module's source, of the
sources of the project's modules that it imports (and that they import), and of Numba's version: a change anywhere
below starts a fresh cache for those that depend on it, and for nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("templates_engine", "model_templates")


def kernels_folder() -> Path:
    """Where compiled kernels are kept ($STATGROVE_CACHE, else the user's cache)."""
    base = os.environ.get("STATGROVE_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(base) if base else home / "statgrove") / "kernels"


@cache
def _digest(file: Path) -> str:
    """Digest of a module's source and of all the project's sources that it rests on, with Numba's version."""
    total = hashlib.sha256(numba.__version__.encode())
    for source in sorted(_closure(file)):
        name = source.relative_to(_ROOT) if source.is_relative_to(_ROOT) else source.name
        total.update(str(name).encode() + b"\0" + source.read_bytes())
    return total.hexdigest()[:16]


def _closure(file: Path) -> set[Path]:
    """The module and every module of the project that it imports, directly or through others."""
    found, waiting = {file}, [file]
    while waiting:
        for other in _imports(waiting.pop()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


@cache
def _imports(file: Path) -> frozenset[Path]:
    """The project's modules that a file names in its imports, wherever these stand in it."""
    package = file.parent.relative_to(_ROOT).parts if file.is_relative_to(_ROOT) else ()
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(_files(names))


def _files(names: set[str]) -> Iterator[Path]:
    for name in names:
        if name.split(".")[0] in _PACKAGES:
            path = _ROOT.joinpath(*name.split("."))
            yield from (p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file())


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
