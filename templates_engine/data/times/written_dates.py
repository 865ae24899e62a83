"""Times as people write them: 31.12.2019, 31/12/2019, 12/31/2019, 31 Dec 2019, 12/2019, Dez 2019, Q4 2019.

Whether a date has its day or its month first is judged over the whole column. Dates with dots have the day first, as
DIN 5008 has it, unless some day then has no month. Of others only one order may give dates that exist (a day above 12
somewhere), or only one may give equal steps; where neither decides, the column is refused. Two-digit years are those
that lie closest together, in the latest century that ends by LAST_YEAR: 98, 99, 00 are 1998 to 2000.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Written = tuple[str, Ints, Callable[[float], str | float], str]

_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:(, ?| |T)(\d{1,2}:\d{2}(?::\d{2})?))?")
_MONTH = re.compile(r"(\d{1,2})([./-])(\d{4}|\d{2})")
_NAMED = re.compile(r"(?:(\d{1,2})(\.? |[-/]|\.?))?([^\W\d_]{3,9}\.?)([-/ ]?)((?:')?\d{2}|\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})([-/ ]?)([^\W\d_]{3,9}\.?)")
_PART = re.compile(r"([QqHhSs])([1-4])([-/ ]?)(\d{4}|\d{2})")

LAST_YEAR = 2039  # of two-digit years: the latest century is taken that does not go beyond

_NAMES = [  # each with the spellings beside it that are the same but in one month or two
    "January February March April May June July August September October November December",
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec",
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "Jan Feb März Apr Mai Juni Juli Aug Sept Okt Nov Dez",
    "Jan Feb Maerz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "Jänner Februar März April Mai Juni Juli August September Oktober November Dezember",
]
NAMES = [tuple(line.split()) for line in _NAMES]
_MONTH_OF = {name.casefold(): k for names in NAMES for k, name in enumerate(names)}


class NotATime(ValueError):
    """A text that is no time; `word` is the text."""

    def __init__(self, word: str):
        super().__init__(word)
        self.word = word


class Ambiguous(ValueError):
    """Dates that may have the day or the month first; `word` is one of them, `readings` what it may mean."""

    def __init__(self, word: str, readings: tuple[str, str]):
        super().__init__(word)
        self.word, self.readings = word, readings


@dataclass(frozen=True)
class Days:
    """Dates of a column as days since 1 January of year 1, with the seconds of the day where times are written."""

    days: Ints
    seconds: Ints | None
    write: Callable[[date], str]  # as the column writes its dates
    clock: Callable[[int], str]  # what follows the date: the time of day at this second, or nothing
    said: str


def months(texts: Sequence[str]) -> Written | None:
    """Months and quarters: 12/2019, Dec 2019, 2019 Dec, Q4 2019. None where the first text is none of them."""
    first = texts[0].strip()
    if _MONTH.fullmatch(first):
        found = _all(_MONTH, texts)
        years = _Years(found, 3)
        if years.short and all(0 < int(m[3]) < 32 for m in found):  # 12/24 may be a day of a month
            raise NotATime(first)
        places = [_month(m[1], m) + 12 * years.of(m[3]) for m in found]
        wide, gap = _wide(found, 1), found[0][2]
        write = lambda p: f"{round(p) % 12 + 1:0{wide}d}{gap}{years.write(round(p) // 12)}"  # noqa: E731
        return "month", _ints(places), write, years.said
    if _PART.fullmatch(first):
        found = _all(_PART, texts)
        letter, gap = found[0][1], found[0][3]
        each = 4 if letter in "Qq" else 2
        if wrong := next((m for m in found if m[1].upper() != letter.upper() or int(m[2]) > each), None):
            raise NotATime(wrong[0])
        years = _Years(found, 4)
        places = [each * years.of(m[4]) + int(m[2]) - 1 for m in found]
        unit = "quarter" if each == 4 else "half"
        write = lambda p: f"{letter}{round(p) % each + 1}{gap}{years.write(round(p) // each)}"  # noqa: E731
        return unit, _ints(places), write, years.said
    if (match := _NAMED.fullmatch(first)) and _named(match[3]) is not None and not match[1]:
        return _named_months(_all(_NAMED, texts), month=3, year=5, gap=4)
    if (match := _YEAR_FIRST.fullmatch(first)) and _named(match[3]) is not None:
        return _named_months(_all(_YEAR_FIRST, texts), month=3, year=1, gap=2)
    return None


def _named_months(found: list[re.Match[str]], month: int, year: int, gap: int) -> Written:
    """Months by name; which group of the match is what."""
    if wrong := next((m for m in found if _named(m[month]) is None or (year > month and m[1])), None):
        raise NotATime(wrong[0])
    years = _Years(found, year)
    places = [_of_name(m[month]) + 12 * years.of(m[year]) for m in found]
    spell, between = _spelling([m[month] for m in found]), found[0][gap]

    def write(place: float) -> str:
        named, numbered = spell(round(place) % 12), years.write(round(place) // 12)
        return f"{named}{between}{numbered}" if year > month else f"{numbered}{between}{named}"

    return "month", _ints(places), write, years.said


class _Years:
    """The years of a column, all of four digits or all of two. Raises NotATime where they are mixed."""

    def __init__(self, found: Sequence[re.Match[str]], group: int):
        texts = [match[group] for match in found]
        self.quote = "'" if texts[0].startswith("'") else ""
        bare = [text.lstrip("'") for text in texts]
        self.short = len(bare[0]) == 2
        if wrong := next((m for m in found if (len(m[group].lstrip("'")) == 2) != self.short), None):
            raise NotATime(wrong[0])
        self.said, self._century = "", 0
        if not self.short:
            return
        seen = sorted({int(text) for text in bare})
        gaps = [(after - before) % 100 or 100 for before, after in zip([seen[-1], *seen[:-1]], seen, strict=True)]
        self._first = seen[gaps.index(max(gaps))]
        span = (seen[gaps.index(max(gaps)) - 1] - self._first) % 100
        self._century = (LAST_YEAR - self._first - span) // 100 * 100
        first = self._century + self._first
        range_ = f"{first}" if not span else f"{first} to {first + span}"
        self.said = f"years of two digits, read as {range_}"

    def of(self, text: str) -> int:
        bare = int(text.lstrip("'"))
        return bare if not self.short else self._century + self._first + (bare - self._first) % 100

    def write(self, year: int) -> str:
        return f"{self.quote}{year % 100:02d}" if self.short else f"{year:04d}"


def days(texts: Sequence[str], regular: Callable[[Ints], bool]) -> Days | None:
    """Dates with the day or the month first, or with the month's name. None where the first text is none.

    regular: whether these places in time, days since 1 January of year 1, are steps of one size. Raises NotATime,
    and Ambiguous.
    """
    first = texts[0].strip()
    if match := _NAMED.fullmatch(first):
        if _named(match[3]) is None or not match[1]:
            return None
        found = _all(_NAMED, texts)
        if wrong := next((m for m in found if _named(m[3]) is None or not m[1]), None):
            raise NotATime(wrong[0])
        years = _Years(found, 5)
        numbers = [_day(years.of(m[5]), _of_name(m[3]) + 1, int(m[1])) for m in found]
        _refuse_first(found, numbers)
        spell, wide = _spelling([m[3] for m in found]), _wide(found, 1)
        before, after = match[2], match[4]
        return Days(
            _ints([n or 0 for n in numbers]), None,
            lambda d: f"{d.day:0{wide}d}{before}{spell(d.month - 1)}{after}{years.write(d.year)}", lambda _: "",
            years.said,
        )  # fmt: skip
    if not _DATE.fullmatch(first):
        return None
    found = _all(_DATE, texts)
    gap, between = found[0][2], found[0][5]
    if wrong := next((m for m in found if m[2] != gap or (m[5] is None) != (between is None)), None):
        raise NotATime(wrong[0])
    years = _Years(found, 4)
    day_first = [_day(years.of(m[4]), int(m[3]), int(m[1])) for m in found]
    month_first = [_day(years.of(m[4]), int(m[1]), int(m[3])) for m in found]
    chosen = _judged(found, day_first, month_first, gap, regular)
    widths = (_wide(found, 1), _wide(found, 3))

    def write(d: date) -> str:
        one, two = (d.day, d.month) if chosen is day_first else (d.month, d.day)
        return f"{one:0{widths[0]}d}{gap}{two:0{widths[1]}d}{gap}{years.write(d.year)}"

    order = "day, month, year" if chosen is day_first else "month, day, year"
    said = "" if gap == "." and chosen is day_first else f"dates such as {found[0][0]}, read as {order}"
    said = ", with ".join(part for part in (said, years.said) if part)
    if between is None:
        return Days(_ints([n or 0 for n in chosen]), None, write, lambda _: "", said)
    fine = any(m[6].count(":") == 2 for m in found)
    long = all(len(m[6].partition(":")[0]) == 2 for m in found)

    def clock(second: int) -> str:
        hour = f"{second // 3600:0{2 if long else 1}d}"
        return f"{between}{hour}:{second // 60 % 60:02d}" + (f":{second % 60:02d}" if fine else "")

    return Days(_ints([n or 0 for n in chosen]), _ints([_second(m) for m in found]), write, clock, said)


def _judged(
    found: list[re.Match[str]],
    day_first: list[int | None],
    month_first: list[int | None],
    gap: str,
    regular: Callable[[Ints], bool],
) -> list[int | None]:
    """The reading that the whole column allows."""
    lost = [sum(n is None for n in reading) for reading in (day_first, month_first)]
    if min(lost):
        _refuse_first(found, day_first if lost[0] <= lost[1] else month_first)
    if not lost[0] and (lost[1] or gap == "." or day_first == month_first):
        return day_first
    if lost[0]:
        return month_first
    steady = [regular(_ints([n or 0 for n in reading])) for reading in (day_first, month_first)]
    if steady[0] != steady[1]:
        return day_first if steady[0] else month_first
    at = next(k for k, (one, two) in enumerate(zip(day_first, month_first, strict=True)) if one != two)
    said = [date.fromordinal((reading[at] or 0) + date(1, 1, 1).toordinal()) for reading in (day_first, month_first)]
    raise Ambiguous(found[at][0], (_in_words(said[0]), _in_words(said[1])))


def _in_words(day: date) -> str:
    return f"{day.day} {NAMES[0][day.month - 1]} {day.year}"


def _all(pattern: re.Pattern[str], texts: Sequence[str]) -> list[re.Match[str]]:
    found = []
    for text in texts:
        match = pattern.fullmatch(text.strip())
        if match is None:
            raise NotATime(text)
        found.append(match)
    return found


def _refuse_first(found: list[re.Match[str]], numbers: list[int | None]) -> None:
    if None in numbers:
        raise NotATime(found[numbers.index(None)][0])


def _day(year: int, month: int, day: int) -> int | None:
    """Days since 1 January of year 1; None where there is no such date."""
    try:
        return date(year, month, day).toordinal() - date(1, 1, 1).toordinal()
    except ValueError:
        return None


def _second(match: re.Match[str]) -> int:
    parts = [int(part) for part in match[6].split(":")] + [0]
    if parts[0] > 23 or parts[1] > 59 or parts[2] > 59:
        raise NotATime(match[0])
    return 3600 * parts[0] + 60 * parts[1] + parts[2]


def _month(text: str, match: re.Match[str]) -> int:
    if not 1 <= int(text) <= 12:
        raise NotATime(match[0])
    return int(text) - 1


def _named(word: str) -> int | None:
    return _MONTH_OF.get(word.rstrip(".").casefold())


def _of_name(word: str) -> int:
    return _MONTH_OF[word.rstrip(".").casefold()]


def _spelling(seen: Sequence[str]) -> Callable[[int], str]:
    """How the column writes its months: the first list of names that has all those seen, in their case.

    Where none has (a column in two languages) months not seen are written in English.
    """
    plain = {word.rstrip(".").casefold() for word in seen}
    names = next((n for n in NAMES if plain <= {name.casefold() for name in n}), NAMES[1])
    said = {_of_name(word): word for word in seen}
    upper, lower = all(word.isupper() for word in seen), all(word.islower() for word in seen)
    # "Jan." and "Mai": a point stands where the name is cut
    points = any(word.endswith(".") for word in seen)

    def spell(month: int) -> str:
        if month in said:
            return said[month]
        name = names[month].upper() if upper else names[month].lower() if lower else names[month]
        return f"{name}." if points and name.casefold() not in _WHOLE else name

    return spell


_WHOLE = {name.casefold() for line in (NAMES[0], NAMES[4]) for name in line}


def _wide(found: list[re.Match[str]], group: int) -> int:
    """2 where the numbers have leading zeros."""
    return 2 if all(len(m[group]) == 2 for m in found) else 1


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)
