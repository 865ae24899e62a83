"""2LevelMod: units nested in groups, a random intercept for each group; Normal, binomial, Poisson or negative
binomial response.

Browne and Draper (2006), Bayesian Analysis 1, 473-514, compare the priors offered here.
"""

from __future__ import annotations

from templates_engine.asking import Ask
from templates_engine.regression import RegressionTemplate, questions as q


class TwoLevelMod(RegressionTemplate):
    name = "2LevelMod"
    title = "Two-level regression with random intercepts"
    tags = ("model", "2 levels", "Normal", "binomial", "Poisson", "negative binomial", "MCMC")
    outputs = q.OUTPUTS_OF_GROUPS

    def questions(self, ask: Ask) -> q.Model:
        y = q.ask_response(ask)
        group = q.ask_group(ask)
        family, link, trials, offset = q.ask_family(ask, q.EVERY_FAMILY)
        x = q.ask_fixed(ask)
        prior = q.ask_variance_prior(ask)
        mcmc = q.ask_mcmc(ask, q.variances(family), family)
        return q.finish(
            ask, q.Model(y, x, mcmc, group, family=family, link=link, trials=trials, offset=offset, prior=prior)
        )
