"""Asking: run a template's `questions` over the answers given so far, and see which questions there are.

A template's questions are one ordinary Python method, run again from the top at every change. One run is a walk. A
missing answer is a placeholder; looking at it ends the walk (pending.py), so a walk yields as much of the form as can
be known. Form, input string, REST, command line, worker and manual all read the same walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from templates_engine.columns import Columns, Names, OneColumn
from templates_engine.data.schema import Column, Schema
from templates_engine.pending import PENDING, Pending, Unanswered, looked_at
from templates_engine.problems import Problem, Refused
from templates_engine.questions import (
    Choice,
    Dataset,
    Integer,
    Number,
    Option,
    Question,
    TemplateBug,
    Term,
    Text,
    YesNo,
    choice_options,
)

if TYPE_CHECKING:
    from templates_engine.template import Template

MOST_QUESTIONS = 500  # in one walk: an answer of 10 ** 9 categories must not fill the memory
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

    @property
    def problem(self) -> Problem | None:
        return self.problems[0] if self.problems else None

    @property
    def answered(self) -> bool:
        return self.text is not None and not self.problems

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

    @property
    def complete(self) -> bool:
        return self.spec is not None

    @property
    def open(self) -> list[Asked]:
        """The questions that wait for an answer, or have a wrong one."""
        return [asked for asked in self.asked.values() if not asked.answered]

    def require(self) -> Any:
        """The spec. Raises Refused with everything that is wrong or missing."""
        if self.spec is None or any(p.level == "error" for p in self.problems):
            raise Refused(_with_missing(self))
        return self.spec


class _TooMany(BaseException):
    """More questions than any template should ask."""


class Ask:
    """What a template's `questions` receives: the dataset's schema, and one method for each kind of question.

    `key` and `label` are patterns with named fields, given as keywords:
    `ask.choice("bin{level}_{k}", "Type of {column}", KINDS, level=1, k=2, column="girl")`.
    """

    def __init__(
        self, answers: Mapping[str, str], data: Schema, datasets: Mapping[str, Schema], defaults: bool, recover: bool
    ):
        self.data = data
        self.asked: dict[str, Asked] = {}
        self.said: list[Problem] = []
        self._answers, self._datasets = answers, datasets
        self._defaults, self._recover = defaults, recover
        self._group, self._section, self._prefix = INVARS, "", ""
        self._names: dict[int, Names] = {}

    # The kinds of question

    def column(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        where: Callable[[Column], bool] | None = None,
        why: str = "",
        text_ok: bool = False,
        default: Any = None,
        exclude: Sequence[str] = (),
        of: Schema | None = None,
        **fields: object,
    ) -> str:
        """One column. `where` marks which may be chosen, `why` says in a line why the others may not."""
        looked_at(exclude)
        among = self._among(of)
        barred = among.barred(text_ok, where, why, exclude)
        return self._put(OneColumn, key, label, help, default, fields, among=among, barred=barred)

    def columns(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        categorical: bool = False,
        where: Callable[[Column], bool] | None = None,
        why: str = "",
        default: Any = None,
        minimum: int = 1,
        exclude: Sequence[str] = (),
        extra: Sequence[str] = (),
        of: Schema | None = None,
        **fields: object,
    ) -> tuple[Term, ...]:
        """Columns in order; with `categorical`, `girl:cat` stands for categories. `extra` offers built terms."""
        looked_at(exclude, extra, minimum)
        among = self._among(of)
        barred = among.barred(categorical, where, why, exclude)
        return self._put(
            Columns,
            key,
            label,
            help,
            default,
            fields,
            among=among,
            barred=barred,
            categorical=categorical,
            minimum=minimum,
            extra=tuple(extra),
        )

    def choice(
        self,
        key: str,
        label: str,
        choices: Sequence[str | Option],
        *,
        help: str = "",
        default: Any = None,
        spellings: Mapping[str, str] | None = None,
        **fields: object,
    ) -> str:
        """One of a set. `spellings` are other words for a choice, such as published ones."""
        looked_at(choices)
        options = choice_options(choices)
        return self._put(Choice, key, label, help, default, fields, choices=options, spellings=spellings or {})

    def yes_no(self, key: str, label: str, *, help: str = "", default: Any = None, **fields: object) -> bool:
        return self._put(YesNo, key, label, help, default, fields)

    def integer(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        min: int | None = None,
        max: int | None = None,
        default: Any = None,
        **fields: object,
    ) -> int:
        looked_at(min, max)
        return self._put(Integer, key, label, help, default, fields, min=min, max=max)

    def number(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        min: float | None = None,
        max: float | None = None,
        default: Any = None,
        **fields: object,
    ) -> float:
        looked_at(min, max)
        return self._put(Number, key, label, help, default, fields, min=min, max=max)

    def text(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        default: Any = None,
        pattern: str = "",
        form: str = "",
        optional: bool = False,
        **fields: object,
    ) -> str:
        """Free text; `pattern` is a regular expression the whole text must match, `form` the same in words."""
        return self._put(Text, key, label, help, default, fields, pattern=pattern, form=form, optional=optional)

    def dataset(self, key: str, label: str, *, help: str = "", default: Any = None, **fields: object) -> Schema:
        """Another dataset; its schema goes into `of=` of the questions about its columns."""
        return self._put(Dataset, key, label, help, default, fields, among=self._datasets)

    # Where and how questions are asked

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """The keys asked inside go to this argument of the RunStatJR command: "estoptions"."""
        before, self._group = self._group, name
        try:
            yield
        finally:
            self._group = before

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """A heading over the questions asked inside."""
        before, self._section = self._section, title
        try:
            yield
        finally:
            self._section = before

    def template(self, name: str | Template, prefix: str = "") -> Any:
        """Ask another template's questions here, each key with the prefix. Returns that template's Spec."""
        if isinstance(name, str):
            from templates_engine import registry  # the registry imports this module

            name = registry.get(name)
        before, self._prefix = self._prefix, self._prefix + prefix
        try:
            return name.questions(self)
        finally:
            self._prefix = before

    def fault(self, key: str, message: str, *, code: str = "conflict", column: str = "", nearest: str = "") -> None:
        """Answers that are each right and do not go together: told at the question `key`."""
        self.said.append(Problem(code, message, key=self._prefix + key, column=column, nearest=nearest))

    def notice(self, key: str, message: str, *, code: str = "notice", column: str = "") -> None:
        """Something worth knowing that forbids nothing."""
        self.said.append(Problem(code, message, key=self._prefix + key, column=column, level="notice"))

    # How

    def _among(self, of: Schema | None) -> Names:
        looked_at(of)
        schema = self.data if of is None else of
        if id(schema) not in self._names:
            self._names[id(schema)] = Names(schema)
        return self._names[id(schema)]

    def _put(
        self,
        kind: type[Question],
        declared: str,
        label: str,
        help_: str,
        default: Any,
        fields: Mapping[str, Any],
        **parts: Any,
    ) -> Any:
        looked_at(*fields.values())
        pattern = self._prefix + declared
        try:
            key, label = pattern.format(**fields), label.format(**fields)
            help_ = help_.format(**fields) if "{" in help_ and fields else help_
        except (KeyError, IndexError) as missing:
            raise TemplateBug(f"{pattern!r} is asked without its field {missing}") from None
        if key in self.asked:
            raise TemplateBug(f"{key!r} is asked twice")
        if len(self.asked) >= MOST_QUESTIONS:
            raise _TooMany
        question = kind(key=key, label=label, help=help_, **parts)
        offered = None if isinstance(default, Pending) or default is None else _offer(question, default)
        if offered is not None:
            object.__setattr__(question, "default", offered)  # known only once the question can read it
        text = self._answers.get(key)
        assumed = text is None and offered is not None and self._defaults
        text = offered if assumed else text
        value: Any = PENDING
        problems: tuple[Problem, ...] = ()
        if text is not None:
            value, problems = self._read(question, text, offered)
        self.asked[key] = Asked(
            key,
            pattern,
            question,
            text,
            value if not problems else PENDING,
            problems,
            self._group,
            self._section,
            offered,
            assumed,
        )
        return value

    def _read(self, question: Question, text: str, offered: str | None) -> tuple[Any, tuple[Problem, ...]]:
        """The value to go on with, and what is wrong with the text."""
        reading = question.judge(text)
        if not reading.faults:
            return reading.value, ()
        problems = tuple(
            Problem(
                f.code,
                str(f),
                key=question.key,
                nearest=f.nearest,
                word=f.word,
                column=f.word if f.code == "not-allowed" and f.word in self.data else "",
            )
            for f in reading.faults
        )
        if not self._recover:
            return PENDING, problems
        # Go on as if the nearest valid answer had been meant, so that the mistakes after this one are found too.
        value = reading.value
        if isinstance(value, Pending) and offered is not None:
            value = question.judge(offered).value
        return value, problems


def _offer(question: Question, default: Any) -> str | None:
    """The default's text in canonical writing, or None where it does not suit the data (no column `cons`, say)."""
    if isinstance(default, bool):
        default = "Yes" if default else "No"
    elif isinstance(default, tuple | list):
        default = ",".join(str(term) for term in default)
    reading = question.judge(str(default))
    return None if reading.faults else question.write(reading.value)


def walk(
    template: Template | type[Template],
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
    wrong answer as if the nearest valid one had been meant; the spec stays None. strict_keys=True (REST, command line,
    submitting) makes unknown keys and missing answers problems.
    """
    template = template() if isinstance(template, type) else template
    given, said = rename(template, answers)
    found, left = once(template, given, schema, datasets or {}, defaults, recover)
    accepted, refused = _accept(template, given, left)
    # A misspelt key given once is a notice on a page; elsewhere it is an error with the nearest key.
    unasked = tuple(key for key in left if key not in accepted)
    found = Walk(found.asked, found.spec, unasked, found.finished, (*said, *refused, *found.said))
    if strict_keys:
        from templates_engine.explore import unknown_keys  # explore walks too

        more = unknown_keys(template, given, schema, found, datasets=datasets or {})
        found = Walk(found.asked, found.spec, unasked, found.finished, (*found.said, *more))
        found = Walk(found.asked, found.spec, unasked, found.finished, (*found.said, *_missing(found)))
    if found.spec is not None and any(p.level == "error" for p in found.said):
        found = Walk(found.asked, None, unasked, found.finished, found.said)
    return found


def once(
    template: Template,
    given: Mapping[str, str],
    schema: Schema,
    datasets: Mapping[str, Schema],
    defaults: bool,
    recover: bool,
) -> tuple[Walk, list[str]]:
    """The bare run, and the keys that were given and not asked."""
    ask = Ask(given, schema, datasets, defaults, recover)
    finished, spec = True, None
    try:
        spec = template.questions(ask)
    except Unanswered:
        finished = False
    except _TooMany:
        finished = False
        message = f"These answers lead to more than {MOST_QUESTIONS} questions; make a list or a number smaller."
        ask.said.append(Problem("too-many-questions", message))
    except Refused as refused:
        finished = False
        ask.said.extend(refused.problems)
    if any(not asked.answered for asked in ask.asked.values()):
        spec = None
    left = [key for key in given if key not in ask.asked]
    return Walk(ask.asked, spec, tuple(left), finished, tuple(ask.said)), left


def rename(template: Template, answers: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The answers under today's keys, and what is wrong where an old and a new key are both given."""
    if not template.renamed or not any(old in answers for old in template.renamed):
        return dict(answers), []
    given, said = {k: v for k, v in answers.items() if k not in template.renamed}, []
    for old, new in template.renamed.items():
        if old not in answers:
            continue
        if given.setdefault(new, answers[old]) != answers[old]:
            message = f"“{old}” is an older name of “{new}”, and the two have different answers."
            said.append(Problem("given-twice", message, key=old, nearest=new))
    return given, said


def _accept(template: Template, given: Mapping[str, str], left: Sequence[str]) -> tuple[set[str], list[Problem]]:
    """Published keys that have one working answer: accepted with it, refused with another."""
    accepted, said = set(), []
    for key in left:
        if key in template.accepted:
            accepted.add(key)
            only = template.accepted[key]
            if given[key].strip().casefold() != only.casefold():
                message = f"“{given[key]}” is not available; this template always works as with “{only}”."
                said.append(Problem("not-available", message, key=key, nearest=only, word=given[key]))
    return accepted, said


def _missing(found: Walk) -> list[Problem]:
    said = []
    for asked in found.asked.values():
        if asked.text is None:
            message = f"This question has no answer: {asked.question.label.rstrip(' ?.')}."
            said.append(Problem("missing-answer", message, key=asked.key))
    return said


def _with_missing(found: Walk) -> list[Problem]:
    known = {p.key for p in found.problems if p.code == "missing-answer"}
    return found.problems + [p for p in _missing(found) if p.key not in known]
