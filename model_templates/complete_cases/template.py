"""CompleteCases: the rows without a missing value in chosen variables, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Problem, Template
from templates_engine.asking import Ask, made_dataset

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result


@dataclass(frozen=True)
class Spec:
    variables: tuple[str, ...]
    outdata: str


class CompleteCases(Template):
    name = "CompleteCases"
    title = "Drop the rows with a missing value in chosen variables"
    heading = "Data"
    tags = ("data", "missing values")
    outputs = (
        Output("Lost", "for each variable, the rows that lack it, and those that lack nothing else"),
        Output("MissingPatterns", "which variables are missing together"),
        Output("{outdata}", "the dataset of complete rows, with all its variables"),
    )

    def questions(self, ask: Ask) -> Spec:
        chosen = ask.columns(
            "vars",
            "Variables that must be complete",
            text_ok=True,
            help="A row is kept when none of these is missing. The other variables stay, with their gaps.",
        )
        return Spec(tuple(term.name for term in chosen), made_dataset(ask, "complete"))

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        kept = data.complete_cases(spec.variables).n_rows
        if not kept:
            message = f"No row is complete in {', '.join(spec.variables)} together, so nothing would be left."
            return [Problem("no-rows", message, key="vars")]
        if kept == data.n_rows:
            message = "None of these variables has a missing value, so every row is kept."
            return [Problem("nothing-dropped", message, key="vars", level="notice")]
        return []

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .dropping import run

        return run(spec.variables, spec.outdata, data, job)
