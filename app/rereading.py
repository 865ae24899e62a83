"""A dataset whose file is read again, in another way."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import String, cast, or_, select
from sqlalchemy.orm import Session

from app import datasets
from app.models import Conversation, Dataset, Run
from templates_engine.data import readers
from templates_engine.problems import Problem, Refused


def read_again(session: Session, row: Dataset, texts: Mapping[str, str]) -> Dataset:
    """The dataset's file read with these options (readers.Reading.of). Commits.

    The same dataset changes where no run and no draft uses it, or where its values stay the same; else a new one stands
    beside, so that runs keep theirs. Refused where the file is not kept or cannot be read so.
    """
    file = datasets.source(row)
    if file is None:
        text = f"The file that {row.name} was read from is not kept; upload it again."
        raise Refused(Problem("reading", text, key="file"))
    made = datasets.read_sent(file, datasets.how(row)["file"], readers.Reading.of(texts))
    if made.sha256() == row.sha256 or not used(session, row):
        datasets.replace(session, row, made)
        return row
    return datasets.keep(session, made, file, name=row.name)


def used(session: Session, row: Dataset) -> bool:
    """Whether a run or a draft is of this dataset, or names it in an answer."""
    named = json.dumps(row.name)
    for table in (Run, Conversation):
        answers = cast(table.answers, String).contains(named, autoescape=True)
        if session.scalar(select(table.id).where(or_(table.dataset_id == row.id, answers)).limit(1)) is not None:
            return True
    return False
