"""How numbers, times and names are written on a page: true minus, thousands comma, no more decimals than help."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup, escape

MINUS = "\N{MINUS SIGN}"
DUST = 1e-9  # what rounding leaves of a zero


def fixed(value: float | int | None, decimals: int = 0) -> str:
    """A number with so many decimals, "−1,234.50"; "" for what is missing or not finite."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]  # no "−0.00"
    return text


def short(value: float | int | str | None) -> str:
    """A single number as short as it can be read: whole numbers whole, others with 4 significant digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return ""
    if number.is_integer() and abs(number) < 1e12:
        return fixed(int(number))
    size = math.floor(math.log10(abs(number)))
    if size < -4 or size > 8:
        mantissa, power = f"{number:.3e}".split("e")
        return f"{mantissa.replace('-', MINUS)} × 10^{str(int(power)).replace('-', MINUS)}"
    return fixed(number, min(6, max(0, 3 - size)))


def decimals_for(values: Sequence[Any], most: int = 3) -> int:
    """Decimals that suit a whole column: none for whole numbers, else enough for three digits of the typical value.

    At most `most`, but two digits of a column of small numbers are always seen.
    """
    numbers = [abs(float(v)) for v in values if isinstance(v, int | float) and math.isfinite(float(v))]
    if not numbers or all(v.is_integer() for v in numbers):
        return 0
    middle = sorted(numbers)[len(numbers) // 2]
    seen = sorted(v for v in numbers if v > DUST)
    if seen and (typical := seen[len(seen) // 2]) < 0.01:
        return max(most, 1 - math.floor(math.log10(typical)))
    if middle >= 1000:
        return 0
    if middle >= 100:
        return 1
    return 2 if middle >= 10 else most


def duration(seconds: float | None) -> str:
    """A length of time: "0.2 s", "43 s", "1 min 20 s", "2 h 5 min"."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds < 2 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{round(whole / 60)} min"
    hours, rest = divmod(round(whole / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def when(moment: datetime | None, now: datetime | None = None) -> str:
    """A moment on this machine's clock: "today 11:42", "yesterday 9:05", "3 March 11:42", "3 March 2025"."""
    if moment is None:
        return ""
    local = moment.astimezone()
    today = (now or datetime.now().astimezone()).date()
    clock = f"{local.hour}:{local.minute:02d}"
    if local.date() == today:
        return f"today {clock}"
    if local.date() == today - timedelta(days=1):
        return f"yesterday {clock}"
    day = f"{local.day} {local:%B}"
    return f"{day} {clock}" if local.year == today.year else f"{day} {local.year}"


def clock(moment: datetime | None) -> str:
    """The time of day on this machine's clock."""
    return f"{moment.astimezone():%H:%M}" if moment else ""


def plural(n: int, one: str, many: str = "") -> str:
    """ "1 row", "4,059 rows"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def in_words(n: int) -> str:
    """Small numbers as words, for "Use all three"."""
    return ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")[n] if n < 10 else f"{n:,}"


def bytes_(n: int) -> str:
    """A file's size."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} bytes"


def tex_blocks(tex: str) -> list[str]:
    """An equation of several aligned parts as those parts, to be set with space between; any other as it is."""
    found = re.findall(r"\\begin\{aligned\}.*?\\end\{aligned\}", tex, re.S)
    return found if len(found) > 1 and tex.count(r"\begin{") <= len(found) + 1 else [tex] if tex.strip() else []


def breakable(name: str) -> Markup:
    """A long name that may be broken after its underscores and colons."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_:.])", name))


_WORD = re.compile(r"[^\W\d]\w*", re.UNICODE)


def names(text: str, known: Collection[str]) -> Markup:
    """Text with variable names set in mono. Only for texts known to name variables: "girl" is a word, too."""
    parts, at = [], 0
    for found in _WORD.finditer(text):
        if found[0] in known:
            parts += [escape(text[at : found.start()]), Markup("<code>"), escape(found[0]), Markup("</code>")]
            at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def quoted_names(text: str, known: Collection[str]) -> Markup:
    """A sentence in which variables and keys stand in quotes: those known are set in mono, without the quotes."""
    parts, at = [], 0
    for found in re.finditer(r"[“\"]([^”\"]{1,80})[”\"]", text):
        if found[1] in known:
            parts += [escape(text[at : found.start()]), Markup("<code>"), escape(found[1]), Markup("</code>")]
            at = found.end()
    return Markup("").join([*parts, escape(text[at:])])
