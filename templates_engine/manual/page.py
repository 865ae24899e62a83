"""A template's help page: the table of questions, generated from the declaration, and the prose of its manual.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from templates_engine import inputs
from templates_engine.asking import Asked, Choice, Clause, Exploration, Integer, Number, YesNo, explore, rename, say
from templates_engine.data import Schema
from templates_engine.manual.markdown import to_html
from templates_engine.template import Example, Template


@dataclass(frozen=True)
class Row:
    """One question, or one family of questions, of the table."""

    pattern: str  # "ncats<column>"
    label: str  # "Number of categories of <column>"
    kind: str
    choices: tuple[str, ...]
    default: str  # "" where there is none
    help: str
    asked_when: str  # "bin<level>_<k> is Ordered or Unordered"; "" is always
    section: str = ""
    limits: str = ""  # "1 to 64", of a number


@dataclass(frozen=True)
class Manual:
    """The help page as data."""

    name: str
    title: str
    heading: str
    tags: tuple[str, ...]
    version: str
    prose_html: str
    questions: tuple[Row, ...]
    outputs: Mapping[str, str]
    examples: tuple[Example, ...]


def manual(template: Template, schemas: Mapping[str, Schema] | None = None) -> Manual:
    """The page of a template. `schemas` are those of the examples' datasets; supplied datasets are found by themselves.

    The table is explored from the examples, so an example that takes another way adds the questions met there.
    """
    if schemas is None:
        if type(template) not in _made:
            _made[type(template)] = _manual(template, supplied())
        return _made[type(template)]
    return _manual(template, schemas)


_made: dict[type[Template], Manual] = {}  # a page changes only with the program


def _manual(template: Template, schemas: Mapping[str, Schema]) -> Manual:
    prose = template.folder / "manual.md" if template.folder else None
    text = prose.read_text(encoding="utf-8") if prose and prose.exists() else ""
    return Manual(
        template.name,
        template.title,
        template.heading,
        template.tags,
        template.version,
        to_html(text),
        rows(template, schemas),
        {output.called: output.about for output in template.outputs if output.about},
        template.examples,
    )


@cache
def supplied() -> dict[str, Schema]:
    """The schemas of the datasets that come with the product."""
    from templates_engine.data.simulate import SUPPLIED  # numerics, wanted only here

    return {name: made.make().schema() for name, made in SUPPLIED.items()}


def explorations(template: Template, schemas: Mapping[str, Schema]) -> list[Exploration]:
    """One exploration for each example whose dataset is known."""
    found = []
    for example in template.examples:
        if example.dataset in schemas:
            answers, _ = rename(template, inputs.read(example.inputs).answers)
            found.append(explore(template, answers, schemas[example.dataset], datasets=schemas))
    return found


def rows(template: Template, schemas: Mapping[str, Schema]) -> tuple[Row, ...]:
    """The table of questions, in the order of asking."""
    found = explorations(template, schemas)
    order: list[str] = []
    asked: dict[str, list[Asked]] = {}
    clauses: dict[str, list[tuple[list[Clause], str]]] = {}
    for exploration in found:
        place = 0  # a pattern that is new goes after the one asked before it
        for key in exploration.order:
            one = exploration.met[key]
            if one.pattern not in asked:
                order.insert(place, one.pattern)
            place = max(place, order.index(one.pattern) + 1)
            asked.setdefault(one.pattern, []).append(one)
            clauses.setdefault(one.pattern, []).append(_general(exploration, key))
    return tuple(_row(asked[pattern], _when(pattern, clauses[pattern])) for pattern in order)


def _general(exploration: Exploration, key: str) -> tuple[list[Clause], str]:
    """The clauses of a key, in terms of patterns."""
    clauses, joint = exploration.clauses(key)
    return [(shown(exploration.met[question].pattern), values) for question, values in clauses], joint


def _when(pattern: str, clauses: list[tuple[list[Clause], str]]) -> str:
    """One sentence for a family: the conditions its members share."""
    if "{" in pattern and any(not some for some, _ in clauses):
        return ""  # some member of the family is always asked
    told = dict.fromkeys(say(some, joint) for some, joint in clauses if some)
    if len(told) < 2:
        return next(iter(told), "")
    merged: dict[str, dict[str, None]] = {}
    for some, _ in clauses:
        if len(some) > 1:
            return ", or ".join(told)
        for question, values in some:
            merged.setdefault(question, {}).update(dict.fromkeys(values))
    return say([(question, tuple(values)) for question, values in merged.items()], "or")


def _row(asked: list[Asked], when: str) -> Row:
    first = asked[0]
    question = first.question
    defaults = {one.offered for one in asked}
    default = (first.offered or "") if len(defaults) == 1 else "from the data"
    choices = tuple(o.value for o in question.options()) if isinstance(question, Choice | YesNo) else ()
    return Row(
        shown(first.pattern),
        shown(first.label_pattern),
        question.kind,
        choices,
        default,
        question.help,
        when,
        first.section,
        _limits(question) if isinstance(question, Integer | Number) else "",
    )


def _limits(question: Any) -> str:
    if question.min is not None and question.max is not None:
        return f"{question.min:,} to {question.max:,}"
    if question.min is not None:
        return f"at least {question.min:,}"
    return f"at most {question.max:,}" if question.max is not None else ""


def shown(pattern: str) -> str:
    """ "ncats{column}" as the page writes it: "ncats<column>"."""
    return re.sub(r"\{(\w+)\}", r"<\1>", pattern)
