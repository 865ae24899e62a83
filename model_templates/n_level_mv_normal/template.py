"""NLevelMVNormal: several Normal responses, effects of every classification correlated between them."""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import Classification, ImputerSpec, NormalImputer, imputer_questions as q


class NLevelMVNormal(NormalImputer):
    name = "NLevelMVNormal"
    title = "Several Normal responses together, nested or crossed classifications"
    tags = ("model", "multivariate", "N levels", "crossed", "Normal", "imputation", "MCMC")
    classes = 2

    def questions(self, ask: Ask) -> ImputerSpec:
        groups = q.ask_groups(ask)
        return q.ask_rest(ask, q.ask_normal(ask), [Classification(name, key) for name, key in groups])
