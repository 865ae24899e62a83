"""The run of NLevelMod and NLevelRS: likelihood fit where it is cheap, chains, summaries, outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from templates_engine import inputs
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Result, Table
from templates_engine.problems import Problem
from templates_engine.sampling import (
    criteria,
    diagnostics,
    glm_data,
    glm_families,
    glm_fit,
    glm_laplace,
    glm_sampler,
    lengths,
    mixed_ml,
    mixed_priors,
    nlevel_ml,
    nlevel_normal,
    nlevel_rows,
    nlevel_tables,
)
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.mixed_fits import FLOOR, raised, scattered
from templates_engine.sampling.mixed_names import GAMMA
from templates_engine.sampling.mixed_questions import NEGATIVE_BINOMIAL, NORMAL, said
from templates_engine.sampling.mixed_rows import affordable
from templates_engine.sampling.mixed_run import FIT, FOR_PREDICTIONS, SUMMARISE
from templates_engine.sampling.mixed_stats import Floats
from templates_engine.sampling.mixed_stats import statistics as two_level_statistics
from templates_engine.sampling.nlevel_data import NRows, prepare_classes
from templates_engine.sampling.nlevel_equation import algorithm_latex, model_latex
from templates_engine.sampling.nlevel_normal import Chain, Priors
from templates_engine.sampling.nlevel_questions import RESIDUALS, NModel
from templates_engine.sampling.nlevel_stats import Factor, statistics
from templates_engine.sampling.nlevel_tables import Deviance
from templates_engine.sampling.rng import streams
from templates_engine.sampling.saving import Live, Saved
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.job import Job

# (random stream, progress, iterations in all, room for effects, where to go on from, who looks on)
Task = Callable[[np.random.Generator, Progress, int, int, Saved | None, Live], Chain]


def run(template: Template, model: NModel, data: Dataset, job: Job) -> Result:
    """Everything that these templates give: tables first, pictures when the tables can be read."""
    options = model.mcmc
    title = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((FIT, 0.5), (title, 4.0), (SUMMARISE, 0.5))
    rows = prepare_classes(model, data)
    _describe(template, model, data, job)

    job.step(FIT)
    task, deviance, mle = _normal(model, rows) if model.family == NORMAL else _general(model, rows)
    if mle is not None:
        job.table("MLE", mle)

    job.step(title)
    *chain_streams, spare = streams(options.seed, options.nchains + 1)
    room = _room(model, rows, job)

    def chain(k: int, iterations: int, resume: Saved | None, live: Live, progress: Progress) -> Chain:
        return task(chain_streams[k], progress, iterations, room, resume, live)

    names, (shown, _) = nlevel_tables.parameter_names(model, rows), nlevel_tables.variance_names(model, rows)[0]
    chains, reached = lengths.sample(job, options, names, shown, chain)
    model = replace(model, mcmc=lengths.settled(options, reached, len(chains)))

    job.step(SUMMARISE)
    kept = min(len(chain.deviance) for chain in chains)  # a stopped run may have chains of different lengths
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=nlevel_tables.info_of(rows))
    draws = nlevel_tables.draws_of(model, rows, chains, kept)
    notes = nlevel_tables.result_notes(model, rows, mle)
    results = diagnostics.summary(draws, title=f"{model.y}: {template.title}", notes=notes)
    sample = nlevel_rows.sample_of(model, chains)
    found = _criteria(model, rows, sample, results)
    tables = {
        "ModelResults": results,
        "ModelParameters": nlevel_tables.more_parameters(model, rows, draws, chains, kept),
        "ModelFit": nlevel_tables.fit_table(model, rows, chains, kept, deviance, found),
    }
    for name, table in tables.items():
        job.table(name, table)
    words = tuple(diagnostics.verdicts(draws, results))
    job.table("Verdicts", Table(("word", "sentence"), words, "What to think of these results"))
    job.draws(options.outdata, draws, title="Parameter chains")
    for k, name in enumerate(model.classes):
        effects = nlevel_tables.residuals(model, rows, chains, k)
        job.dataset(f"{RESIDUALS}{k + 1}", effects, title=f"Effects of the units of {name}", listed=True)
    if options.makepred and sample.size < criteria.FEWEST:
        text = f"Too few draws for predictions: {sample.size} were kept, and {criteria.FEWEST} are needed."
        job.note(Problem("no-predictions", text))
    elif options.makepred:
        made = nlevel_rows.predictions(model, data, rows, sample, spare)
        job.dataset("prediction", made, title="The data with predictions", listed=True)
    job.diagnostics("", draws)
    return Result(draws, {**tables, **({"MLE": mle} if mle else {})}, nlevel_tables.info_of(rows))


def _describe(template: Template, model: NModel, data: Dataset, job: Job) -> None:
    """Equation, algorithm, inputs and command: what would run, before it runs."""
    schema = data.schema()
    job.text("equation.tex", model_latex(model, schema), title="Equation")
    job.text("algorithm.tex", algorithm_latex(model), title="One iteration of the sampler")
    walked = said(template, model, schema)
    job.text("Inputs", inputs.write(walked.answers) + "\n", title="Input string")
    command = inputs.command(template.name, data.name, walked)
    job.text("script.py", f"from statgrove import RunStatJR\n\n{command}\n", title="The same run from Python")


def _room(model: NModel, rows: NRows, job: Job) -> int:
    """Draws of each chain whose effects are kept; none in a child's run, whose rows nobody looks at again."""
    if job.called and not model.mcmc.makepred:
        return 0
    wanted = FOR_PREDICTIONS if model.mcmc.makepred else criteria.MOST
    return max(2, affordable(wanted, sum(f.size for f in rows.factors), 1) // model.mcmc.nchains)


def _criteria(model: NModel, rows: NRows, sample: nlevel_rows.Sample, results: Table) -> criteria.Criteria | None:
    """WAIC and PSIS-LOO from at most 500 draws, fewer where the rows are very many."""
    if sample.size < criteria.FEWEST:
        return None
    few = sample.thinned(criteria.most_draws(rows.rows.n))
    share = criteria.effective_share(results.column("ess_bulk"), few.size)
    return criteria.criteria(nlevel_rows.log_likelihoods(model, rows, few), share)


def named_priors(choice: str, factors: Sequence[Factor], guesses: Sequence[Floats]) -> Priors:
    """The priors behind an answer, as in the two-level models, one Ω a classification."""
    each = [mixed_priors.named(choice, factor.q, guess) for factor, guess in zip(factors, guesses, strict=True)]
    return Priors(each[0].sigma2, tuple(prior.omega for prior in each))


def _normal(model: NModel, rows: NRows) -> tuple[Task, Deviance, Table | None]:
    """The sampler on sufficient statistics, started around the REML estimate."""
    y, x, factors = rows.rows.y, rows.rows.x, rows.factors
    stats = statistics(y, x, factors)
    mle = None
    if nlevel_ml.affordable(x.shape[1], factors):
        fit = nlevel_ml.fit(y, x, factors)
        sigma2 = fit.sigma2
        guesses = [raised(w, f.z, 0.01 * sigma2) for w, f in zip(fit.omega, factors, strict=True)]
        mle = _reml(model, rows, fit)
    else:
        # One classification at a time: enough to start from and to centre a prior on.
        fits = [mixed_ml.fit(two_level_statistics(y, x, f.codes, f.z)) for f in factors]
        sigma2 = min(fit.sigma2 for fit in fits)
        guesses = [raised(fit.omega, f.z, 0.01 * fit.sigma2) for fit, f in zip(fits, factors, strict=True)]
    priors = named_priors(model.prior, factors, guesses)
    options = model.mcmc
    first, omegas, width = sigma2, guesses, 0.5
    if options.starts is not None:
        first, omegas, width = dict(options.starts.variances)["sigma2"], _started(model, factors), 0.1

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        start = [scattered(rng, first, omega, width) for omega in omegas]
        return nlevel_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations, thin=options.thinning,
            sigma2=start[0][0], omega=tuple(omega for _, omega in start), room=room, resume=resume, live=live,
        )  # fmt: skip

    def deviance(beta: Floats, effects: tuple[Floats, ...], variance: float) -> float:
        left = y - x @ beta
        for factor, u in zip(factors, effects, strict=True):
            left = left - np.sum(factor.z * u[factor.codes], axis=1)
        return float(len(y) * math.log(2 * math.pi * variance) + left @ left / variance)

    return task, deviance, mle


def _general(model: NModel, rows: NRows) -> tuple[Task, Deviance, Table | None]:
    """The sampler for binomial and count responses, started around the maximum likelihood estimate."""
    r, factors = rows.rows, rows.factors
    negative = model.family == NEGATIVE_BINOMIAL
    arrays = glm_sampler.prepare(
        model.link, r.y, r.x, factors, trials=r.trials, offset=r.offset, negative_binomial=negative
    )

    def likely(some: Sequence[Factor]) -> glm_laplace.LaplaceFit:
        return glm_laplace.fit(model.link, r.y, r.x, some, trials=r.trials, offset=r.offset, negative_binomial=negative)

    if glm_laplace.affordable(r.x.shape[1], factors):
        fit = likely(factors)
        beta, modes, omega, mle = fit.beta, list(fit.modes), fit.omega, _laplace(model, rows, fit)
    else:
        # One classification at a time, as with a Normal response.
        fits = [likely([factor]) for factor in factors]
        fit = max(fits, key=lambda fit: float(np.trace(fit.omega[0])))
        beta, modes, mle = fit.beta, [np.zeros((f.groups, f.q)) for f in factors], None
        omega = tuple(fit.omega[0] for fit in fits)
    guesses = [raised(w, f.z, FLOOR) for w, f in zip(omega, factors, strict=True)]
    priors = named_priors(model.prior, factors, guesses)
    one = glm_fit.fixed_only(glm_data.grouped(model.link, r.y, r.x, trials=r.trials, offset=r.offset))
    wider = max(1.0, float(np.median(fit.beta_se / np.maximum(one.beta_se, 1e-300))))
    options = model.mcmc
    spread = wider * np.linalg.cholesky(one.gamma_covariance + 1e-12 * np.eye(r.x.shape[1]))
    triangle, omegas, width, metric = arrays.coordinates.triangle, guesses, 0.5, None
    alpha = max(fit.alpha, 0.05) if negative else 1.0
    if options.starts is not None:
        metric = arrays.eta(triangle @ beta, modes)
        given = options.starts.beta
        beta = np.concatenate([given, beta[len(given) :]])
        omegas, width = _started(model, factors), 0.1
        alpha = dict(options.starts.variances).get("alpha", alpha)

    def task(
        rng: np.random.Generator, progress: Progress, iterations: int, room: int, resume: Saved | None, live: Live
    ) -> Chain:
        start = [scattered(rng, alpha, omega, width) for omega in omegas]
        gamma = triangle @ beta + (2.0 * width) * (spread @ rng.standard_normal(len(beta)))
        return glm_sampler.run_chain(
            arrays, priors, rng, progress.cells, burnin=options.burnin, iterations=iterations, thin=options.thinning,
            gamma=gamma, effects=modes, omega=[omega for _, omega in start], alpha=start[0][0], metric=metric,
            room=room, resume=resume, live=live,
        )  # fmt: skip

    def deviance(beta: Floats, effects: tuple[Floats, ...], alpha: float) -> float:
        return glm_sampler.deviance_at(arrays, beta, effects, alpha)

    return task, deviance, mle


def _started(model: NModel, factors: Sequence[Factor]) -> list[Floats]:
    """Ω's of the user's starting values: the same variance for each random coefficient, no covariances."""
    given = dict(model.mcmc.starts.variances) if model.mcmc.starts is not None else {}
    stem = "omega_u" if model.slopes else "sigma2_u"
    return [np.eye(f.q) * given[f"{stem}{c}"] for c, f in enumerate(factors, start=1)]


def _reml(model: NModel, rows: NRows, fit: nlevel_ml.Fit) -> Table:
    tail = [*nlevel_tables.packed_tail(fit.omega, fit.omega_se), (fit.sigma2, fit.sigma2_se)]
    notes = [f"REML criterion {fit.deviance:.6f}."]
    if any(fit.singular):
        where = ", ".join(name for name, at in zip(model.classes, fit.singular, strict=True) if at)
        notes.append(
            f"The likelihood is highest on the boundary, with a variance of zero ({where}): no standard errors."
        )
    return nlevel_tables.estimates(model, rows, fit.beta, fit.beta_se, tail, "REML estimates, as a check", notes)


def _laplace(model: NModel, rows: NRows, fit: glm_laplace.LaplaceFit) -> Table:
    tail = nlevel_tables.packed_tail(fit.omega, fit.omega_se)
    if model.family == NEGATIVE_BINOMIAL:
        tail.append((fit.alpha, fit.alpha_se))
    notes = [f"-2 log likelihood {fit.deviance:.6f} (Laplace approximation)."]
    if fit.singular:
        notes.append("The likelihood is highest on the boundary, with a variance of zero: no standard errors there.")
    title = "Maximum likelihood estimates, as a check"
    return nlevel_tables.estimates(model, rows, fit.beta, fit.beta_se, tail, title, notes)


def warm() -> None:
    """Compile the kernels by fits of a few rows."""
    rng = streams(0, 1)[0]
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    y = x[:, 1] + rng.standard_normal(12)
    factors = [Factor(np.repeat(np.arange(3), 4), x[:, :1]), Factor(np.tile(np.arange(3), 4), x[:, :1])]
    priors = named_priors(GAMMA, factors, [np.eye(1)] * 2)
    cells = np.zeros(2, dtype=np.int64)
    nlevel_normal.run_chain(statistics(y, x, factors), priors, rng, cells, burnin=1, iterations=2)
    counts = glm_sampler.prepare("log", np.arange(12.0), x, factors)
    glm_sampler.run_chain(counts, priors, rng, cells, burnin=1, iterations=2)
    nlevel_ml.fit(y, x, factors)
    glm_laplace.fit("log", np.arange(12.0), x, factors)
    glm_families.pointwise(glm_families.LOG, np.arange(12.0), np.ones(12), np.zeros((12, 1)))
    criteria.pointwise(np.zeros((1, criteria.FEWEST)))
    diagnostics.warm()
