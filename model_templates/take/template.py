"""Take: one row for each unit, from data of level 1 to data of level 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask, made_dataset

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result


@dataclass(frozen=True)
class Spec:
    id: str
    variables: tuple[str, ...]
    rule: str
    outdata: str


class Take(Template):
    name = "Take"
    title = "One row for each unit, such as one for each school from data on pupils"
    heading = "Data"
    tags = ("data", "2 levels")
    outputs = (
        Output("Units", "for each variable, the units in which it varies and those in which it has no value"),
        Output("{outdata}", "the dataset with one row for each unit, in the order of the identifier"),
    )

    def questions(self, ask: Ask) -> Spec:
        unit = ask.column(
            "id",
            "Identifier of the units",
            text_ok=True,
            where=lambda c: c.complete,
            why="it has missing values",
            help="The variable that says to which unit each row belongs. Each of its values becomes one row.",
        )
        chosen = ask.columns(
            "vars",
            "Variables to take along",
            text_ok=True,
            exclude=(unit,),
            help="Variables of the units, with the same value on every row of a unit, or variables to be averaged.",
        )
        rule = ask.choice(
            "rule",
            "Which value a unit gets",
            ("First", "Mean"),
            default="First",
            help="First takes the first value that is not missing, in the order of the rows; you are told where values "
            "differ within a unit. Mean averages the values that are not missing; texts take the first.",
        )
        return Spec(unit, tuple(term.name for term in chosen), rule, made_dataset(ask, "units"))

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .taking import run

        return run(spec.id, spec.variables, str(spec.rule), spec.outdata, data, job)
