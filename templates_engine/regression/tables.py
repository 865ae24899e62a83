"""The tables and datasets of the regression templates, made of the chains; for any number of classifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from templates_engine.data import Dataset
from templates_engine.outputs import Cell, Draws, Table
from templates_engine.regression.data import Rows
from templates_engine.regression.predictions import spread
from templates_engine.regression.questions import NEGATIVE_BINOMIAL, NORMAL, Model
from templates_engine.running import summaries
from templates_engine.sampling import GAMMA, WISHART, criteria
from templates_engine.sampling.normal import Chain, Floats, packed


def variance_names(model: Model, rows: Rows) -> list[tuple[str, str]]:
    """(parameter, variable) of the variances, in the order of the draws."""
    names: list[tuple[str, str]] = []
    for each, factor in zip(model.classifications, rows.factors, strict=True):
        ends = [f"_{k}" for k in range(len(packed(factor.q)))] if each.terms else [""]
        names += [(each.variance + end, each.name if each.end else "") for end in ends]
    if model.family == NORMAL:
        names.append(("sigma2", ""))
    elif model.family == NEGATIVE_BINOMIAL:
        names.append(("alpha", ""))
    return names


def parameter_names(model: Model, rows: Rows) -> list[str]:
    """The parameters in the order of the draws."""
    return [f"beta_{k}" for k in range(len(rows.names))] + [name for name, _ in variance_names(model, rows)]


def estimates_table(
    model: Model, rows: Rows, beta: Floats, beta_se: Floats, tail: Sequence[tuple[float, float]], method: str,
    notes: Sequence[str], singular: bool | Sequence[bool],
) -> Table:  # fmt: skip
    """The table MLE; tail: estimate and standard error of each variance, NaN where there is none; singular: whether a
    covariance matrix (or which of them) lies on its boundary."""
    names = [*((f"beta_{k}", name) for k, name in enumerate(rows.names)), *variance_names(model, rows)]
    values = [*zip(beta, beta_se, strict=True), *tail]
    records: list[tuple[Cell, ...]] = [
        (*name, float(value) if np.isfinite(value) else None, float(error) if np.isfinite(error) else None)
        for name, (value, error) in zip(names, values, strict=True)
    ]
    if np.any(singular):
        what = "a variance or alpha" if model.family == NEGATIVE_BINOMIAL else "a variance"
        which = np.flatnonzero(singular).tolist() if np.ndim(singular) else []
        at = ", ".join(model.classifications[c].name for c in which)
        of = f" ({at})" if at else ""
        text = f"The likelihood is highest on the boundary, with {what} of zero{of}: no standard errors there."
        notes = [*notes, text]
    title = f"{method} estimates, as a check"
    return Table(("parameter", "variable", "estimate", "se"), tuple(records), title, tuple(notes))


def packed_tail(omega: Sequence[Floats], errors: Sequence[Floats]) -> list[tuple[float, float]]:
    """(estimate, standard error) of all covariance matrices, packed, one after the other."""
    values = [float(w[i, j]) for w in omega for i, j in packed(len(w))]
    return list(zip(values, [float(e) for part in errors for e in part], strict=True))


def draws_of(model: Model, rows: Rows, chains: Sequence[Chain], kept: int) -> Draws:
    """The parameters of the first `kept` draws of each chain."""
    parts = []
    for chain in chains:
        own = [spread(model, chain)[:kept, None]] if model.family in (NORMAL, NEGATIVE_BINOMIAL) else []
        parts.append(np.concatenate([chain.beta[:kept], chain.omega[:kept], *own], axis=1))
    variables = (*rows.names, *(variable for _, variable in variance_names(model, rows)))
    first = model.mcmc.burnin + model.mcmc.thinning
    return Draws(tuple(parameter_names(model, rows)), variables, np.stack(parts), first, model.mcmc.thinning)


def _given(model: Model) -> str:
    """What the likelihood of a row is conditional on."""
    if not model.classifications:
        return ""
    return " given the effects of all classifications" if model.numbered else " given the group effects"


def more_parameters(model: Model, draws: Draws, chains: Sequence[Chain], kept: int) -> Table:
    """The parameters, and what is made of them: the deviance, each classification's share of the variance."""
    names, variables = ["deviance"], [""]
    values = [np.stack([chain.deviance[:kept] for chain in chains])]
    notes = [f"deviance: -2 log likelihood{_given(model)}."]
    intercepts = [each for each in model.classifications if not each.terms]
    if model.family == NORMAL and intercepts:
        total = sum([draws[each.variance] for each in intercepts], draws["sigma2"])
        for each in intercepts:
            names.append(f"vpc_{each.end}" if each.end else "vpc")
            variables.append(each.name if each.end else "")
            values.append(draws[each.variance] / total)
        notes.append("vpc: variance partition coefficient, the variance's share of the sum of all variances.")
    joined = np.concatenate([draws.values, np.stack(values, axis=2)], axis=2)
    more = Draws((*draws.parameters, *names), (*draws.variables, *variables), joined, draws.first, draws.thin)
    return summaries.summary(more, title="Parameters and what is made of them", notes=tuple(notes))


def fit_table(
    model: Model, rows: Rows, chains: Sequence[Chain], kept: int,
    deviance: Callable[[Floats, Sequence[Floats], float], float], found: criteria.Criteria | None,
) -> Table:  # fmt: skip
    """DIC = D̄ + p_D, p_D = D̄ - D(mean of β, u, σ² or α) (Spiegelhalter, Best, Carlin and van der Linde 2002), and
    WAIC and PSIS-LOO where there are draws enough."""
    mean = float(np.mean([chain.deviance[:kept] for chain in chains]))
    beta = np.mean([chain.beta[:kept].mean(axis=0) for chain in chains], axis=0)
    weights = [len(chain.deviance) for chain in chains]
    effects = [
        np.average([chain.effect_mean[c] for chain in chains], axis=0, weights=weights)
        for c in range(len(model.classifications))
    ]
    plug = deviance(beta, effects, float(np.mean([spread(model, chain)[:kept].mean() for chain in chains])))
    records: list[tuple[Cell, ...]] = [
        ("DIC", 2 * mean - plug),
        ("pD", mean - plug),
        ("deviance", mean),
        ("deviance at the means", plug),
    ]
    given = _given(model)
    notes = [f"deviance: posterior mean of -2 log likelihood{given}, all constants kept."]
    if found is not None:
        records += found.records
        whose = "units are" if model.numbered else "group is"
        notes += found.notes(f"{given[1:]} (a row is left out, its {whose} not); " if given else "")
    records.append(("n", rows.n))
    for each, factor in zip(model.classifications, rows.factors, strict=True):
        records.append((f"units of {each.name}" if each.end else "groups", factor.groups))
    records.append(("rows left out", rows.dropped))
    return Table(("measure", "value"), tuple(records), "Fit of the model", tuple(notes))


def residuals(model: Model, rows: Rows, chains: Sequence[Chain], c: int, name: str) -> Dataset:
    """Posterior mean and sd of the effects of each unit of classification c: u0, u0_sd, u1, u1_sd, ..."""
    weights = [max(len(chain.deviance), 1) for chain in chains]
    means = np.stack([chain.effect_mean[c] for chain in chains])
    mean = np.average(means, axis=0, weights=weights)
    within = np.average([chain.effect_sd[c] ** 2 for chain in chains], axis=0, weights=weights)
    sd = np.sqrt(within + np.average((means - mean) ** 2, axis=0, weights=weights))
    whose = str(model.classifications[c].name)
    columns: dict[str, Floats] = {whose: rows.units[c]}
    titles: dict[str, str] = {}
    taken = {f"u{k}{end}" for k in range(mean.shape[1]) for end in ("", "_sd")}
    stem = "effect" if whose in taken else "u"
    for k, variable in enumerate(rows.z_names[c]):
        columns[f"{stem}{k}"], columns[f"{stem}{k}_sd"] = mean[:, k], sd[:, k]
        of = f"Effect of {whose} on the coefficient of {variable}" if variable else f"Effect of {whose}"
        titles |= {f"{stem}{k}": f"{of}, posterior mean", f"{stem}{k}_sd": f"{of}, posterior sd"}
    return Dataset(name, columns, titles=titles)


def result_notes(model: Model, rows: Rows, mle: bool) -> tuple[str, ...]:
    """N, lengths and priors, under the table; mle: whether there are estimates by likelihood."""
    each = [f"{f.groups:,} of {c.name}" for c, f in zip(model.classifications, rows.factors, strict=True)]
    units = f"; units: {', '.join(each)}" if model.numbered else f" in {rows.J:,} groups of {model.group}"
    left = f"; {rows.dropped:,} rows with missing values left out" if rows.dropped else ""
    options, negative = model.mcmc, model.family == NEGATIVE_BINOMIAL
    method = "REML" if model.family == NORMAL else "maximum likelihood"
    length = f"{options.nchains} chain{'s' if options.nchains > 1 else ''} of {options.iterations:,} iterations"
    whose = "the variances"
    if negative:
        whose = "the variances and alpha" if rows.factors else "alpha"
    prior = f"prior of {whose}: {model.prior}"
    if model.prior == WISHART:
        which, q = ("each", "q") if model.numbered else ("the", str(rows.factors[0].q))
        alone = "" if mle else " with that classification alone"
        prior = f"prior of {which} covariance matrix: inverse Wishart, {q} df, scale {q} × {method} estimate{alone}"
        if negative:
            prior += f"; of alpha: {GAMMA} on 1 / alpha"
    notes = [
        f"N = {rows.n:,}{units if rows.factors else ''}{left}.",
        f"{length} after {options.burnin:,}; seed {options.seed}.",
    ]
    if model.family in (NORMAL, NEGATIVE_BINOMIAL) or rows.factors:
        notes.append(f"Flat prior of the coefficients; {prior}.")
    if negative:
        notes.append("alpha: the variance of a count with mean μ is μ + alpha μ².")
    if not mle:
        notes.append(f"No {method} estimates: with these classifications they would take minutes.")
    return tuple(notes)


def info_of(model: Model, rows: Rows) -> dict[str, float]:
    """n, numbers of units, and complete-data degrees of freedom by the between-within rule.

    A predictor that is constant within the units of a classification (the intercept among them) has its J less the
    predictors like it, the smallest such number; the others have n less all units and less the predictors like them.
    """
    x, p = rows.x, rows.x.shape[1]
    info: dict[str, float] = {"n": rows.n, "dropped": rows.dropped}
    df, constant = np.full(p, np.inf), np.zeros(p, dtype=bool)
    for each, factor in zip(model.classifications, rows.factors, strict=True):
        info[f"groups{each.end}"] = factor.groups
        first = np.zeros((factor.groups, p))
        first[factor.codes] = x
        between = np.all(x == first[factor.codes], axis=0)
        df = np.where(between, np.minimum(df, max(factor.groups - int(between.sum()), 1)), df)
        constant |= between
    within = max(rows.n - sum(f.groups for f in rows.factors) - int((~constant).sum()), 1)
    return info | {f"df:beta_{k}": float(df[k] if constant[k] else within) for k in range(p)}
