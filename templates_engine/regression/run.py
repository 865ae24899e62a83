"""The run of a regression template: likelihood fit, chains, summaries, outputs. Alike for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from templates_engine.asking import McmcOptions, Term
from templates_engine.data import Dataset
from templates_engine.outputs import Result, Table
from templates_engine.problems import Problem
from templates_engine.regression import predictions as mixed_rows, prior_rules, tables as mixed_tables
from templates_engine.regression.data import Rows, prepare
from templates_engine.regression.equation import algorithm_latex
from templates_engine.regression.fits import fitted
from templates_engine.regression.questions import NEGATIVE_BINOMIAL, NORMAL, POISSON, Model
from templates_engine.regression.questions_classes import RESIDUALS, NModel
from templates_engine.running import lengths, summaries
from templates_engine.sampling import Live, Progress, Saved, criteria, diagnostics, streams
from templates_engine.sampling.normal import Chain
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.running import Job

FIT, SUMMARISE = "Likelihood fit", "Summarise"
FOR_PREDICTIONS = 2000  # draws whose effects are kept for them, over all chains


def run(template: Template, model: Model, data: Dataset, job: Job) -> Result:
    """Everything a regression gives: tables first, pictures when the tables can be read."""
    options = model.mcmc
    title = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((FIT, 0.5), (title, 4.0), (SUMMARISE, 0.5))
    rows = prepare(model, data)
    job.text("algorithm.tex", algorithm_latex(model, data.schema()), title="One iteration of the sampler")

    job.step(FIT)
    task, deviance, mle = fitted(model, rows)
    if mle is not None:
        job.table("MLE", mle)

    job.step(title)
    *chain_streams, spare = streams(options.seed, options.nchains + 1)
    room = _room(model, rows, job)

    def chain(k: int, iterations: int, resume: Saved | None, live: Live, progress: Progress) -> Chain:
        return task(chain_streams[k], progress, iterations, room, resume, live)

    names = mixed_tables.parameter_names(model, rows)
    shown = next(iter(mixed_tables.variance_names(model, rows)), ("beta_0", ""))[0]
    chains, reached = lengths.sample(job, options, names, shown, chain)
    model = replace(model, mcmc=lengths.settled(options, reached, len(chains)))

    job.step(SUMMARISE)
    kept = min(len(chain.deviance) for chain in chains)  # a stopped run may have chains of different lengths
    info = mixed_tables.info_of(model, rows)
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=info)
    draws = mixed_tables.draws_of(model, rows, chains, kept)
    notes = mixed_tables.result_notes(model, rows, mle is not None)
    results = summaries.summary(draws, title=f"{model.y}: {template.title}", notes=notes)
    sample = mixed_rows.sample_of(model, chains)
    found = _criteria(model, rows, sample, results)
    tables = {
        "ModelResults": results,
        "ModelParameters": mixed_tables.more_parameters(model, draws, chains, kept),
        "ModelFit": mixed_tables.fit_table(model, rows, chains, kept, deviance, found),
    }
    for name, table in tables.items():
        job.table(name, table)
    words = tuple(summaries.verdicts(draws, results))
    if mle is not None:
        words += tuple(prior_rules.ruled(model, rows, mle, results))
    job.table("Verdicts", Table(("word", "sentence"), words, "What to think of these results"))
    job.draws(options.outdata, draws, title="Parameter chains")
    for c, each in enumerate(model.classifications):
        name, whose = "residuals", "Group effects"
        if each.end:
            name, whose = f"{RESIDUALS}{each.end}", "Effects of the units"
        effects = mixed_tables.residuals(model, rows, chains, c, name)
        job.dataset(name, effects, title=f"{whose} of {each.name}", listed=True)
    if options.makepred and sample.size < criteria.FEWEST:
        text = f"Too few draws for predictions: {sample.size} were kept, and {criteria.FEWEST} are needed."
        job.note(Problem("no-predictions", text))
    elif options.makepred:
        made = mixed_rows.predictions(model, data, rows, sample, spare)
        job.dataset("prediction", made, title="The data with predictions", listed=True)
    job.diagnostics("", draws)
    return Result(draws, {**tables, **({"MLE": mle} if mle else {})}, info)


def _room(model: Model, rows: Rows, job: Job) -> int:
    """Draws of each chain whose effects are kept; none in a child's run, whose rows nobody looks at again."""
    if job.called and not model.mcmc.makepred:
        return 0
    wanted = FOR_PREDICTIONS if model.mcmc.makepred else criteria.MOST
    return max(2, mixed_rows.affordable(wanted, sum(f.size for f in rows.factors)) // model.mcmc.nchains)


def _criteria(model: Model, rows: Rows, sample: mixed_rows.Sample, results: Table) -> criteria.Criteria | None:
    """WAIC and PSIS-LOO from at most 500 draws, fewer where the rows are very many."""
    if sample.size < criteria.FEWEST:
        return None
    few = sample.thinned(criteria.most_draws(rows.n))
    share = criteria.effective_share(results.column("ess_bulk"), few.size)
    return criteria.criteria(mixed_rows.log_likelihoods(model, rows, few), share)


def warm(classes: int) -> None:
    """Compile the kernels by fits of a few rows; with 2 classifications those of NLevelMod and NLevelRS."""
    n = 24
    rng = streams(0, 1)[0]
    data = Dataset(
        "warm",
        {
            "y": rng.standard_normal(n),
            "count": np.arange(n) % 5.0,
            "cons": np.ones(n),
            "a": np.arange(n) % 4.0,
            "b": np.arange(n) // 8 * 1.0,
        },
    )
    options = McmcOptions(1, 1, 1, 2, 1, "out")
    for family, link in ((NORMAL, "identity"), (POISSON, "log"), (NEGATIVE_BINOMIAL, "log")):
        y, x = "y" if family == NORMAL else "count", (Term("cons"),)
        model = Model(y, x, options, "a" if classes else None, family=family, link=link)
        if classes > 1:
            model = NModel(y, x, options, family=family, link=link, classes=("a", "b"))
        rows = prepare(model, data)
        chain = fitted(model, rows)[0](rng, Progress(3), 2, 2, None, Live())
        for values in mixed_rows.log_likelihoods(model, rows, mixed_rows.sample_of(model, [chain])):
            criteria.pointwise(np.repeat(values, criteria.FEWEST, axis=1))
    diagnostics.warm()
