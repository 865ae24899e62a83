"""The run of a regression template: likelihood fit, chains, summaries, outputs. Alike for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from templates_engine import inputs
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Cell, Draws, Result, Table
from templates_engine.problems import Problem
from templates_engine.sampling import (
    criteria,
    diagnostics,
    glm_data,
    glm_families,
    glm_fit,
    glm_laplace,
    glm_negative_binomial,
    glm_sampler,
    lengths,
    mixed_ml,
    mixed_normal,
    mixed_priors,
    mixed_rows,
    nlevel_normal,
)
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.mixed_data import Rows, prepare
from templates_engine.sampling.mixed_equation import algorithm_latex, model_latex
from templates_engine.sampling.mixed_fits import Plug, fitted, parameter_names, variance_names
from templates_engine.sampling.mixed_names import GAMMA, WISHART
from templates_engine.sampling.mixed_normal import Chain
from templates_engine.sampling.mixed_questions import NEGATIVE_BINOMIAL, NORMAL, Model, said
from templates_engine.sampling.mixed_stats import Floats, statistics
from templates_engine.sampling.nlevel_stats import Factor
from templates_engine.sampling.rng import streams
from templates_engine.sampling.saving import Live, Saved
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.job import Job

FIT, SUMMARISE = "Likelihood fit", "Summarise"
FOR_PREDICTIONS = 2000  # draws whose group effects are kept for them, over all chains


def run(template: Template, model: Model, data: Dataset, job: Job) -> Result:
    """Everything a regression gives: tables first, pictures when the tables can be read."""
    options = model.mcmc
    title = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((FIT, 0.5), (title, 4.0), (SUMMARISE, 0.5))
    rows = prepare(model, data)
    _describe(template, model, data, job)

    job.step(FIT)
    task, deviance, mle = fitted(model, rows)
    job.table("MLE", mle)

    job.step(title)
    *chain_streams, spare = streams(options.seed, options.nchains + 1)
    room = _room(model, rows, job)

    def chain(k: int, iterations: int, resume: Saved | None, live: Live, progress: Progress) -> Chain:
        return task(chain_streams[k], progress, iterations, room, resume, live)

    names = parameter_names(model, rows)
    shown = next(iter(variance_names(model, rows)), ("beta_0", ""))[0]
    chains, reached = lengths.sample(job, options, names, shown, chain)
    model = replace(model, mcmc=lengths.settled(options, reached, len(chains)))

    job.step(SUMMARISE)
    kept = min(len(chain.deviance) for chain in chains)  # a stopped run may have chains of different lengths
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=_info(model, rows))
    draws = _draws(model, rows, chains, kept)
    results = diagnostics.summary(draws, title=f"{model.y}: {template.title}", notes=_notes(model, rows))
    sample = mixed_rows.sample_of(model, chains)
    fit = _model_fit(model, rows, chains, kept, deviance, _criteria(model, rows, sample, results))
    tables = {"ModelResults": results, "ModelParameters": _parameters(model, draws, chains, kept), "ModelFit": fit}
    for name, table in tables.items():
        job.table(name, table)
    words = tuple(diagnostics.verdicts(draws, results))
    job.table("Verdicts", Table(("word", "sentence"), words, "What to think of these results"))
    job.draws(options.outdata, draws, title="Parameter chains")
    if model.group is not None:
        job.dataset("residuals", _residuals(model, rows, chains), title=f"Group effects of {model.group}", listed=True)
    if options.makepred and sample.size < criteria.FEWEST:
        text = f"Too few draws for predictions: {sample.size} were kept, and {criteria.FEWEST} are needed."
        job.note(Problem("no-predictions", text))
    elif options.makepred:
        made = mixed_rows.predictions(model, data, rows, sample, spare)
        job.dataset("prediction", made, title="The data with predictions", listed=True)
    job.diagnostics("", draws)
    return Result(draws, {**tables, "MLE": mle}, _info(model, rows))


def _describe(template: Template, model: Model, data: Dataset, job: Job) -> None:
    """Equation, algorithm, inputs and command: what would run, before it runs."""
    schema = data.schema()
    job.text("equation.tex", model_latex(model, schema), title="Equation")
    job.text("algorithm.tex", algorithm_latex(model, schema), title="One iteration of the sampler")
    walked = said(template, model, schema)
    job.text("Inputs", inputs.write(walked.answers) + "\n", title="Input string")
    command = inputs.command(template.name, data.name, walked)
    job.text("script.py", f"from statgrove import RunStatJR\n\n{command}\n", title="The same run from Python")


def _room(model: Model, rows: Rows, job: Job) -> int:
    """Draws of each chain whose group effects are kept; none in a child's run, whose rows nobody looks at again."""
    if job.called and not model.mcmc.makepred:
        return 0
    wanted = FOR_PREDICTIONS if model.mcmc.makepred else criteria.MOST
    return max(2, mixed_rows.affordable(wanted, rows.J, len(rows.z_names)) // model.mcmc.nchains)


def _criteria(model: Model, rows: Rows, sample: mixed_rows.Sample, results: Table) -> criteria.Criteria | None:
    """WAIC and PSIS-LOO from at most 500 draws, fewer where the rows are very many."""
    if sample.size < criteria.FEWEST:
        return None
    few = sample.thinned(criteria.most_draws(rows.n))
    share = criteria.effective_share(results.column("ess_bulk"), few.size)
    return criteria.criteria(mixed_rows.log_likelihoods(model, rows, few), share)


def _draws(model: Model, rows: Rows, chains: Sequence[Chain], kept: int) -> Draws:
    parts = []
    for chain in chains:
        columns = [chain.beta[:kept], chain.omega[:kept] if model.group is not None else chain.omega[:kept, :0]]
        if model.family == NORMAL:
            columns.append(chain.sigma2[:kept, None])
        elif model.family == NEGATIVE_BINOMIAL:
            columns.append(chain.dispersion[:kept, None])
        parts.append(np.concatenate(columns, axis=1))
    tail = variance_names(model, rows)
    options = model.mcmc
    first = options.burnin + options.thinning
    return Draws(
        tuple(parameter_names(model, rows)),
        (*rows.names, *(v for _, v in tail)),
        np.stack(parts),
        first,
        options.thinning,
    )


def _parameters(model: Model, draws: Draws, chains: Sequence[Chain], kept: int) -> Table:
    """The parameters, and quantities made of them: the deviance, the share of variance between the groups."""
    names, values = ["deviance"], [np.stack([chain.deviance[:kept] for chain in chains])]
    if model.family == NORMAL and model.group is not None and not model.x2:
        between = draws["sigma2_u"]
        names.append("vpc")
        values.append(between / (between + draws["sigma2"]))
    joined = np.concatenate([draws.values, np.stack(values, axis=2)], axis=2)
    more = Draws((*draws.parameters, *names), (*draws.variables, *("" for _ in names)), joined, draws.first, draws.thin)
    notes: tuple[str, ...] = ("deviance: -2 log likelihood given the group effects.",)
    if "vpc" in names:
        notes += ("vpc: variance partition coefficient, sigma2_u / (sigma2_u + sigma2).",)
    return diagnostics.summary(more, title="Parameters and what is made of them", notes=notes)


def _model_fit(
    model: Model, rows: Rows, chains: Sequence[Chain], kept: int, deviance: Plug, found: criteria.Criteria | None
) -> Table:
    """DIC = D̄ + p_D, p_D = D̄ - D(mean of β, u, σ² or α) (Spiegelhalter, Best, Carlin and van der Linde 2002)."""
    mean = float(np.mean([chain.deviance[:kept] for chain in chains]))
    beta = np.mean([chain.beta[:kept].mean(axis=0) for chain in chains], axis=0)
    weights = [len(chain.deviance) for chain in chains]
    effects = np.average([chain.effect_mean for chain in chains], axis=0, weights=weights)
    own = [chain.dispersion if model.family == NEGATIVE_BINOMIAL else chain.sigma2 for chain in chains]
    plug = deviance(beta, effects, float(np.mean([values[:kept].mean() for values in own])))
    records: list[tuple[Cell, ...]] = [
        ("DIC", 2 * mean - plug),
        ("pD", mean - plug),
        ("deviance", mean),
        ("deviance at the means", plug),
    ]
    notes = ["deviance: posterior mean of -2 log likelihood given the group effects, all constants kept."]
    if found is not None:
        records += found.records
        given = "given the group effects (a row is left out, its group is not); " if model.group is not None else ""
        notes += found.notes(given)
    records.append(("n", rows.n))
    if model.group is not None:
        records.append(("groups", rows.J))
    records.append(("rows left out", rows.dropped))
    return Table(("measure", "value"), tuple(records), "Fit of the model", tuple(notes))


def _residuals(model: Model, rows: Rows, chains: Sequence[Chain]) -> Dataset:
    """Posterior mean and sd of each group's effects: u0, u0_sd, u1, u1_sd, ..."""
    weights = [max(len(chain.deviance), 1) for chain in chains]
    means = np.stack([chain.effect_mean for chain in chains])
    mean = np.average(means, axis=0, weights=weights)
    within = np.average([chain.effect_sd**2 for chain in chains], axis=0, weights=weights)
    sd = np.sqrt(within + np.average((means - mean) ** 2, axis=0, weights=weights))
    columns: dict[str, Floats] = {str(model.group): rows.group_values}
    titles: dict[str, str] = {}
    taken = {f"u{k}{end}" for k in range(len(rows.z_names)) for end in ("", "_sd")}
    stem = "effect" if str(model.group) in taken else "u"
    for k, name in enumerate(rows.z_names):
        columns[f"{stem}{k}"], columns[f"{stem}{k}_sd"] = mean[:, k], sd[:, k]
        of = f"Group effect of {name}" if name else "Group effect"
        titles |= {f"{stem}{k}": f"{of}, posterior mean", f"{stem}{k}_sd": f"{of}, posterior sd"}
    return Dataset("residuals", columns, titles=titles)


def _notes(model: Model, rows: Rows) -> tuple[str, ...]:
    """N and the prior, under the table."""
    size = f"N = {rows.n:,}" + (f" in {rows.J:,} groups of {model.group}" if model.group else "")
    left = f"; {rows.dropped:,} rows with missing values left out" if rows.dropped else ""
    options = model.mcmc
    length = f"{options.nchains} chain{'s' if options.nchains > 1 else ''} of {options.iterations:,} iterations"
    whose = "the variances"
    if model.family == NEGATIVE_BINOMIAL:
        whose = "the variance between groups and alpha" if model.group else "alpha"
    prior = f"prior of {whose}: {model.prior}"
    if model.prior == WISHART:
        centre = "REML estimate" if model.family == NORMAL else "estimate by the Laplace approximation"
        q = len(rows.z_names)
        prior = f"prior of the covariance matrix: inverse Wishart, {q} df, scale {q} × {centre}"
        if model.family == NEGATIVE_BINOMIAL:
            prior += f"; of alpha: {GAMMA} on 1 / alpha"
    notes: tuple[str, ...] = (f"{size}{left}.", f"{length} after {options.burnin:,}; seed {options.seed}.")
    if model.family in (NORMAL, NEGATIVE_BINOMIAL) or model.group:
        notes += (f"Flat prior of the coefficients; {prior}.",)
    if model.family == NEGATIVE_BINOMIAL:
        notes += ("alpha: the variance of a count with mean μ is μ + alpha μ².",)
    return notes


def _info(model: Model, rows: Rows) -> dict[str, float]:
    """n, groups, and complete-data degrees of freedom by the between-within rule.

    A predictor that is constant within every group (the intercept among them) has J - p_between, the others
    n - J - p_within; with one level all have n - p.
    """
    p = rows.x.shape[1]
    info: dict[str, float] = {"n": rows.n, "dropped": rows.dropped}
    if rows.codes is None:
        return info | {f"df:beta_{k}": float(max(rows.n - p, 1)) for k in range(p)}
    order = np.argsort(rows.codes, kind="stable")
    firsts = np.searchsorted(rows.codes[order], np.arange(rows.J))
    first = rows.x[order][firsts]
    between = np.all(rows.x == first[rows.codes], axis=0)
    info["groups"] = rows.J
    upper = max(rows.J - int(between.sum()), 1)
    lower = max(rows.n - rows.J - int((~between).sum()), 1)
    return info | {f"df:beta_{k}": float(upper if between[k] else lower) for k in range(p)}


def warm(groups: bool = True) -> None:
    """Compile the kernels by fits of a few rows."""
    rng = streams(0, 1)[0]
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    y = x[:, 1] + rng.standard_normal(12)
    codes = np.repeat(np.arange(3), 4)
    stats = statistics(y, x, codes, x[:, :1]) if groups else statistics(y, x)
    mixed_ml.fit(stats)
    mixed_normal.run_chain(
        stats, mixed_priors.named(GAMMA, 1), rng, np.zeros(2, dtype=np.int64), burnin=1, iterations=2
    )
    criteria.pointwise(np.zeros((1, criteria.FEWEST)))
    counts = np.arange(12.0)
    data = glm_data.grouped("log", counts, x, codes=codes if groups else None, z=x[:, :1])
    glm_fit.fit(data)
    factors = [Factor(codes, x[:, :1])] if groups else []
    glm_laplace.fit("log", counts, x, factors, negative_binomial=True)
    arrays = glm_sampler.prepare("log", counts, x, [Factor(codes, x[:, :1])])
    prior = mixed_priors.named(GAMMA, 1)
    priors = nlevel_normal.Priors(prior.sigma2, (prior.omega,))
    glm_sampler.run_chain(arrays, priors, rng, np.zeros(2, dtype=np.int64), burnin=1, iterations=2)
    glm_families.pointwise(data.link, data.y, data.trials, np.zeros((12, 1)))
    glm_negative_binomial.pointwise(counts, np.ones(1), np.zeros((12, 1)))
    diagnostics.warm()
