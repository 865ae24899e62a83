"""2LevelMVNormal: several Normal responses with correlated residuals and correlated group effects."""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import Classification, ImputerSpec, NormalImputer, imputer_questions as q


class TwoLevelMVNormal(NormalImputer):
    name = "2LevelMVNormal"
    title = "Several Normal responses together, units in groups"
    tags = ("model", "multivariate", "2 levels", "Normal", "imputation", "MCMC")

    def questions(self, ask: Ask) -> ImputerSpec:
        name, key = q.ask_group(ask)
        return q.ask_rest(ask, q.ask_normal(ask), [Classification(name, key)])
