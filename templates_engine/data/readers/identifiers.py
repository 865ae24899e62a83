"""Codes that look like numbers and are none: 007 beside 07, 1E2 beside 10E1, numbers of more than 15 digits.

As numbers they would be merged, or lose digits. Measurements written 1.5 and 1.50, or 1.5E-3, stay numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

EXACT_WHOLE = 2**53  # beyond, doubles leave whole numbers out
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_DIGITS = re.compile(r"\d+")
_ZEROS = re.compile(r"0\d+")
HINT = r"\s*(?:0\d|\d+[eE]\d)"  # a text that may be one of the first two
_POWER = re.compile(r"\d+[eE]\d+")  # a measurement has a point or a sign in it: 1.0E5, 1E+05

ZEROS, POWERS, LONG = "zeros", "powers", "long"
WHY = {
    ZEROS: "{names}: kept as text, because numbers have no zeros in front ({sample}).",
    POWERS: "{names}: kept as text, because codes such as {sample} are not taken for powers of ten.",
    LONG: "{names}: whole numbers of more than 15 digits are kept as text, because calculating would merge them.",
}


def judge(texts: Iterable[str]) -> tuple[str, str]:
    """(which kind of identifier the texts are, "" none; the first text that says so)."""
    first: dict[str, str] = {}
    digits = powers = wholes = True
    for text in texts:
        if _DIGITS.fullmatch(text):
            if _ZEROS.fullmatch(text):
                first.setdefault(ZEROS, text)
            if _is_long(text):
                first.setdefault(LONG, text)
            continue
        digits = False
        if powers and _POWER.fullmatch(text):
            first.setdefault(POWERS, text)
        else:
            powers = False
        if wholes and _WHOLE.fullmatch(text):
            if _is_long(text.partition(".")[0]):
                first.setdefault(LONG, text)
        else:
            wholes = False
        if not powers and not wholes:
            return "", ""
    if POWERS in first and powers:
        return POWERS, first[POWERS]
    if LONG in first and (wholes or digits):
        return LONG, first[LONG]
    if ZEROS in first and digits:
        return ZEROS, first[ZEROS]
    return "", ""


def _is_long(digits: str) -> bool:
    """Whether a whole number is beyond those that doubles tell apart."""
    if len(digits) < 16:
        return False
    bare = digits.lstrip("+-0")
    return len(bare) > 16 or (len(bare) == 16 and int(bare) > EXACT_WHOLE)


def without_point(texts: list[str]) -> list[str]:
    """Long numbers that were all written as decimals, 90071992547409931.0, without their .0."""
    if texts and all(re.fullmatch(r"[+-]?\d+\.0*", text) for text in texts):
        return [text.partition(".")[0] for text in texts]
    return texts


def places(lines: bytes, delimiter: bytes) -> set[int]:
    """The columns in which a cell begins with 0 and a digit, or holds a digit, e, digit. Whole lines without quotes."""
    codes = np.frombuffer(lines, np.uint8)
    if len(codes) < 3:
        return set()
    digit = (codes >= 48) & (codes <= 57)
    begins = np.empty(len(codes), bool)
    begins[0] = True
    begins[1:] = _MAY_COME_BEFORE[codes[:-1]]
    hits = np.zeros(len(codes), bool)
    hits[:-1] = (codes[:-1] == 48) & begins[:-1] & digit[1:]
    hits[1:-1] |= ((codes[1:-1] | 32) == 101) & digit[:-2] & digit[2:]
    at = np.flatnonzero(hits)
    if not len(at):
        return set()
    starts = np.concatenate([[0], np.flatnonzero(codes == 10) + 1])
    marks = np.flatnonzero(codes == delimiter[0])
    line = starts[np.searchsorted(starts, at, "right") - 1]
    return set(np.unique(np.searchsorted(marks, at) - np.searchsorted(marks, line)).tolist())


_MAY_COME_BEFORE = np.zeros(256, bool)
_MAY_COME_BEFORE[np.frombuffer(b" \t\r\n,;|\"'", np.uint8)] = True
