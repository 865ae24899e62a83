"""What a template hands back, and what it says of it beforehand.

    Table, Draws, Result   what run() makes; draws are always (chain, draw, parameter)
    Output                 one output as it is declared: where it stands on the page, under which heads, beside what
    Head, HEADS            the words over a table's column
    Beside                 two tables that are read together
    Mend                   the answer that would mend what a verdict complains of
    Curve                  a figure that grows while the run goes on: a loss, by epoch

Pages, lists and the help page show outputs by what is declared of them and know no template's names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Cell = float | int | str | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns. A cell without a meaning is None (an empty field in the CSV)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[Cell]:
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def records(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Draws:
    """Posterior draws of named parameters, burn-in already left out (or marked by `first`)."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]  # the data column behind each parameter, "" for variances
    values: npt.NDArray[np.float64]  # (chain, draw, parameter)
    first: int = 1  # iteration number of the first draw kept
    thin: int = 1

    def __getitem__(self, parameter: str) -> npt.NDArray[np.float64]:
        """(chain, draw) of one parameter."""
        return self.values[:, :, self.parameters.index(parameter)]


@dataclass(frozen=True)
class Result:
    """What a template's run() returns, and what Job.call() gives a super-template."""

    draws: Draws | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    info: Mapping[str, float] = field(default_factory=dict)  # "n", "groups", "df:beta_0", ...
    # Of a called template: every Dataset that it gave to its job, by name. (Datasets stand on a floor above.)
    datasets: Mapping[str, Any] = field(default_factory=dict)


def table_from(columns: Sequence[str], records: Sequence[Mapping[str, Cell]], **kw: object) -> Table:
    """A Table from dictionaries; absent keys become None."""
    rows = tuple(tuple(record.get(c) for c in columns) for record in records)
    return Table(tuple(columns), rows, **kw)  # type: ignore[arg-type]


# What is said of outputs

INPUTS, SCRIPT, EQUATION = "Inputs", "script.py", "equation.tex"  # the papers that every run has
VERDICTS = "Verdicts"  # a table of two columns, word and sentence, which stands over the results and not among them


@dataclass(frozen=True)
class Head:
    """How a column of a table is written on a page."""

    text: str
    number: bool = True
    about: str = ""  # what an abbreviation stands for
    places: int | None = None  # decimals; None: as many as help


# Columns that mean the same in every table.
HEADS: Mapping[str, Head] = {
    "estimate": Head("Estimate"),
    "mean": Head("Mean", about="Posterior mean"),
    "se": Head("SE", about="Standard error"),
    "sd": Head("SD", about="Posterior standard deviation"),
    "df": Head("df", about="Degrees of freedom", places=0),
    "median": Head("Median"),
    "mcse": Head("MCSE", about="Monte Carlo standard error"),
    "ess_bulk": Head("ESS", about="Effective sample size of the centre", places=0),
    "ess_tail": Head("Tail ESS", about="Effective sample size of the tails", places=0),
    "rhat": Head("R-hat", about="Potential scale reduction, aim 1.00", places=2),
    "n": Head("N", about="Observed values"),
    "parameter": Head("Parameter", number=False),
    "variable": Head("Variable", number=False),
    "aic": Head("AIC"),
    "aicc": Head("AICc"),
    "bic": Head("BIC"),
    "p": Head("p", places=3),
}


@dataclass(frozen=True)
class Beside:
    """A table of the same parameters, shown at the right of the one that names it, with one picture of all intervals.

    Both have the columns parameter, variable, estimate, se, lower, upper.
    """

    table: str  # the name of the other one
    heads: tuple[str, str]  # over the left and the right
    short: tuple[str, str]  # the same on a narrow page
    more: tuple[str, ...] = ()  # columns that the left has beyond those
    counted: tuple[str, str] = ("", "")  # a pattern in the left one's notes, and its head with what the group holds
    group: str = ""  # the question that names the groups which the notes count


@dataclass(frozen=True)
class Output:
    """What a template says of one of its outputs, or of several whose names are alike.

    In a name <k>, one letter, stands for a whole number and <word> for any text; part and shown may repeat it as {k},
    {word}. {outdata} in a name is the answer to that question. The first that fits a name holds.
    """

    name: str  # as the job is given it: "ModelResults", "Model<k>_<output>"
    about: str = ""  # what it holds, for the help page; left out there where nothing is said
    part: str = ""  # the part of the run under which it is folded
    shown: str = ""  # its name in the list; its own where nothing is said
    order: int = 0  # its place in the list: 1, 2, … stand before the others
    lead: int = 0  # what the page opens with: 1 before 2, before what merely stands first
    listed: bool = True  # False: the same rows are in the list under another name
    heads: Mapping[str, Head] = field(default_factory=dict)  # of columns that HEADS does not know
    beside: Beside | None = None

    @property
    def called(self) -> str:
        """The name for a reader, who gives some of them."""
        return re.sub(r"\{(\w+)\}", r"<\1>", self.name)

    def answered(self, answers: Mapping[str, str]) -> Output:
        """The same, with answers in its name."""
        name = re.sub(r"\{(\w+)\}", lambda key: answers.get(key[1], key[0]), self.name)
        return self if name == self.name else replace(self, name=name)

    def fits(self, name: str) -> Mapping[str, str] | None:
        """The fields of a name that this stands for; None where it does not."""
        found = _pattern(self.name).fullmatch(name)
        return None if found is None else found.groupdict()


PAPERS = (
    Output(INPUTS, "The input string."),
    Output(SCRIPT, "The call that repeats the run from Python."),
    Output(EQUATION, "The model."),
)


@dataclass(frozen=True)
class Mend:
    """What the button beside a verdict offers: another answer, or, where it says how long the run is, more of it."""

    says: str  # a pattern of the sentence; its group, where it has one, is a number
    key: str  # the question to answer otherwise
    button: str  # its words, with {} for the new answer
    word: str = ""  # of the verdict; any where not given
    value: str = ""  # the new answer; the number where not given
    adds: bool = False  # the number is added to the present answer
    instead: str = ""  # only where this is the present answer


@dataclass(frozen=True)
class Curve:
    """Lines that the run's page draws while the run goes on, point by point (Job.point)."""

    name: str  # as the job is told
    title: str  # over the picture: "Loss"
    across: str  # what runs along it: "Epoch"
    about: str = ""  # a note below


@cache
def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"<(\w+)>", name)
    kinds = {True: r"(?P<%s>\d+)", False: r"(?P<%s>.+?)"}
    return re.compile("".join(kinds[len(p) == 1] % p if k % 2 else re.escape(p) for k, p in enumerate(parts)))


def declared(outputs: Sequence[Output], name: str) -> tuple[Output, str, str] | None:
    """(what is said of the output of this name, its part, its name in the list); None where nothing is said."""
    for output in outputs:
        if (found := output.fits(name)) is not None:
            return output, output.part.format(**found), output.shown.format(**found) or name
    return None


def in_words(words: Mapping[str, str], parameters: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Plain words of (parameter, variable), by names as in Output. {variable} in the words is the variable beside.

    Words with {variable} hold only where there is one, words without it only where there is none.
    """
    found = {}
    for parameter, variable in parameters:
        for name, said in words.items():
            if ("{variable}" in said) == bool(variable) and _pattern(name).fullmatch(parameter):
                found[parameter, variable] = said.format(variable=variable)
                break
    return found
