"""Weeks in which some days are always closed: the unit that counts the others.

In: days since 1 January of year 1, a Monday. Out: "day", "weekday" (Monday to Friday), or "openday 012345" with the
weekdays that occur (0 is Monday).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def open_days(unit: str) -> tuple[int, ...]:
    """The weekdays (0 is Monday) that a unit counts; () where it counts something else."""
    if unit == "weekday":
        return (0, 1, 2, 3, 4)
    return tuple(int(k) for k in unit.removeprefix("openday ")) if unit.startswith("openday ") else ()


def calendar_of(days: Ints) -> str:
    """The unit of distinct days: "day", or one that leaves out the weekdays on which nothing ever stands.

    Monday to Friday from a week's end on. Any other set of two to six weekdays where two weeks and more are covered,
    and most of the values follow each other without a gap on the days that are open.
    """
    weekday, spread = days % 7, np.diff(days)
    found = np.unique(weekday)
    if 2 <= len(found) <= 6 and days[-1] - days[0] >= 14 and len(days) > 2 * len(found):
        places = len(found) * (days // 7) + np.searchsorted(found, weekday)
        if np.mean(np.diff(places) == 1) >= 0.6:
            return "weekday" if found.tolist() == [0, 1, 2, 3, 4] else "openday " + "".join(map(str, found.tolist()))
    # day 0, 1 January of year 1, was a Monday
    if len(days) > 5 and (weekday < 5).all() and (spread == 1).any() and (spread >= 3).any():
        return "weekday"
    return "day"
