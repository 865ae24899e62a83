"""Expressions over columns, such as `if(missing(girl), 0, log(x + 1))`: read, checked and worked out, never executed.

    or, and, not;  < <= > >= == !=;  + -;  * /;  ^ (to the right, before a sign);  numbers, "texts", columns, functions

The language has no names but the columns and FUNCTIONS, and no way to reach anything else. A comparison gives 1 or 0.
A missing value makes the result missing, except where it cannot matter: `no and missing` is no, `yes or missing` is
yes (Kleene's three-valued logic), and `if` looks only at the branch that is taken. Where a value is not defined (a
division by zero, the logarithm of a negative number, a result too large) it becomes missing, and is counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from templates_engine.data.schema import Schema
from templates_engine.suggest import meant, nearest, quoted

LONGEST = 1000  # characters
DEEPEST = 60  # steps of nesting, so that no text can exhaust the stack


class ExpressionError(ValueError):
    """The text is no expression. `at` is the place of the fault, from 0; `word` the faulty word."""

    def __init__(self, message: str, at: int, word: str = "", nearest: str = ""):
        super().__init__(f"Character {at + 1}: {message}")
        self.at, self.word, self.nearest = at, word, nearest


@dataclass(frozen=True)
class Node:
    """One step of an expression. `what` is number, text, column, or the name of an operator or function."""

    what: str
    at: int  # place in the text, from 0
    parts: tuple[Node, ...] = ()
    value: Any = None  # of a number, a text or a column's name
    depth: int = 1


# name -> fewest and most arguments
FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "log": (1, 1), "exp": (1, 1), "sqrt": (1, 1), "abs": (1, 1), "floor": (1, 1), "round": (1, 2),
    "min": (2, 50), "max": (2, 50), "mean": (1, 1), "sd": (1, 1), "rank": (1, 1), "missing": (1, 1), "if": (3, 3),
}  # fmt: skip
_WORDS = ("and", "or", "not")
_BINDS = {"or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "^": 8}
_NOT, _SIGN, _COMPARED = 3, 7, 4
_MEANT = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "**": "^", "<>": "!="}
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<name>[^\W\d][\w.]*) |`(?P<quoted>[^`]+)` |(?P<text>"[^"]*"|'[^']*')
    |(?P<sign>==|!=|<=|>=|\*\*|&&|\|\||<>|[-+*/^()<>,=&|!%]))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, column, text, sign, end
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression is longer than {LONGEST} characters; make it in two steps.", LONGEST)
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            odd = re.match(r"[\w.]+|.", text[at:])
            word = odd.group() if odd else text[at]
            if word in "\"'`":
                raise ExpressionError(f"the text that begins with {word} has no end.", at, word)
            raise ExpressionError(f"{quoted(word)} means nothing here.", at, word)
        kind = str(match.lastgroup)
        found.append(_Token("column" if kind == "quoted" else kind, match.group(kind), match.start(kind)))
        at = match.end()
    return [*found, _Token("end", "", len(text))]


class _Reader:
    """Reads by precedence (Pratt 1973, "Top down operator precedence")."""

    def __init__(self, text: str):
        self._tokens = _tokens(text)
        self._k = 0
        self._open = 0

    @property
    def _now(self) -> _Token:
        return self._tokens[self._k]

    def _next(self) -> _Token:
        self._k += 1
        return self._tokens[self._k - 1]

    def whole(self) -> Node:
        if self._now.kind == "end":
            raise ExpressionError("write an expression, such as log(x + 1).", 0)
        node = self._expression(0)
        if self._now.kind != "end":
            raise self._unexpected("an operator, such as + or *,")
        return node

    def _expression(self, binds: int) -> Node:
        self._open += 1
        if self._open > DEEPEST:
            raise ExpressionError("too much is nested; make the expression in two steps.", self._now.at)
        left = self._first()
        while (power := _BINDS.get(self._now.text if self._now.kind in ("sign", "name") else "", 0)) > binds:
            operator = self._next()
            # ^ goes to the right, all others to the left
            right = self._expression(power - 1 if operator.text == "^" else power)
            left = _node(operator.text, operator.at, (left, right))
            if power == _COMPARED and _BINDS.get(self._now.text) == _COMPARED:
                message = "two comparisons cannot follow each other; write a < b and b < c."
                raise ExpressionError(message, self._now.at, self._now.text)
        self._open -= 1
        return left

    def _first(self) -> Node:
        token = self._next()
        if token.kind == "number":
            if not math.isfinite(number := float(token.text)):
                raise ExpressionError(f"{quoted(token.text)} is too large a number.", token.at, token.text)
            return _node("number", token.at, value=number)
        if token.kind == "text":
            return _node("text", token.at, value=token.text[1:-1])
        if token.kind == "column":
            return _node("column", token.at, value=token.text)
        if token.text in ("-", "+") and token.kind == "sign":
            part = self._expression(_SIGN)
            return _node("negative", token.at, (part,)) if token.text == "-" else part
        if token.text == "(" and token.kind == "sign":
            inside = self._expression(0)
            self._need(")", token)
            return inside
        if token.text == "not" and token.kind == "name":
            return _node("not", token.at, (self._expression(_NOT),))
        if token.kind == "name" and token.text not in _WORDS:
            return self._function(token) if self._now.text == "(" else _node("column", token.at, value=token.text)
        self._k -= 1
        raise self._unexpected("a number, a column or a function")

    def _function(self, name: _Token) -> Node:
        if name.text not in FUNCTIONS:
            near = nearest(name.text, FUNCTIONS, cutoff=0.5)
            message = f"there is no function {quoted(name.text)}.{meant(near)}"
            raise ExpressionError(message, name.at, name.text, near)
        bracket = self._next()
        parts: list[Node] = []
        while self._now.text != ")":
            parts.append(self._expression(0))
            if self._now.text != ",":
                break
            self._next()
        self._need(")", bracket)
        few, most = FUNCTIONS[name.text]
        if not few <= len(parts) <= most:
            wanted = str(few) if few == most else f"{few} or {most}" if most == few + 1 else f"at least {few}"
            message = f"{name.text} takes {wanted} value{'s' * (wanted != '1')}, and {len(parts)} are given."
            raise ExpressionError(message, name.at, name.text)
        return _node(name.text, name.at, tuple(parts))

    def _need(self, sign: str, opened: _Token) -> None:
        if self._now.text != sign or self._now.kind != "sign":
            if self._now.kind == "end":
                raise ExpressionError("this bracket is not closed.", opened.at, opened.text)
            raise self._unexpected("an operator, a comma or a closing bracket")
        self._next()

    def _unexpected(self, wanted: str) -> ExpressionError:
        token = self._now
        if token.kind == "end":
            return ExpressionError(f"{wanted} is needed, and the expression ends.", max(0, token.at - 1))
        if token.text in _MEANT and token.kind == "sign":
            right = _MEANT[token.text]
            return ExpressionError(f"{quoted(token.text)} is not used here.{meant(right)}", token.at, token.text, right)
        return ExpressionError(f"{wanted} is needed, not {quoted(token.text)}.", token.at, token.text)


def _node(what: str, at: int, parts: tuple[Node, ...] = (), value: Any = None) -> Node:
    depth = 1 + max((p.depth for p in parts), default=0)
    if depth > DEEPEST:
        raise ExpressionError("too much is joined; make the expression in two steps.", at)
    return Node(what, at, parts, value, depth)


def read(text: str) -> Node:
    """The steps of an expression. Raises ExpressionError with the place of the fault."""
    return _Reader(text).whole()


def faults(node: Node, schema: Schema) -> list[ExpressionError]:
    """Every column that is not there, and texts where numbers are needed, in the order of the text."""
    found: list[ExpressionError] = []
    names = {c.name: c for c in schema.columns}

    def kind(node: Node) -> str:
        if node.what == "column":
            if node.value not in names:
                near = nearest(node.value, names)
                message = f"there is no column {quoted(node.value)}.{meant(near)}"
                found.append(ExpressionError(message, node.at, node.value, near))
                return "unknown"
            return "text" if names[node.value].is_text else "number"
        if node.what in ("number", "text"):
            return node.what
        kinds = [kind(part) for part in node.parts]
        texts = [part for part, k in zip(node.parts, kinds, strict=True) if k == "text"]
        if texts and node.what in ("==", "!="):
            if "number" in kinds:
                found.append(ExpressionError("a text is compared with a number.", node.at, node.what))
        elif node.what != "missing":
            for part in texts:
                what = quoted(str(part.value))
                found.append(ExpressionError(f"{what} is a text; a number is needed.", part.at, str(part.value)))
        return "number"

    if kind(node) == "text":
        found.append(ExpressionError("the result is a text; a number is needed.", node.at))
    return sorted(found, key=lambda fault: fault.at)


def columns_of(node: Node) -> tuple[str, ...]:
    """The columns an expression uses, in the order of first use."""
    own = (str(node.value),) if node.what == "column" else ()
    return tuple(dict.fromkeys([*own, *(name for part in node.parts for name in columns_of(part))]))
