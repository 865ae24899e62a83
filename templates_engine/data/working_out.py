"""Working an expression out over the rows of a dataset (the language: expressions.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset, Values, missing
from templates_engine.data.expressions import Node

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]

_LARGE = "a result too large"
_ARITHMETIC: Mapping[str, tuple[Callable[..., Any], str]] = {  # what to do, and why it may be undefined
    "+": (np.add, _LARGE),
    "-": (np.subtract, _LARGE),
    "*": (np.multiply, _LARGE),
    "/": (np.divide, "a division by zero"),
    "^": (np.power, "a power that is not defined"),
    "negative": (np.negative, ""),
    "log": (np.log, "the logarithm of a number that is not positive"),
    "exp": (np.exp, _LARGE),
    "sqrt": (np.sqrt, "the square root of a negative number"),
    "abs": (np.abs, ""),
    "floor": (np.floor, ""),
}
_COMPARISONS: Mapping[str, Callable[..., Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def work_out(node: Node, data: Dataset) -> tuple[Array, dict[str, int]]:
    """(n,) values of a checked expression, NaN where missing; and how many rows are undefined, by the reason.

    A row is counted once for each reason, and only where the value would have been used.
    """
    work = _Work(data)
    values = work.of(node, np.ones(data.n_rows, bool))
    return values, {reason: int(rows.sum()) for reason, rows in work.undefined.items() if rows.any()}


class _Work:
    def __init__(self, data: Dataset):
        self.data = data
        self.undefined: dict[str, Rows] = {}

    def of(self, node: Node, used: Rows) -> Array:
        """The values; `used` marks the rows whose value will be looked at."""
        what, n = node.what, self.data.n_rows
        if what == "number":
            return np.full(n, node.value)
        if what == "column":
            return np.asarray(self.data[node.value], np.float64)
        if what == "missing":
            return self._gaps(node.parts[0], used).astype(np.float64)
        if what == "if":
            return self._either(node, used)
        if what in ("mean", "sd", "rank"):  # of the whole column, whichever rows are looked at
            every = np.ones(n, bool)
            inside = self.of(node.parts[0], every)
            with np.errstate(all="ignore"):
                result = _SUMMARIES[what](inside)
                return self._defined(result, np.isnan(result), used, _LARGE)
        if what in ("==", "!=") and any(self._is_text(part) for part in node.parts):
            return self._texts(node)
        parts = [self.of(part, used) for part in node.parts]
        gaps: Rows = np.asarray(np.isnan(np.stack(parts)).any(axis=0))
        with np.errstate(all="ignore"):
            if what in ("and", "or", "not"):
                return _logic(what, parts)
            if what in _COMPARISONS:
                result = np.asarray(_COMPARISONS[what](*parts), np.float64)
            elif what in ("min", "max"):
                result = np.asarray((np.minimum if what == "min" else np.maximum).reduce(parts))
            elif what == "round":
                return self._rounded(parts, gaps, used)
            else:
                work, why = _ARITHMETIC[what]
                result = np.asarray(work(*parts), np.float64)
                return self._defined(result, gaps, used, _LARGE if _large(what, parts) else why)
        return np.where(gaps, np.nan, result)

    def _rounded(self, parts: list[Array], gaps: Rows, used: Rows) -> Array:
        """To so many decimals, halves to the even digit."""
        scale = 10.0 ** np.clip(np.rint(parts[1]), -300, 300) if len(parts) == 2 else np.ones(1)
        scaled = np.rint(parts[0] * scale) / scale
        return self._defined(np.where(np.isfinite(scaled), scaled, parts[0]), gaps, used, "")

    def _defined(self, result: Array, gaps: Rows, used: Rows, why: str) -> Array:
        odd = ~np.isfinite(result) & ~gaps
        if odd.any():
            rows = odd & used
            self.undefined[why] = self.undefined.get(why, np.zeros_like(rows)) | rows
        return np.where(odd | gaps, np.nan, result)

    def _either(self, node: Node, used: Rows) -> Array:
        condition, yes, no = node.parts
        asked = self.of(condition, used)
        true, false = (asked != 0) & ~np.isnan(asked), asked == 0
        result = np.full(len(asked), np.nan)
        for rows, part in ((true, yes), (false, no)):
            result[rows] = self.of(part, used & rows)[rows]
        return result

    def _gaps(self, node: Node, used: Rows) -> Rows:
        if self._is_text(node):
            return missing(self._text(node))
        return np.asarray(np.isnan(self.of(node, used)))

    def _is_text(self, node: Node) -> bool:
        return node.what == "text" or (node.what == "column" and self.data.is_text(node.value))

    def _text(self, node: Node) -> Values:
        return np.full(self.data.n_rows, node.value) if node.what == "text" else self.data[node.value]

    def _texts(self, node: Node) -> Array:
        left, right = (self._text(part) for part in node.parts)
        equal = (left == right) if node.what == "==" else (left != right)
        # a text written in the expression is never missing, not even the empty one
        gaps = [missing(self._text(part)) for part in node.parts if part.what == "column"]
        return np.where(np.any(gaps, axis=0) if gaps else False, np.nan, equal.astype(np.float64))


def _large(what: str, parts: list[Array]) -> bool:
    """Whether a division or power is undefined only by its size; then the usual reason would mislead."""
    if what == "/":
        return not bool((parts[1] == 0).any())
    if what == "^":
        base, power = parts
        return not bool((((base < 0) & (power != np.rint(power))) | ((base == 0) & (power < 0))).any())
    return False


def _logic(what: str, parts: list[Array]) -> Array:
    """Kleene's three-valued logic; anything but zero is true."""
    gaps = [np.isnan(p) for p in parts]
    if what == "not":
        return np.where(gaps[0], np.nan, parts[0] == 0)
    true = [(p != 0) & ~g for p, g in zip(parts, gaps, strict=True)]
    false = [p == 0 for p in parts]
    if what == "and":
        return np.where(false[0] | false[1], 0.0, np.where(true[0] & true[1], 1.0, np.nan))
    return np.where(true[0] | true[1], 1.0, np.where(false[0] & false[1], 0.0, np.nan))


def _mean(values: Array) -> Array:
    seen = values[~np.isnan(values)]
    return np.full(len(values), seen.mean() if len(seen) else np.nan)


def _sd(values: Array) -> Array:
    """Divisor n - 1."""
    seen = values[~np.isnan(values)]
    return np.full(len(values), seen.std(ddof=1) if len(seen) > 1 else np.nan)


def _rank(values: Array) -> Array:
    """1 for the smallest; equal values share the mean of their ranks; missing stays missing."""
    gaps = np.isnan(values)
    _, code, count = np.unique(values[~gaps], return_inverse=True, return_counts=True)
    ranks = np.full(len(values), np.nan)
    ranks[~gaps] = (np.cumsum(count) - (count - 1) / 2)[code]
    return ranks


_SUMMARIES: Mapping[str, Callable[[Array], Array]] = {"mean": _mean, "sd": _sd, "rank": _rank}


def told(undefined: Mapping[str, int]) -> list[str]:
    """One sentence a reason."""
    return [
        f"{n:,} row{'s have' if n > 1 else ' has'} {reason}, which gives a missing value."
        for reason, n in sorted(undefined.items())
    ]
