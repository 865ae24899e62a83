"""The tables of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from templates_engine import Cell, Table
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import NOT_ESTIMABLE, gelman_one, measures
from templates_engine.sampling.normal import Floats

from .fitting import TOTAL, Fitted
from .names import natural
from .verdicts import BOUNDARY, UNSETTLED, Judged, with_total

DCTABLE = (
    "parameter", "variable", "clones", "mean", "sd", "dcsd", "q025", "q25", "median", "q75", "q975", "rhat",
    "rhat_rank", "ess_bulk", "ess_tail",
)  # fmt: skip


def normal_quantile(level: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf(0.5 + level / 200.0))


def _cell(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def named(fitted: Fitted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Parameters and variables of the tables: the sum of the variances stands last, where there is one."""
    if not fitted.totals:
        return fitted.names, fitted.variables
    return (*fitted.names, TOTAL), (*fitted.variables, "")


def valued(fitted: Fitted, clones: int) -> Floats:
    values = fitted.values(clones)
    return with_total(fitted, values) if fitted.totals else values


def many(clones: int) -> str:
    """A clone number in words."""
    return "1 clone" if clones == 1 else f"{clones} clones"


def dctable(fitted: Fitted) -> Table:
    names, variables = named(fitted)
    found: dict[str, list[tuple[Cell, ...]]] = {name: [] for name in names}
    for clones in fitted.spec.clones:
        values = valued(fitted, clones)
        modern = diagnostics.measures(np.moveaxis(values, 2, 0))
        pooled = values.reshape(-1, len(names))
        cuts = np.quantile(pooled, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0)
        for k, name in enumerate(names):
            sd = float(pooled[:, k].std(ddof=1))
            more = [modern[key][k] for key in ("rhat", "ess_bulk", "ess_tail")]
            numbers = [float(pooled[:, k].mean()), sd, math.sqrt(clones) * sd, *cuts[:, k]]
            numbers += [gelman_one(values[:, :, k]), *more]
            found[name].append((name, variables[k], clones, *(_cell(v) for v in numbers)))
    notes = (
        "sd: of the posterior at this clone number; dcsd = sqrt(clones) × sd is the standard error.",
        "rhat: Brooks and Gelman (1998), as the published program has it; rhat_rank: Vehtari and others (2021).",
    )
    return Table(DCTABLE, tuple(row for rows in found.values() for row in rows), "Estimates by clone number", notes)


def dcdiag(fitted: Fitted, names: Sequence[str], title: str) -> Table:
    """lambda.max and the rest for these parameters (the sum may be one of them)."""
    every, _ = named(fitted)
    at = [every.index(name) for name in names]
    found = [measures(valued(fitted, k)[:, :, at], k) for k in fitted.spec.clones]
    first = found[0]
    rows: list[tuple[Cell, ...]] = [
        (
            m.clones,
            _cell(m.lambda_max),
            _cell(m.ms_error),
            _cell(m.r_squared),
            _cell(m.r_hat),
            _cell(m.lambda_max / first.lambda_max),
            first.clones / m.clones,
        )
        for m in found
    ]
    columns = ("clones", "lambda.max", "ms.error", "r.squared", "r.hat", "lambda.scaled", "expected")
    notes = (
        f"Of {', '.join(names)}.",
        (
            "lambda.max: largest eigenvalue of the posterior covariance; lambda.scaled, relative to the first, should "
            "be near expected."
        ),
        "ms.error and r.squared: near 0 when the posterior is Normal (r.squared is 1 minus a squared correlation).",
        "r.hat: near 1 when the chains agree; above 1.1 they do not.",
    )
    return Table(columns, tuple(rows), title, notes)


def coefficients(fitted: Fitted, judged: Judged) -> Table:
    """Estimates, asymptotic standard errors and Wald intervals at the largest clone number."""
    names, variables = named(fitted)
    clones = fitted.spec.clones[-1]
    pooled = valued(fitted, clones).reshape(-1, len(names))
    z = normal_quantile(fitted.spec.level)
    rows: list[tuple[Cell, ...]] = []
    for k, name in enumerate(names):
        verdict = judged.words[name]
        mean, se = float(pooled[:, k].mean()), math.sqrt(clones) * float(pooled[:, k].std(ddof=1))
        cells: tuple[Cell, ...] = (mean, se, *ends(fitted, name, pooled[:, k], clones, z))
        if verdict in (NOT_ESTIMABLE, UNSETTLED):
            cells = (None, None, None, None)
        elif verdict == BOUNDARY:
            cells = (mean, None, None, None)
        rows.append((name, *cells, variables[k], verdict))
    notes = [
        f"At {many(clones)}. dcsd = sqrt({clones}) × posterior sd; {fitted.spec.level:g} % Wald intervals.",
        "Intervals of variances are made on the log scale, so that they never reach below zero.",
    ]
    if not judged.estimable:
        notes.append("A parameter that is not estimable has no estimate: what the sampler gives is the prior's doing.")
    if judged.boundary:
        notes.append("On the boundary: the estimate is a small number in the place of zero, and has no standard error.")
    columns = ("parameter", "estimate", "dcsd", "lower", "upper", "variable", "verdict")
    return Table(columns, tuple(rows), "Maximum likelihood estimates by data cloning", tuple(notes))


def ends(fitted: Fitted, name: str, draws: Floats, clones: int, z: float) -> tuple[float, float]:
    """The ends of a Wald interval; of a variance on the log scale, so that it never reaches below zero."""
    positive = name.startswith("sigma2") or name == TOTAL or name in variance_diagonals(fitted)
    values = np.log(draws) if positive and bool(np.all(draws > 0)) else draws
    mean, se = float(values.mean()), math.sqrt(clones) * float(values.std(ddof=1))
    low, high = mean - z * se, mean + z * se
    return (math.exp(low), math.exp(min(high, 700.0))) if values is not draws else (low, high)


def variance_diagonals(fitted: Fitted) -> set[str]:
    """The variances among the elements of the covariance matrices."""
    names = [name for name in fitted.names if not name.startswith("u_")][len(fitted.exact.beta) :]
    found, at = set(), 0
    for factor in fitted.parts.factors if fitted.spec.smoothing else ():
        for a, b in zip(*np.tril_indices(factor.q), strict=True):
            if a == b:
                found.add(names[at])
            at += 1
    return found


def coefficients_log(fitted: Fitted, judged: Judged) -> Table | None:
    """Variances on the log scale, where Wald intervals are better, and turned back."""
    names, _ = named(fitted)
    clones = fitted.spec.clones[-1]
    pooled = valued(fitted, clones).reshape(-1, len(names))
    z = normal_quantile(fitted.spec.level)
    rows: list[tuple[Cell, ...]] = []
    for k, name in enumerate(names):
        if not name.startswith("sigma2") or judged.words[name] in (NOT_ESTIMABLE, BOUNDARY, UNSETTLED):
            continue
        logs = np.log(pooled[:, k])
        mean, se = float(logs.mean()), math.sqrt(clones) * float(logs.std(ddof=1))
        low, high = mean - z * se, mean + z * se
        rows.append((f"log({name})", mean, se, low, high, math.exp(mean), math.exp(low), math.exp(high)))
    if not rows:
        return None
    columns = ("parameter", "estimate", "dcsd", "lower", "upper", "value", "value_lower", "value_upper")
    return Table(columns, tuple(rows), "Variances on the log scale", ("value: turned back to the variance.",))


def covariance(fitted: Fitted) -> Table:
    """K times the posterior covariance; correlations beside it."""
    clones = fitted.spec.clones[-1]
    pooled = fitted.values(clones).reshape(-1, len(fitted.names))
    matrix = clones * np.atleast_2d(np.cov(pooled, rowvar=False))
    correlation = np.atleast_2d(np.corrcoef(pooled, rowvar=False))
    rows = []
    for i, one in enumerate(fitted.names):
        for j in range(i + 1):
            rows.append((one, fitted.names[j], _cell(float(matrix[i, j])), _cell(float(correlation[i, j]))))
    columns = ("parameter", "with", "covariance", "correlation")
    return Table(columns, tuple(rows), f"Asymptotic covariance, from {many(clones)}")


def mle(fitted: Fitted) -> Table:
    exact, p = fitted.exact, len(fitted.exact.beta)
    names = [n for n in fitted.names if not n.startswith("u_")]
    values = np.concatenate([exact.beta, exact.variances])
    errors = np.concatenate([exact.beta_se, exact.variances_se])
    free = fitted.spec.smoothing
    rows: list[tuple[Cell, ...]] = []
    for k, name in enumerate(names):
        cells: list[Cell] = [_cell(values[k]), _cell(errors[k])]
        if not free and k < p:
            cells = [None, None]
        if len(exact.reml):
            cells += [_cell(exact.reml[k]), _cell(exact.reml_se[k])]
        rows.append((name, fitted.variables[k], *cells))
    if fitted.totals:
        reml = float(exact.reml[p:].sum()) if len(exact.reml) else math.nan
        rows.append((TOTAL, "", _cell(exact.total), _cell(exact.total_se), _cell(reml), None))
    columns: tuple[str, ...] = ("parameter", "variable", "estimate", "se")
    columns += ("reml", "reml_se") if len(exact.reml) else ()
    notes = [f"Maximum likelihood without simulation: StatGrove's own, {exact.how}."]
    notes.append(f"-2 log likelihood {exact.deviance:.6f}.")
    if math.isfinite(exact.reml_criterion):
        notes.append(f"REML criterion {exact.reml_criterion:.6f}.")
    if exact.singular:
        notes.append("The likelihood is highest on the boundary, with a variance of zero: no standard errors there.")
    if fitted.singles and fitted.totals:
        notes.append("Groups of one: the likelihood depends on the two variances through their sum only.")
    if not free:
        notes.append(
            "Without smoothing the coefficients cannot be told from the effects; the variance is inconsistent."
        )
    return Table(columns, tuple(rows), "Maximum likelihood, as a check", tuple(notes))


def model_fit(fitted: Fitted) -> Table:
    exact, rows = fitted.exact, fitted.rows
    k = len([n for n in fitted.names if not n.startswith("u_")])
    if not fitted.spec.smoothing:
        assert fitted.stats is not None
        # effects, a variance, and coefficients that are not among the effects
        k = fitted.parts.groups + 1 + int(np.sum(~fitted.stats.in_span))
    elif fitted.singles and fitted.totals:
        k -= 1  # the two variances count once
    found: list[tuple[Cell, ...]] = [
        ("logLik", -0.5 * exact.deviance),
        ("deviance", exact.deviance),
        ("parameters", k),
        ("AIC", exact.deviance + 2 * k),
        ("BIC", exact.deviance + k * math.log(rows.n)),
        ("n", rows.n),
        *(
            (f"units of {unit}" if fitted.spec.several else "groups", factor.groups)
            for unit, factor in zip(fitted.spec.units, fitted.parts.factors, strict=True)
        ),
        ("rows left out", rows.dropped),
    ]
    return Table(("measure", "value"), tuple(found), "Fit of the model", (f"Log likelihood: {exact.how}.",))


def bayes(fitted: Fitted) -> Table | None:
    """The posterior of one copy of the data under the documents' priors, beside the likelihood."""
    if not fitted.bayes:
        return None
    found: list[tuple[Cell, ...]] = []
    names, variables = named(fitted)
    for prior, chains in fitted.bayes.items():
        kept = min(len(chain.theta) for chain in chains)
        values = with_total(fitted, np.stack([natural(fitted.spec, chain, kept) for chain in chains]))
        modern = diagnostics.measures(np.moveaxis(values, 2, 0))
        for k, name in enumerate(names):
            keys = ("mean", "sd", "q025", "median", "q975", "rhat")
            found.append((prior, name, variables[k], *(_cell(modern[key][k]) for key in keys)))
    columns = ("prior", "parameter", "variable", "mean", "sd", "q025", "median", "q975", "rhat")
    notes = ["One copy of the data. Documents 1: coefficients N(0, 10), log σ and log σ_u N(0, 1000)."]
    if len(fitted.bayes) > 1:
        notes.append("Documents 2: coefficients N(10, 1), σ² uniform on (0.001, 5), σ²_u Gamma(0.01, 0.01).")
    pull = np.abs(fitted.exact.beta) * fitted.exact.beta_se / 10.0
    if float(pull.max(initial=0.0)) > 0.05:
        notes.append("These priors were made for another scale: here they pull coefficients towards 0.")
    return Table(columns, tuple(found), "Bayesian answers under the documents' priors", tuple(notes))
