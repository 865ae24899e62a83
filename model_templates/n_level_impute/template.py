"""NLevelImpute: multiple imputation by a joint model with any number of classifications, nested or crossed.

2LevelImpute with more classifications (Parker and Goldstein, 2019): responses of four types with missing values at any
of them (Goldstein, Carpenter, Kenward and Levin, 2009). The answers to 2LevelImpute are accepted as they stand and give
the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from templates_engine import Ask, Output, Schema
from templates_engine.imputation import (
    Classification,
    ImputationTemplate,
    ModelOfInterest,
    Spec,
    ask_more,
    imputer_questions,
    questions as q,
)
from templates_engine.regression import PARAMETERS, words_of


class NLevelImpute(ImputationTemplate):
    name = "NLevelImpute"
    title = "Multiple imputation with nested or crossed classifications, then a model fitted to each completed dataset"
    tags = ("imputation", "N levels", "crossed", "MCMC")
    accepted = {"MOIslope": "No"}
    classes = 2
    parameters = PARAMETERS
    showcase = "crossed"
    outputs = (
        *ImputationTemplate.outputs,
        Output(
            "impute_L<n>Data_chain<c>_iter<i>",
            "The units of a further classification, one row each, where variables of it were imputed.",
            part="Completed, higher levels",
            shown="level {n}, chain{c} iter{i}",
        ),
    )

    def words(
        self, table: str, parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        if table.startswith("Imputation_Model_"):  # its covariances are not those of the model of interest
            return super().words(table, parameters, answers, schema)
        return words_of(parameters, answers, schema)

    def published(self, answers: dict[str, str]) -> dict[str, str]:
        """The answers to 2LevelImpute: one classification, or none."""
        if "numlevs" not in answers:
            return answers
        found = {key: text for key, text in answers.items() if key not in ("numlevs", "L2ID", "MOIlevel", "x2")}
        if answers["numlevs"].strip().casefold() != "yes":
            return {**found, "numclass": "0"}
        found["numclass"] = "1"
        moved = {"L2ID": "C1", "x2": "x2_1"}
        found |= {new: answers[old] for old, new in moved.items() if old in answers}
        if answers.get("MOIlevel", "").strip() == "1 level":
            found["MOIclass"] = ""
        elif "L2ID" in answers:
            found["MOIclass"] = answers["L2ID"]
        return found

    def questions(self, ask: Ask) -> Spec:
        words = " Give the imputation those of your model, or more."
        names = [name for name, _ in imputer_questions.ask_groups(ask, 0, words)]
        moi = _model_of_interest(ask, names)
        with ask.section("Imputation, level 1"):
            level1 = q.ask_level1(ask)
        taken = [r.name for r in level1]
        classes: tuple[Classification, ...] = ()
        for c, name in enumerate(names, start=1):
            with ask.section(f"Imputation, classification {c}"):
                own = q.ask_level(ask, c + 1, taken, of=name)
            taken += [r.name for r in own]
            classes += (Classification(name, f"C{c}", own),)
        with ask.section("Imputation model"):
            more = ask_more(ask, classes, level1)
        with ask.section("Estimation"):
            spec = Spec(more.classes, moi, **q.ask_estimation(ask), **more.shared)
        for c, name in enumerate(names, start=1):
            if name in names[: c - 1]:
                first = names.index(name) + 1
                ask.fault(f"C{c}", f"{name} is classification {first} already; each can be chosen once.", column=name)
            if name in taken:
                ask.fault(f"C{c}", f"{name} is a variable to impute, so it cannot be a classification.", column=name)
        return spec


def _model_of_interest(ask: Ask, names: Sequence[str]) -> ModelOfInterest:
    with ask.section("Model of interest"):
        own: tuple[Any, ...] = ()
        if names:
            own = ask.columns(
                "MOIclass",
                "Classifications in the model of interest",
                text_ok=True,
                minimum=0,
                default=",".join(str(name) for name in names),
                exclude=tuple(name for name in ask.data.names if name not in names),
                help="Your model may have fewer than the imputation, or none.",
            )
        family = q.ask_family(ask)
        groups = tuple(term.name for term in own)
        sloped = bool(groups) and q.ask_sloped(ask)
        moi = q.ask_interest(ask, family)
        slopes: tuple[Any, ...] = ()
        if sloped:
            slopes = tuple(
                q.ask_slopes(ask, "x2_{c}", "Variables with random coefficients, {column}", c=c, column=name)
                for c, name in enumerate(names, start=1)
                if name in groups
            )
            groups = tuple(name for name in names if name in groups)  # as the slopes stand
    return replace(moi, groups=groups, slopes=slopes)
