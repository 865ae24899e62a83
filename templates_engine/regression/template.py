"""What the regression templates have in common: all but their names and their questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from templates_engine.asking import RENAMED
from templates_engine.data import Schema
from templates_engine.problems import Problem
from templates_engine.regression import questions as q
from templates_engine.regression.words import words_of
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.data import Dataset
    from templates_engine.outputs import Result
    from templates_engine.running import Job


class RegressionTemplate(Template):
    heading = "Models"
    renamed = RENAMED
    accepted = q.ACCEPTED_ROWS
    equation = "<<model>>"
    intercept = True
    classes: ClassVar[int] = 1  # classifications of the rows: 0, 1, or 2 for any number

    def words(
        self, table: str, parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        return words_of(parameters, answers, schema)

    def equation_values(self, spec: q.Model, schema: Schema) -> dict[str, Any]:
        from templates_engine.regression.equation import model_latex

        return {"model": model_latex(spec, schema)}

    def check(self, spec: q.Model, data: Dataset) -> list[Problem]:
        from templates_engine.regression.checks import check

        return check(spec, data)

    def run(self, spec: q.Model, data: Dataset, job: Job) -> Result:
        from templates_engine.regression.run import run

        return run(self, spec, data, job)

    def warm(self) -> None:
        from templates_engine.regression.run import warm

        warm(self.classes)
