"""Tabulate: counts, percentages, means or SDs in the cells of one or two variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

MOST_ROWS, MOST_COLUMNS = 500, 50
STATISTICS = ("Count", "Row percent", "Column percent", "Mean", "SD")


@dataclass(frozen=True)
class Spec:
    row: str
    column: str  # "" for a table of one variable
    statistic: str
    of: str  # the variable whose mean or SD is in the cells, "" for counts
    gaps: bool  # missing values as a line of their own


class Tabulate(Template):
    name = "Tabulate"
    title = "Tables of one or two variables: counts, percentages, or another variable's means"
    heading = "Describe data"
    tags = ("description",)
    outputs = (
        Output("Tabulation", "the table, with totals"),
        Output("Counts", "the rows behind each cell, where the table holds percentages, means or SDs"),
        Output("Association", "Pearson's chi-squared test and Cramér's V, of a table of two variables"),
    )

    def questions(self, ask: Ask) -> Spec:
        row = ask.column(
            "row",
            "Variable down the side",
            text_ok=True,
            where=lambda c: c.n_levels <= MOST_ROWS,
            why=f"it has more than {MOST_ROWS} values",
            help="Each of its values becomes a line, under its label where it has one.",
        )
        column = ask.column(
            "column",
            "Variable across the top",
            text_ok=True,
            optional=True,
            default="none",
            where=lambda c: c.n_levels <= MOST_COLUMNS,
            why=f"it has more than {MOST_COLUMNS} values",
            exclude=(row,),
            help="Each of its values becomes a column; none gives a table of one variable.",
        )
        statistic = ask.choice(
            "statistic",
            "What the cells hold",
            STATISTICS,
            default="Count",
            help="Row percent adds to 100 along each line, Column percent down each column. Mean and SD are of another "
            "variable.",
        )
        of = ""
        if statistic in ("Mean", "SD"):
            of = ask.column("of", "Variable in the cells", help="Its mean or SD over the rows of each cell.")
        gaps = ask.yes_no(
            "missing",
            "Show missing values?",
            default="No",
            help="Yes gives rows without a value a line, or a column, called Missing; No leaves them out.",
        )
        return Spec(row, column, str(statistic), of, gaps)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .tabulating import run

        return run(spec, data, job)
