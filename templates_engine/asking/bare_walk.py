"""One bare run of a template's questions."""

from __future__ import annotations

from collections.abc import Mapping

from templates_engine.asking.ask import MOST_QUESTIONS, Ask, Asks, TooMany
from templates_engine.asking.asked import Walk
from templates_engine.asking.placeholder import Unanswered
from templates_engine.data import Schema, schema_with_intercept
from templates_engine.problems import Problem, Refused


def once(
    template: Asks,
    given: Mapping[str, str],
    schema: Schema,
    datasets: Mapping[str, Schema],
    defaults: bool,
    recover: bool,
) -> Walk:
    """The bare run, without the care for older, accepted and unknown keys."""
    schema = schema_with_intercept(schema) if template.intercept else schema
    ask = Ask(given, schema, datasets, defaults, recover)
    finished, spec = True, None
    try:
        spec = template.questions(ask)
    except Unanswered:
        finished = False
    except TooMany:
        finished = False
        message = f"These answers lead to more than {MOST_QUESTIONS} questions; make a list or a number smaller."
        ask.said.append(Problem("too-many-questions", message))
    except Refused as refused:
        finished = False
        ask.said.extend(refused.problems)
    if any(not asked.answered for asked in ask.asked.values()):
        spec = None
    unasked = tuple(key for key in given if key not in ask.asked)
    return Walk(ask.asked, spec, unasked, finished, tuple(ask.said))
