"""Making a run longer, on its page: what is offered, and why nothing is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app import runs
from app.models import Run

OFFERED = ("done", "cancelled")


@dataclass(frozen=True)
class Offer:
    """The form under a run's verdicts."""

    key: str  # the answer that grows
    words: str  # what there can be more of
    reached: int  # how many there are, or were to be
    finish: bool  # the run was stopped: what was asked for can be finished
    more: str  # what the field says
    why: str = ""  # why the run cannot be made longer: then there is no form
    fault: str = ""  # what is wrong with the number that was sent


def offer_of(session: Session, run: Run) -> Offer | None:
    """None where nothing was kept to go on from, so that nobody expects it."""
    there = runs.standing(run) if run.state in OFFERED else None
    if there is None:
        return None
    problem = runs.unfit(session, run)
    return Offer(
        there.key,
        there.words,
        there.reached,
        run.state == "cancelled",
        str(there.reached),
        why=problem.message if problem else "",
    )


def faulty(offer: Offer | None, text: str, fault: str) -> Offer | None:
    """The form again, with what was sent and what is wrong with it."""
    return replace(offer, more=text[:40], fault=fault) if offer else None


def whole(text: str) -> int | None:
    """A number as people write it, "2000" or "2,000"; None where it is none."""
    return int(text.replace(",", "")) if re.fullmatch(r"\d{1,9}|\d{1,3}(,\d{3}){1,2}", text.strip(), re.A) else None
