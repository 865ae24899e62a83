"""Which of the project's modules a module rests on, read from the sources: nothing is imported for it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from templates_engine.faces import offered

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("templates_engine", "model_templates")


def closure(files: Iterable[Path], without: str = "") -> set[Path]:
    """The modules and every module of the project that they import, directly or through others.

    without: the part of the project, as templates_engine/figures, that is left out.
    """
    found = set(files)
    waiting = list(found)
    while waiting:
        for other in _imports(waiting.pop()):
            if other not in found and not (without and other.is_relative_to(_ROOT / without)):
                found.add(other)
                waiting.append(other)
    return found


def digest(files: Iterable[Path], *words: str) -> str:
    """16 hexadecimal digits for the words and the names and contents of the files."""
    total = hashlib.sha256(" ".join(words).encode())
    for source in sorted(files):
        name = source.relative_to(_ROOT) if source.is_relative_to(_ROOT) else source.name
        total.update(str(name).encode() + b"\0" + source.read_bytes())
    return total.hexdigest()[:16]


def everything() -> set[Path]:
    """All sources of the engine and of the templates."""
    return {source for package in _PACKAGES for source in (_ROOT / package).rglob("*.py")}


@cache
def _imports(file: Path) -> frozenset[Path]:
    """The project's modules that a file names in its imports, wherever these stand, but for type checkers only."""
    package = file.parent.relative_to(_ROOT).parts if file.is_relative_to(_ROOT) else ()
    names: set[str] = set()
    if file.name == "__init__.py":  # a face that is imported whole may be asked for any of its names
        names |= {
            module if module != ".".join(package) else f"{module}.{inner}" for module, inner in offered(file).values()
        }
    waiting: list[ast.AST] = [ast.parse(file.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                names |= _named(base, alias.name)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return frozenset(_files(names))


def _named(base: str, name: str) -> set[str]:
    """The modules that `from base import name` may mean; a name that a face offers, the one module that has it."""
    face = _ROOT.joinpath(*base.split("."), "__init__.py")
    found = offered(face) if base.split(".")[0] in _PACKAGES and face.is_file() else {}
    if name in found:
        module, inner = found[name]
        return {f"{base}.{inner}"} if module == base else {module}
    return {f"{base}.{name}"} if found else {base, f"{base}.{name}"}


def _files(names: set[str]) -> Iterator[Path]:
    for name in names:
        if name.split(".")[0] in _PACKAGES:
            path = _ROOT.joinpath(*name.split("."))
            yield from (p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file())
