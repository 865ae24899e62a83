"""The face of a room: the names that others may use, loaded when they are first asked for.

A room's __init__.py imports what it offers, for type checkers only; `lazily` reads those imports from the source and
carries each out when its name is asked for. So `from templates_engine.data import Schema` loads no reader and no
numerics, and each name stands once. tests/test_house.py holds the rules.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def lazily(room: str, file: str) -> tuple[Callable[[str], Any], list[str]]:
    """(__getattr__, __all__) of the package `room` whose __init__.py is `file`."""
    place = offered(Path(file))

    def attribute(name: str) -> Any:
        if name not in place:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module, inner = place[name]
        if module == room:  # a module of the room, offered whole
            return importlib.import_module(f"{room}.{inner}")
        found = getattr(importlib.import_module(module), inner)
        setattr(sys.modules[room], name, found)  # the next time it is at hand
        return found

    return attribute, sorted(place)


@cache
def offered(face: Path) -> dict[str, tuple[str, str]]:
    """What a face offers: name -> (module, name in the module), from its imports for type checkers; {} where none."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.parse(face.read_bytes()).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    found |= {alias.asname or alias.name: (line.module, alias.name) for alias in line.names}
    return found
