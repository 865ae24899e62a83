"""Tables and datasets of 2LevelMissingOnePass, made of the chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine import Dataset, Draws, Table
from templates_engine.outputs import Cell
from templates_engine.running import summaries
from templates_engine.sampling.glm import families
from templates_engine.sampling.onepass import Chain

from .building import Prepared
from .spec import BINARY, NORMAL, ORDERED, Spec

SPREAD = (0.025, 0.975)


def results(spec: Spec, draws: Draws, notes: Sequence[str]) -> Table:
    """ModelResults: the summary with the published guide's name of each parameter beside ours."""
    table = summaries.summary(draws, title=f"{spec.y}: both models in one pass", notes=tuple(notes))
    columns = (*table.columns, "published_name")
    theirs = _published(spec, draws.parameters)
    rows = tuple((*row, name) for row, name in zip(table.rows, theirs, strict=True))
    return Table(columns, rows, table.title, table.notes)


def _published(spec: Spec, parameters: Sequence[str]) -> list[str | None]:
    """The guide's name of each parameter: its beta2imp are coefficients of all incomplete variables in turn."""
    found: list[str | None] = []
    coefficients = 0
    for name in parameters:
        if name.startswith(("beta1imp_", "beta2imp_")):
            found.append(f"beta2imp_{coefficients}")
            coefficients += 1
        elif name.startswith(("omega_e_", "tau_")):
            found.append(None)
        else:
            found.append(name)
    return found


def result_notes(spec: Spec, prepared: Prepared, iterations: int, chains: int) -> list[str]:
    groups = f" in {len(prepared.labels):,} groups of {spec.group or spec.upper}" if prepared.labels else ""
    left = f"; {prepared.dropped:,} rows without a response left out" if prepared.dropped else ""
    length = f"{chains} chain{'s' if chains > 1 else ''} of {iterations:,} iterations"
    priors = []
    if spec.group is not None:
        priors.append(f"random effects of the model of interest: {spec.prior_interest}")
    if spec.upper is not None:
        priors.append(f"level 2 of the incomplete variables: {spec.prior_covariates}")
    spread = {
        "Normal": "sigma2 is the residual variance of the model of interest, ",
        "Negative binomial": "alpha: the variance of a count with mean μ is μ + alpha μ²; ",
    }.get(spec.family, "")
    return [
        f"N = {prepared.data.n_rows:,}{groups}{left}.",
        f"{length} after {spec.mcmc.burnin:,}; seed {spec.mcmc.seed}.",
        "Flat priors of coefficients" + "".join(f"; {each}" for each in priors) + ".",
        (
            f"{spread}omega_uint are the model of interest's level 2 (co)variances; omega_u "
            "and omega_e are those of the incomplete variables at level 2 and 1, on the probit scale for categories."
        ),
    ]


def imputed(spec: Spec, prepared: Prepared, chains: Sequence[Chain]) -> Table:
    """Each variable with a model of its own: what was missing, and how it was drawn."""
    tried = np.sum([chain.tried for chain in chains], axis=0)
    rows: list[tuple[Cell, ...]] = []
    for at, (r, level) in enumerate([*((r, 1) for r in spec.level1), *((r, 2) for r in spec.level2)]):
        values = prepared.data[r.name] if level == 1 or prepared.upper is None else prepared.upper[r.name]
        gaps = int(np.isnan(values).sum())
        degree = max(
            [sum(f.power for f in t.factors if f.variable == r.name) for t in prepared.model.interest.terms], default=0
        )
        accepted = None
        if not gaps:
            how = "complete"
        elif degree == 0:
            how = "exact: its own model alone (auxiliary)"
        elif r.kind in (BINARY, ORDERED):
            how = "exact: all categories enumerated"
        elif r.kind == NORMAL:
            how = "exact: Normal" if degree == 1 and spec.link == "identity" else "slice sampling"
        else:
            how = "Metropolis"
            accepted = float(tried[at, 1] / tried[at, 0]) if tried[at, 0] else None
        rows.append((r.name, level, r.kind, gaps, len(values), how, accepted))
    columns = ("variable", "level", "type", "missing", "of", "drawn", "accepted")
    note = "accepted: the share of Metropolis proposals that were accepted; exact draws have none."
    return Table(columns, tuple(rows), "How missing values were drawn", (note,))


def fit_table(spec: Spec, prepared: Prepared, deviance: np.ndarray) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("deviance", float(np.mean(deviance)) - 2.0 * _constant(spec, prepared)),
        ("n", int((~np.isnan(prepared.model.interest.y)).sum())),
        ("groups", len(prepared.labels)),
        ("rows left out", prepared.dropped),
    ]
    notes = (
        (
            "deviance: posterior mean of -2 log likelihood of the response given the group effects and the covariates "
            "as drawn. DIC and WAIC of the observed data are not shown: with covariates drawn anew in every iteration "
            "the formulas from this deviance would count each missing value as a parameter."
        ),
    )
    return Table(("measure", "value"), tuple(rows), "Fit of the model", notes)


def _constant(spec: Spec, prepared: Prepared) -> float:
    """The part of the log likelihood that depends on the data alone, which the sampler leaves out."""
    if spec.link == "identity":
        return 0.0
    interest = prepared.model.interest
    seen = ~np.isnan(interest.y)
    trials = interest.trials if interest.trials is not None else np.ones(interest.y.size)
    return families.constant(families.CODES[spec.link], interest.y[seen], trials[seen])


def proposals(spec: Spec, chains: Sequence[Chain]) -> str:
    """A sentence on the Metropolis steps of a response that is not Normal."""
    tried = np.sum([chain.proposed for chain in chains], axis=0)
    parts = [
        f"{tried[k, 1] / tried[k, 0]:.0%} of the proposals of {what}"
        for k, what in enumerate(("the coefficients", "the group effects"))
        if tried[k, 0]
    ]
    return f"Accepted were {' and '.join(parts)} of the model of interest." if parts else ""


def slopes(spec: Spec, prepared: Prepared, draws: Draws) -> Table | None:
    """Simple slopes of the interactions of two variables: that of one at values of the other.

    Where one of them is raised to a power, categorical, or in further interactions, slopes depend on more than the
    other's value and are left out.
    """
    flat = draws.values.reshape(-1, len(draws.parameters))
    names = [prepared.model.interest.terms[k].name for k in prepared.model.interest.fixed]
    rows: list[tuple[Cell, ...]] = []
    notes = []
    chosen = {t.name for t in spec.x}
    inside = [b for b in spec.built if b.name in chosen]
    for built in inside:
        if len(built.factors) != 2 or any(v.categorical for v, _ in built.factors):
            continue
        for mine, other in ((0, 1), (1, 0)):
            a, b = built.factors[mine][0].name, built.factors[other][0].name
            if any(o is not built and a in {v.name for v, _ in o.factors} for o in inside):
                continue
            own = flat[:, names.index(a)] if a in names else np.zeros(len(flat))
            more = flat[:, names.index(built.name)]
            seen = _seen(spec, prepared, b)
            mean, sd = float(seen.mean()), float(seen.std(ddof=1))
            binary = len(np.unique(seen)) == 2
            points = sorted(set(np.unique(seen).tolist())) if binary else [mean - sd, mean, mean + sd]
            for x in points:
                at = own + more * x
                low, high = np.quantile(at, SPREAD)
                away = "yes" if low > 0 or high < 0 else "no"
                rows.append((a, b, float(x), float(at.mean()), float(at.std(ddof=1)), float(low), float(high), away))
            if not binary:
                notes.append(_region(a, b, own, more, seen))
    if not rows:
        return None
    columns = ("slope of", "at values of", "value", "mean", "sd", "q025", "q975", "away from zero")
    return Table(columns, tuple(rows), "Slopes within the interactions", tuple(notes))


def _seen(spec: Spec, prepared: Prepared, name: str) -> np.ndarray:
    """A variable's observed values, one a group for one of level 2."""
    above = prepared.upper is not None and name in {r.name for r in spec.level2}
    values = prepared.upper[name] if above and prepared.upper is not None else prepared.data[name]
    return np.asarray(values[~np.isnan(values)])


def _region(a: str, b: str, own: np.ndarray, more: np.ndarray, seen: np.ndarray) -> str:
    """Where over the observed range the slope's interval leaves zero (Johnson and Neyman, 1936)."""
    grid = np.linspace(seen.min(), seen.max(), 201)
    low, high = np.quantile(own[:, None] + more[:, None] * grid[None, :], SPREAD, axis=0)
    away = (low > 0) | (high < 0)
    what = f"The 95 % interval of the slope of {a}"
    if away.all():
        return f"{what} excludes zero at every observed value of {b} ({grid[0]:.3g} to {grid[-1]:.3g})."
    if not away.any():
        return f"{what} contains zero at every observed value of {b} ({grid[0]:.3g} to {grid[-1]:.3g})."
    edges = np.flatnonzero(np.diff(away.astype(int)))
    starts = [0, *(edges + 1).tolist()]
    ends = [*edges.tolist(), len(grid) - 1]
    spans = [f"{grid[s]:.3g} to {grid[e]:.3g}" for s, e in zip(starts, ends, strict=True) if away[s]]
    return f"{what} excludes zero where {b} is from {' and from '.join(spans)}."


def effects(spec: Spec, prepared: Prepared, chains: Sequence[Chain]) -> Dataset:
    """Group effects of both models: uint0, uint0_sd, … of the model of interest, u0, … of the incomplete variables."""
    weights = np.array([max(len(chain.values), 1) for chain in chains], float)
    name = spec.group or spec.upper
    assert name is not None
    columns: dict[str, np.ndarray] = {name: prepared.units}
    titles: dict[str, str] = {}
    interest = prepared.model.interest
    parts = [("uint", [interest.terms[k].name for k in interest.random], "effect_mean", "effect_sd")]
    if spec.upper is not None:
        labels = [label for r in prepared.model.covariates.level1 for label in r.labels]
        parts.append(("u", labels, "covariate_effect_mean", "covariate_effect_sd"))
    for stem, labels, means, sds in parts:
        each = np.stack([getattr(chain, means) for chain in chains])
        mean = np.average(each, axis=0, weights=weights)
        within = np.average([getattr(chain, sds) ** 2 for chain in chains], axis=0, weights=weights)
        sd = np.sqrt(within + np.average((each - mean) ** 2, axis=0, weights=weights))
        for k, label in enumerate(labels):
            columns[f"{stem}{k}"], columns[f"{stem}{k}_sd"] = mean[:, k], sd[:, k]
            what = f"Effect of {name}: {label}"
            titles |= {f"{stem}{k}": f"{what}, posterior mean", f"{stem}{k}_sd": f"{what}, posterior sd"}
    return Dataset("residuals", columns, titles=titles)


def completed(
    spec: Spec, prepared: Prepared, levels: Sequence[dict[str, np.ndarray]], chain: int, at: int
) -> tuple[Dataset, Dataset | None]:
    """The rows used with their gaps filled, and the level 2 dataset."""
    level1, level2 = levels
    columns = dict(level1)
    for name, values in level2.items():
        if name in prepared.data and prepared.codes is not None:
            gone = prepared.data.missing(name)
            columns[name] = np.where(gone, values[prepared.codes], prepared.data[name])
    full = prepared.data.with_columns(columns).with_name(f"impute_datafile_chain{chain}_iter{at}")
    upper = None
    if prepared.upper is not None:
        upper = prepared.upper.with_columns(level2).with_name(f"impute_L2Data_chain{chain}_iter{at}")
    return full, upper
