"""The two kinds of question whose answers are columns of a dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from templates_engine.asking.placeholder import PENDING
from templates_engine.asking.questions import Option, Question, Reading, Term, fault
from templates_engine.asking.term_lists import items
from templates_engine.data import Column, Schema
from templates_engine.problems import Invalid
from templates_engine.suggest import MOST, fold, meant, nearest, quoted

TEXT = "it holds text, and numbers are needed"
EMPTY = "all its values are missing"
OTHER = "it does not suit this question"
NONE = "none"  # the answer to a question whose column may be left out


class Names:
    """A schema's columns by name, made once a walk."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self.columns: dict[str, Column] = {c.name: c for c in schema.columns}
        self._empty = {c.name: EMPTY for c in schema.columns if c.kind == "empty"}
        self._text = {**self._empty, **{c.name: TEXT for c in schema.columns if c.is_text}}

    def barred(
        self, text_ok: bool, where: Callable[[Column], bool] | None, why: str, exclude: Sequence[str]
    ) -> Mapping[str, str]:
        """The columns that may not be chosen, with the reason; evaluated now, so that `where` sees today's answers."""
        basic = self._empty if text_ok else self._text
        if where is None and not exclude:
            return basic
        barred = dict(basic)
        if where is not None:
            for name, column in self.columns.items():
                if name not in barred and not where(column):
                    barred[name] = why or OTHER
        for name in exclude:
            barred.setdefault(name, "it is already used")
        return barred


@dataclass(frozen=True, kw_only=True)
class OneColumn(Question):
    """One variable, or with `optional` none: the value is then ""."""

    among: Names
    barred: Mapping[str, str]
    optional: bool = False
    groups: bool = False  # its values say which group, a unit of a level, each row is of

    kind: ClassVar[str] = "column"
    description: ClassVar[str] = "The name of one column of the dataset; none where the column may be left out."
    example: ClassVar[str] = "normexam"

    def options(self) -> tuple[Option, ...]:
        none = (Option(self.write(""), "none"),) if self.optional else ()
        return none + column_options(self.among, self.barred)

    def judge(self, text: str) -> Reading:
        name = _known(text.strip(), self.among.columns)
        if name not in self.among.columns and len(parts := items(text)) == 1 and parts[0][1] is None:
            name = _known(parts[0][0], self.among.columns)  # quoted, as in a list
        if name in self.among.columns and name not in self.barred:
            return Reading(name)
        if self.optional and (not name or (fold(name) == NONE and name not in self.among.columns)):
            return Reading("")
        if not name:
            return fault("Choose a column.", code="empty")
        if "," in name:
            fits = (part for word in name.split(",") if (part := word.strip()) in self.among.columns)
            near = next((part for part in fits if part not in self.barred), "")
            message = f"One column is needed here, and {quoted(name)} names several.{meant(near)}"
            return fault(message, near or PENDING, code="too-many", word=name, nearest=near)
        problem = _not_a_column(name, self.among, self.barred)
        return Reading(problem.nearest or (name if name in self.among.columns else PENDING), (problem,))

    def write(self, value: Any) -> str:
        # A dataset may have a column called none; its name then means the column.
        return str(value) or ("" if NONE in self.among.columns else NONE)


@dataclass(frozen=True, kw_only=True)
class Columns(Question):
    """Several variables in order, `:cat` after a categorical one."""

    among: Names
    barred: Mapping[str, str]
    categorical: bool = False
    minimum: int = 1
    extra: tuple[str, ...] = ()  # built terms offered beside the columns: "standlrtmiss*girlmiss"

    kind: ClassVar[str] = "columns"
    description: ClassVar[str] = (
        "Names of columns with commas between them, in order; girl:cat stands for categories. A name with a comma, a "
        'colon or a double quote stands in double quotes: "Size, cm".'
    )
    example: ClassVar[str] = "cons,standlrt,vrband:cat"

    def options(self) -> tuple[Option, ...]:
        built = tuple(Option(name, name) for name in self.extra)
        return column_options(self.among, self.barred) + built

    def judge(self, text: str) -> Reading:
        words = items(text)
        terms: list[Term | None] = []  # None keeps the place of a word that means no column
        faults: list[Invalid] = []
        taken: set[str] = set()
        for item in words:
            term, problem = self._term(*item, taken, suggest=len(faults) < MOST)
            if problem is not None:
                faults.append(problem)
            if term is not None:
                taken.add(term.name)
            terms.append(term)
        if len(words) < self.minimum:
            needed = "one column" if self.minimum == 1 else f"{self.minimum} columns"
            faults.append(Invalid(f"Choose at least {needed}.", code="empty" if not words else "too-few"))
        if not faults:
            return Reading(tuple(terms))
        told = faults[:MOST]
        if len(faults) > MOST:
            told.append(Invalid(f"{len(faults) - MOST} more names are wrong.", code="not-a-column"))
        return Reading(self._stand_in(terms, taken), tuple(told))

    def write(self, value: Any) -> str:
        return ",".join(str(term) for term in value)

    def _term(
        self, name: str, suffix: str | None, word: str, taken: set[str], suggest: bool
    ) -> tuple[Term | None, Invalid | None]:
        """One item of the list: the term it means (None where nothing is near), and what is wrong with it."""
        if suffix is not None and name not in self.among.columns and word in self.among.columns:
            name, suffix = word, None  # a name with a colon that nobody put in quotes
        name = _known(self._built(name), self.among.columns)
        mark = suffix is not None
        suffix = suffix or ""
        categorical = mark
        if not self._offered(name):
            problem = _not_a_column(name, self.among, self.barred, self.extra, suggest)
            near = problem.nearest or (name if name in self.among.columns else "")
            return (Term(near, categorical) if near and near not in taken else None), problem
        if name in taken:
            return None, Invalid(f"{quoted(name)} is chosen twice.", code="repeated", word=word)
        if mark and suffix.strip().casefold() != "cat":
            right = str(Term(name, self.categorical))
            message = f"{quoted(word)} cannot be read.{meant(right)}"
            return Term(name), Invalid(message, code="not-a-term", word=word, nearest=right)
        if categorical and (not self.categorical or name in self.extra):
            message = f"{quoted(word)}: categories (:cat) have no meaning here.{meant(name)}"
            return Term(name), Invalid(message, code="not-categorical", word=word, nearest=name)
        # A text column can only enter by its categories, so the mark may be left out.
        is_text = name in self.among.columns and self.among.columns[name].is_text
        return Term(name, categorical or (self.categorical and is_text)), None

    def _offered(self, name: str) -> bool:
        return (name in self.among.columns and name not in self.barred) or name in self.extra

    def _built(self, name: str) -> str:
        """A built term is the same with its factors in any order."""
        if "*" not in name or name in self.extra:
            return name
        factors = sorted(f.strip() for f in name.split("*"))
        return next((e for e in self.extra if sorted(e.split("*")) == factors), name)

    def _stand_in(self, terms: list[Term | None], taken: set[str]) -> Any:
        """Keep the number of terms, so that questions asked for each of them keep their keys."""
        spare = (n for n in self.among.columns if n not in self.barred and n not in taken)
        filled = [term or Term(next(spare, "")) for term in terms]
        return tuple(filled) if filled and all(term.name for term in filled) else PENDING


def column_options(among: Names, barred: Mapping[str, str]) -> tuple[Option, ...]:
    return tuple(
        Option(c.name, f"{c.name}: {c.title}" if c.title else c.name, c.name not in barred, barred.get(c.name, ""))
        for c in among.columns.values()
    )


def _known(name: str, columns: Mapping[str, Column]) -> str:
    """The name, joined where a line break in the pasted text has cut it in two, or has become a blank."""
    if name in columns or not re.search(r"\s", name):
        return name
    joined, single = "".join(name.split()), " ".join(name.split())
    return joined if joined in columns else single if single in columns else name


def _not_a_column(
    name: str, among: Names, barred: Mapping[str, str], extra: Sequence[str] = (), suggest: bool = True
) -> Invalid:
    """What to say of a name that cannot be chosen."""
    if name in among.columns:
        reason = barred[name].rstrip(".")
        message = f"{quoted(name)} cannot be chosen here{'.' if reason[:1].isupper() else ':'} {reason}."
        return Invalid(message, code="not-allowed", word=name)
    offered = [n for n in among.columns if n not in barred]
    near = nearest(name, [*offered, *extra]) if suggest else ""
    message = f"{quoted(name)} is not a column of {among.schema.name or 'the dataset'}.{meant(near)}"
    return Invalid(message, code="not-a-column", word=name, nearest=near)
