"""What a walk found: each question as it stands, and the spec once all are answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from templates_engine.asking.questions import Option, Question
from templates_engine.problems import Problem, Refused

INVARS, ESTOPTIONS = "invars", "estoptions"


@dataclass(frozen=True)
class Asked:
    """One question as it stands in a walk."""

    key: str
    pattern: str  # the key before its fields were filled in: "ncats{column}"
    question: Question
    text: str | None  # the answer's text; None while there is none
    value: Any  # what the text means, PENDING while unknown
    problems: tuple[Problem, ...] = ()
    group: str = INVARS
    section: str = ""
    offered: str | None = None  # the default, for the page to fill in
    assumed: bool = False  # the default was taken as the answer
    label_pattern: str = ""  # the label before its fields were filled in

    @property
    def problem(self) -> Problem | None:
        return self.problems[0] if self.problems else None

    @property
    def answered(self) -> bool:
        return self.text is not None and not self.problems

    @property
    def groups(self) -> bool:
        """Does the answer name the column that says to which group each row belongs?"""
        return bool(getattr(self.question, "groups", False))

    @property
    def canonical(self) -> str:
        """The answer as the canonical input string writes it."""
        return self.question.write(self.value)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        return self.question.options()


@dataclass(frozen=True)
class Walk:
    """One run of a template's questions."""

    asked: Mapping[str, Asked]  # in the order of asking
    spec: Any | None  # the frozen Spec, once every question is answered and right
    unasked: tuple[str, ...]  # keys that were given and not asked
    finished: bool  # the method came to its end: no further question depends on an open one
    said: tuple[Problem, ...] = ()  # faults that belong to no single answer, and notices

    @cached_property
    def problems(self) -> list[Problem]:
        return [p for asked in self.asked.values() for p in asked.problems] + list(self.said)

    @cached_property
    def answers(self) -> dict[str, str]:
        """The right answers in canonical writing, in the order of asking."""
        return {key: asked.canonical for key, asked in self.asked.items() if asked.answered}

    @cached_property
    def datasets(self) -> dict[str, str]:
        """The other datasets that the answers name: question's key -> dataset's name."""
        named = {k: a for k, a in self.asked.items() if a.answered and a.question.kind == "dataset"}
        own = {k for k, a in named.items() if a.value is getattr(a.question, "own", None)}  # None, or the rows
        return {k: str(a.value.name) for k, a in named.items() if k not in own and a.value is not None}

    @property
    def complete(self) -> bool:
        return self.spec is not None

    @property
    def open(self) -> list[Asked]:
        """The questions that wait for an answer, or have a wrong one."""
        return [asked for asked in self.asked.values() if not asked.answered]

    def require(self) -> Any:
        """The spec. Raises Refused with everything that is wrong or missing (notices left out)."""
        if self.spec is None or any(p.level == "error" for p in self.problems):
            raise Refused([p for p in with_missing(self) if p.level == "error"])
        return self.spec


def missing(found: Walk) -> list[Problem]:
    """A problem for each question that was asked and has no answer."""
    said = []
    for asked in found.asked.values():
        if asked.text is None:
            message = f"This question has no answer: {asked.question.label.rstrip(' ?.')}."
            said.append(Problem("missing-answer", message, key=asked.key))
    return said


def with_missing(found: Walk) -> list[Problem]:
    """The problems of a walk, with those of questions that have no answer."""
    known = {p.key for p in found.problems if p.code == "missing-answer"}
    return found.problems + [p for p in missing(found) if p.key not in known]
