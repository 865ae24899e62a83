"""The run of 2LevelMissingOnePass: chains, tables, completed data, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from templates_engine import Dataset, Draws, Problem, Refused, Result, Table
from templates_engine.running import lengths, summaries
from templates_engine.sampling import Live, Progress, Saved, joint, onepass, streams

from . import not_random
from .building import Prepared, prepare
from .checks import faults
from .comparison import figure, table, three
from .equations import algorithm
from .predictions import shots_at, with_predictions
from .reporting import completed, effects, fit_table, imputed, proposals, result_notes, results, slopes
from .spec import NO, ROWS, Spec


def run(spec: Spec, data: Dataset, job: Any) -> Result:
    """Tables first; pictures are drawn when all tables can be read."""
    options = spec.mcmc
    title = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((title, 4.0), ("Summarise", 0.5))
    prepared = _prepared(spec, data, job)
    job.text("algorithm.tex", algorithm(spec), title="One iteration of the sampler")
    job.step(title)
    shots = shots_at(spec, prepared)
    generators = streams(options.seed, options.nchains)

    def chain(k: int, iterations: int, resume: Saved | None, live: Live, progress: Progress) -> onepass.Chain:
        return onepass.run_chain(
            prepared.model, generators[k], progress.cells, burnin=options.burnin, iterations=iterations,
            thin=options.thinning, keep_at=[*spec.impute_at, *shots], resume=resume, live=live,
        )  # fmt: skip

    names, variables = onepass.names(prepared.model)
    chains, reached = lengths.sample(job, options, names, names[min(1, len(spec.x) - 1)], chain)
    spec = replace(spec, mcmc=lengths.settled(options, reached, len(chains)))

    job.step("Summarise")
    info = {"n": float(prepared.data.n_rows), "dropped": float(prepared.dropped), "groups": float(len(prepared.labels))}
    kept = min(len(each.values) for each in chains)
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=info)
    values = np.stack([each.values[:kept] for each in chains])
    draws = Draws(names, variables, values, spec.mcmc.burnin + spec.mcmc.thinning, spec.mcmc.thinning)
    tables = _tables(spec, prepared, chains, draws, kept)
    for name, each in tables.items():
        job.table(name, each)
    words = tuple(summaries.verdicts(draws, tables["ModelResults"]))
    job.table("Verdicts", Table(("word", "sentence"), words, "What to think of these results"))
    if spec.compare:
        tables |= _compare(spec, prepared, draws, job)
    if spec.more.not_random.kind != NO:
        tables |= _sensitivity(spec, prepared, draws, job)
    job.draws(options.outdata, draws, title="Parameter chains")
    _datasets(spec, prepared, data, chains, shots, job)
    job.diagnostics("", draws)
    return Result(draws, tables, info)


def _prepared(spec: Spec, data: Dataset, job: Any) -> Prepared:
    """The arrays; with a level 2 dataset its rows are looked at only here. Raises Refused."""
    if not spec.level2 or spec.level2_data == ROWS:
        return prepare(spec, data, None)
    prepared = prepare(spec, data, job.other(spec.level2_data))
    found = faults(spec, prepared)
    if errors := [p for p in found if p.level == "error"]:
        raise Refused(errors)
    for notice in found:
        job.note(notice)
    return prepared


def _tables(
    spec: Spec, prepared: Prepared, chains: Sequence[onepass.Chain], draws: Draws, kept: int
) -> dict[str, Table]:
    notes = result_notes(spec, prepared, spec.mcmc.iterations, len(chains))
    if said := proposals(spec, chains):
        notes.append(said)
    found = results(spec, draws, notes)
    tables = {"ModelResults": found, "ModelParameters": found, "Imputed": imputed(spec, prepared, chains)}
    if (within := slopes(spec, prepared, draws)) is not None:
        tables["Slopes"] = within
    tables["ModelFit"] = fit_table(spec, prepared, np.stack([each.deviance[:kept] for each in chains]))
    return tables


def _compare(spec: Spec, prepared: Prepared, draws: Draws, job: Any) -> dict[str, Table]:
    """Complete cases and imputation beside the one-pass answer."""
    answers = three(spec, prepared, draws, lambda: bool(job.stopped))
    if answers is None:
        return {}
    made = table(spec, answers)
    job.table("Comparison", made)
    job.figure("Comparison.svg", figure(spec, answers), title="Three answers side by side")
    return {"Comparison": made}


def _sensitivity(spec: Spec, prepared: Prepared, draws: Draws, job: Any) -> dict[str, Table]:
    """The model of interest under each assumption on the missing values."""
    interest = prepared.model.interest
    q = len(interest.random)
    spread = interest.link == "identity" or interest.negative_binomial
    count = len(interest.fixed) + q * (q + 1) // 2 + (1 if spread else 0)
    answers = not_random.sensitivity(spec, prepared.model, draws, count, lambda: bool(job.stopped))
    if answers is None:
        return {}
    made = not_random.table(spec, answers, draws.parameters[:count], draws.variables[:count])
    job.table("Sensitivity", made)
    figure_of = not_random.figure(spec, answers, draws.parameters[:count])
    job.figure("Sensitivity.svg", figure_of, title="What is assumed of the missing values")
    return {"Sensitivity": made}


def _datasets(
    spec: Spec, prepared: Prepared, data: Dataset, chains: Sequence[onepass.Chain], shots: Sequence[int], job: Any
) -> None:
    """Completed data, group effects and predictions, as far as they were asked for."""
    for at in spec.impute_at:
        for c, chain in enumerate(chains):
            if at not in chain.kept:
                continue  # stopped before
            full, upper = completed(spec, prepared, chain.kept[at].columns, c, at)
            about = f"Completed data, chain {c}, iteration {at}"
            job.dataset(full.name, full, title=about, listed=True)
            if upper is not None:
                job.dataset(upper.name, upper, title=about + ", level 2", listed=True)
    if spec.residuals and prepared.labels:
        job.dataset("residuals", effects(spec, prepared, chains), title="Group effects of both models", listed=True)
    if spec.mcmc.makepred:
        found = [chain.kept[at] for chain in chains for at in shots if at in chain.kept]
        made = with_predictions(spec, prepared, data, found)
        job.dataset("prediction", made, title="The data with predictions", listed=True)


def warm() -> None:
    """Compile the kernels by a few sweeps on made-up data; every model uses the same ones."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 5)
    ones = np.ones(60)
    x = rng.standard_normal(60)
    x[:6] = np.nan
    seen = joint.Response("x", "Normal", x, 1, (ones[:, None],), (("cons",),))
    factor = onepass.Factor("x")
    terms = (onepass.Product("cons", ones), onepass.Product("x", ones, (factor,)))
    interest = onepass.Interest(rng.standard_normal(60), terms, (0, 1), (0,), groups)
    model = onepass.OnePass(interest, joint.JointModel((seen,), (joint.Classification(groups),)))
    onepass.run_chain(model, rng, np.zeros(2, np.int64), burnin=2, iterations=2)
