"""1LevelMVMixedResponsecc: responses of four types by latent Normal variables, one level.

Goldstein, Carpenter, Kenward and Levin (2009), Statistical Modelling 9(3), 173-197.
"""

from __future__ import annotations

from templates_engine import Ask
from templates_engine.imputation import ImputerSpec, ImputerTemplate, imputer_questions as q


class OneLevelMVMixedResponsecc(ImputerTemplate):
    name = "1LevelMVMixedResponsecc"
    title = "Responses of several types together by latent Normal variables, one level"
    tags = ("model", "multivariate", "1 level", "mixed responses", "imputation", "MCMC")
    classes = 0
    keys = {"yimp1": "y", r"bin1_(\d+)": r"bin\1", r"ximp1_(\d+)": r"ximp\1", r"ximp1_(\d+)_(\d+)": r"ximp\1_\2"}

    def questions(self, ask: Ask) -> ImputerSpec:
        return q.ask_rest(ask, q.ask_mixed(ask), ())
