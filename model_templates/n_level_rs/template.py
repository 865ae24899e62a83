"""NLevelRS: nested or crossed classifications, random coefficients with a full covariance matrix.

Browne, Goldstein and Rasbash (2001), Statistical Modelling 1, 103-124, set these models out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templates_engine.asking import Ask
from templates_engine.data.schema import Schema
from templates_engine.options import RENAMED
from templates_engine.problems import Problem
from templates_engine.sampling import mixed_questions as q
from templates_engine.sampling import nlevel_questions as nq
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.data.dataset import Dataset
    from templates_engine.job import Job
    from templates_engine.outputs import Result


class NLevelRS(Template):
    name = "NLevelRS"
    title = "Regression with random slopes for nested or crossed classifications"
    heading = "Models"
    tags = ("model", "N levels", "crossed", "random slopes", "Normal", "binomial", "Poisson", "MCMC")
    renamed = RENAMED
    accepted = q.ACCEPTED_ROWS
    equation = "<<model>>"
    outputs = nq.OUTPUTS

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

    def equation_values(self, spec: nq.NModel, schema: Schema) -> dict[str, Any]:
        from templates_engine.sampling.nlevel_equation import model_latex

        return {"model": model_latex(spec, schema)}

    def check(self, spec: nq.NModel, data: Dataset) -> list[Problem]:
        from templates_engine.sampling.nlevel_checks import check

        return check(spec, data)

    def run(self, spec: nq.NModel, data: Dataset, job: Job) -> Result:
        from templates_engine.sampling.nlevel_run import run

        return run(self, spec, data, job)

    def warm(self) -> None:
        from templates_engine.sampling.nlevel_run import warm

        warm()
