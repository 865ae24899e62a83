"""The tables and datasets of NLevelMod and NLevelRS, made of the chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Cell, Draws, Table
from templates_engine.sampling import criteria, diagnostics
from templates_engine.sampling.mixed_names import WISHART
from templates_engine.sampling.mixed_normal import packed
from templates_engine.sampling.mixed_questions import NEGATIVE_BINOMIAL, NORMAL
from templates_engine.sampling.mixed_stats import Floats
from templates_engine.sampling.nlevel_data import NRows
from templates_engine.sampling.nlevel_normal import Chain
from templates_engine.sampling.nlevel_questions import RESIDUALS, NModel

Deviance = Callable[[Floats, tuple[Floats, ...], float], float]  # at (beta, effects, sigma2 or alpha)


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


def parameter_names(model: NModel, rows: NRows) -> list[str]:
    """The parameters in the order of the draws."""
    return [f"beta_{k}" for k in range(len(rows.rows.names))] + [name for name, _ in variance_names(model, rows)]


def estimates(
    model: NModel, rows: NRows, beta: Floats, beta_se: Floats, tail: Sequence[tuple[float, float]], title: str,
    notes: Sequence[str],
) -> Table:  # fmt: skip
    """The table MLE; tail: estimate and standard error of each variance, NaN where there is none."""
    records: list[tuple[Cell, ...]] = [
        (f"beta_{k}", name, float(beta[k]), float(beta_se[k]) if np.isfinite(beta_se[k]) else None)
        for k, name in enumerate(rows.rows.names)
    ]
    for (name, variable), (value, error) in zip(variance_names(model, rows), tail, strict=True):
        records.append((name, variable, value, error if np.isfinite(error) else None))
    return Table(("parameter", "variable", "estimate", "se"), tuple(records), title, tuple(notes))


def packed_tail(omega: Sequence[Floats], errors: Sequence[Floats]) -> list[tuple[float, float]]:
    """(estimate, standard error) of all covariance matrices, packed, one after the other."""
    values = [float(w[i, j]) for w in omega for i, j in packed(len(w))]
    return list(zip(values, [float(e) for part in errors for e in part], strict=True))


def draws_of(model: NModel, rows: NRows, chains: Sequence[Chain], kept: int) -> Draws:
    parts = []
    for chain in chains:
        columns = [chain.beta[:kept], chain.omega[:kept]]
        if model.family == NORMAL:
            columns.append(chain.sigma2[:kept, None])
        elif model.family == NEGATIVE_BINOMIAL:
            columns.append(chain.dispersion[:kept, None])
        parts.append(np.concatenate(columns, axis=1))
    tail = variance_names(model, rows)
    parameters = tuple(parameter_names(model, rows))
    options = model.mcmc
    first = options.burnin + options.thinning
    return Draws(parameters, (*rows.rows.names, *(v for _, v in tail)), np.stack(parts), first, options.thinning)


def more_parameters(model: NModel, rows: NRows, draws: Draws, chains: Sequence[Chain], kept: int) -> Table:
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


def fit_table(
    model: NModel, rows: NRows, chains: Sequence[Chain], kept: int, deviance: Deviance, found: criteria.Criteria | None
) -> Table:
    """DIC = D̄ + p_D, p_D = D̄ - D(mean of β, u, σ²) (Spiegelhalter, Best, Carlin and van der Linde 2002), and WAIC and
    PSIS-LOO where there are draws enough."""
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
    ]
    notes = ["deviance: posterior mean of -2 log likelihood given the effects, all constants kept."]
    if found is not None:
        records += found.records
        notes += found.notes("given the effects of all units (a row is left out, its units are not); ")
    records.append(("n", rows.rows.n))
    records += [(f"units of {name}", f.groups) for name, f in zip(model.classes, rows.factors, strict=True)]
    records.append(("rows left out", rows.rows.dropped))
    return Table(("measure", "value"), tuple(records), "Fit of the model", tuple(notes))


def residuals(model: NModel, rows: NRows, chains: Sequence[Chain], k: int) -> Dataset:
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


def result_notes(model: NModel, rows: NRows, mle: Table | None) -> tuple[str, ...]:
    """N, lengths and priors, under the table."""
    units = ", ".join(f"{f.groups:,} of {name}" for name, f in zip(model.classes, rows.factors, strict=True))
    left = f"; {rows.rows.dropped:,} rows with missing values left out" if rows.rows.dropped else ""
    options = model.mcmc
    length = f"{options.nchains} chain{'s' if options.nchains > 1 else ''} of {options.iterations:,} iterations"
    prior = f"prior of the variances: {model.prior}"
    if model.prior == WISHART:
        method = "REML" if model.family == NORMAL else "maximum likelihood"
        alone = "" if mle is not None else " with that classification alone"
        prior = f"prior of each covariance matrix: inverse Wishart, q df, scale q × {method} estimate{alone}"
    notes: tuple[str, ...] = (
        f"N = {rows.rows.n:,}; units: {units}{left}.",
        f"{length} after {options.burnin:,}; seed {options.seed}.",
        f"Flat prior of the coefficients; {prior}.",
    )
    if model.family == NEGATIVE_BINOMIAL:
        notes += ("alpha: the variance of a count with mean μ is μ + alpha μ².",)
    if mle is None:
        method = "REML" if model.family == NORMAL else "maximum likelihood"
        notes += (f"No {method} estimates: with these classifications they would take minutes.",)
    return notes


def info_of(rows: NRows) -> dict[str, float]:
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
