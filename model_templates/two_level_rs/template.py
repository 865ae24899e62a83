"""2LevelRS: units nested in groups, random coefficients with a full covariance matrix; Normal, binomial,
Poisson or negative binomial response.
"""

from __future__ import annotations

from templates_engine.asking import Ask
from templates_engine.regression import RegressionTemplate, questions as q


class TwoLevelRS(RegressionTemplate):
    name = "2LevelRS"
    title = "Two-level regression with random slopes"
    tags = ("model", "2 levels", "random slopes", "Normal", "binomial", "Poisson", "negative binomial", "MCMC")
    outputs = q.OUTPUTS_OF_GROUPS

    def questions(self, ask: Ask) -> q.Model:
        y = q.ask_response(ask)
        group = q.ask_group(ask)
        family, link, trials, offset = q.ask_family(ask, q.EVERY_FAMILY)
        x = q.ask_fixed(ask)
        x2 = q.ask_random(ask)
        prior = q.ask_covariance_prior(ask)
        mcmc = q.ask_mcmc(ask, q.variances(family, group="omega_u"), family)
        model = q.Model(y, x, mcmc, group, x2, family=family, link=link, trials=trials, offset=offset, prior=prior)
        return q.finish(ask, model)
