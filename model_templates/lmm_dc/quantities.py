"""Quantities that the user makes of the parameters, `h2 = sigma2_u/(sigma2_u+sigma2); sd = sqrt(sigma2)`: reading and
faults. Imports no numerics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from templates_engine.data import ExpressionError, Node, columns_of, read
from templates_engine.suggest import meant, nearest

_NAME = re.compile(r"[A-Za-z]\w{0,39}$")
_OTHER = ("mean", "sd", "rank", "missing", "text")  # of whole columns and of texts: nothing that a parameter has
MOST = 30


def split(text: str) -> list[tuple[str, Node]]:
    """(name, expression) of each. Raises ExpressionError with a sentence for the question."""
    found: list[tuple[str, Node]] = []
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, sign, expression = (piece.strip() for piece in part.partition("="))
        if not sign or not _NAME.match(name):
            raise ExpressionError(f"{part}: write name = expression, such as sd = sqrt(sigma2).", 0, name)
        if name in [other for other, _ in found]:
            raise ExpressionError(f"{name} is given twice.", 0, name)
        try:
            node = read(expression)
        except ExpressionError as fault:
            raise ExpressionError(f"{name}: {str(fault).partition(': ')[2]}", 0, fault.word) from None
        odd = next((step for step in _steps(node) if step.what in _OTHER), None)
        if odd is not None:
            what = odd.value if odd.what == "text" else odd.what
            raise ExpressionError(f"{name}: {what} has no meaning for a parameter; use numbers and functions.", 0)
        found.append((name, node))
    if len(found) > MOST:
        raise ExpressionError(f"{len(found)} quantities are too many; at most {MOST}.", 0)
    return found


def sentence(fault: ExpressionError) -> str:
    """Without the place, which is told by the name."""
    return str(fault).partition(": ")[2]


def _steps(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _steps(part)


def faults(text: str, names: Sequence[str]) -> list[str]:
    """What is wrong with the names, once the parameters are known: a sentence each."""
    said, known = [], list(names)
    for name, node in split(text):
        if name in names:
            said.append(f"{name} is a parameter; choose another name for the quantity.")
        for used in columns_of(node):
            if used not in known:
                near = meant(nearest(used, known))
                said.append(f"{name}: there is no parameter {used}.{near} There are {', '.join(known)}.")
        known.append(name)  # a quantity may be made of those before it
    return said
