"""Merge: join the variables of another dataset by an identifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask, made_dataset

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

KINDS = ("All rows", "Only matches")


@dataclass(frozen=True)
class Spec:
    right: str  # name of the other dataset
    id: tuple[str, ...]  # columns of this dataset
    right_id: tuple[str, ...]  # the columns of the other dataset they are compared with, in the same order
    variables: tuple[str, ...]  # of the other dataset; none stands for all
    kind: str
    outdata: str


class Merge(Template):
    name = "Merge"
    title = "Join the variables of another dataset by an identifier"
    heading = "Data"
    tags = ("data",)
    outputs = (
        Output("Matches", "how many rows found a partner"),
        Output("{outdata}", "this dataset with the other's variables beside its own"),
    )

    def questions(self, ask: Ask) -> Spec:
        right = ask.dataset(
            "right",
            "Dataset to join",
            help="Its variables are put beside those of the present dataset. It has at most one row for each value of "
            "the identifier, as a dataset of schools has for pupils.",
        )
        own = ask.columns(
            "id",
            "Identifier in the present dataset",
            text_ok=True,
            help="The variable, or variables together, by which rows find their partners.",
        )
        names = tuple(term.name for term in own)
        same = all(name in right for name in names)
        theirs = ask.columns(
            "rightid",
            "Identifier in the dataset to join",
            text_ok=True,
            of=right,
            default=",".join(names) if same else None,
            help="Usually of the same name. With several, give them in the order of those of the present dataset.",
        )
        right_names = tuple(term.name for term in theirs)
        if len(right_names) != len(names):
            ask.fault("rightid", f"As many identifiers are needed as in the present dataset: {len(names)}.")
        for mine, other in zip(names, right_names, strict=False):
            if ask.data[mine].is_text != right[other].is_text:
                which = f"{mine} holds text and {other} numbers" if ask.data[mine].is_text else None
                ask.fault("rightid", f"{which or f'{mine} holds numbers and {other} text'}, so no row would match.")
        chosen = ask.columns(
            "vars",
            "Variables to bring over",
            text_ok=True,
            of=right,
            exclude=right_names,
            minimum=0,
            default="",
            help="Leave empty for all. One whose name is there already comes with _right at its name's end.",
        )
        kind = ask.choice(
            "kind",
            "Which rows to keep",
            KINDS,
            default="All rows",
            help="All rows keeps those without a partner, with missing values in the new variables; Only matches "
            "drops them. Rows of the joined dataset that nobody asks for are left out in both.",
        )
        bring = tuple(term.name for term in chosen)
        return Spec(right.name, names, right_names, bring, kind, made_dataset(ask, "merged"))

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .joining import run

        return run(spec, data, job.other(spec.right), job)
