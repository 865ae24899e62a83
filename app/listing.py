"""What a template asks, as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from app import db, runs
from app.models import Dataset
from templates_engine.problems import Problem
from templates_engine.template import Template

MOST = 12  # options shown of a question


def pattern_list(template: Template) -> str:
    """Every question as the manual lists it: key pattern, label, choices, default, when it is asked."""
    from templates_engine import manual

    lines = [f"{template.name}: {template.title}", ""]
    for row in manual.manual(template).questions:
        lines.append(f"{row.pattern:<20} {row.label}  [{row.kind}]")
        if row.choices:
            lines.append(f"{'':<20} one of: {', '.join(row.choices)}")
        if row.default:
            lines.append(f"{'':<20} default: {row.default}")
        if row.asked_when:
            lines.append(f"{'':<20} {row.asked_when}")
    return "\n".join(lines)


def open_questions(template: Template, dataset: Dataset, answers: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """What is asked of this dataset after these answers, and what is wrong with them."""
    from templates_engine.asking import walk

    with db.session() as session:
        walked = walk(
            template,
            answers,
            dataset.as_schema(),
            datasets=runs.Schemas(session),
            defaults=False,
            recover=True,
            strict_keys=True,
        )
    lines = [f"{template.name} on {dataset.name}", ""]
    for asked in walked.asked.values():
        mark = "= " + (asked.text or "") if asked.answered else "?"
        lines.append(f"{asked.key:<20} {mark}  {asked.question.label}")
        if not asked.answered:
            allowed = [option.value for option in asked.options if option.allowed]
            if allowed:
                more = f", … ({len(allowed)})" if len(allowed) > MOST else ""
                lines.append(f"{'':<20}    one of: {', '.join(allowed[:MOST])}{more}")
            if asked.offered:
                lines.append(f"{'':<20}    default: {asked.offered}")
    if not walked.finished:
        lines.append(f"{'':<20} … more is asked when these are answered")
    return "\n".join(lines), [p for p in walked.problems if p.level == "error" and p.code != "missing-answer"]
