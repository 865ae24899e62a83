"""The kinds of question a template may ask.

Each kind is a small frozen class, bound when it is asked to the dataset's columns or to its choices:

    options()     what may be chosen, each with the reason where it may not
    judge(text)   the value the text says and what is wrong with it; a faulty answer stands in for the nearest valid one
    read(text)    the value, or Invalid
    write(value)  the canonical text of a value: read(write(value)) == value

Column lists are in columns.py. A new kind is one class here, one row in KINDS, one widget, one row in the table of
accepted and refused texts of the tests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from templates_engine.asking.placeholder import PENDING
from templates_engine.asking.term_lists import quote
from templates_engine.data import Schema
from templates_engine.problems import Invalid
from templates_engine.suggest import fold, meant, nearest, one_of, quoted


class TemplateBug(Exception):
    """A template is written wrongly: never the user's fault."""


@dataclass(frozen=True)
class Term:
    """A column in a list of explanatory variables; `girl:cat` is expanded to indicators of its categories."""

    name: str
    categorical: bool = False

    def __str__(self) -> str:
        name = quote(self.name)
        return f"{name}:cat" if self.categorical else name


@dataclass(frozen=True)
class Option:
    """One thing that may be chosen, or that may not, with the reason."""

    value: str
    label: str
    allowed: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """What a text says. With faults, `value` is what was probably meant, or PENDING when nothing is near."""

    value: Any
    faults: tuple[Invalid, ...] = ()


def fault(message: str, value: Any = PENDING, *, code: str = "invalid", word: str = "", nearest: str = "") -> Reading:
    """A Reading with one fault."""
    return Reading(value, (Invalid(message, code=code, word=word, nearest=nearest),))


class Chosen(str):
    """The answer to a choice. Comparing it with a word that is not among the choices is a bug, and says so."""

    choices: tuple[str, ...]

    def __new__(cls, value: str, choices: tuple[str, ...] = ()) -> Chosen:
        chosen = super().__new__(cls, value)
        chosen.choices = choices
        return chosen

    def __getnewargs__(self) -> tuple[str, tuple[str, ...]]:  # type: ignore[override]
        return str(self), self.choices

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and not isinstance(other, Chosen) and self.choices and other not in self.choices:
            raise TemplateBug(f"compared with {other!r}, which is not among {', '.join(self.choices)}")
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


@dataclass(frozen=True, kw_only=True)
class Question:
    """What every kind has: its key in the input string, its label on the page, help, and the default's text."""

    key: str
    label: str
    help: str = ""
    default: str | None = None

    kind: ClassVar[str] = ""
    description: ClassVar[str] = ""
    example: ClassVar[str] = ""

    def options(self) -> tuple[Option, ...]:
        """What may be chosen; empty where the answer is typed."""
        return ()

    def judge(self, text: str) -> Reading:
        raise TypeError(f"{type(self).__name__} reads no text")

    def read(self, text: str) -> Any:
        """The value of a text. Raises Invalid, with all its faults in one message."""
        reading = self.judge(text)
        if reading.faults:
            first = reading.faults[0]
            message = " ".join(str(f) for f in reading.faults)
            raise Invalid(message, code=first.code, word=first.word, nearest=first.nearest)
        return reading.value

    def write(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Choice(Question):
    """One of a set."""

    choices: tuple[Option, ...]
    spellings: Mapping[str, str] = field(default_factory=dict)  # other words taken for a choice, as published ones

    kind: ClassVar[str] = "choice"
    description: ClassVar[str] = "One of a set of words, in any letter case."
    example: ClassVar[str] = "2 levels"

    def options(self) -> tuple[Option, ...]:
        return self.choices

    def judge(self, text: str) -> Reading:
        words = tuple(option.value for option in self.choices)
        found = next((o for o in self.choices if o.value == text), None)
        if found is None:
            folded = fold(text)
            other = {fold(k): v for k, v in self.spellings.items()}.get(folded)
            found = next((o for o in self.choices if fold(o.value) == folded or o.value == other), None)
        if found is not None and found.allowed:
            return Reading(Chosen(found.value, words))
        open_words = tuple(option.value for option in self.choices if option.allowed)
        if found is not None:
            stand_in = Chosen(found.value, words)
            near = open_words[0] if len(open_words) == 1 else ""
            message = f"{quoted(found.value)} cannot be chosen here: {found.reason or 'not available'}."
            return fault(message + meant(near), stand_in, code="not-allowed", word=text, nearest=near)
        if not text.strip():
            return fault(f"Choose {one_of(open_words)}.", code="empty")
        near = nearest(text, open_words)
        value = Chosen(near, words) if near else PENDING
        message = f"{quoted(text)} is not one of {one_of(open_words)}.{meant(near)}"
        return fault(message, value, code="not-a-choice", word=text, nearest=near)


YES, NO = "Yes", "No"


@dataclass(frozen=True, kw_only=True)
class YesNo(Question):
    """Yes or no."""

    kind: ClassVar[str] = "yes_no"
    description: ClassVar[str] = "Yes or No, in any letter case."
    example: ClassVar[str] = YES

    def options(self) -> tuple[Option, ...]:
        return Option(YES, YES), Option(NO, NO)

    def judge(self, text: str) -> Reading:
        word = fold(text)
        if word in ("yes", "y", "true"):
            return Reading(True)
        if word in ("no", "n", "false"):
            return Reading(False)
        if not word:
            return fault("Answer Yes or No.", code="empty")
        near = nearest(text, (YES, NO))
        message = f"{quoted(text)} is neither Yes nor No."
        return fault(message, near == YES if near else PENDING, code="not-a-choice", word=text, nearest=near)

    def write(self, value: Any) -> str:
        return YES if value else NO


def _span(low: float | None, high: float | None) -> str:
    """ " from 1 to 9", " of at least 1", " of at most 9" or nothing."""
    if low is not None and high is not None:
        return f" from {_bound(low)} to {_bound(high)}"
    if low is not None:
        return f" of at least {_bound(low)}"
    return f" of at most {_bound(high)}" if high is not None else ""


def _bound(value: float) -> str:
    """4,294,967,295, never 4.29497e+09."""
    whole = float(value).is_integer() and 1e4 <= abs(value) < 1e15
    return f"{int(value):,}" if whole else f"{value:g}"


_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,4})?")
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})


@dataclass(frozen=True, kw_only=True)
class Integer(Question):
    """A whole number, within bounds where given."""

    min: int | None = None
    max: int | None = None

    kind: ClassVar[str] = "integer"
    description: ClassVar[str] = "A whole number, in digits."
    example: ClassVar[str] = "1000"

    def judge(self, text: str) -> Reading:
        word = text.strip().translate(_MINUS)
        if not word:
            return fault(f"Give a whole number{_span(self.min, self.max)}.", code="empty")
        if _INTEGER.fullmatch(word):
            value = int(word)
            inside = value if self.min is None else max(self.min, value)
            inside = inside if self.max is None else min(self.max, inside)
            if inside == value:
                return Reading(value)
            message = f"{quoted(word)} is out of range: a whole number{_span(self.min, self.max)} is needed."
            return fault(message, inside, code="out-of-range", word=text, nearest=str(inside))
        near = self._meant(word)
        message = f"{quoted(text)} is not a whole number{_span(self.min, self.max)}.{meant(near)}"
        return fault(message, int(near) if near else PENDING, code="not-a-number", word=text, nearest=near)

    def _meant(self, word: str) -> str:
        """ "1,000", "1_000", "1000.0", full-width digits: what they say, when it is within bounds."""
        bare = re.sub(r"(?<=[0-9])[ ,_](?=[0-9])", "", re.sub(r"\.0*$", "", word)) if word.isascii() else word
        if not bare.isascii() and bare.isdecimal() and len(bare) <= 18:
            bare = str(int(bare))
        if not _INTEGER.fullmatch(bare):
            return ""
        value = int(bare)
        within = (self.min is None or value >= self.min) and (self.max is None or value <= self.max)
        return str(value) if within else ""


@dataclass(frozen=True, kw_only=True)
class Number(Question):
    """A real number, within bounds where given."""

    min: float | None = None
    max: float | None = None

    kind: ClassVar[str] = "number"
    description: ClassVar[str] = "A number, with a point for decimals; 1e-3 is accepted."
    example: ClassVar[str] = "0.001"

    def judge(self, text: str) -> Reading:
        word = text.strip().translate(_MINUS)
        if not word:
            return fault(f"Give a number{_span(self.min, self.max)}.", code="empty")
        if not _NUMBER.fullmatch(word) or not math.isfinite(value := float(word)):
            comma = word.replace(",", ".") if word.count(",") == 1 else ""
            near = comma if comma and _NUMBER.fullmatch(comma) else ""
            message = f"{quoted(text)} is not a number{_span(self.min, self.max)}.{meant(near)}"
            return fault(message, float(near) if near else PENDING, code="not-a-number", word=text, nearest=near)
        inside = value if self.min is None else max(self.min, value)
        inside = inside if self.max is None else min(self.max, inside)
        if inside == value:
            return Reading(value)
        message = f"{quoted(word)} is out of range: a number{_span(self.min, self.max)} is needed."
        return fault(message, inside, code="out-of-range", word=text, nearest=self.write(inside))

    def write(self, value: Any) -> str:
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


@dataclass(frozen=True, kw_only=True)
class Text(Question):
    """Free text, or text of a stated form."""

    pattern: str = ""  # a regular expression the whole text must match
    form: str = ""  # the same in words: "letters, digits and _, starting with a letter"
    sample: str = ""  # a text of that form
    longest: int = 1000
    optional: bool = False  # may be left empty
    lines: bool = False  # several lines; however they end, the answer's end in \n

    kind: ClassVar[str] = "text"
    description: ClassVar[str] = "Text."
    example: ClassVar[str] = "out"

    def judge(self, text: str) -> Reading:
        if not text.strip():
            return Reading("") if self.optional else fault("Write something here.", code="empty")
        if self.lines:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > self.longest:
            message = f"The text is too long: at most {self.longest:,} characters are accepted."
            known = PENDING if self.pattern else text[: self.longest]  # a part of a form has no form
            return fault(message, known, code="too-long")
        if self.pattern and not re.fullmatch(self.pattern, text):
            message = f"{quoted(text)} is not of the form needed: {self.form or self.pattern}."
            return fault(message, code="wrong-form", word=text)
        return Reading(text)


@dataclass(frozen=True, kw_only=True)
class Dataset(Question):
    """Another dataset, by name; with `own` the present one too, under the name that `own` has."""

    among: Mapping[str, Schema] = field(default_factory=dict, repr=False)
    own: Schema | None = field(default=None, repr=False)

    kind: ClassVar[str] = "dataset"
    description: ClassVar[str] = "The name of another dataset."
    example: ClassVar[str] = "tutmiss_lev2"

    def options(self) -> tuple[Option, ...]:
        here = (Option(self.own.name, f"{self.own.name} (of this dataset)"),) if self.own is not None else ()
        return here + tuple(Option(name, name) for name in self.among)

    def judge(self, text: str) -> Reading:
        name = text.strip()
        if self.own is not None and name == self.own.name:
            return Reading(self.own)
        if name in self.among:
            return Reading(self.among[name])
        if not name:
            return fault("Choose a dataset.", code="empty")
        near = nearest(name, self.among)
        message = f"There is no dataset {quoted(name)}.{meant(near)}"
        return fault(message, self.among.get(near, PENDING), code="not-a-dataset", word=name, nearest=near)

    def write(self, value: Any) -> str:
        return str(value.name)


NO_IMAGES = "None"  # the answer where a dataset of images may be left out


@dataclass(frozen=True, kw_only=True)
class ImageSet(Dataset):
    """A dataset of images, by name; with `optional`, none: the value is then None."""

    optional: bool = False

    description: ClassVar[str] = "The name of a dataset of images; None where it may be left out."
    example: ClassVar[str] = "fundus"

    def options(self) -> tuple[Option, ...]:
        none = (Option(NO_IMAGES, "none"),) if self.optional else ()
        return none + super().options()

    def judge(self, text: str) -> Reading:
        name = text.strip()
        if self.optional and fold(name) in ("", "none") and name not in self.among:
            return Reading(None)
        if name and name not in self.among:
            near = nearest(name, self.among)
            message = f"{quoted(name)} is not a dataset of images.{meant(near)} Upload a zip of images to make one."
            return fault(message, self.among.get(near, PENDING), code="not-images", word=name, nearest=near)
        return super().judge(text)

    def write(self, value: Any) -> str:
        return NO_IMAGES if value is None else super().write(value)


def choice_options(choices: Sequence[str | Option]) -> tuple[Option, ...]:
    """Choices as a template writes them: words, or Options where one needs a label or a reason."""
    options = tuple(c if isinstance(c, Option) else Option(c, c) for c in choices)
    if len({fold(option.value) for option in options}) != len(options):
        raise TemplateBug(f"two choices read the same: {', '.join(o.value for o in options)}")
    return options
