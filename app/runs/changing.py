"""The one statement by which a run's state changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.models import Run

ENDED = ("done", "failed", "cancelled")


def change(
    session: Session,
    run_id: int,
    state_is: str,
    *,
    attempt: int | None = None,
    attempt_to: int | None = None,
    also: Sequence[Any] = (),
    **values: Any,
) -> bool:
    """One conditional UPDATE of one run; True where it was made. Does not commit.

    also: further conditions. attempt: the attempt it must be at; attempt_to: the one it shall be at.
    """
    wanted = update(Run).where(Run.id == run_id, Run.state == state_is, *also)
    if attempt is not None:
        wanted = wanted.where(Run.attempt == attempt)
    if attempt_to is not None:
        values["attempt"] = attempt_to
    made = session.execute(wanted.values(**values), execution_options={"synchronize_session": False})
    return bool(made.rowcount == 1)  # type: ignore[attr-defined]
