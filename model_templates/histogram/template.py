"""Histogram: how the values of one variable are distributed, all together or group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

MOST_GROUPS = 12
AUTO = "auto"


@dataclass(frozen=True)
class Spec:
    variable: str
    bins: int  # 0 for as many as the data suggest
    by: str  # "" for all rows together


class Histogram(Template):
    name = "Histogram"
    title = "The distribution of one variable, all together or by group"
    heading = "Describe data"
    tags = ("description", "plot")
    outputs = (
        Output("histogram.svg", "the histogram; with groups, one for each on the same scales"),
        Output("Bins", "the limits of each bar, with the rows and the share of rows in it"),
    )

    def questions(self, ask: Ask) -> Spec:
        variable = ask.column("var", "Variable", help="A column of numbers. Missing values are left out and counted.")
        bins = ask.text(
            "bins",
            "Number of bars",
            default=AUTO,
            pattern=r"(?i:auto)|[1-9]\d?|1\d\d|200",
            form="auto, or a whole number from 1 to 200",
            help="auto takes the width of Freedman and Diaconis, twice the interquartile range over the cube root of "
            "the number of values; a variable with few whole values gets a bar for each.",
        )
        by = ask.column(
            "by",
            "A histogram for each group of",
            text_ok=True,
            optional=True,
            default="none",
            where=lambda c: c.n_levels <= MOST_GROUPS,
            why=f"it has more than {MOST_GROUPS} values",
            exclude=(variable,),
            help="A variable with a few values, such as girl, or none. Groups are compared by their percentages.",
        )
        return Spec(variable, 0 if bins.casefold() == AUTO else int(bins), by)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .drawing import run

        return run(spec, data, job)
