"""Templates: which there are, what they ask, and what is open after some answers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from app import datasets, leads, runs
from app.api import lookup
from app.api.shapes import MAX_JSON, Carrying, Conversation
from app.db import get_session
from templates_engine.template import Template

router = APIRouter(tags=["templates"])


@router.get("/templates")
def list_templates() -> list[dict[str, Any]]:
    """Every template, by heading and name."""
    from templates_engine import registry

    return [_short(template) for template in registry.all().values()]


@router.get("/templates/{name:path}")
def get_template(name: str) -> dict[str, Any]:
    """One template: its questions as patterns, its outputs and examples."""
    from templates_engine import manual

    template = lookup.template(name)
    page = manual.manual(template)
    return {
        **_short(template),
        "questions": [
            {
                "pattern": row.pattern,
                "label": row.label,
                "kind": row.kind,
                "choices": list(row.choices),
                "default": row.default,
                "help": row.help,
                "asked_when": row.asked_when,
            }
            for row in page.questions
        ],
        "outputs": dict(page.outputs),
        "examples": [
            {"name": e.name, "title": e.title, "dataset": e.dataset, "inputs": e.inputs} for e in template.examples
        ],
    }


@router.post("/templates/{name:path}/walk", max_body_size=MAX_JSON)
def walk_template(name: str, body: Conversation, session: Session = Depends(get_session)) -> dict[str, Any]:
    """The conversation as far as it can be known: what was asked, what is open, what is wrong.

    Defaults are offered and not assumed: an open question is answered by the client or left to `POST /runs`.
    """
    from templates_engine import inputs
    from templates_engine.asking import walk
    from templates_engine.manual import equation

    template = lookup.template(name)
    answers, _, _ = lookup.answers(body.answers, body.inputs)
    row = datasets.get(session, body.dataset)
    schema = row.as_schema()
    walked = walk(
        template, answers, schema, datasets=runs.Schemas(session), defaults=False, recover=True, strict_keys=True
    )
    asked = [
        {
            "key": one.key,
            "pattern": one.pattern,
            "label": one.question.label,
            "help": one.question.help,
            "kind": one.question.kind,
            "group": one.group,
            "section": one.section,
            "options": [
                {"value": o.value, "label": o.label, "allowed": o.allowed, "reason": o.reason} for o in one.options
            ],
            "answer": one.text,
            "default": one.offered,
            "problem": one.problem.as_dict() if one.problem else None,
            "open": not one.answered,
        }
        for one in walked.asked.values()
    ]
    return {
        "template": template.name,
        "dataset": row.name,
        "complete": walked.complete,
        "asked": asked,
        "open": [one.key for one in walked.open],
        "problems": [p.as_dict() for p in walked.problems if p.code != "missing-answer"],  # those are open
        "answers": dict(walked.answers),
        "inputs": inputs.write(walked.answers),
        "command": inputs.command(template.name, row.name, walked) if walked.complete else None,
        "equation": equation.render(template, walked.spec, schema) if walked.complete else None,
    }


@router.post("/templates/{name:path}/carried", max_body_size=MAX_JSON)
def carry_answers(name: str, body: Carrying, session: Session = Depends(get_session)) -> dict[str, Any]:
    """Complete answers as those of another template with the same meaning, such as 2LevelImpute's for
    2LevelMissingOnePass (`lead` one-pass, or compare for three answers side by side)."""
    from templates_engine import inputs

    template = lookup.template(name)
    answers, _, _ = lookup.answers(body.answers, body.inputs)
    row = datasets.get(session, body.dataset)
    lead, found = leads.carry(session, template, body.lead, answers, row)
    return {"template": lead.template, "dataset": row.name, "answers": found, "inputs": inputs.write(found)}


def _short(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "slug": template.slug,
        "title": template.title,
        "heading": template.heading,
        "tags": list(template.tags),
        "version": template.version,
    }
