"""From rows to series: sorted by time, on a grid of equal steps, gaps as missing values.

Duplicates, irregular times and unreadable times are told with the rows where they stand. With a series column each
series is judged by itself, so that a bad one does not spoil the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Problem, Refused
from templates_engine.data import code_text
from templates_engine.data.times import (
    FORMS,
    ROWS,
    Ambiguous,
    Clock,
    NotATime,
    as_months_or_days,
    read_codes,
    read_texts,
)

from .spec import Spec

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAR = 0.25  # of a step: how far a time may lie from its place on the grid
TOLD = 0.05  # from here on the unequal spacing is told
LONGEST = 200_000  # grid positions of one series
SHOWN = 3  # rows named in a message
PHASE = 2  # values of a phase at least


@dataclass(frozen=True)
class Series:
    """One series on the grid, from its first observed value to its last; NaN in `values` where nothing was observed."""

    name: str  # "" where there is one series
    values: Array
    start: int  # grid position of the first value
    rows: Ints  # row of the dataset behind each position, -1 in a gap
    fault: str = ""  # why it cannot be used, "" where it can
    left_out: int = 0  # positions before the first observed value
    ahead: int = 0  # positions behind the last observed value: the forecast begins at the first of these


@dataclass(frozen=True)
class Timeline:
    """The series in the order of their names, the clock they share, and what was found."""

    clock: Clock
    series: tuple[Series, ...]
    notices: tuple[Problem, ...] = ()
    _times: dict[int, str | float] = field(default_factory=dict, compare=False, repr=False)

    def words(self, position: int) -> str:
        """The time of a grid position as a reader says it."""
        return self.clock.words(position)

    def time(self, position: int) -> str | float:
        """The time of a grid position, as the data write it."""
        if position not in self._times:  # thousands of series share a calendar
            self._times[position] = self.clock.at(position)
        return self._times[position]


def arrange(spec: Spec, data: Dataset) -> Timeline:
    """The series of a dataset. Raises Refused with every fault where no series can be made."""
    codes, names = _series(spec, data)
    places, clock = _places(spec, data, codes)
    order = np.lexsort((np.arange(data.n_rows), places, codes))
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    y = data[spec.y]
    made = []
    begin = 0
    for name, end in zip(names, ends.tolist(), strict=True):
        made.append(_one(spec, data, clock, name, order[begin:end], places, y))
        begin = end
    notices = _notices(spec, data, clock, made, places, codes)
    return Timeline(clock, tuple(made), notices)


def split_at(line: Timeline, series: Series, word: str) -> int | None:
    """The step that `word` names, written as in the data or as the pages say it; None where it is none of them."""
    wanted = word.strip().casefold()
    for step in range(len(series.values)):
        position = series.start + step
        time = line.time(position)
        if wanted in (str(time).casefold(), line.words(position).casefold()):
            return step
        if isinstance(time, float) and wanted == f"{time:g}":
            return step
    return None


def usable(y: Array, split: int) -> bool:
    """Whether both phases have values enough for a picture."""
    return min(int(np.isfinite(y[:split]).sum()), int(np.isfinite(y[split:]).sum())) >= PHASE


def _series(spec: Spec, data: Dataset) -> tuple[Ints, list[str]]:
    if not spec.series:
        return np.zeros(data.n_rows, np.int64), [""]
    try:
        codes, names = data.groups(spec.series)
    except Refused as refused:
        gaps = data.missing(spec.series)
        text = (
            f"{spec.series} says which series a row belongs to, and {int(gaps.sum()):,} rows have no value "
            f"(first: row {int(gaps.argmax()) + 1:,}). Fill them in, or leave these rows out."
        )
        raise Refused(Problem("missing-series", text, key="series", column=spec.series)) from refused
    labels = data.labels.get(spec.series, {})
    said = [labels.get(name, name) for name in names]
    return codes, said if len(set(said)) == len(said) else names


def _places(spec: Spec, data: Dataset, codes: Ints) -> tuple[Array, Clock]:
    """Each row's place on the grid (whole where the time is right, NaN never), and the clock."""
    if not spec.time:
        # Row numbers within each series.
        order = np.argsort(codes, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
        places = np.empty(data.n_rows)
        places[order] = np.arange(data.n_rows) - first[codes[order]]
        return places, ROWS
    gaps = data.missing(spec.time)
    if gaps.any():
        text = (
            f"{spec.time} has no value in {int(gaps.sum()):,} of {data.n_rows:,} rows (first: row "
            f"{int(gaps.argmax()) + 1:,}). Every row needs its time, also where {spec.y} is missing."
        )
        raise Refused(Problem("missing-time", text, key="time", column=spec.time))
    times = data[spec.time]
    distinct, inverse = np.unique(times, return_inverse=True)
    if times.dtype.kind == "U":
        try:
            unit, found, write, said = read_texts(
                [str(t) for t in distinct], lambda days: _regular(as_months_or_days(days)[1][inverse], codes)
            )
        except NotATime as wrong:
            row = int(np.flatnonzero(times == wrong.word)[0]) + 1 if (times == wrong.word).any() else 1
            text = f"{spec.time} holds “{wrong.word}” (row {row:,}), which cannot be read beside the others as a time. "
            raise Refused(
                Problem("not-a-time", f"{text}Write all times alike: {FORMS}.", key="time", column=spec.time)
            ) from None
        except Ambiguous as both:
            text = (
                f"{spec.time} holds “{both.word}”, which may be {both.readings[0]} or {both.readings[1]}: no day is "
                "above 12, and the steps are as equal in one reading as in the other. Write the year first "
                "(2019-03-31), or with points (31.03.2019, the day first)."
            )
            raise Refused(Problem("ambiguous-time", text, key="time", column=spec.time)) from None
    else:
        coded = read_codes(distinct)
        if coded is None:
            return _numbers(spec, times, codes)
        unit, found, write, said = coded
    step = _whole_step(found[inverse], codes)
    origin = int(found.min())
    places = (found[inverse] - origin) / step
    clock = Clock(unit, origin, step, write, said)
    return places, clock


def _regular(found: Ints, codes: Ints) -> bool:
    """Whether a series could be laid out at these places: no more gaps than values."""
    series, places = np.unique(np.stack([codes, found]), axis=1)
    step = _whole_step(places, series)
    first = np.flatnonzero(np.diff(series, prepend=-1))
    many = np.diff(first, append=len(series))
    span = (np.maximum.reduceat(places, first) - np.minimum.reduceat(places, first)) // step + 1
    return bool(((many <= 2) | (span <= 2 * many)).all())


def _whole_step(found: Ints, codes: Ints) -> int:
    """The largest step that all differences within a series are multiples of."""
    differences = _differences(found, codes)
    return int(np.gcd.reduce(differences.astype(np.int64))) if len(differences) else 1


def _differences(values: npt.NDArray[np.generic], codes: Ints) -> npt.NDArray[np.generic]:
    """Differences of neighbouring times within each series, those above zero."""
    order = np.lexsort((values, codes))
    found = np.diff(values[order].astype(values.dtype))
    return found[(np.diff(codes[order]) == 0) & (found > 0)]


def _numbers(spec: Spec, times: Array, codes: Ints) -> tuple[Array, Clock]:
    """Numbers in steps of one size: the size is refined over the whole length, so that rounded years fit."""
    origin = float(times.min())
    differences = np.asarray(_differences(times, codes), np.float64)
    if not len(differences):
        return np.zeros(len(times)), Clock("number", origin, 1.0, _Plain(0))
    step = float(np.median(differences))
    whole = np.rint(differences / step)
    if (whole >= 1).any():
        step = float(differences[whole >= 1].sum() / whole[whole >= 1].sum())
    for parts in (1, 2, 4, 12, 24, 52):  # a rounded 1/12 is 1/12
        if abs(step * parts - 1) < 1e-4 * min(1.0, 12 / parts):
            step = 1 / parts
    decimals = max((len(repr(float(t)).partition(".")[2]) for t in times[:50] if not float(t).is_integer()), default=0)
    return (times - origin) / step, Clock("number", origin, step, _Plain(min(decimals, 9)))


class _Plain:
    """Writes a number with the decimals that the column shows."""

    def __init__(self, decimals: int):
        self.decimals = decimals

    def __call__(self, place: float) -> float:
        return round(float(place), self.decimals) + 0.0


def _one(spec: Spec, data: Dataset, clock: Clock, name: str, rows: Ints, places: Array, y: Array) -> Series:
    """One series: its rows in the order of time, laid out on the grid."""
    at = np.rint(places[rows]).astype(np.int64)
    off = np.abs(places[rows] - at)
    bad = Series(name, np.empty(0), 0, np.empty(0, np.int64))
    same = np.flatnonzero(np.diff(at) == 0)
    exact = np.flatnonzero(np.diff(places[rows]) < 1e-9)
    if len(exact):
        when = dict.fromkeys(str(_written(data, spec, int(rows[k]))) for k in exact)
        told = ", ".join(list(when)[:SHOWN]) + (", …" if len(when) > SHOWN else "")
        many = f"{len(when)} times stand" if len(when) > 1 else "One time stands"
        pair = f"rows {int(rows[exact[0]]) + 1:,} and {int(rows[exact[0] + 1]) + 1:,}"
        hint = "" if spec.series else " If the rows are of several series, name the column that tells them apart."
        return replace(bad, fault=f"{many} in more than one row of {spec.time}: {told} (first: {pair}).{hint}")
    span = int(at[-1] - at[0]) + 1
    if (off > NEAR).any() or len(same) or (len(at) > 2 and span > 2 * len(at)) or span > LONGEST:
        return replace(bad, fault=_irregular(spec, data, clock, rows, places))
    values = np.full(span, np.nan)
    back = np.full(span, -1, np.int64)
    values[at - at[0]] = y[rows]
    back[at - at[0]] = rows
    seen = np.flatnonzero(~np.isnan(values))
    if not len(seen):
        return replace(bad, fault=f"{spec.y} has no observed value.")
    first, last = int(seen[0]), int(seen[-1]) + 1
    return Series(
        name, values[first:last], int(at[0]) + first, back[first:last], left_out=first, ahead=len(values) - last
    )


def _written(data: Dataset, spec: Spec, row: int) -> str:
    value = data[spec.time][row]
    return str(value) if data.is_text(spec.time) else code_text(float(value))


def _irregular(spec: Spec, data: Dataset, clock: Clock, rows: Ints, places: Array) -> str:
    """What is irregular: the usual step, and the first place that departs from it."""
    steps = np.diff(places[rows]) * clock.step
    sizes, counts = np.unique(np.round(steps, 6), return_counts=True)
    usual = float(sizes[counts.argmax()])
    odd = int(np.flatnonzero(np.abs(steps - usual) > 1e-6 + NEAR * usual)[0]) if len(sizes) > 1 else 0
    unit = {"number": "", "weekday": " working days"}.get(clock.unit, f" {clock.unit.partition(' ')[0]}s")
    return (
        f"The times of {spec.time} are irregular: {100 * counts.max() / len(steps):.0f}% of the steps are "
        f"{usual:g}{unit}, others range from {float(steps.min()):g} to {float(steps.max()):g}{unit} (first: from "
        f"{_written(data, spec, int(rows[odd]))} to {_written(data, spec, int(rows[odd + 1]))}, rows "
        f"{int(rows[odd]) + 1:,} and {int(rows[odd + 1]) + 1:,}). Equal steps are needed; gaps of whole steps "
        "are allowed."
    )


def _notices(
    spec: Spec, data: Dataset, clock: Clock, made: Sequence[Series], places: Array, codes: Ints
) -> tuple[Problem, ...]:
    """What the reader should know of rows that were moved, gaps that were found, and times that were bent."""
    found = []

    def say(code: str, text: str, key: str = "time", column: str = "") -> None:
        found.append(Problem(code, text, key=key, column=column or spec.time, level="notice"))

    good = [s for s in made if not s.fault]
    if clock.said:
        say("time-read", f"{spec.time} holds {clock.said}.")
    if spec.time:
        moved = int((_differences_in_order(places, codes) < 0).sum())
        if moved:
            say("rows-sorted", f"The rows were not in the order of {spec.time}; they were sorted.")
        bent = float(np.abs(places - np.rint(places)).max())
        if TOLD < bent <= NEAR:
            text = f"The times of {spec.time} are not quite equal steps (off by up to {100 * bent:.0f}% of a step)"
            say("unequal-steps", f"{text}; they are taken as equal.")
    holes = [(s, np.flatnonzero(s.rows < 0)) for s in good]
    holes = [(s, h) for s, h in holes if len(h)]
    if holes:
        total = sum(len(h) for _, h in holes)
        first, where = holes[0]
        time = clock.words(first.start + int(where[0]))
        named = f" of series {first.name}" if first.name else ""
        text = f"{total:,} {clock.name}{'s' if total != 1 else ''} between the first and last time have no row (first: "
        say("gaps", f"{text}{time}{named}). They count as missing values.")
    gaps = sum(int(np.isnan(s.values).sum()) for s in good)
    if gaps:
        text = (
            f"{spec.y} has {gaps:,} missing values within the series, gaps included. At a missing value the forecast "
            "is carried on and the level, trend and season stay as they were forecast."
        )
        say("missing-values", text, key="y", column=spec.y)
    lost = sum(s.left_out > 0 for s in good)
    if lost:
        many = f"In {lost} series the" if spec.series else "The"
        say("leading-missing", f"{many} first values of {spec.y} are missing; the series begins at the first observed.",
            key="y", column=spec.y)  # fmt: skip
    late = [s for s in good if s.ahead]
    if late:
        one = late[0]
        begin = clock.words(one.start + len(one.values))
        values = f"{one.ahead} values" if one.ahead > 1 else "value"
        text = f"The last {values} of {spec.y} {'are' if one.ahead > 1 else 'is'} missing"
        if one.name:
            text += f" in series {one.name}" + (f" (and at the end of {len(late) - 1:,} others)" if late[1:] else "")
        text += f": the forecast begins there, at {begin}, right behind the last observed value."
        say("trailing-missing", text, key="y", column=spec.y)
    if clock.closed and clock.unit != "weekday":
        days = ", ".join(f"{name}s" for name in clock.closed)
        text = f"{spec.time} has no {days}: these count as closed, and a week has {clock.per_week} steps"
        say("calendar", f"{text} (the period of a weekly season is {clock.per_week}).")
    _say_period(spec, clock, say)
    per_year = clock.per_year
    if spec.time and per_year and per_year > 1 and spec.periods != (1,) and per_year not in spec.periods:
        text = f"One step of {spec.time} is a {clock.name}, {per_year} to a year, and the period is {spec.period_text}."
        say("period-and-time", text, key="period")
    return tuple(found)


def _say_period(spec: Spec, clock: Clock, say: Callable[[str, str, str], None]) -> None:
    """A weekly or daily season whose period is not that of the grid, with the one that is."""
    if not spec.time or spec.periods == (1,):
        return
    for each, whole in ((clock.per_week, "week"), (clock.per_day, "day")):
        if each is None or any(period % each == 0 for period in spec.periods):
            continue
        text = f"One step of {spec.time} is {_one_of(clock.name)}, {each} to a {whole}, and the period is "
        text += f"{spec.period_text}: such a season drifts through the {whole}. The period that fits is {each}."
        say("period-and-time", text, "period")


def _one_of(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouh' else 'a'} {name}" if not name[0].isdigit() else name


def _differences_in_order(places: Array, codes: Ints) -> Array:
    """Differences between a row and the next of the same series, in the order of the rows."""
    order = np.argsort(codes, kind="stable")
    return np.diff(places[order])[np.diff(codes[order]) == 0]
