"""How a time column counts: reading it as whole steps of one unit, and writing the times that come after the last.

    number    any number, steps of one size (row numbers, years with a fraction: 1949.083)
    year, half, quarter, month, week, day, weekday, second    from texts, ISO 8601 and its usual relatives, and as
                                                              people write them (written_dates)
    month and day    also from numbers written 194901, 19490131, and 1.1949 (01.1949, read as a number), and from the
                     day counts of spreadsheets (42005 is 1 January 2015), where the months make them unequal steps

A unit is an integer scale (months since year 0, days, seconds), so that equal steps are exactly equal. Days of which
some weekdays never occur count those that do: "weekday" Monday to Friday, "openday 012345" Monday to Saturday.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from . import written_dates
from .calendars import calendar_of, open_days
from .written_dates import NotATime

Ints = npt.NDArray[np.int64]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FORMS = "2019-03-31, 2019-03, 2019-Q1, 2019-H1, 2019-W05, 2019, 2019-03-31T14:00, 31.03.2019, 03/2019, or Mar 2019"
_EPOCH = date(1, 1, 1).toordinal()
_UNIX = date(1970, 1, 1).toordinal()
_SPREADSHEET = date(1899, 12, 30).toordinal()
_SERIALS = (10_959, 73_050)  # 1930 to 2099

_YEAR = re.compile(r"(\d{4})")
_PART = re.compile(r"(\d{4})([-/ ]?)([QqHhSs])([1-4])")
_WEEK = re.compile(r"(\d{4})(-?)([Ww])(\d{2})")
_MONTH = re.compile(r"(\d{4})([-/]|[- ]?[Mm])(\d{1,2})")
_DAY = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})([T ])(\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?Z?")


@dataclass(frozen=True)
class Clock:
    """Where a grid of equal steps begins and how its positions are written.

    origin and step are in the unit (for "number" in the column's own scale); position k stands for origin + k step.
    """

    unit: str
    origin: float
    step: float
    write: Callable[[float], str | float]  # a place on the unit's scale, as the column writes it
    said: str = ""  # how the column was read, where that is worth a notice

    def at(self, position: int) -> str | float:
        """The time of a position, written as in the data."""
        return self.write(self.origin + self.step * position)

    def words(self, position: int) -> str:
        """The time of a position as a reader says it: 1961.083 of months is Feb 1961, 2019-03-31T14:00 has no T."""
        found = self.at(position)
        if isinstance(self.write, _DayCount):
            return self.write.words(self.origin + self.step * position)
        if isinstance(found, str):
            return found.replace("T", " ") if self.unit == "second" else found
        years, per_year = self.in_years(position), self.per_year
        if self.unit == "number" and years is not None and per_year in (2, 4, 12):
            whole = round(years * per_year)
            part = whole % per_year
            if per_year == 12:
                return f"{MONTHS[part]} {whole // 12}"
            return f"{whole // per_year}-{'Q' if per_year == 4 else 'H'}{part + 1}"
        return f"{found:.10g}"

    def in_years(self, position: float) -> float | None:
        """The position in years, for the axis of a picture; None where the times are no calendar times."""
        place = self.origin + self.step * position
        if self.unit in _PER_YEAR:
            return place / _PER_YEAR[self.unit]
        if self.unit == "number" and 1000 <= self.origin <= 3000 and self.per_year is not None:
            return place
        if self.unit in ("day", "week", "second") or open_days(self.unit):
            return 1.0 + self._days(place) / 365.2425
        return None

    def _days(self, place: float) -> float:
        """Days since 1 January of year 1 of a place in days, weeks, working days or seconds."""
        if days := open_days(self.unit):
            within = place % len(days)
            return place // len(days) * 7 + days[int(within)] + within % 1
        return {"day": place, "week": 7 * place}.get(self.unit, place / 86400)

    def in_days(self, position: float) -> float | None:
        """The position in days since 1970-01-01, exact for whole months; None where the times are no calendar times."""
        years, each = self.in_years(position), self.per_year
        if years is None:
            return None
        if self.unit not in _PER_YEAR and self.unit != "number":
            return self._days(self.origin + self.step * position) - (_UNIX - _EPOCH)
        months = 12 * years
        if each is not None and 12 % each == 0:
            months = round(months)
        whole = int(np.floor(months))
        begin = date(whole // 12, whole % 12 + 1, 1).toordinal()
        return begin - _UNIX + (months - whole) * 30.436875

    @property
    def per_year(self) -> int | None:
        """Steps a year where that is a whole number: 12 for months, 4 for quarters; None elsewhere."""
        if self.unit in _PER_YEAR:
            found = _PER_YEAR[self.unit] / self.step
        elif self.unit == "number" and 0 < self.step <= 1 and 1000 <= self.origin <= 3000:
            found = 1 / self.step
            if not 1.5 < found < 400 and self.step != 1:
                return None
        else:
            return None
        return round(found) if abs(found - round(found)) < 0.02 * found and round(found) >= 1 else None

    @property
    def per_week(self) -> int | None:
        """Steps a week of a grid of single days; None elsewhere."""
        if self.step != 1:
            return None
        return 7 if self.unit == "day" else len(open_days(self.unit)) or None

    @property
    def per_day(self) -> int | None:
        """Steps a day of a grid of hours or minutes, where that is a whole number; None elsewhere."""
        whole = self.unit == "second" and 60 <= self.step < 86400 and 86400 % self.step == 0
        return round(86400 / self.step) if whole else None

    @property
    def closed(self) -> tuple[str, ...]:
        """The weekdays that the grid leaves out, by name, where it is not Monday to Friday."""
        days = open_days(self.unit)
        return tuple(name for k, name in enumerate(calendar.day_name) if k not in days) if len(days) else ()

    @property
    def name(self) -> str:
        """One step in words: "month", "quarter", "3 weeks", "step"."""
        if self.unit == "number":
            return {12: "month", 4: "quarter", 2: "half-year"}.get(self.per_year or 0, "step")
        whole = round(self.step)
        if self.unit == "month" and whole in (3, 6, 12):
            return {3: "quarter", 6: "half-year", 12: "year"}[whole]
        if self.unit == "second" and whole % 60 == 0:
            for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
                if whole % size == 0:
                    return word if whole == size else f"{whole // size} {word}s"
        word = {"half": "half-year", "weekday": "working day"}.get(self.unit, self.unit.partition(" ")[0])
        word = "open day" if word == "openday" else word
        return word if whole == 1 else f"{whole} {word}s"


_PER_YEAR = {"year": 1, "half": 2, "quarter": 4, "month": 12}

ROWS = Clock("number", 1.0, 1.0, lambda place: float(place))  # without a time column: 1, 2, 3, ...


def read_texts(
    texts: Sequence[str], regular: Callable[[Ints], bool] = lambda _: True
) -> tuple[str, Ints, Callable[[float], str | float], str]:
    """(unit, places, how a place is written, what to tell) of texts that are all of one form.

    The texts are taken as distinct; the form is that of the first. regular: whether such days are steps of one size,
    by which 02/03/2019 may be told to be 2 March. Raises NotATime at the first text that is no time of that form, and
    written_dates.Ambiguous.
    """
    first = texts[0].strip()
    for pattern, reader in ((_MOMENT, _moments), (_DAY, _days), (_PART, _parts), (_WEEK, _weeks), (_MONTH, _months)):
        if pattern.fullmatch(first):
            return *reader([_matched(pattern, text) for text in texts]), ""
    if _YEAR.fullmatch(first):
        years = [int(_matched(_YEAR, text)[1]) for text in texts]
        return "year", np.array(years, np.int64), lambda place: f"{round(place):04d}", ""
    if found := written_dates.months(texts):
        return found
    if dates := written_dates.days(texts, regular):
        return _written(dates)
    raise NotATime(first)


def _written(found: written_dates.Days) -> tuple[str, Ints, Callable[[float], str | float], str]:
    if found.seconds is None or (not found.seconds.any() and len(found.days) > 1):
        unit, places, write = as_months_or_days(found.days)
        return unit, places, lambda place: found.write(write(place)) + found.clock(0), found.said

    def moment(place: float) -> str:
        day, second = divmod(round(place), 86400)
        return found.write(date.fromordinal(day + _EPOCH)) + found.clock(second)

    return "second", 86400 * found.days + found.seconds, moment, found.said


def read_codes(values: npt.NDArray[np.float64]) -> tuple[str, Ints, Callable[[float], str | float], str] | None:
    """Numbers such as 194901, 1.1949 or 19490131 as months or days; None where they are plain numbers."""
    if not len(values):
        return None
    if (values != np.rint(values)).any():
        return _month_dot_year(values)
    whole = values.astype(np.int64)
    year, month = whole // 100, whole % 100
    if ((year >= 1600) & (year <= 2400) & (month >= 1) & (month <= 12)).all():
        places = 12 * year + month - 1
        said = "numbers such as 194901, read as year and month"
        return "month", places, lambda place: float(100 * (round(place) // 12) + round(place) % 12 + 1), said
    if ((whole >= 16000101) & (whole <= 24001231)).all():
        try:
            days = np.array([date(v // 10000, v // 100 % 100, v % 100).toordinal() - _EPOCH for v in whole.tolist()])
        except ValueError:
            return None
        unit, places, write = as_months_or_days(days.astype(np.int64))
        return (
            unit,
            places,
            lambda place: float(write(place).strftime("%Y%m%d")),
            "numbers such as 19490131, read as year, month and day",
        )
    return _spreadsheet_days(whole)


def _spreadsheet_days(
    whole: npt.NDArray[np.int64],
) -> tuple[str, Ints, Callable[[float], str | float], str] | None:
    """Days since 30 December 1899, which a spreadsheet's dates turn into when they are saved as numbers.

    Read so only where it makes equal steps of unequal ones: months, or working days.
    """
    if len(whole) < 3 or whole.min() < _SERIALS[0] or whole.max() > _SERIALS[1]:
        return None
    steps = np.diff(np.unique(whole))
    if (steps % steps.min() == 0).all() and steps.min() != 1:
        return None
    unit, places, write = as_months_or_days(whole + _SPREADSHEET - _EPOCH)
    if unit == "day" or len(np.unique(steps)) == 1:
        return None
    first = date.fromordinal(int(whole.min()) + _SPREADSHEET)
    shown = f"{first.day} {MONTHS[first.month - 1]} {first.year}"
    said = f"day counts of a spreadsheet such as {whole.min()}, which is {shown}"
    return unit, places, _DayCount(write), said


class _DayCount:
    """Writes a place as the spreadsheet's day count; a reader sees the date."""

    def __init__(self, date_of: Callable[[float], Any]):
        self.date_of = date_of

    def __call__(self, place: float) -> float:
        return float(self.date_of(place).toordinal() - _SPREADSHEET)

    def words(self, place: float) -> str:
        return str(self.date_of(place).isoformat())


def _month_dot_year(values: npt.NDArray[np.float64]) -> tuple[str, Ints, Callable[[float], str | float], str] | None:
    """01.1949, which a file's reader takes for a number. Of one month or of one year they may be plain numbers."""
    month = np.floor(values).astype(np.int64)
    year = np.rint(10000 * (values - month)).astype(np.int64)
    if np.abs(month + year / 10000 - values).max() > 1e-9 or len(np.unique(month)) < 2 or len(np.unique(year)) < 2:
        return None
    if not ((year >= 1600) & (year <= 2400) & (month >= 1) & (month <= 12)).all():
        return None
    said = f"numbers such as {month[0]:02d}.{year[0]}, read as month and year"
    return "month", 12 * year + month - 1, lambda p: (round(p) % 12 + 1) + round(p) // 12 / 10000, said


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text.strip())
    if found is None:
        raise NotATime(text)
    return found


def _parts(found: list[re.Match[str]]) -> tuple[str, Ints, Callable[[float], str | float]]:
    """Quarters and half-years: 2019-Q3, 2019H2."""
    letter, gap = found[0][3], found[0][2]
    each = 4 if letter in "Qq" else 2
    for match in found:
        if (match[3] in "Qq") != (each == 4) or int(match[4]) > each:
            raise NotATime(match[0])
    places = np.array([each * int(m[1]) + int(m[4]) - 1 for m in found], np.int64)
    unit = "quarter" if each == 4 else "half"
    return unit, places, lambda p: f"{round(p) // each:04d}{gap}{letter}{round(p) % each + 1}"


def _months(found: list[re.Match[str]]) -> tuple[str, Ints, Callable[[float], str | float]]:
    gap, wide = found[0][2], all(len(m[3]) == 2 for m in found)
    if bad := next((m for m in found if not 1 <= int(m[3]) <= 12), None):
        raise NotATime(bad[0])
    places = np.array([12 * int(m[1]) + int(m[3]) - 1 for m in found], np.int64)
    return "month", places, lambda p: f"{round(p) // 12:04d}{gap}{round(p) % 12 + 1:0{2 if wide else 1}d}"


def _weeks(found: list[re.Match[str]]) -> tuple[str, Ints, Callable[[float], str | float]]:
    gap, letter = found[0][2], found[0][3]
    try:
        places = np.array([(date.fromisocalendar(int(m[1]), int(m[4]), 1).toordinal() - _EPOCH) // 7 for m in found])
    except ValueError as error:
        raise NotATime(next(m[0] for m in found if not _is_week(m))) from error

    def write(place: float) -> str:
        year, week, _ = date.fromordinal(7 * round(place) + _EPOCH).isocalendar()
        return f"{year:04d}{gap}{letter}{week:02d}"

    return "week", places.astype(np.int64), write


def _is_week(match: re.Match[str]) -> bool:
    try:
        date.fromisocalendar(int(match[1]), int(match[4]), 1)
    except ValueError:
        return False
    return True


def _days(found: list[re.Match[str]]) -> tuple[str, Ints, Callable[[float], str | float]]:
    places = np.empty(len(found), np.int64)
    for k, match in enumerate(found):
        try:
            places[k] = date(int(match[1]), int(match[3]), int(match[4])).toordinal() - _EPOCH
        except ValueError as error:
            raise NotATime(match[0]) from error
    gap = found[0][2]
    unit, places, write = as_months_or_days(places)
    return unit, places, lambda place: write(place).isoformat().replace("-", gap)


def as_months_or_days(days: Ints) -> tuple[str, Ints, Callable[[float], Any]]:
    """Dates that fall on one day of the month (or all on its last) count months; only working days count these."""
    dates = [date.fromordinal(int(d) + _EPOCH) for d in days]
    months = np.array([12 * d.year + d.month - 1 for d in dates], np.int64)
    last = all(d.day == calendar.monthrange(d.year, d.month)[1] for d in dates)
    if len(dates) > 1 and len(np.unique(months)) == len(np.unique(days)) and (last or len({d.day for d in dates}) == 1):
        day = dates[0].day

        def in_month(place: float) -> date:
            year, month = round(place) // 12, round(place) % 12 + 1
            end = calendar.monthrange(year, month)[1]
            return date(year, month, end if last else min(day, end))

        return "month", months, in_month
    unit = calendar_of(np.unique(days))
    if opened := open_days(unit):
        rank = np.array([sum(k < d for k in opened) for d in range(7)], np.int64)

        def on_open_day(place: float) -> date:
            weeks, k = divmod(round(place), len(opened))
            return date.fromordinal(weeks * 7 + opened[k] + _EPOCH)

        return unit, len(opened) * (days // 7) + rank[days % 7], on_open_day
    return "day", days, lambda place: date.fromordinal(round(place) + _EPOCH)


def _moments(found: list[re.Match[str]]) -> tuple[str, Ints, Callable[[float], str | float]]:
    places = np.empty(len(found), np.int64)
    for k, match in enumerate(found):
        try:
            moment = datetime.fromisoformat(f"{match[1]}T{match[3]}")
        except ValueError as error:
            raise NotATime(match[0]) from error
        places[k] = (moment - datetime(1, 1, 1)) // timedelta(seconds=1)
    gap, fine = found[0][2], "seconds" if any(m[3].count(":") == 2 for m in found) else "minutes"
    if (places % 86400 == 0).all() and len(places) > 1:  # dates that a program has written with a time of midnight
        unit, days, write = as_months_or_days(places // 86400)
        midnight = "00:00:00" if fine == "seconds" else "00:00"
        return unit, days, lambda place: f"{write(place).isoformat()}{gap}{midnight}"

    def moment_of(place: float) -> str:
        moment = datetime(1, 1, 1) + timedelta(seconds=round(place))
        return moment.isoformat(sep=gap, timespec=fine)

    return "second", places, moment_of
