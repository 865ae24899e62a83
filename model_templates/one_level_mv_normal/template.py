"""1LevelMVNormal: several Normal responses with correlated residuals, each with its own predictors (Zellner, 1962)."""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import ImputerSpec, NormalImputer, imputer_questions as q


class OneLevelMVNormal(NormalImputer):
    name = "1LevelMVNormal"
    title = "Several Normal responses together, one level"
    tags = ("model", "multivariate", "1 level", "Normal", "imputation", "MCMC")
    classes = 0

    def questions(self, ask: Ask) -> ImputerSpec:
        return q.ask_rest(ask, q.ask_normal(ask), ())
