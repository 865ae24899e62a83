"""2LevelImpute: multiple imputation by a joint model at two levels, then a model fitted to each completed dataset.

The imputation model is that of Goldstein, Carpenter, Kenward and Levin (2009): latent Normal variables for
categorical responses, responses at both levels, one covariance matrix across the level 2 effects and the level 2
responses. Keys, their order and the names of the outputs are those of Parker and Goldstein (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from templates_engine import Ask, Schema
from templates_engine.imputation import Classification, ImputationTemplate, Spec, ask_more, questions as q
from templates_engine.regression import PARAMETERS, words_of


class TwoLevelImpute(ImputationTemplate):
    name = "2LevelImpute"
    title = "Multiple imputation for units in groups, then a model fitted to each completed dataset"
    tags = ("imputation", "1 level", "2 levels", "MCMC")
    accepted = {"MOIslope": "No"}
    parameters = PARAMETERS
    showcase = "published"

    def words(
        self, table: str, parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        if table.startswith("Imputation_Model_"):  # its covariances are not those of the model of interest
            return super().words(table, parameters, answers, schema)
        return words_of(parameters, answers, schema)

    def questions(self, ask: Ask) -> Spec:
        group = None
        two = ask.yes_no(
            "numlevs",
            "Does the model of interest or the imputation have two levels?",
            help="Two levels: units in groups, such as pupils in schools. Give the imputation the levels of your "
            "model, or more.",
        )
        if two:
            group = ask.column(
                "L2ID",
                "Level 2 identifier",
                text_ok=True,
                where=lambda c: c.n_levels > 0,
                help="The variable that says to which group each row belongs.",
            )
        moi = _model_of_interest(ask, group)
        with ask.section("Imputation, level 1"):
            level1 = q.ask_level1(ask)
        level2: tuple[Any, ...] = ()
        if two:
            with ask.section("Imputation, level 2"):
                level2 = q.ask_level(ask, 2, [r.name for r in level1])
        classes: tuple[Classification, ...] = (Classification(group, "L2ID", level2),) if group is not None else ()
        with ask.section("Imputation model"):
            more = ask_more(ask, classes, level1)
        with ask.section("Estimation"):
            return Spec(more.classes, moi, **q.ask_estimation(ask), **more.shared)


def _model_of_interest(ask: Ask, group: str | None) -> Any:
    with ask.section("Model of interest"):
        levels: Any = "1 level"
        if group is not None:
            levels = ask.choice(
                "MOIlevel",
                "Levels in the model of interest",
                ("1 level", "2 levels"),
                default="2 levels",
                help="Your model may have one level although the imputation has two.",
            )
        family = q.ask_family(ask)
        sloped = levels == "2 levels" and q.ask_sloped(ask)
        moi = q.ask_interest(ask, family)
        slopes = (q.ask_slopes(ask, "x2", "Variables with random coefficients"),) if sloped else ()
    return replace(moi, groups=(group,) if group is not None and levels == "2 levels" else (), slopes=slopes)
