"""SummaryStats: counts, means, quantiles and skewness, correlations, and which values are missing together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

MOST_GROUPS = 500


@dataclass(frozen=True)
class Spec:
    variables: tuple[str, ...]
    by: str  # "" for all rows together


class SummaryStats(Template):
    name = "SummaryStats"
    title = "Summaries of variables: counts, means, quantiles, correlations and missing values"
    heading = "Describe data"
    tags = ("description", "missing values")
    outputs = (
        Output("Summary", "count, missing, mean, SD, minimum, quartiles, maximum and skewness"),
        Output("SummaryByGroup", "the same in each group, where groups are chosen"),
        Output("Correlations", "Pearson correlations, each of all rows that have both values"),
        Output("Pairs", "the number of rows behind each correlation, where values are missing"),
        Output("MissingPatterns", "which variables are missing together, where values are missing"),
    )

    def questions(self, ask: Ask) -> Spec:
        chosen = ask.columns("vars", "Variables", help="Columns of numbers. For categories and texts use Tabulate.")
        by = ask.column(
            "by",
            "Separately in each group of",
            text_ok=True,
            optional=True,
            default="none",
            where=lambda c: c.n_levels <= MOST_GROUPS,
            why=f"it has more than {MOST_GROUPS} values",
            exclude=tuple(term.name for term in chosen),
            help="A variable with a few values, such as girl, or none. All rows together are summarised in any case.",
        )
        return Spec(tuple(term.name for term in chosen), by)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .summarising import run

        return run(spec.variables, spec.by, data, job)
