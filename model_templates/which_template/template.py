"""WhichTemplate: a few questions about the model; the template that fits it with the gaps in the data, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from templates_engine import Column, Lead, Option, Output, Problem, Template, Term
from templates_engine.asking import Ask
from templates_engine.regression import EVERY_FAMILY

from .spec import Spec

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

FAMILIES = {
    "Normal": "a measurement, such as a score or a weight",
    "Binomial": "yes or no, or successes out of a number of trials",
    "Poisson": "a count",
    "Negative binomial": "a count that varies more than its mean",
}
TARGETS = (
    "1LevelMod", "2LevelMod", "2LevelRS", "NLevelMod", "NLevelRS", "2LevelImpute", "NLevelImpute",
    "2LevelMissingOnePass",
)  # fmt: skip
MOST_PRODUCTS = 10


def _number(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


class WhichTemplate(Template):
    name = "WhichTemplate"
    title = "Find the template that fits your model, with the gaps that your data have"
    heading = "Describe data"
    tags = ("data", "missing values", "imputation")
    intercept = True
    guides = True
    outputs = (Output("Proposal", "which template fits, which do not, and why"),)

    def questions(self, ask: Ask) -> Spec:
        y = ask.column(
            "y", "What do you want to explain?", where=_number, why="it has one value only, or is text",
            help="The outcome of your model, such as an exam score.",
        )  # fmt: skip
        family = ask.choice(
            "D", "What kind of variable is it?", [Option(f, f"{f}: {FAMILIES[f]}") for f in EVERY_FAMILY],
            default="Normal", help="How it is distributed, given what explains it.",
        )  # fmt: skip
        trials = None
        if family == "Binomial":
            trials = ask.column(
                "n", "Number of trials", where=lambda c: c.complete and not c.is_text, default=ask.intercept or None,
                help="For yes or no choose a column of ones.",
            )  # fmt: skip
        x = ask.columns(
            "x", "What explains it?", categorical=True, text_ok=True,
            where=lambda c: _number(c) or (c.is_text and c.n_levels >= 2),
            why="Constants and wholly missing variables explain nothing.",
            help="The explanatory variables. The intercept is added for you here; powers and interactions come below.",
        )  # fmt: skip
        powers: tuple[Term, ...] = ()
        products = []
        names = [t.name for t in x]
        number = {t.name for t in x if t.name in ask.data and _number(ask.data[t.name])}
        if number and ask.yes_no(
            "curved", "Does the effect of one of them bend, or depend on another one?", default="No",
            help="Yes for a square, such as age and age squared, or an interaction, such as a treatment that works "
            "better for the young.",
        ):  # fmt: skip
            powers = ask.columns(
                "squares", "Whose effect bends (a square)?", minimum=0, where=_number, default="",
                exclude=tuple(n for n in ask.data.names if n not in number),
                help="Leave it empty if none does.",
            )  # fmt: skip
            for i in range(
                ask.integer(
                    "numinter", "How many interactions are there?", min=0, max=MOST_PRODUCTS if len(names) > 1 else 0,
                    default=1 if len(names) > 1 and not powers else 0,
                    help="Each is of two or more of the variables that explain.",
                )
            ):  # fmt: skip
                chosen = ask.columns(
                    "xinter{i}", "Which variables interact ({k})?", minimum=2, where=_number, i=i, k=i + 1,
                    exclude=tuple(n for n in ask.data.names if n not in number),
                    help="The effect of each depends on the others.",
                )  # fmt: skip
                products.append(tuple(t.name for t in chosen))
        groups = ask.columns(
            "groups", "In which groups are the rows?", text_ok=True, minimum=0, default="",
            where=lambda c: c.n_levels > 1 and c.name != y, exclude=tuple(names),
            why="A group variable has at least two values, and does not explain.",
            help="Variables such as school or hospital, whose rows are more alike than others. Empty: none.",
        )  # fmt: skip
        slopes: tuple[Term, ...] = ()
        if groups and number:
            slopes = ask.columns(
                "slopes", "Whose effect differs between the groups?", minimum=0, default="", where=_number,
                exclude=tuple(n for n in ask.data.names if n not in number),
                help="Variables with random slopes. Empty: none, only the groups' means differ.",
            )  # fmt: skip
        gaps = [c for c in ask.data.columns if c.name in names and not c.complete]
        selected = bool(gaps) and ask.yes_no(
            "mnar", "May a value be missing because of what it is?", default="No",
            help="Yes where, say, people with high incomes do not tell them, beyond what the other variables explain.",
        )  # fmt: skip
        return Spec(
            y, str(family), trials, x, ask.intercept or "", tuple(t.name for t in groups),
            tuple(t.name for t in powers), tuple(products), tuple(t.name for t in slopes), (), bool(selected),
        )  # fmt: skip

    def leads(self, answers: Mapping[str, str]) -> Sequence[Lead]:
        return tuple(
            Lead(name, name, f"Open {name} with these answers", "Its other questions have their defaults.")
            for name in TARGETS
        )

    def carried(self, lead: str, answers: Mapping[str, str], spec: Spec, data: Any) -> dict[str, str]:
        from .answers import answers_of

        return answers_of(lead, spec, data)

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .proposing import proposal

        best = proposal(spec, data)[0]
        return [Problem("proposal", f"{best.template} fits: {best.why}", level="notice", lead=best.opens(spec))]

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .proposing import run

        return run(spec, data, job)
