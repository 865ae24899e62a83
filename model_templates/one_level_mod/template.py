"""1LevelMod: regression of independent units; Normal, binomial, Poisson or negative binomial response."""

from __future__ import annotations

from templates_engine.asking import Ask
from templates_engine.regression import RegressionTemplate, questions as q
from templates_engine.sampling import GAMMA


class OneLevelMod(RegressionTemplate):
    name = "1LevelMod"
    title = "Regression of independent units"
    tags = ("model", "1 level", "Normal", "binomial", "Poisson", "negative binomial", "MCMC")
    outputs = q.OUTPUTS
    classes = 0

    def questions(self, ask: Ask) -> q.Model:
        y = q.ask_response(ask)
        family, link, trials, offset = q.ask_family(ask, q.EVERY_FAMILY)
        x = q.ask_fixed(ask)
        variances = q.variances(family, group="")
        prior = q.ask_variance_prior(ask, levels=1) if variances else GAMMA
        mcmc = q.ask_mcmc(ask, variances, family)
        return q.finish(ask, q.Model(y, x, mcmc, family=family, link=link, trials=trials, offset=offset, prior=prior))
