"""The run of NLevelMod and NLevelRS: likelihood fit where it is cheap, chains, summaries, outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from templates_engine import inputs
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Cell, Draws, Result, Table
from templates_engine.problems import Problem
from templates_engine.sampling import (
    diagnostics,
    glm_data,
    glm_fit,
    mixed_ml,
    mixed_priors,
    nlevel_glm,
    nlevel_ml,
    nlevel_normal,
)
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.mixed_names import GAMMA, WISHART
from templates_engine.sampling.mixed_normal import packed
from templates_engine.sampling.mixed_questions import NORMAL, said
from templates_engine.sampling.mixed_run import scattered
from templates_engine.sampling.mixed_stats import Floats
from templates_engine.sampling.mixed_stats import statistics as two_level_statistics
from templates_engine.sampling.nlevel_data import NRows, prepare_classes
from templates_engine.sampling.nlevel_equation import algorithm_latex, model_latex
from templates_engine.sampling.nlevel_normal import Chain, Priors
from templates_engine.sampling.nlevel_questions import NEGATIVE_BINOMIAL, RESIDUALS, NModel
from templates_engine.sampling.nlevel_stats import Factor, statistics
from templates_engine.sampling.rng import streams
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.job import Job

FIT, SUMMARISE = "Likelihood fit", "Summarise"
CENTRE = 0.25  # variance on the linear predictor that starts, and centres a prior, where there is no estimate
Task = Callable[[np.random.Generator, Progress], Chain]
Deviance = Callable[[Floats, tuple[Floats, ...], float], float]  # at (beta, effects, sigma2 or alpha)


def run(template: Template, model: NModel, data: Dataset, job: Job) -> Result:
    """Everything that these templates give: tables first, pictures when the tables can be read."""
    options = model.mcmc
    sample = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((FIT, 0.5), (sample, 4.0), (SUMMARISE, 0.5))
    rows = prepare_classes(model, data)
    _describe(template, model, data, job)

    job.step(FIT)
    task, deviance, mle = _normal(model, rows) if model.family == NORMAL else _general(model, rows)
    if mle is not None:
        job.table("MLE", mle)

    job.step(sample)
    tasks = [lambda progress, rng=rng: task(rng, progress) for rng in streams(options.seed, options.nchains)]
    chains: list[Chain] = job.chains(tasks, options.burnin + options.iterations)

    job.step(SUMMARISE)
    kept = min(len(chain.deviance) for chain in chains)  # a stopped run may have chains of different lengths
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=_info(rows))
    draws = _draws(model, rows, chains, kept)
    results = diagnostics.summary(draws, title=f"{model.y}: {template.title}", notes=_notes(model, rows, mle))
    tables = {
        "ModelResults": results,
        "ModelParameters": _parameters(model, rows, draws, chains, kept),
        "ModelFit": _model_fit(model, rows, chains, kept, deviance),
    }
    for name, table in tables.items():
        job.table(name, table)
    words = tuple(diagnostics.verdicts(draws, results))
    job.table("Verdicts", Table(("word", "sentence"), words, "What to think of these results"))
    job.draws(options.outdata, draws, title="Parameter chains")
    for k, name in enumerate(model.classes):
        effects = _residuals(model, rows, chains, k)
        job.dataset(f"{RESIDUALS}{k + 1}", effects, title=f"Effects of the units of {name}", listed=True)
    job.diagnostics("", draws)
    return Result(draws, {**tables, **({"MLE": mle} if mle else {})}, _info(rows))


def _describe(template: Template, model: NModel, data: Dataset, job: Job) -> None:
    """Equation, algorithm, inputs and command: what would run, before it runs."""
    schema = data.schema()
    job.text("equation.tex", model_latex(model, schema), title="Equation")
    job.text("algorithm.tex", algorithm_latex(model), title="One iteration of the sampler")
    walked = said(template, model, schema)
    job.text("Inputs", inputs.write(walked.answers) + "\n", title="Input string")
    command = inputs.command(template.name, data.name, walked)
    job.text("script.py", f"from statgrove import RunStatJR\n\n{command}\n", title="The same run from Python")


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
        guesses = [_raised(w, sigma2, f) for w, f in zip(fit.omega, factors, strict=True)]
        mle = _mle(model, rows, fit)
    else:
        # One classification at a time: enough to start from and to centre a prior on.
        fits = [mixed_ml.fit(two_level_statistics(y, x, f.codes, f.z)) for f in factors]
        sigma2 = min(fit.sigma2 for fit in fits)
        guesses = [_raised(fit.omega, fit.sigma2, f) for fit, f in zip(fits, factors, strict=True)]
    priors = named_priors(model.prior, factors, guesses)
    options = model.mcmc

    def task(rng: np.random.Generator, progress: Progress) -> Chain:
        start = [scattered(rng, sigma2, guess) for guess in guesses]
        return nlevel_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
            thin=options.thinning, sigma2=start[0][0], omega=tuple(omega for _, omega in start),
        )  # fmt: skip

    def deviance(beta: Floats, effects: tuple[Floats, ...], variance: float) -> float:
        left = y - x @ beta
        for factor, u in zip(factors, effects, strict=True):
            left = left - np.sum(factor.z * u[factor.codes], axis=1)
        return float(len(y) * math.log(2 * math.pi * variance) + left @ left / variance)

    return task, deviance, mle


def _general(model: NModel, rows: NRows) -> tuple[Task, Deviance, None]:
    """The sampler for binomial and count responses, started around the fit without effects."""
    r, factors = rows.rows, rows.factors
    negative = model.family == NEGATIVE_BINOMIAL
    arrays = nlevel_glm.prepare(
        model.link, r.y, r.x, factors, trials=r.trials, offset=r.offset, negative_binomial=negative
    )
    fit = glm_fit.fixed_only(glm_data.grouped(model.link, r.y, r.x, trials=r.trials, offset=r.offset))
    guesses = [
        np.diag(CENTRE / np.maximum(np.mean(f.z**2, axis=0), 1e-300)) for f in factors
    ]  # fmt: skip
    priors = named_priors(model.prior, factors, guesses)
    options = model.mcmc
    spread = np.linalg.cholesky(fit.gamma_covariance + 1e-12 * np.eye(r.x.shape[1]))

    def task(rng: np.random.Generator, progress: Progress) -> Chain:
        omega = tuple(scattered(rng, 1.0, guess)[1] for guess in guesses)
        gamma = fit.gamma + spread @ rng.standard_normal(len(fit.gamma))
        return nlevel_glm.run_chain(
            arrays, priors, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
            thin=options.thinning, gamma=gamma, omega=omega, alpha=float(0.5 * np.exp(0.5 * rng.standard_normal())),
        )  # fmt: skip

    def deviance(beta: Floats, effects: tuple[Floats, ...], alpha: float) -> float:
        return nlevel_glm.deviance_at(arrays, beta, effects, alpha)

    return task, deviance, None


def _raised(omega: Floats, sigma2: float, factor: Factor) -> Floats:
    """A positive definite Ω near the estimate: where that is on the boundary each scaled variance is raised to 1 % of
    the residual variance, on the scale on which the coefficient moves its rows."""
    unit = 1.0 / np.sqrt(np.maximum(np.mean(factor.z**2, axis=0), 1e-300))
    values, vectors = np.linalg.eigh(omega / np.outer(unit, unit))
    values = np.maximum(values, 0.01 * sigma2)
    return np.asarray((vectors * values) @ vectors.T * np.outer(unit, unit), dtype=float)


def variance_names(model: NModel, rows: NRows) -> list[tuple[str, str]]:
    """(parameter, variable) of the variances, in the order of the draws."""
    names: list[tuple[str, str]] = []
    for c, factor in enumerate(rows.factors, start=1):
        if model.slopes:
            names += [(f"omega_u{c}_{k}", model.classes[c - 1]) for k in range(len(packed(factor.q)))]
        else:
            names.append((f"sigma2_u{c}", model.classes[c - 1]))
    if model.family == NORMAL:
        names.append(("sigma2", ""))
    elif model.family == NEGATIVE_BINOMIAL:
        names.append(("alpha", ""))
    return names


def _mle(model: NModel, rows: NRows, fit: nlevel_ml.Fit) -> Table:
    values = [float(w[i, j]) for w in fit.omega for i, j in packed(len(w))] + [fit.sigma2]
    errors = [float(e) for part in fit.omega_se for e in part] + [fit.sigma2_se]
    records: list[tuple[Cell, ...]] = [
        (f"beta_{k}", name, float(fit.beta[k]), float(fit.beta_se[k])) for k, name in enumerate(rows.rows.names)
    ]
    for (name, variable), value, error in zip(variance_names(model, rows), values, errors, strict=True):
        records.append((name, variable, value, error if np.isfinite(error) else None))
    notes = [f"REML criterion {fit.deviance:.6f}."]
    if any(fit.singular):
        where = ", ".join(name for name, at in zip(model.classes, fit.singular, strict=True) if at)
        notes.append(
            f"The likelihood is highest on the boundary, with a variance of zero ({where}): no standard errors."
        )
    return Table(
        ("parameter", "variable", "estimate", "se"), tuple(records), "REML estimates, as a check", tuple(notes)
    )


def _draws(model: NModel, rows: NRows, chains: Sequence[Chain], kept: int) -> Draws:
    parts = []
    for chain in chains:
        columns = [chain.beta[:kept], chain.omega[:kept]]
        if model.family == NORMAL:
            columns.append(chain.sigma2[:kept, None])
        elif model.family == NEGATIVE_BINOMIAL:
            columns.append(chain.dispersion[:kept, None])
        parts.append(np.concatenate(columns, axis=1))
    tail = variance_names(model, rows)
    parameters = tuple([f"beta_{k}" for k in range(len(rows.rows.names))] + [name for name, _ in tail])
    options = model.mcmc
    first = options.burnin + options.thinning
    return Draws(parameters, (*rows.rows.names, *(v for _, v in tail)), np.stack(parts), first, options.thinning)


def _parameters(model: NModel, rows: NRows, draws: Draws, chains: Sequence[Chain], kept: int) -> Table:
    """The parameters, and what is made of them: the deviance, each classification's share of the variance."""
    names, variables = ["deviance"], [""]
    values = [np.stack([chain.deviance[:kept] for chain in chains])]
    notes: tuple[str, ...] = ("deviance: -2 log likelihood given the effects of all classifications.",)
    if model.family == NORMAL and not model.slopes:
        each = [draws[f"sigma2_u{c}"] for c in range(1, len(model.classes) + 1)]
        total = sum(each, draws["sigma2"])
        for c, variance in enumerate(each, start=1):
            names.append(f"vpc_{c}")
            variables.append(model.classes[c - 1])
            values.append(variance / total)
        notes += ("vpc: variance partition coefficient, the classification's share of the sum of all variances.",)
    joined = np.concatenate([draws.values, np.stack(values, axis=2)], axis=2)
    more = Draws((*draws.parameters, *names), (*draws.variables, *variables), joined, draws.first, draws.thin)
    return diagnostics.summary(more, title="Parameters and what is made of them", notes=notes)


def _model_fit(model: NModel, rows: NRows, chains: Sequence[Chain], kept: int, deviance: Deviance) -> Table:
    """DIC = D̄ + p_D, p_D = D̄ - D(mean of β, u, σ²) (Spiegelhalter, Best, Carlin and van der Linde 2002)."""
    mean = float(np.mean([chain.deviance[:kept] for chain in chains]))
    beta = np.mean([chain.beta[:kept].mean(axis=0) for chain in chains], axis=0)
    weights = [len(chain.deviance) for chain in chains]
    effects = tuple(
        np.average([chain.effect_mean[k] for chain in chains], axis=0, weights=weights)
        for k in range(len(model.classes))
    )
    spread = [chain.dispersion if model.family == NEGATIVE_BINOMIAL else chain.sigma2 for chain in chains]
    plug = deviance(beta, effects, float(np.mean([values[:kept].mean() for values in spread])))
    records: list[tuple[Cell, ...]] = [
        ("DIC", 2 * mean - plug),
        ("pD", mean - plug),
        ("deviance", mean),
        ("deviance at the means", plug),
        ("n", rows.rows.n),
    ]
    records += [(f"units of {name}", f.groups) for name, f in zip(model.classes, rows.factors, strict=True)]
    records.append(("rows left out", rows.rows.dropped))
    notes = ("deviance: posterior mean of -2 log likelihood given the effects, all constants kept.",)
    return Table(("measure", "value"), tuple(records), "Fit of the model", notes)


def _residuals(model: NModel, rows: NRows, chains: Sequence[Chain], k: int) -> Dataset:
    """Posterior mean and sd of each unit's effects: u0, u0_sd, u1, u1_sd, ..."""
    weights = [max(len(chain.deviance), 1) for chain in chains]
    means = np.stack([chain.effect_mean[k] for chain in chains])
    mean = np.average(means, axis=0, weights=weights)
    within = np.average([chain.effect_sd[k] ** 2 for chain in chains], axis=0, weights=weights)
    sd = np.sqrt(within + np.average((means - mean) ** 2, axis=0, weights=weights))
    name = model.classes[k]
    columns: dict[str, Floats] = {name: rows.units[k]}
    titles: dict[str, str] = {}
    taken = {f"u{m}{end}" for m in range(mean.shape[1]) for end in ("", "_sd")}
    stem = "effect" if name in taken else "u"
    for m, of in enumerate(rows.z_names[k]):
        columns[f"{stem}{m}"], columns[f"{stem}{m}_sd"] = mean[:, m], sd[:, m]
        words = f"Effect of {name} on the coefficient of {of}" if of else f"Effect of {name}"
        titles |= {f"{stem}{m}": f"{words}, posterior mean", f"{stem}{m}_sd": f"{words}, posterior sd"}
    return Dataset(f"{RESIDUALS}{k + 1}", columns, titles=titles)


def _notes(model: NModel, rows: NRows, mle: Table | None) -> tuple[str, ...]:
    """N, lengths and priors, under the table."""
    units = ", ".join(f"{f.groups:,} of {name}" for name, f in zip(model.classes, rows.factors, strict=True))
    left = f"; {rows.rows.dropped:,} rows with missing values left out" if rows.rows.dropped else ""
    options = model.mcmc
    length = f"{options.nchains} chain{'s' if options.nchains > 1 else ''} of {options.iterations:,} iterations"
    prior = f"prior of the variances: {model.prior}"
    if model.prior == WISHART:
        centre = "REML estimate" if mle is not None else "the REML estimate with that classification alone"
        prior = f"prior of each covariance matrix: inverse Wishart, q df, scale q × {centre}"
    if model.prior == WISHART and model.family != NORMAL:
        prior = f"prior of each covariance matrix: inverse Wishart, q df, scale q × S, S diagonal, {CENTRE:g} / mean z²"
    notes: tuple[str, ...] = (
        f"N = {rows.rows.n:,}; units: {units}{left}.",
        f"{length} after {options.burnin:,}; seed {options.seed}.",
        f"Flat prior of the coefficients; {prior}.",
    )
    if model.family == NEGATIVE_BINOMIAL:
        notes += ("alpha: the variance of a count with mean μ is μ + alpha μ².",)
    if model.family != NORMAL:
        notes += ("No maximum likelihood estimates: they are not worked out for this response.",)
    elif mle is None:
        notes += ("No REML estimates: with these classifications they would take minutes.",)
    return notes


def _info(rows: NRows) -> dict[str, float]:
    """n, numbers of units, and complete-data degrees of freedom by the between-within rule.

    A predictor that is constant within the units of a classification has its J less the predictors like it, the
    smallest such number; the others have n less all units and predictors.
    """
    x, n = rows.rows.x, rows.rows.n
    p = x.shape[1]
    info: dict[str, float] = {"n": n, "dropped": rows.rows.dropped}
    lower = max(n - sum(f.groups for f in rows.factors) - p, 1)
    df = np.full(p, float(lower))
    for c, factor in enumerate(rows.factors, start=1):
        info[f"groups{c}"] = factor.groups
        first = np.zeros((factor.groups, p))
        first[factor.codes] = x
        between = np.all(x == first[factor.codes], axis=0)
        df = np.where(between, np.minimum(df, max(factor.groups - int(between.sum()), 1)), df)
    return info | {f"df:beta_{k}": float(df[k]) for k in range(p)}


def warm() -> None:
    """Compile the kernels by fits of a few rows."""
    rng = streams(0, 1)[0]
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    y = x[:, 1] + rng.standard_normal(12)
    factors = [Factor(np.repeat(np.arange(3), 4), x[:, :1]), Factor(np.tile(np.arange(3), 4), x[:, :1])]
    priors = named_priors(GAMMA, factors, [np.eye(1)] * 2)
    cells = np.zeros(2, dtype=np.int64)
    nlevel_normal.run_chain(statistics(y, x, factors), priors, rng, cells, burnin=1, iterations=2)
    counts = nlevel_glm.prepare("log", np.arange(12.0), x, factors)
    nlevel_glm.run_chain(counts, priors, rng, cells, burnin=1, iterations=2)
    nlevel_ml.fit(y, x, factors)
    diagnostics.warm()
