"""What a conversation amounts to so far: the equation, who i and j are, warnings, the answers as text and commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from markupsafe import Markup

from app import datasets, leads
from app.pages.conversation import Talk, _walk
from app.pages.fields import becomes
from app.pages.format import names, quoted_names, tex_blocks
from app.pages.patterns import pattern_of
from templates_engine import inputs
from templates_engine.asking import Walk
from templates_engine.manual import equation
from templates_engine.problems import Problem, Refused
from templates_engine.template import Lead

MOST_SHOWN = 20_000  # characters of an input string on the page, which shows it four times
MOST_FILLED = 60  # questions answered provisionally to see whether the equation is settled already


@dataclass(frozen=True)
class Model:
    """The model of complete answers, and what the data have to say to it."""

    equation: str
    errors: list[Problem]
    notices: list[Markup]
    leads: list[Lead]


def model_of(talk: Talk) -> Model:
    """Checks the rows: what forbids a run, and what is worth knowing."""
    problems = list(talk.walk.said)
    try:
        problems += talk.template.check(talk.walk.spec, talk.template.rows(datasets.open(talk.row)))
    except Refused as refused:
        problems += refused.problems
    known = {*talk.schema.names, *talk.walk.asked}
    return Model(
        equation.render(talk.template, talk.walk.spec, talk.schema) if talk.template.equation else "",
        [p for p in problems if p.level == "error"],
        [quoted_names(p.message, known) for p in problems if p.level != "error"],
        leads.shown(talk.template, talk.walk.answers, problems),
    )


def equation_of(talk: Talk, walked: Walk) -> str:
    """The equation once it is known. Before the answers are complete: the parts that no open answer changes."""
    if not talk.template.equation:
        return ""
    if walked.spec is not None:
        return equation.render(talk.template, walked.spec, talk.schema)
    if len(walked.answers) < 4:
        return ""
    first, last = tex_blocks(_provisional(talk, walked, 0)), tex_blocks(_provisional(talk, walked, -1))
    alike = [a for a, b in zip(first, last, strict=False) if a == b]
    return "\n".join(alike) if len(first) == len(last) or len(first) > 1 else ""


def _provisional(talk: Talk, walked: Walk, which: int) -> str:
    """The equation if every open question got the first (0) or last (-1) thing that may be chosen."""
    answers = dict(walked.answers)
    for _ in range(MOST_FILLED):
        if walked.spec is not None:
            return equation.render(talk.template, walked.spec, talk.schema)
        waiting = walked.open
        if not waiting or len(answers) > 300:
            return ""
        for asked in waiting:
            allowed = [o.value for o in asked.options if o.allowed]
            text = allowed[which] if allowed else asked.offered or ("3" if which else "4")
            if asked.question.judge(text).faults:
                return ""
            answers[asked.key] = text
        walked = _walk(talk, answers)
    return ""


def side_of(talk: Talk, walked: Walk) -> dict[str, Any]:
    """The side column: equation, subscripts, missing values, warnings."""
    group = _group(talk, walked)
    groups = {"name": group, "n": talk.schema[group].n_levels} if group else None
    tex = equation_of(talk, walked)
    return {
        "equation": tex,
        "equation_title": "Model" if walked.complete else "Model so far",
        "subscripts": subscripts_of(talk, walked),
        "pattern": pattern_of(talk, walked),
        "groups": groups,
        "rows": talk.schema.n_rows,
        "variables": len(talk.schema.columns),
        "warnings": [quoted_names(p.message, set(talk.schema.names)) for p in walked.said if p.level == "notice"],
    }


def _group(talk: Talk, walked: Walk) -> str:
    """The column that says to which group each row belongs, where there is one such column."""
    named = [str(a.value) for a in walked.asked.values() if a.answered and a.groups]
    named = [name for name in named if name in talk.schema]
    return named[0] if len(named) == 1 else ""


def subscripts_of(talk: Talk, walked: Walk) -> list[Markup]:
    """Who i and j are, and which category each categorical variable is compared with."""
    lines: list[Markup] = []
    if group := _group(talk, walked):
        lines.append(Markup("Row <i>i</i> in <i>j</i>, a value of <code>{}</code>.").format(group))
    seen = set()
    for asked in walked.asked.values():
        if not asked.answered or asked.question.kind != "columns":
            continue
        for term in asked.value:
            if term.categorical and term.name in talk.schema and term.name not in seen:
                seen.add(term.name)
                lines.append(names(becomes(talk.schema[term.name]), (term.name,)))
    return lines


def same_as_text(request: Request, talk: Talk, walked: Walk) -> dict[str, Any]:
    """The input string and the three commands."""
    name, data = talk.template.name, talk.row.name
    string = inputs.write(walked.answers)
    if len(string) > MOST_SHOWN:
        return {"string": "", "commands": [], "length": len(string), "conversation": talk.conversation.id}
    base = f"{request.url.scheme}://{request.url.netloc}"
    return {
        "string": string,
        "commands": [
            ("Python", inputs.command(name, data, walked)),
            ("Shell", inputs.shell(name, data, walked)),
            ("REST", inputs.rest(name, data, walked, base)),
        ],
    }
