"""Times of a series as people write them, and how they count.

In: texts or codes of a time column. Out: whole steps of one unit, and the times that follow the last. Neighbours: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.data.times.clock import (
        FORMS as FORMS,
        MONTHS as MONTHS,
        ROWS as ROWS,
        Clock as Clock,
        as_months_or_days as as_months_or_days,
        read_codes as read_codes,
        read_texts as read_texts,
    )
    from templates_engine.data.times.written_dates import Ambiguous as Ambiguous, NotATime as NotATime

__getattr__, __all__ = lazily(__name__, __file__)
