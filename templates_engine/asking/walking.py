"""Asking: run a template's `questions` over the answers given so far, and see which questions there are.

A template's questions are one ordinary Python method, run again from the top at every change. One run is a walk. A
missing answer is a placeholder; looking at it ends the walk (pending.py), so a walk yields as much of the form as can
be known. Form, input string, REST, command line, worker and manual all read the same walk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from templates_engine.asking.ask import Asks
from templates_engine.asking.asked import Walk, missing
from templates_engine.asking.bare_walk import once
from templates_engine.asking.columns import Columns, OneColumn
from templates_engine.asking.exploring import explore, unknown_keys
from templates_engine.asking.placeholder import PENDING
from templates_engine.data import Schema
from templates_engine.problems import Problem
from templates_engine.suggest import clean, meant, nearest, quoted


def walk(
    template: Asks | type[Asks],
    answers: Mapping[str, str],
    schema: Schema,
    *,
    datasets: Mapping[str, Schema] | None = None,
    defaults: bool = True,
    recover: bool = False,
    strict_keys: bool = False,
) -> Walk:
    """One run of the questions over the answers.

    defaults=False is the page with its Next button: a default is offered, not assumed. recover=True goes on past a
    wrong answer (or a misspelt key) as if the nearest valid one had been meant; the spec stays None. strict_keys=True
    (REST, command line, submitting) makes unknown keys and missing answers problems.
    """
    template = template() if isinstance(template, type) else template
    datasets = datasets or {}
    given, said = rename(template, answers)
    found = once(template, given, schema, datasets, defaults, recover)
    if recover:
        found = _recover_keys(template, given, schema, datasets, defaults, found)
    # While questions are still to come on the page, one may ask for such a key: its answer waits like any other.
    accepted, refused = _accept(template, given, found) if found.finished or strict_keys else ([], [])
    found = replace(
        found, said=(*said, *refused, *found.said), unasked=tuple(k for k in found.unasked if k not in accepted)
    )
    if strict_keys:
        more = unknown_keys(template, given, schema, found, datasets=datasets)
        found = replace(found, said=(*found.said, *more, *missing(found)))
    found = replace(found, said=(*found.said, *_doubts(found)))
    if found.spec is not None and any(p.level == "error" for p in found.said):
        found = replace(found, spec=None)
    return found


def _doubts(found: Walk) -> list[Problem]:
    """A notice for each column among the answers whose numbers may mean something else."""
    said: dict[str, Problem] = {}
    for asked in found.asked.values():
        if not asked.answered or not isinstance(asked.question, OneColumn | Columns):
            continue
        names = [asked.value] if isinstance(asked.value, str) else [term.name for term in asked.value]
        for name in names:
            column = asked.question.among.columns.get(name)
            if column is not None and column.doubt:
                problem = Problem("doubtful-numbers", column.doubt, key=asked.key, column=name, level="notice")
                said.setdefault(name, problem)
    return list(said.values())


def rename(template: Asks, answers: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The answers under today's keys, and what is wrong where an old and a new key are both given."""
    given = template.published({clean(key): clean(text) for key, text in answers.items()})
    said = []
    for old, new in template.renamed.items():
        if old not in given:
            continue
        text = given.pop(old)
        if given.setdefault(new, text) != text:
            message = f"“{old}” is an older name of “{new}”, and the two have different answers."
            said.append(Problem("given-twice", message, key=old, nearest=new))
    return given, said


def _recover_keys(
    template: Asks,
    given: Mapping[str, str],
    schema: Schema,
    datasets: Mapping[str, Schema],
    defaults: bool,
    found: Walk,
) -> Walk:
    """Where a question has no answer and a key much like its own belongs to nothing, go on with that answer."""
    stand_ins: dict[str, str] = {}  # the question's key -> the misspelt one
    if not found.unasked or all(asked.text is not None for asked in found.open):
        return found
    known = explore(template, given, schema, datasets=datasets)
    foreign = [k for k in found.unasked if k not in template.accepted and not known.knows(k)]
    for _ in range(3):
        spare = [k for k in foreign if k not in stand_ins.values()]
        fresh = {}
        for asked in found.open:
            if asked.text is None and (near := nearest(asked.key, spare, cutoff=0.75)):
                fresh[asked.key] = near
                spare.remove(near)
        if not fresh:
            break
        stand_ins |= fresh
        borrowed = {**given, **{key: given[misspelt] for key, misspelt in stand_ins.items()}}
        found = once(template, borrowed, schema, datasets, defaults, True)
    if not stand_ins:
        return found
    questions = dict(found.asked)
    for key, misspelt in stand_ins.items():
        if key in questions:
            message = f"There is no question {quoted(misspelt)}.{meant(key)}"
            problem = Problem("unknown-key", message, key=misspelt, word=misspelt, nearest=key)
            questions[key] = replace(questions[key], value=PENDING, problems=(problem, *questions[key].problems))
    unasked = tuple(key for key in given if key not in questions and key not in stand_ins.values())
    return replace(found, asked=questions, spec=None, unasked=unasked)


def _accept(template: Asks, given: Mapping[str, str], found: Walk) -> tuple[Sequence[str], list[Problem]]:
    """Published keys that have one working answer: accepted with it, refused with another."""
    accepted = [key for key in found.unasked if key in template.accepted]
    said = []
    for key in accepted:
        only = template.accepted[key]
        if given[key].strip().casefold() != only.casefold():
            message = f"{quoted(given[key])} is not available; this template always works as with “{only}”."
            said.append(Problem("not-available", message, key=key, nearest=only, word=given[key]))
    return accepted, said
