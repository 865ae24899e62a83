"""Resp2LevelMVMixedResponsemvu: the imputation model of 2LevelImpute by itself (Goldstein and others, 2009)."""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import Classification, ImputerSpec, ImputerTemplate, imputer_questions as q, questions


class RespTwoLevelMVMixedResponsemvu(ImputerTemplate):
    name = "Resp2LevelMVMixedResponsemvu"
    title = "Responses of several types at two levels together, by latent Normal variables"
    tags = ("model", "multivariate", "2 levels", "mixed responses", "imputation", "MCMC")

    def questions(self, ask: Ask) -> ImputerSpec:
        name, key = q.ask_group(ask)
        with ask.section("Level 1"):
            level1 = questions.ask_level1(ask)
        with ask.section("Level 2"):
            level2 = questions.ask_level(ask, 2, [r.name for r in level1])
        return q.ask_rest(ask, level1, [Classification(name, key, level2)])
