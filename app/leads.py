"""From the answers of one template to those of another, on the same data: what is offered, and the carrying over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from app import datasets, runs
from app.models import Dataset
from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.problems import Problem, Refused
from templates_engine.template import Lead, Template

MOST_ROUNDS = 50  # of defaults that open further questions


def offered(template: Template, answers: Mapping[str, str]) -> list[Lead]:
    """The leads of complete answers whose templates are there."""
    return [lead for lead in template.leads(answers) if lead.template in registry.all()]


def carry(
    session: Session, template: Template, name: str, answers: Mapping[str, str], row: Dataset
) -> tuple[Lead, dict[str, str]]:
    """(the lead, answers of its template): those that mean the same, and its defaults for what only it asks.

    Raises Refused where these answers have no such lead, are not complete, or cannot be carried over.
    """
    lead = next((each for each in offered(template, answers) if each.name == name), None)
    if lead is None:
        found = ", ".join(each.name for each in offered(template, answers)) or "nowhere"
        text = f"{template.name} leads with these answers to {found}, not to {name}."
        raise Refused(Problem("no-lead", text, key="lead"))
    walked = walk(template, answers, row.as_schema(), datasets=runs.Schemas(session))
    if walked.spec is None:
        raise Refused([p for p in walked.problems if p.level == "error"])
    given = template.carried(name, walked.answers, walked.spec, template.rows(datasets.open(row)))
    return lead, with_defaults(session, registry.get(lead.template), given, row)


def with_defaults(session: Session, template: Template, given: Mapping[str, str], row: Dataset) -> dict[str, str]:
    """The answers, and the default of every question that can be asked after them; a wrong answer stays as it is."""
    answers = dict(given)
    for _ in range(MOST_ROUNDS):
        walked = walk(template, answers, row.as_schema(), datasets=runs.Schemas(session), defaults=False)
        more = {a.key: a.offered for a in walked.open if a.offered is not None and a.text is None}
        if not more:
            break
        answers |= more
    return answers


def shown(template: Template, answers: Mapping[str, str], problems: Sequence[Problem]) -> list[Lead]:
    """The leads to be shown with a model or a result: those always offered, and those that a notice names."""
    named = {p.lead for p in problems if p.lead}
    return [lead for lead in offered(template, answers) if lead.always or lead.name in named]
