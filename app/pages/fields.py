"""Open questions as a form draws them, and what a sent form says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.datastructures import FormData

from app.pages.conversation import Talk
from app.pages.format import names, plural
from templates_engine.asking import OTHER, Asked, Columns, OneColumn, Option, Term, Text, items
from templates_engine.data import Column, Schema
from templates_engine.problems import Problem
from templates_engine.suggest import one_of

FEW = 4  # choices shown as radio buttons; more become a drop-down list
MOST_CATEGORIES = 50
MOST_LISTED = 150  # variables on the page; where there are more, others are found by a search

KINDS = {  # kind of a column: its icon and its name in words
    "number": ("number", "number"),
    "whole": ("number", "whole number"),
    "binary": ("binary", "two values"),
    "constant": ("constant", "constant"),
    "text": ("text", "text"),
    "empty": ("empty", "no values"),
    "category": ("category", "categories"),
    "identifier": ("identifier", "identifier"),
}


def kind_of(column: Column, n_rows: int) -> tuple[str, str]:
    """Icon and name of a column's kind, as a statistician would call it."""
    kind = column.kind
    if kind == "whole" and (column.labels or 2 < column.n_levels <= 12):
        kind = "category"
    elif kind == "whole" and column.minimum is not None and column.maximum is not None:
        # Every number from the first to the last is in use, and there are many: it numbers things.
        if column.complete and column.n_levels > 30 and column.maximum - column.minimum + 1 == column.n_levels:
            kind = "identifier"
    elif kind == "text" and 1 < column.n_levels <= 12:
        kind = "category"
    return KINDS[kind]


@dataclass(frozen=True)
class Name:
    """One row of the picker's list."""

    value: str
    title: str
    icon: str
    kind: str
    missing: int | None
    allowed: bool
    reason: str
    can_be_categories: bool
    becomes: str


@dataclass(frozen=True)
class Picked:
    """One chosen variable, in order."""

    value: str
    categorical: bool
    can_be_categories: bool
    becomes: str
    known: bool = True


@dataclass(frozen=True)
class Field:
    """One open question."""

    key: str
    asked: Asked
    label: Markup
    help: Markup
    kind: str
    text: str
    section: str
    widget: str  # radios, select, picker, line, lines
    faults: tuple[str, ...] = ()
    folded: bool = False
    names: tuple[Name, ...] = ()
    picked: tuple[Picked, ...] = ()
    why: tuple[Markup, ...] = ()
    categorical: bool = False
    long_help: bool = field(default=False)
    dataset: str = ""  # the one whose variables are chosen from
    unlisted: int = 0  # variables that are found by a search alone
    search: str = ""  # where to search for them

    @property
    def id(self) -> str:
        return "q-" + re.sub(r"[^\w-]", "_", self.key)

    @property
    def plain(self) -> str:
        return self.asked.question.label


def label_of(asked: Asked, schema: Schema) -> Markup:
    """A question's words; the variables it is about in mono."""
    return names(asked.question.label, schema.names if "{" in asked.pattern else ())


def fields(talk: Talk, empty: list[str], found: Sequence[Problem] = ()) -> list[Field]:
    """The open questions. Of several pickers that are filled already, only the first that is not stays open.

    found: what the rows have against the answers that the fields hold.
    """
    made = [_field(talk, asked, asked.key in empty, found) for asked in talk.walk.open]
    pickers = [f for f in made if f.widget == "picker"]
    if len(pickers) > 1:
        open_one = next((f for f in pickers if f.faults or not f.text), None)
        fold = {f.key for f in pickers if f.text and not f.faults and f is not open_one}
        made = [Field(**{**f.__dict__, "folded": True}) if f.key in fold else f for f in made]
    return made


def _field(talk: Talk, asked: Asked, empty: bool, found: Sequence[Problem]) -> Field:
    question, text = asked.question, talk.filled(asked)
    widget = _widget(asked)
    faults = tuple(p.message for p in asked.problems) if asked.text is not None else ()
    if empty and not faults:
        faults = tuple(str(f) for f in question.judge("").faults) or ("Answer this question.",)
    faults += tuple(p.message for p in found if p.key == asked.key)
    more: dict[str, Any] = {}
    if isinstance(question, Columns | OneColumn):
        schema = question.among.schema  # that of the present dataset, or of one that an answer names
        if widget == "picker":
            more = _picker(schema, asked, text)
        else:
            shown = asked.options if widget == "select" else listed(asked, "")
            more = {"names": _names(schema, asked, False, shown), "why": _why(schema, asked)}
        more["dataset"] = schema.name
        if len(asked.options) > MOST_LISTED:
            more["unlisted"] = len(asked.options) - MOST_LISTED
            more["search"] = f"/ask/{talk.conversation.id}/names?key={quote(asked.key)}"
    help_ = names(question.help, talk.schema.names if "{" in asked.pattern else ("cons",))
    return Field(
        asked.key,
        asked,
        label_of(asked, talk.schema),
        help_,
        question.kind,
        text,
        asked.section,
        widget,
        faults,
        long_help=len(question.help) > 200,
        **more,
    )


def _widget(asked: Asked) -> str:
    kind = asked.question.kind
    if kind == "columns":
        return "picker"
    if isinstance(asked.question, Text) and asked.question.lines:
        return "lines"
    if kind == "yes_no" or (kind == "choice" and len(asked.options) <= FEW):
        return "radios"
    if kind == "column" and len(asked.options) > MOST_LISTED:
        return "find"
    return "select" if kind in ("choice", "column", "dataset") else "line"


def listed(asked: Asked, words: str, most: int = MOST_LISTED) -> list[Option]:
    """The options with these words in their name or label, in the order of the data, so many at most."""
    wanted = words.strip().casefold()
    fits = (o for o in asked.options if not wanted or wanted in o.label.casefold())
    return list(itertools.islice(fits, most))


def found_names(talk: Talk, key: str, words: str) -> tuple[Asked, tuple[Name, ...]] | None:
    """What a search finds among the variables of an open question; None where there is no such question."""
    asked = talk.walk.asked.get(key)
    if asked is None or not isinstance(asked.question, Columns | OneColumn):
        return None
    categorical = bool(getattr(asked.question, "categorical", False))
    return asked, _names(asked.question.among.schema, asked, categorical, listed(asked, words))


def _names(schema: Schema, asked: Asked, categorical: bool, options: Sequence[Option]) -> tuple[Name, ...]:
    found = []
    for option in options:
        if option.value not in schema:
            found.append(Name(option.value, "", "", "built term", None, option.allowed, option.reason, False, ""))
            continue
        column = schema[option.value]
        icon, kind = kind_of(column, schema.n_rows)
        cat = categorical and column.kind != "constant" and 2 <= column.n_levels <= MOST_CATEGORIES
        found.append(
            Name(
                column.name,
                column.title,
                icon,
                kind,
                column.n_missing,
                option.allowed,
                option.reason,
                cat,
                becomes(column) if cat else "",
            )
        )
    return tuple(found)


def _picker(schema: Schema, asked: Asked, text: str) -> dict[str, Any]:
    categorical = bool(getattr(asked.question, "categorical", False))
    options = {o.value: o for o in asked.options}
    names_ = _names(schema, asked, categorical, listed(asked, ""))
    picked = []
    for value, suffix, word in items(text):
        if value not in options and word in options:
            value, suffix = word, None
        name = _names(schema, asked, categorical, [options[value]])[0] if value in options else None
        picked.append(
            Picked(
                value,
                (suffix or "").strip().casefold() == "cat",
                bool(name and name.can_be_categories),
                name.becomes if name else "",
                bool(name and name.allowed),
            )
        )
    return {"names": names_, "picked": tuple(picked), "categorical": categorical, "why": _why(schema, asked)}


def _why(schema: Schema, asked: Asked) -> tuple[Markup, ...]:
    """Why some variables may not be chosen, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for option in asked.options:
        if not option.allowed and option.reason != OTHER:
            reasons.setdefault(option.reason, []).append(option.value)
    lines = []
    for reason, barred in reasons.items():
        if reason[:1].isupper():
            lines.append(names(reason, ()))
        else:
            few = one_of(barred, "and") if len(barred) <= 4 else f"{len(barred)} variables"
            lines.append(names(f"{few}: {reason if len(barred) == 1 else _of_several(reason)}.", barred))
    return tuple(lines)


SEVERAL = {"it has": "they have", "it holds": "they hold", "it is": "they are", "its": "their"}


def _of_several(reason: str) -> str:
    """ "it has one value only" of several variables: "they have one value only"."""
    pattern = "|".join(rf"\b{words}\b" for words in SEVERAL)
    return re.sub(pattern, lambda found: SEVERAL[found[0]], reason)


def becomes(column: Column) -> str:
    """What a categorical variable turns into, said before it happens."""
    n = column.n_levels
    if not column.levels:
        return f"{column.name} has {n} categories and enters as {n - 1} columns; the last category is the reference."
    last = column.levels[-1]
    code = f"{last:g}" if isinstance(last, int | float) else str(last)
    label = column.labels.get(code, "")
    reference = f"category {code}, {label}," if label else f"category {code}"
    return f"{column.name} has {n} categories. It enters as {plural(n - 1, 'column')}; {reference} is the reference."


# --- reading a form


def given(form: FormData, open_questions: list[Asked]) -> dict[str, str]:
    """The open questions' answers as text. A question the form does not show is left out."""
    found: dict[str, str] = {}
    for asked in open_questions:
        key = asked.key
        if asked.question.kind == "columns":
            if f"shown {key}" not in form:
                continue
            marked = {str(v) for v in form.getlist(f"cat {key}")}
            terms = [str(v) for v in form.getlist(key) if v]
            found[key] = ",".join(str(Term(t, t in marked)) for t in terms)
        elif key in form:
            found[key] = str(form[key]).replace("\r\n", "\n")  # the line ends that browsers send
        elif f"shown {key}" in form:
            found[key] = ""
    return found


def picked_by_button(given_: dict[str, str], do: str) -> dict[str, str]:
    """Without JavaScript each button of a picker sends the form: do is "add x girl", "out x girl", "up x girl", ..."""
    verb, _, rest = do.partition(" ")
    key, _, name = rest.partition(" ")
    if key not in given_ or not name:
        return given_
    terms = [word for _, _, word in items(given_[key])]
    at = next((i for i, (value, _, _) in enumerate(items(given_[key])) if value == name), None)
    if verb == "add" and at is None:
        terms.append(str(Term(name)))
    elif verb == "out" and at is not None:
        terms.pop(at)
    elif verb == "up" and at:
        terms[at - 1], terms[at] = terms[at], terms[at - 1]
    elif verb == "down" and at is not None and at + 1 < len(terms):
        terms[at + 1], terms[at] = terms[at], terms[at + 1]
    return {**given_, key: ",".join(terms)}
