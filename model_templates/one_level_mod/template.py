"""1LevelMod: regression of independent units; Normal, binomial, Poisson or negative binomial response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templates_engine.asking import Ask
from templates_engine.data.schema import Schema
from templates_engine.options import RENAMED
from templates_engine.problems import Problem
from templates_engine.sampling import mixed_questions as q
from templates_engine.sampling.mixed_names import GAMMA
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.data.dataset import Dataset
    from templates_engine.job import Job
    from templates_engine.outputs import Result


class OneLevelMod(Template):
    name = "1LevelMod"
    title = "Regression of independent units"
    heading = "Models"
    tags = ("model", "1 level", "Normal", "binomial", "Poisson", "negative binomial", "MCMC")
    renamed = RENAMED
    accepted = q.ACCEPTED_ROWS
    equation = "<<model>>"
    outputs = {**q.OUTPUTS, **q.MADE_OF_ROWS}

    def questions(self, ask: Ask) -> q.Model:
        y = q.ask_response(ask)
        family, link, trials, offset = q.ask_family(ask, q.EVERY_FAMILY)
        x = q.ask_fixed(ask)
        variances = q.variances(family, group="")
        prior = q.ask_variance_prior(ask, levels=1) if variances else GAMMA
        mcmc = q.ask_mcmc(ask, variances, family)
        return q.finish(ask, q.Model(y, x, mcmc, family=family, link=link, trials=trials, offset=offset, prior=prior))

    def equation_values(self, spec: q.Model, schema: Schema) -> dict[str, Any]:
        from templates_engine.sampling.mixed_equation import model_latex

        return {"model": model_latex(spec, schema)}

    def check(self, spec: q.Model, data: Dataset) -> list[Problem]:
        from templates_engine.sampling.mixed_checks import check

        return check(spec, data)

    def run(self, spec: q.Model, data: Dataset, job: Job) -> Result:
        from templates_engine.sampling.mixed_run import run

        return run(self, spec, data, job)

    def warm(self) -> None:
        from templates_engine.sampling.mixed_run import warm

        warm(groups=False)
