"""Generate: a new column, from a constant to an expression over the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templates_engine import Output, Schema, Template
from templates_engine.asking import Ask, made_dataset

from .asking import KINDS, Spec, ask_parts

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result


class Generate(Template):
    name = "Generate"
    title = "Make a new column: constant, sequence, random draws, group mean or expression"
    heading = "Data"
    tags = ("data",)
    equation = "<<made>>"
    outputs = (
        Output("NewColumn", "count, mean, SD and quantiles of the new column"),
        Output("{outdata}", "the dataset with the new column, the last"),
    )

    def questions(self, ask: Ask) -> Spec:
        name = ask.text(
            "name",
            "Name of the new column",
            pattern=r"[^\W\d][\w.]{0,63}",
            form="letters, digits, _ and ., starting with a letter, at most 64",
            sample="new",
            help="The dataset you have stays as it is; the new column goes into a copy of it.",
        )
        kind = ask.choice(
            "kind",
            "What it holds",
            KINDS,
            help="Constant: one number on every row, such as 1 for an intercept. Sequence: 1, 2, 3, …. Random draws: "
            "from a distribution, with a seed. Group mean: a column's mean in each group. Expression: a formula.",
        )
        if name in ask.data and not ask.yes_no(
            "replace",
            "Replace the column {column} that is there?",
            default="No",
            help="The column keeps its place and gets the new values, in the new dataset only.",
            column=name,
        ):
            message = f"{ask.data.name} has a column {name} already. Give another name, or answer Yes to replace it."
            ask.fault("name", message, code="taken", column=name)
        parts = ask_parts(ask, kind)
        return Spec(name, str(kind), parts, made_dataset(ask, "generated"))

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        from .equations import made

        return {"made": made(spec)}

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .making import run

        return run(spec, data, job)
