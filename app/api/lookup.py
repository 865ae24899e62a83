"""Finding what an address names, or answering 404; reading answers in each of the forms they come in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from app import datasets, runs
from app.errors import ApiError
from app.models import Dataset, Run
from templates_engine.problems import Problem, Refused
from templates_engine.template import Template


@contextmanager
def not_found() -> Iterator[None]:
    """What is refused in here is not there, or is a template that cannot be loaded."""
    try:
        yield
    except Refused as refused:
        status = 503 if refused.problems[0].code == "unavailable-template" else 404
        raise ApiError(status, str(refused), code=refused.problems[0].code, problems=refused.problems) from None


def template(name: str) -> Template:
    from templates_engine import registry

    with not_found():
        return registry.get(name)


def dataset(session: Session, name_or_id: str) -> Dataset:
    """The dataset of an address: a number or a name."""
    number = re.fullmatch(r"[0-9]{1,12}", name_or_id)
    with not_found():
        return datasets.get(session, int(name_or_id) if number else name_or_id)


def run(session: Session, run_id: int) -> Run:
    found = runs.get(session, run_id)
    if found is None:
        raise ApiError(404, f"There is no run {run_id}.")
    return found


def answers(given: dict[str, Any], text: str) -> tuple[dict[str, str], str, str]:
    """Answers from a dictionary or from text (not both), with the template and dataset that the text names."""
    from templates_engine import inputs

    if text and given:
        raise Refused(Problem("both", "Give answers or an input string, not both.", key="inputs"))
    parsed = inputs.read(text) if text else inputs.plain(given)
    wrong = [p for p in parsed.problems if p.level == "error"]
    if wrong:
        raise Refused(wrong)
    return dict(parsed.answers), parsed.template or "", parsed.dataset or ""
