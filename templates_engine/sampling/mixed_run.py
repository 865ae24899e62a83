"""The run of a regression template: likelihood fit, chains, summaries, outputs. Alike for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    glm_sampler,
    mixed_ml,
    mixed_normal,
    mixed_priors,
    mixed_rows,
)
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.mixed_data import Rows, prepare
from templates_engine.sampling.mixed_equation import algorithm_latex, model_latex
from templates_engine.sampling.mixed_names import GAMMA, WISHART
from templates_engine.sampling.mixed_normal import Chain
from templates_engine.sampling.mixed_questions import NORMAL, Model, said
from templates_engine.sampling.mixed_stats import Floats, Statistics, statistics
from templates_engine.sampling.rng import streams
from templates_engine.template import Template

if TYPE_CHECKING:
    from templates_engine.job import Job

FIT, SUMMARISE = "Likelihood fit", "Summarise"
FOR_CRITERIA, FOR_PREDICTIONS = 500, 2000  # draws whose group effects are kept, over all chains
ROWS_TIMES_DRAWS = 20_000_000  # at most so many log likelihoods are smoothed, but for 100 draws in any case


def run(template: Template, model: Model, data: Dataset, job: Job) -> Result:
    """Everything a regression gives: tables first, pictures when the tables can be read."""
    options = model.mcmc
    title = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((FIT, 0.5), (title, 4.0), (SUMMARISE, 0.5))
    rows = prepare(model, data)
    _describe(template, model, data, job)

    job.step(FIT)
    task, deviance, mle = _normal(model, rows) if model.family == NORMAL else _general(model, rows)
    job.table("MLE", mle)

    job.step(title)
    *chain_streams, spare = streams(options.seed, options.nchains + 1)
    traces = [np.full(options.kept, np.nan) for _ in chain_streams]
    room = _room(model, rows, job)
    tasks = [
        lambda progress, rng=rng, trace=trace: task(rng, progress, room, trace)
        for rng, trace in zip(chain_streams, traces, strict=True)
    ]
    if not job.called:
        job.watch(next(iter(variance_names(model, rows)), ("beta_0", ""))[0], traces)
    chains: list[Chain] = job.chains(tasks, options.burnin + options.iterations)

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
    job.text("algorithm.tex", algorithm_latex(model), title="One iteration of the sampler")
    walked = said(template, model, schema)
    job.text("Inputs", inputs.write(walked.answers) + "\n", title="Input string")
    command = inputs.command(template.name, data.name, walked)
    job.text("script.py", f"from statgrove import RunStatJR\n\n{command}\n", title="The same run from Python")


Task = Callable[[np.random.Generator, Progress, int, Floats], Chain]  # room for effects, trace
Plug = Callable[[Floats, Floats, float], float]  # deviance at (beta, group effects, sigma2)


def _normal(model: Model, rows: Rows) -> tuple[Task, Plug, Table]:
    """The sampler on sufficient statistics, started around the REML estimate."""
    stats = statistics(rows.y, rows.x, rows.codes, rows.z)
    fit = mixed_ml.fit(stats)
    priors = mixed_priors.named(model.prior, stats.q if model.group else 0, _guess(fit, stats))
    options = model.mcmc

    sigma2, omega, width = fit.sigma2, _guess(fit, stats), 0.5
    if options.starts is not None:
        given = dict(options.starts.variances)
        sigma2, omega, width = given["sigma2"], _started(given, len(omega)), 0.1

    def task(rng: np.random.Generator, progress: Progress, room: int, trace: Floats) -> Chain:
        first, start = scattered(rng, sigma2, omega, width)
        return mixed_normal.run_chain(
            stats, priors, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
            thin=options.thinning, sigma2=first, omega=start, room=room, trace=trace,
        )  # fmt: skip

    def deviance(beta: Floats, effects: Floats, sigma2: float) -> float:
        return mixed_normal.deviance_at(stats, beta, effects, sigma2)

    return task, deviance, _mle(model, rows, fit)


def scattered(rng: np.random.Generator, sigma2: float, omega: Floats, width: float = 0.5) -> tuple[float, Floats]:
    """Starting variances of one chain: around the estimate by factors of e^±½ or so, so that R-hat can see a chain
    that does not forget its start; around a user's own value by less."""
    factors = np.exp(width * rng.standard_normal(len(omega)))
    return float(sigma2 * np.exp(width * rng.standard_normal())), omega * np.outer(factors, factors)


def _started(given: dict[str, float], q: int) -> Floats:
    """Ω of the user's starting values: the same variance for each random coefficient, no covariances."""
    return np.eye(q) * given.get("sigma2_u", given.get("omega_u", 1.0))


def _room(model: Model, rows: Rows, job: Job) -> int:
    """Draws of each chain whose group effects are kept; none in a child's run, whose rows nobody looks at again."""
    if job.called and not model.mcmc.makepred:
        return 0
    wanted = FOR_PREDICTIONS if model.mcmc.makepred else FOR_CRITERIA
    return max(2, mixed_rows.affordable(wanted, rows.J, model.q) // model.mcmc.nchains)


def _criteria(model: Model, rows: Rows, sample: mixed_rows.Sample, results: Table) -> criteria.Criteria | None:
    """WAIC and PSIS-LOO from at most 500 draws, fewer where the rows are very many."""
    if sample.size < criteria.FEWEST:
        return None
    few = sample.thinned(min(FOR_CRITERIA, max(100, ROWS_TIMES_DRAWS // rows.n)))
    known = [float(size) for size in results.column("ess_bulk") if size is not None]
    r_eff = min(1.0, float(np.mean(known)) / few.size) if known else 1.0
    return criteria.criteria(mixed_rows.log_likelihoods(model, rows, few), r_eff)


def _guess(fit: mixed_ml.Fit, stats: Statistics) -> Floats:
    """A positive definite Ω near the estimate, for starting values and as the centre of the inverse Wishart prior.

    Where REML is on the boundary, each random coefficient's scaled variance is raised to 1 % of the residual
    variance, on the scale on which the coefficient moves its rows.
    """
    q = len(fit.omega)
    if q == 0:
        return np.eye(1)
    unit = np.sqrt(stats.n / np.maximum(np.sum(stats.triangles**2, axis=(0, 1)), 1e-300))
    scaled = fit.omega / np.outer(unit, unit)
    values, vectors = np.linalg.eigh(scaled)
    values = np.maximum(values, 0.01 * fit.sigma2 if fit.singular else 0.0)
    raised: Floats = (vectors * values) @ vectors.T * np.outer(unit, unit)
    return raised


def _general(model: Model, rows: Rows) -> tuple[Task, Plug, Table]:
    """The sampler for binomial and Poisson responses, started around the maximum likelihood estimate."""
    data = glm_data.grouped(
        model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset, codes=rows.codes, z=rows.z
    )
    fit = glm_fit.fit(data)
    priors = mixed_priors.named(model.prior, data.q)
    options = model.mcmc
    spread = np.linalg.cholesky(fit.gamma_covariance + 1e-12 * np.eye(data.p))

    centre, variance, width, metric = fit.gamma, np.eye(1), 0.5, None
    if data.groups:
        variance = np.array([[max(fit.sigma2_u, 0.05)]])
    if options.starts is not None:
        centre, variance, width = _started_gamma(model, data, fit), _started(dict(options.starts.variances), 1), 0.1
        metric = data.eta(fit.gamma, fit.modes[:, None])

    def task(rng: np.random.Generator, progress: Progress, room: int, trace: Floats) -> Chain:
        _, omega = scattered(rng, 1.0, variance, width)
        gamma = centre + (2.0 * width) * (spread @ rng.standard_normal(data.p))
        return glm_sampler.run_chain(
            data, priors, rng, progress.cells, burnin=options.burnin, iterations=options.iterations,
            thin=options.thinning, gamma=gamma, effects=fit.modes[:, None], omega=omega,
            metric=metric, room=room, trace=trace,
        )  # fmt: skip

    def deviance(beta: Floats, effects: Floats, sigma2: float) -> float:
        return glm_sampler.deviance_at(data, beta, effects)

    tail = [(fit.sigma2_u, fit.sigma2_u_se)] if data.groups else []
    how = f"adaptive quadrature, {glm_fit.NODES} points" if data.groups else "Fisher scoring"
    notes = [f"-2 log likelihood {fit.deviance:.6f} ({how})."]
    return (
        task,
        deviance,
        _mle_table(model, rows, fit.beta, fit.beta_se, tail, "Maximum likelihood", notes, fit.singular),
    )


def _started_gamma(model: Model, data: glm_data.Grouped, fit: glm_fit.GlmFit) -> Floats:
    """γ of the maximum likelihood estimates with the user's first coefficients in their place."""
    beta = fit.beta.copy()
    given = model.mcmc.starts.beta if model.mcmc.starts else []
    beta[: len(given)] = given
    gamma: Floats = data.coordinates.triangle @ (beta - data.coordinates.centre)
    return gamma


def _mle(model: Model, rows: Rows, fit: mixed_ml.Fit) -> Table:
    q = len(fit.omega)
    tail = [(float(fit.omega[i, j]), float(fit.omega_se[k])) for k, (i, j) in enumerate(mixed_normal.packed(q))]
    tail.append((fit.sigma2, fit.sigma2_se))
    notes = [f"REML criterion {fit.deviance:.6f}."]
    return _mle_table(model, rows, fit.beta, fit.beta_se, tail, "REML", notes, fit.singular)


def _mle_table(
    model: Model,
    rows: Rows,
    beta: Floats,
    beta_se: Floats,
    tail: list[tuple[float, float]],
    method: str,
    notes: list[str],
    singular: bool,
) -> Table:
    """Coefficients, then the variances (value, standard error) in `tail`."""
    records: list[tuple[Cell, ...]] = [
        (f"beta_{k}", name, float(beta[k]), float(beta_se[k])) for k, name in enumerate(rows.names)
    ]
    for (name, variable), (value, se) in zip(variance_names(model, rows), tail, strict=True):
        records.append((name, variable, value, se if np.isfinite(se) else None))
    if singular:
        notes.append("The likelihood is highest on the boundary, with a variance of zero: no standard errors there.")
    return Table(
        ("parameter", "variable", "estimate", "se"), tuple(records), f"{method} estimates, as a check", tuple(notes)
    )


def variance_names(model: Model, rows: Rows) -> list[tuple[str, str]]:
    """(parameter, variable) of the variances, in the order of the draws."""
    names: list[tuple[str, str]] = []
    if model.x2:
        names += [(f"omega_u_{k}", "") for k in range(len(mixed_normal.packed(len(rows.z_names))))]
    elif model.group is not None:
        names.append(("sigma2_u", ""))
    if model.family == NORMAL:
        names.append(("sigma2", ""))
    return names


def _draws(model: Model, rows: Rows, chains: Sequence[Chain], kept: int) -> Draws:
    parts = []
    for chain in chains:
        columns = [chain.beta[:kept], chain.omega[:kept] if model.group is not None else chain.omega[:kept, :0]]
        if model.family == NORMAL:
            columns.append(chain.sigma2[:kept, None])
        parts.append(np.concatenate(columns, axis=1))
    tail = variance_names(model, rows)
    parameters = tuple([f"beta_{k}" for k in range(len(rows.names))] + [name for name, _ in tail])
    options = model.mcmc
    first = options.burnin + options.thinning
    return Draws(parameters, (*rows.names, *(v for _, v in tail)), np.stack(parts), first, options.thinning)


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
    """DIC = D̄ + p_D, p_D = D̄ - D(mean of β, u, σ²) (Spiegelhalter, Best, Carlin and van der Linde 2002)."""
    mean = float(np.mean([chain.deviance[:kept] for chain in chains]))
    beta = np.mean([chain.beta[:kept].mean(axis=0) for chain in chains], axis=0)
    weights = [len(chain.deviance) for chain in chains]
    effects = np.average([chain.effect_mean for chain in chains], axis=0, weights=weights)
    sigma2 = float(np.mean([chain.sigma2[:kept].mean() for chain in chains]))
    plug = deviance(beta, effects, sigma2)
    records: list[tuple[Cell, ...]] = [
        ("DIC", 2 * mean - plug),
        ("pD", mean - plug),
        ("deviance", mean),
        ("deviance at the means", plug),
    ]
    notes = ["deviance: posterior mean of -2 log likelihood given the group effects, all constants kept."]
    if found is not None:
        records += [
            ("WAIC", found.waic),
            ("p_waic", found.p_waic),
            ("LOOIC", found.looic),
            ("p_loo", found.p_loo),
            ("se of LOOIC", found.looic_se),
            ("rows with Pareto k above 0.7", found.above),
        ]
        given = "given the group effects (a row is left out, its group is not); " if model.group is not None else ""
        text = "WAIC and LOOIC: -2 times the expected log predictive density, "
        notes.append(f"{text}{given}from {found.draws} draws; LOOIC by Pareto-smoothed importance sampling.")
        if found.above:
            notes.append("Pareto k above 0.7: those rows weigh so much that LOOIC is not to be relied on.")
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
    stem = "effect" if str(model.group) in {f"u{k}{end}" for k in range(model.q) for end in ("", "_sd")} else "u"
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
    prior = f"prior of the variances: {model.prior}"
    if model.prior == WISHART:
        prior = f"prior of the covariance matrix: inverse Wishart, {model.q} df, scale {model.q} × REML estimate"
    notes: tuple[str, ...] = (f"{size}{left}.", f"{length} after {options.burnin:,}; seed {options.seed}.")
    if model.family == NORMAL or model.group:
        notes += (f"Flat prior of the coefficients; {prior}.",)
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


def warm(slopes: bool = False, groups: bool = True) -> None:
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
    if not slopes:
        data = glm_data.grouped("log", np.arange(12.0), x, codes=codes if groups else None, z=x[:, :1])
        glm_fit.fit(data)
        prior = mixed_priors.named(GAMMA, data.q)
        glm_sampler.run_chain(data, prior, rng, np.zeros(2, dtype=np.int64), burnin=1, iterations=2)
        glm_families.pointwise(data.link, data.y, data.trials, np.zeros((12, 1)))
    diagnostics.warm()
