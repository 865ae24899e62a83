"""The run of an imputation template: complete cases, imputation, a fit to each completed dataset, Rubin's rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from templates_engine.data import Dataset
from templates_engine.imputation.carried import notices
from templates_engine.imputation.checks import slopes_of_incomplete
from templates_engine.imputation.complete import Imputed, impute
from templates_engine.imputation.equations import algorithm, imputation_model
from templates_engine.imputation.imputer_run import show
from templates_engine.imputation.report import complete_cases_table, methods, pool, pooled_table, verdicts
from templates_engine.imputation.spec import Spec
from templates_engine.outputs import Draws, Result
from templates_engine.running import Call, summaries
from templates_engine.sampling import joint

IMPUTATION = "Imputation_Model_"


def run(spec: Spec, data: Dataset, job: Any) -> Result:
    """Every output of tree.md's list, tables first; pictures are drawn when all tables can be read."""
    impute_step, fit_step = f"Impute, {spec.chains_run} chains", f"Fit {spec.n_imputed} completed datasets"
    job.steps(("Complete cases", 1.0), (impute_step, 8.0), (fit_step, 4.0), ("Pool and check", 0.5))

    job.step("Complete cases")
    complete = job.call(spec.moi.template, _answers(spec, 0), data, prefix="CompleteCasesModel_")
    if complete.draws is not None:
        job.table("ResultsTable:CompleteCases", complete_cases_table(complete))

    job.step(impute_step)
    schema = data.schema()
    job.text(IMPUTATION + "equation.tex", imputation_model(spec, schema), title="Imputation model")
    job.text(IMPUTATION + "algorithm.tex", algorithm(spec), title="One sweep of the imputation sampler")
    imputed = impute(spec, data, job)
    _report_imputation(spec, data, imputed, job)

    job.step(fit_step)
    used = [imputed.sets[key][0] for key in spec.used if key in imputed.sets]
    calls = [
        Call(spec.moi.template, _answers(spec, k), dataset, f"Model{k}_") for k, dataset in enumerate(used, start=1)
    ]
    fits = [fit for fit in job.calls(calls) if fit.draws is not None]

    job.step("Pool and check")
    tables = {}
    if len(fits) >= 2 and not job.stopped:
        tables["ResultsTable:Imputation"] = _pool(fits, complete, imputed, spec, data, job)
    return Result(draws=imputed.draws, tables=tables, info={"n": data.n_rows, "imputed": len(fits)})


def _answers(spec: Spec, k: int) -> dict[str, str]:
    """The answers for fit k (0: complete cases), one chain, with a seed of its own derived from the run's."""
    seed = int(np.random.SeedSequence([spec.seed, 2, k]).generate_state(1)[0]) % 2**31
    length = {"nchains": 1, "seed": seed, "burnin": spec.burnin, "iterations": spec.iterations, "thinning": 1}
    return {**spec.moi.answers, **{key: str(value) for key, value in length.items()}}


def _report_imputation(spec: Spec, data: Dataset, imputed: Imputed, job: Any) -> None:
    """The draws, their tables and pictures, and the completed datasets under their two names."""
    draws = imputed.draws
    if draws.values.shape[1] >= 2:
        table = summaries.summary(draws)
        job.table(IMPUTATION + "ModelParameters", table)
        job.table(IMPUTATION + "ModelResults", table)
        job.draws(IMPUTATION + "out", draws, title="Parameter chains of the imputation model")
        job.diagnostics(IMPUTATION, draws, title="Imputation model")
        begin = min(spec.first - 1, draws.values.shape[1] // 2)  # before it the chains may not have settled
        settled = replace(draws, values=draws.values[:, begin:], first=draws.first + begin)
        used = {key: imputed.sets[key] for key in spec.used if key in imputed.sets}
        show(IMPUTATION, spec, imputed.model, data, settled, used, job)
    for (chain, iteration), (full, uppers) in imputed.sets.items():
        mark = "" if (chain, iteration) in spec.used else " (not analysed)"
        about = f"Completed data, chain {chain}, iteration {iteration}{mark}"
        job.dataset(full.name, full, title=about, listed=True, also=[IMPUTATION + full.name])
        for upper in uppers:
            level = upper.name.removeprefix("impute_L").partition("Data")[0]
            title = f"{about}, level {level}"
            job.dataset(upper.name, upper, title=title, listed=True, also=[IMPUTATION + upper.name])


def _pool(fits: list[Result], complete: Result, imputed: Imputed, spec: Spec, data: Dataset, job: Any) -> Any:
    """Rubin's rules over the fits; the fits as chains of one picture; verdicts and the methods paragraph."""
    parameters, variables, pooled = pool(fits)
    warnings = [problem.message for problem in [*slopes_of_incomplete(spec, data), *notices(spec, data)]]
    table = pooled_table(parameters, variables, pooled, dict(fits[0].info), warnings)
    job.table("ResultsTable:Imputation", table)
    first = fits[0].draws
    assert first is not None
    joined = np.concatenate([fit.draws.values for fit in fits if fit.draws is not None])
    combined = Draws(first.parameters, first.variables, joined, first.first, first.thin)
    job.table("CombinedResults", summaries.summary(combined))
    job.diagnostics("CombinedResults_", combined, title="Each completed dataset as a chain (a diagnostic)")
    gaps = any(bool(data.missing(r.name).any()) for r in spec.responses)
    job.table("Verdicts", verdicts(imputed.draws, fits, parameters, pooled, spec.first, gaps))
    job.text("Methods", methods(spec, data, fits, complete), title="Methods paragraph")
    return table


def warm(classes: int = 1) -> None:
    """Compile the joint sampler by a few sweeps on made-up data; every kind of model uses the same kernels."""
    generator = np.random.default_rng(1)
    units = [np.repeat(np.arange(12), 5), np.arange(60) % 10, np.arange(60) % 15, np.arange(60) // 6]
    ones = np.ones((60, 1))
    seen = joint.Response("y", "Normal", generator.standard_normal(60), 0, (ones,), (("cons",),))
    model = joint.JointModel(level1=(seen,), classes=tuple(joint.Classification(u) for u in units[:classes]))
    joint.run_chain(model, generator, np.zeros(2, np.int64), 3, [2])
