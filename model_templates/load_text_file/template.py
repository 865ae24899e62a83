"""LoadTextFile: a table pasted as text becomes a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask, made_dataset

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Problem, Result

MOST = 1_000_000  # characters
SEPARATORS = {"Comma": ",", "Semicolon": ";", "Tab": "\t", "Blanks": " "}  # Blanks: any run of blanks and tabs
SEPARATOR, DECIMAL, NAMES = ("Automatic", *SEPARATORS), ("Automatic", "Point", "Comma"), ("Automatic", "Yes", "No")


@dataclass(frozen=True)
class Spec:
    text: str
    separator: str
    decimal: str
    names: str
    missing: tuple[str, ...]
    outdata: str


class LoadTextFile(Template):
    name = "LoadTextFile"
    title = "A table pasted as text becomes a dataset"
    heading = "Data"
    tags = ("data",)
    outputs = (
        Output("Columns", "for each column, how it was read: kind, missing values, smallest, largest and first values"),
        Output("{outdata}", "the dataset"),
    )

    def questions(self, ask: Ask) -> Spec:
        text = ask.text(
            "text",
            "The table",
            lines=True,
            longest=MOST,
            sample="x,y\n1,2\n3,5",
            help="Paste it here, one line for each row, at most 1,000,000 characters; a larger table is uploaded as a "
            "file. The dataset chosen above plays no part.",
        )
        separator = ask.choice(
            "separator",
            "What separates the columns",
            SEPARATOR,
            default="Automatic",
            help="Automatic finds it from the first lines. Blanks means any run of blanks and tabs. A text that holds "
            "the separator stands in double quotes.",
        )
        decimal = ask.choice(
            "decimal",
            "Decimal mark",
            DECIMAL,
            default="Automatic",
            help="Comma reads 1,5 as one and a half. Automatic takes the mark that more of the first numbers have.",
        )
        names = ask.choice(
            "names",
            "The first line has the columns' names",
            NAMES,
            default="Automatic",
            help="Automatic takes the first line for names unless it holds only numbers. With No the columns are "
            "named V1, V2, and so on.",
        )
        missing = ask.text(
            "missing",
            "Words for a missing value",
            default="",
            optional=True,
            help="Such as -9, refused; commas between. Empty cells, NA, N/A, NaN, NULL and . always mean missing.",
        )
        outdata = made_dataset(ask, "pasted")
        words = tuple(dict.fromkeys(word.strip() for word in missing.split(",") if word.strip()))
        if separator != "Automatic" and not _divides(SEPARATORS[str(separator)], text):
            message = f"The first line has no {_NAMES[str(separator)]}. Choose what the text uses, or Automatic."
            ask.fault("separator", message)
        if names == "Yes" and "\n" not in text.strip():
            ask.fault("text", "The text has one line, of names, and no rows.", code="no-rows")
        return Spec(text, str(separator), str(decimal), str(names), words, outdata)

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .loading import faults

        return faults(spec)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .loading import run

        return run(spec, job)


_NAMES = {"Comma": "comma", "Semicolon": "semicolon", "Tab": "tab", "Blanks": "blank between its fields"}


def _divides(separator: str, text: str) -> bool:
    """Whether the first line that is not blank holds the separator."""
    start = text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1
    first = text[start:].partition("\n")[0]
    return len(first.split(None, 1)) > 1 if separator == " " else separator in first
