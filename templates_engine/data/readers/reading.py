"""How a file is to be read, where it is told; what is not told is found from the file.

A page's form, REST, the command line and the child process that reads send the same texts: Reading.of(texts).
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from templates_engine.problems import Problem, Refused

DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "spaces": " "}
DECIMALS: Final = {"point": ".", "comma": ","}
TOTALS: Final = ("keep", "leave out")
KINDS: Final = {
    "number": "number",
    "decimal point": "number, decimal point",
    "decimal comma": "number, decimal comma",
    "text": "text, identifier",
}
OPTIONS: Final = {  # option -> the readers that obey it
    "encoding": ("text",),
    "separator": ("text",),
    "decimal": ("text", "excel"),
    "first": ("text", "excel"),
    "names": ("text", "excel"),
    "missing": ("text", "excel"),
    "totals": ("text", "excel"),
    "sheet": ("excel",),
}
KIND: Final = "kind:"  # an option "kind:school" tells the kind of the column school
_MOST_LINES = 1_000_000


@dataclass(frozen=True)
class Reading:
    """What is said of a file instead of being found from it; None, or nothing: found."""

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    first: int | None = None  # line or row, from 1, in which the names stand (without names: the first row of data)
    names: int | None = None  # rows of names: 0 (then V1, V2, ...), 1 or 2
    missing: tuple[str, ...] = ()  # words that mean a missing value, beside the usual ones
    totals: str | None = None  # rows of sums at the end: "keep" or "leave out"
    sheet: str | None = None  # of a workbook
    kinds: Mapping[str, str] = field(default_factory=dict)  # column -> a key of KINDS
    strict: bool = False  # a line with too few fields is refused; else what it lacks is missing, with a note

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Reading:
        """From options as texts; an empty one is not told. Refused with every option that is wrong."""
        problems: list[Problem] = []

        def wrong(option: str, accepted: str) -> None:
            message = f"“{texts[option].strip()[:60]}” cannot be said of {option[:60]}; accepted are {accepted}."
            problems.append(Problem("reading", message, key=option))

        def number(option: str, low: int, high: int) -> int | None:
            text = told.get(option, "").strip()
            if not text:
                return None
            if not (text.isascii() and text.isdecimal() and len(text) < 9 and low <= int(text) <= high):
                wrong(option, f"whole numbers from {low} to {high:,}")
                return None
            return int(text)

        def one(option: str, of: Mapping[str, str]) -> str | None:
            text = told.get(option, "").strip()
            if text and text not in of:
                wrong(option, ", ".join(of))
            return of.get(text)

        told = {option: text for option, text in texts.items() if text.strip()}
        for option in told:
            if option not in OPTIONS and not option.startswith(KIND):
                message = f"{option[:60]} is no option of reading; there are {', '.join(OPTIONS)} and {KIND}COLUMN."
                problems.append(Problem("reading", message, key=option))
        encoding = told.get("encoding", "").strip() or None
        if encoding and not _is_encoding(encoding):
            wrong("encoding", "names such as utf-8, cp1252, windows-1250, windows-1251, mac_roman, utf-16")
        kinds = {option.removeprefix(KIND): text.strip() for option, text in told.items() if option.startswith(KIND)}
        for column, kind in kinds.items():
            if kind not in KINDS:
                wrong(KIND + column, ", ".join(KINDS))
        made = cls(
            encoding,
            one("separator", DELIMITERS),
            one("decimal", DECIMALS),
            number("first", 1, _MOST_LINES),
            number("names", 0, 2),
            tuple(dict.fromkeys(word.strip() for word in told.get("missing", "").split(",") if word.strip())),
            one("totals", {word: word for word in TOTALS}),
            told.get("sheet"),
            kinds,
        )
        if problems:
            raise Refused(problems)
        return made

    def texts(self) -> dict[str, str]:
        """The options that are told, as `of` takes them."""
        words = {mark: word for word, mark in DELIMITERS.items()}
        decimals = {mark: word for word, mark in DECIMALS.items()}
        told = {
            "encoding": self.encoding or "",
            "separator": words.get(self.delimiter or "", ""),
            "decimal": decimals.get(self.decimal or "", ""),
            "first": "" if self.first is None else str(self.first),
            "names": "" if self.names is None else str(self.names),
            "missing": ", ".join(self.missing),
            "totals": self.totals or "",
            "sheet": self.sheet or "",
            **{KIND + column: kind for column, kind in self.kinds.items()},
        }
        return {option: text for option, text in told.items() if text}

    def refuse_others(self, module: str, shown: str) -> None:
        """Refused where an option is told that files of this kind do not have."""
        wrong = [o for o in self.texts() if o in OPTIONS and module not in OPTIONS[o]]
        if wrong:
            text = f"{shown}: files of this kind are read without the option {wrong[0]}."
            raise Refused(Problem("reading", text, key=wrong[0]))


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
        "a".encode(name)  # refuses what turns bytes into bytes
    except (LookupError, ValueError):
        return False
    return True
