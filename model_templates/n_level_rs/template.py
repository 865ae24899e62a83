"""NLevelRS: nested or crossed classifications, random coefficients with a full covariance matrix.

Browne, Goldstein and Rasbash (2001), Statistical Modelling 1, 103-124, set these models out.
"""

from __future__ import annotations

from templates_engine.asking import Ask
from templates_engine.regression import RegressionTemplate, questions as q, questions_classes as nq


class NLevelRS(RegressionTemplate):
    name = "NLevelRS"
    title = "Regression with random slopes for nested or crossed classifications"
    tags = ("model", "N levels", "crossed", "random slopes", "Normal", "binomial", "Poisson", "MCMC")
    outputs = nq.OUTPUTS
    classes = 2

    def questions(self, ask: Ask) -> nq.NModel:
        y = q.ask_response(ask)
        classes = nq.ask_classes(ask)
        family, link, trials, offset = q.ask_family(ask, q.EVERY_FAMILY)
        x = q.ask_fixed(ask)
        slopes = nq.ask_slopes(ask, classes)
        prior = nq.ask_covariance_prior(ask)
        mcmc = q.ask_mcmc(ask, nq.started(family, len(classes), "omega_u"), family)
        model = nq.NModel(
            y, x, mcmc, family=family, link=link, trials=trials, offset=offset, prior=prior,
            classes=classes, slopes=slopes,
        )  # fmt: skip
        return nq.finish_classes(ask, model)
