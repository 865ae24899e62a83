"""RespNLevelMVMixedResponsemvu: the imputation model of NLevelImpute by itself."""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import Classification, ImputerSpec, ImputerTemplate, imputer_questions as q, questions


class RespNLevelMVMixedResponsemvu(ImputerTemplate):
    name = "RespNLevelMVMixedResponsemvu"
    title = "Responses of several types with nested or crossed classifications together, by latent Normal variables"
    tags = ("model", "multivariate", "N levels", "crossed", "mixed responses", "imputation", "MCMC")
    classes = 2

    def questions(self, ask: Ask) -> ImputerSpec:
        groups = q.ask_groups(ask)
        with ask.section("Level 1"):
            level1 = questions.ask_level1(ask)
        taken = [r.name for r in level1]
        classes = []
        for c, (name, key) in enumerate(groups, start=1):
            with ask.section(f"Classification {c}"):
                own = questions.ask_level(ask, c + 1, taken, of=name)
            taken += [r.name for r in own]
            classes.append(Classification(name, key, own))
        return q.ask_rest(ask, level1, classes)
