"""Numbers as people write them: marks of thousands and decimals, percent, currency, minus signs, brackets.

    take(text) ──▶ Numeral (sign, digits with their marks, unit), or None where the text is no number
    read(texts) ──▶ Written: under which marks all texts are numbers
    settle(written, ...) ──▶ the marks taken, and what stays in doubt

The marks are judged over a whole column. A mark before exactly three digits may be of either kind; 0.123, 1234.567,
1.5 and 1.234.567 each allow one reading only. What the column leaves open is settled by the other columns' decimal
mark, then by semicolons between the fields; else a point is the decimal mark and a comma marks thousands, in doubt.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

_SIGNS: Final = (
    "EUR USD GBP CHF JPY CNY INR RUB PLN CZK HUF SEK NOK DKK ISK AUD CAD NZD BRL MXN ZAR TRY KRW RON BGN ILS "
    "kr. kr zł Kč Ft Fr. R$ руб. руб лв. лв lei Rs. Rs US$ C$ A$ £ € $ ¢ ¥ ₹ ₽ ₺ ₩ ₪ ₫ ₴ ₦ ₱ ฿ ₡ ₲ ₵ ₸ ₼ ₾ ₿ ¤"
)
_UNIT = "|".join(re.escape(c) for c in sorted(_SIGNS.split(), key=len, reverse=True))
_NUMERAL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+-])?\s*(?P<before>{_UNIT})?\s*(?P<inner>[+-])?\s*(?P<open2>\()?"
    r"(?P<body>[\d.,][\d., ']*)(?P<power>[eE][+-]?\d+)?"
    rf"(?P<close2>\))?\s*(?P<after>%|‰|{_UNIT})?\s*(?P<trailing>[+-])?\s*(?P<close>\))?"
)
_SAME = {ord(c): " " for c in "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\t"}
_SAME |= {ord(c): "" for c in "\u200b\u200e\u200f\u202a\u202c\u2060\ufeff"}  # marks without width
_SAME |= {ord(c): "'" for c in "’‘ʼ`´＇"}
_SAME |= {ord(c): "-" for c in "\N{MINUS SIGN}\N{EN DASH}\N{SMALL HYPHEN-MINUS}\N{FULLWIDTH HYPHEN-MINUS}\u2010\u2011"}
_SAME |= {ord("٫"): ".", ord("٬"): "'", ord("，"): ",", ord("．"): ".", ord("％"): "%", ord("٪"): "%", ord("＋"): "+"}
MARKS: Final = ".,' "
_WORDS = {".": "point", ",": "comma", " ": "space", "'": "apostrophe", "": "nothing"}


class Marks(NamedTuple):
    """What marks decimals, and what marks thousands ("" nothing)."""

    decimal: str
    thousands: str


class Numeral(NamedTuple):
    """A text taken apart."""

    negative: bool
    body: str  # digits with . , ' and blanks between
    power: str  # "e-3"
    unit: str  # "%", "€" or ""
    bracketed: bool


@dataclass
class Written:
    """A column's texts as numbers: each one's parts, and the marks under which all of them can be read."""

    parts: list[Numeral | None]
    possible: list[Marks]
    wrong: list[int]  # positions of the texts that are no numbers, or not under any marks that the others have
    unit: str = ""
    why: str = ""  # why numbers are not made of them though each is one: two currencies, percent in some only


@dataclass(frozen=True)
class Settled:
    marks: Marks
    how: str = ""  # "", "columns", "semicolon", "doubt": what decided where the column itself allows two readings


def plain(text: str) -> str:
    """Blanks of all kinds as one, signs and apostrophes as ASCII, digits of any script as 0 to 9."""
    if text.isascii():
        return text.strip()
    text = text.translate(_SAME)
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return text.strip()


def take(text: str) -> Numeral | None:
    """The parts of a number as people write it."""
    found = _NUMERAL.fullmatch(plain(text))
    if found is None:
        return None
    body = found["body"].strip()
    signs = [s for s in (found["sign"], found["inner"], found["trailing"]) if s]
    opened, closed = found["open"] or found["open2"], found["close"] or found["close2"]
    if len(signs) > 1 or (signs and opened) or not any(c.isdigit() for c in body):
        return None
    if (found["open"] and found["open2"]) or (found["close"] and found["close2"]) or bool(opened) != bool(closed):
        return None
    if found["before"] and found["after"]:
        return None
    unit = found["before"] or found["after"] or ""
    return Numeral(bool(opened) or "-" in signs, body, found["power"] or "", unit, bool(opened))


def _form(marks: Marks) -> re.Pattern[str]:
    """How the digits of a number stand under these marks."""
    d, t = re.escape(marks.decimal), re.escape(marks.thousands)
    whole = r"\d+"
    if marks.thousands:
        grouped = rf"[1-9]\d{{0,2}}(?:{t}\d{{3}})+"
        if marks.thousands == ",":  # 12,34,567 as in India
            grouped += r"|[1-9]\d?(?:,\d{2})+,\d{3}"
        whole = rf"(?:{grouped}|\d+)"
    return re.compile(rf"(?:{whole}(?:{d}\d*)?|{d}\d+)")


def read(texts: Sequence[str]) -> Written:
    """The texts of a column (different ones suffice) as numbers."""
    parts = [take(text) for text in texts]
    bodies = [part.body for part in parts if part is not None]
    together = "".join(bodies)
    used = [mark for mark in MARKS if mark in together]
    if not used:
        return Written(parts, [Marks(".", "")], [i for i, p in enumerate(parts) if p is None], *_units(parts))
    candidates = [Marks(d, t) for d in ".," for t in ("", *used) if t != d]
    forms = {marks: _form(marks).fullmatch for marks in candidates}
    fits = {m: [p is not None and form(p.body) is not None for p in parts] for m, form in forms.items()}
    most = max(map(sum, fits.values()))
    best = [marks for marks in candidates if sum(fits[marks]) == most]
    wrong = [i for i, fit in enumerate(fits[best[0]]) if not fit]
    return Written(parts, _without_uneven(best, bodies) if not wrong else best, wrong, *_units(parts))


def _without_uneven(possible: list[Marks], bodies: list[str]) -> list[Marks]:
    """Without the marks of thousands that some numbers have and others lack, where another reading is there.

    In some countries 1234 has no mark and 12 345 has one, so four digits count only beside a marked number of four.
    """
    kept = []
    for marks in possible:
        if marks.thousands:
            wholes = [body.split(marks.decimal)[0] for body in bodies]
            lengths = {len(re.sub(r"\D", "", w)) for w in wholes if marks.thousands in w}
            bare = {len(w) for w in wholes if marks.thousands not in w}
            if lengths and (any(n > 4 for n in bare) or (4 in bare and 4 in lengths)):
                continue
        kept.append(marks)
    same = {marks.decimal for marks in possible}
    return kept if kept and len(same) > 1 else possible


def _units(parts: Sequence[Numeral | None]) -> tuple[str, str]:
    """(the unit that all share, why they cannot be numbers of one kind)."""
    units = {part.unit for part in parts if part is not None and part.unit}
    if len(units) > 1:
        return "", f"two units, {' and '.join(sorted(units)[:2])}"
    unit = next(iter(units), "")
    bare = [part for part in parts if part is not None and not part.unit and part.body.strip("0.,")]
    if unit in ("%", "‰") and bare:
        return "", f"{unit} in some numbers and not in others"
    seen = [part for part in parts if part is not None]
    if seen and all(part.bracketed for part in seen):
        return "", "brackets around every number, which may mean minus or not"
    return unit, ""


def settle(written: Written, elsewhere: set[str], separator: str, told: str = "") -> Settled | None:
    """The marks to read by; None where the decimal mark that is told fits no reading.

    elsewhere: the decimal marks that other columns have for certain. told: the decimal mark the user states.
    """
    possible = written.possible
    if told:
        as_told = [marks for marks in possible if marks.decimal == told]
        possible = as_told or [marks for marks in possible if not _marked(written, marks.decimal)]
        if not possible:
            return None
        return Settled(possible[0])
    if len({_meaning(written, marks) for marks in possible}) == 1:
        return Settled(possible[0])
    for decimals, how in ((elsewhere, "columns"), ({","} if separator == ";" else set(), "semicolon")):
        if len(decimals) == 1:
            chosen = [marks for marks in possible if marks.decimal in decimals]
            if chosen and len(chosen) < len(possible):
                return Settled(chosen[0], how)
    point = next((marks for marks in possible if marks.decimal == "."), possible[0])
    return Settled(point, "doubt")


def _marked(written: Written, mark: str) -> bool:
    return any(mark in part.body for part in written.parts if part is not None)


def _meaning(written: Written, marks: Marks) -> tuple[str, ...]:
    """What the first numbers with marks are under these marks: two readings may be one."""
    some = (part for part in written.parts if part is not None and any(mark in part.body for mark in MARKS))
    return tuple(_bare(part, marks) for part in itertools.islice(some, 50))


def _bare(part: Numeral, marks: Marks) -> str:
    body = part.body.replace(marks.thousands, "") if marks.thousands else part.body
    return body.replace(marks.decimal, ".")


def value(part: Numeral, marks: Marks) -> float:
    """The number, percent as it stands (30% is 30)."""
    number = float(_bare(part, marks) + part.power)
    return -number if part.negative else number


def example(written: Written, texts: Sequence[str], mark: str) -> int:
    """Position of the first text in which the mark stands between digits; -1 where there is none."""
    found = (i for i, part in enumerate(written.parts) if part is not None and mark in part.body)
    return next(found, -1)


def word(mark: str) -> str:
    """ "point", "comma", ..."""
    return _WORDS[mark]
