"""Regression1: the Normal linear model, Gamma(0.001, 0.001) prior of the precision, flat prior of the coefficients."""

from __future__ import annotations

from templates_engine.asking import Ask
from templates_engine.regression import RegressionTemplate, questions as q


class RegressionOne(RegressionTemplate):
    name = "Regression1"
    title = "Linear regression with a Normal response"
    tags = ("model", "1 level", "Normal", "MCMC")
    accepted = q.ACCEPTED_ROWS_NORMAL
    outputs = q.OUTPUTS
    classes = 0

    def questions(self, ask: Ask) -> q.Model:
        y = q.ask_response(ask, texts=False)
        x = q.ask_fixed(ask)
        return q.finish(ask, q.Model(y, x, q.ask_mcmc(ask, ("sigma2",))))
