"""What a template's `questions` receives: the dataset's schema, and one method for each kind of question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from templates_engine.asking.asked import INVARS, Asked
from templates_engine.asking.columns import Columns, Names, OneColumn
from templates_engine.asking.placeholder import PENDING, Pending, looked_at
from templates_engine.asking.questions import (
    NO_IMAGES,
    Choice,
    Dataset,
    ImageSet,
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
from templates_engine.data import Column, Schema, ones
from templates_engine.problems import Problem

MOST_QUESTIONS = 500  # in one walk: an answer of 10 ** 9 categories must not fill the memory


class TooMany(BaseException):
    """More questions than any template should ask."""


class Asks(Protocol):
    """What a walk needs of a template."""

    @property
    def accepted(self) -> Mapping[str, str]: ...
    @property
    def renamed(self) -> Mapping[str, str]: ...
    @property
    def intercept(self) -> bool: ...
    def published(self, answers: dict[str, str]) -> dict[str, str]: ...
    def questions(self, ask: Ask) -> Any: ...


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
        self._squeezed: set[str] = set()

    @property
    def intercept(self) -> str:
        """The name of the column of ones: the default of a model's predictors."""
        return ones(self.data)

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
        optional: bool = False,
        groups: bool = False,
        of: Schema | None = None,
        **fields: object,
    ) -> str:
        """One column. `where` marks which may be chosen, `why` says in a line why the others may not.

        With `optional` the answer may be none: the value is "", and so is the text or `none`. With `groups` it says to
        which group each row belongs, and the page tells how many there are.
        """
        looked_at(exclude)
        among = self._among(of)
        only = {"among": among, "barred": among.barred(text_ok, where, why, exclude), "groups": groups}
        return self._put(OneColumn, key, label, help, default, fields, optional=optional, **only)

    def columns(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        categorical: bool = False,
        text_ok: bool = False,
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
        barred = among.barred(categorical or text_ok, where, why, exclude)
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
        sample: str = "",
        optional: bool = False,
        lines: bool = False,
        longest: int = 1000,
        **fields: object,
    ) -> str:
        """Free text; `pattern` is a regular expression the whole text must match, `form` the same in words.

        `sample` is a text of that form, where there is no default: what the questions that follow are explored with.
        `lines` allows several lines, each ending in a line feed; `longest` is the most characters.
        """
        more: dict[str, Any] = {"pattern": pattern, "form": form, "sample": sample, "optional": optional}
        more |= {"lines": lines, "longest": longest}
        return self._put(Text, key, label, help, default, fields, **more)

    def dataset(
        self, key: str, label: str, *, help: str = "", default: Any = None, own: str = "", **fields: object
    ) -> Schema:
        """Another dataset; its schema goes into `of=` of the questions about its columns.

        `own` is a word, such as rows, that stands for the present dataset: the schema then has this name.
        """
        here = replace(self.data, name=own) if own else None
        return self._put(Dataset, key, label, help, default, fields, among=self._datasets, own=here)

    def images(
        self,
        key: str,
        label: str,
        *,
        help: str = "",
        default: Any = None,
        optional: bool = False,
        exclude: Sequence[str] = (),
        **fields: object,
    ) -> Schema | None:
        """A dataset of images: the one the run is on, where it is one, or another. With `optional` it may be None.

        Its schema goes into `of=` of the questions about its columns. `exclude`: names of datasets not offered.
        """
        looked_at(exclude)
        among = {name: schema for name, schema in self._image_sets.items() if name not in exclude}
        if default is None:
            default = NO_IMAGES if optional else self.data.name if self.data.images else next(iter(among), None)
        return self._put(ImageSet, key, label, help, default, fields, among=among, optional=optional)

    @cached_property
    def _image_sets(self) -> Mapping[str, Schema]:
        """The datasets of images by name, the one the run is on first."""
        own = {self.data.name: self.data} if self.data.images else {}
        listed = getattr(self._datasets, "with_images", None)  # a database need not describe all to name a few
        others = listed() if listed else {n: s for n, s in self._datasets.items() if s.images}
        return {**own, **{name: schema for name, schema in others.items() if name not in own}}

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

    def template(self, template: Asks, prefix: str = "") -> Any:
        """Ask another template's questions here, each key with the prefix. Returns that template's Spec."""
        before, self._prefix = self._prefix, self._prefix + prefix
        try:
            return template.questions(self)
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
            key, said = "".join(pattern.format(**fields).split()), label.format(**fields)
            help_ = re.sub(r"\{(\w+)\}", lambda m: str(fields.get(m[1], m[0])), help_) if fields else help_
        except (KeyError, IndexError) as missing:
            raise TemplateBug(f"{pattern!r} is asked without its field {missing}") from None
        # Keys have no blanks, which may be all that two names differ by: then the later key has _ at its end.
        blank = any(re.search(r"\s", str(value)) for value in fields.values())
        while key in self.asked and (blank or key in self._squeezed):
            key += "_"
        if blank:
            self._squeezed.add(key)
        if key in self.asked:
            raise TemplateBug(f"{key!r} is asked twice")
        if len(self.asked) >= MOST_QUESTIONS:
            raise TooMany
        question = kind(key=key, label=said, help=help_, **parts)
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
            label,
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
