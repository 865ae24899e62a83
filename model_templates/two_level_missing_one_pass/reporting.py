"""Tables and datasets of 2LevelMissingOnePass, made of the chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine import Dataset, Draws, Table
from templates_engine.data import missing
from templates_engine.outputs import Cell
from templates_engine.running import summaries
from templates_engine.sampling.glm import families
from templates_engine.sampling.onepass import Chain

from .building import Prepared
from .spec import BINARY, MEASURED, NORMAL, ORDERED, SELECTION, Response, Spec

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
        elif name.startswith(("omega_e_", "tau_", "select")):
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
        *_assumed(spec),
        (
            f"{spread}omega_uint are the model of interest's level 2 (co)variances; omega_u "
            "and omega_e are those of the incomplete variables at level 2 and 1, on the probit scale for categories."
        ),
    ]


def _assumed(spec: Spec) -> list[str]:
    """What is assumed of the missing values, where it is not that they are missing at random."""
    if spec.more.not_random.kind != SELECTION:
        return []
    names = ", ".join(each.name for each in spec.more.not_random.selected)
    return [
        (
            f"Selection model of {names}: select coefficients are a probit of being missing, with Normal priors, mean "
            "0 and sd 1 for each sd of what it depends on. See Sensitivity for the answers if missing at random."
        )
    ]


def imputed(spec: Spec, prepared: Prepared, chains: Sequence[Chain]) -> Table:
    """Each variable with a model of its own: what was missing, and how it was drawn."""
    tried = np.sum([chain.tried for chain in chains], axis=0)
    rows: list[tuple[Cell, ...]] = []
    for at, (r, level) in enumerate([*((r, 1) for r in spec.level1), *((r, 2) for r in spec.level2)]):
        values = prepared.data[r.name] if level == 1 or prepared.upper is None else prepared.upper[r.name]
        gaps = int(missing(values).sum())
        how, by_chance = _how(spec, prepared, r) if gaps else ("complete", False)
        accepted = float(tried[at, 1] / tried[at, 0]) if by_chance and tried[at, 0] else None
        rows.append((r.name, level, r.kind, gaps, len(values), how, accepted))
    columns = ("variable", "level", "type", "missing", "of", "drawn", "accepted")
    note = "accepted: the share of Metropolis proposals that were accepted; exact draws have none."
    return Table(columns, tuple(rows), "How missing values were drawn", (note,))


def _how(spec: Spec, prepared: Prepared, r: Response) -> tuple[str, bool]:
    """(how a missing value is drawn, whether by Metropolis)."""
    factors = [[f for f in t.factors if f.variable == r.name] for t in prepared.model.interest.terms]
    degree = max([f.power for part in factors for f in part if not f.mean], default=0)
    mean_degree = max([f.power for part in factors for f in part if f.mean], default=0)
    straight = max(degree, mean_degree) <= 1 and not any(len(part) > 1 for part in factors)
    told = any(r.name in (s.name, *(t.name for t in s.x)) for s in spec.more.not_random.selected)
    rows = ", over the rows of its group" if mean_degree else ""
    if degree == 0 and mean_degree == 0 and not told:
        return "exact: its own model alone (auxiliary)", False
    if r.kind in (BINARY, ORDERED):
        return "exact: all categories enumerated" + rows, False
    if r.kind == NORMAL:
        return ("exact: Normal" if straight and spec.link == "identity" else "slice sampling") + rows, False
    if r.kind in MEASURED:
        return "slice sampling of its Normal" + rows, False
    return "Metropolis", True


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
    """A sentence on the Metropolis steps of a response that is not Normal, and of selection models."""
    tried = np.sum([chain.proposed for chain in chains], axis=0)
    parts = [
        f"{tried[k, 1] / tried[k, 0]:.0%} of the proposals of {what}"
        for k, what in enumerate(("the model of interest's coefficients", "its group effects", "the selection models"))
        if tried[k, 0]
    ]
    return f"Accepted were {' and '.join(parts)}." if parts else ""


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
        if len(built.factors) != 2 or any(spec.by_category(v) for v, _ in built.factors):
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
    level1, level2 = ({n: prepared.codings[n].as_written(v) for n, v in each.items()} for each in levels)
    columns = dict(level1)
    for name, values in level2.items():
        if name in prepared.data and prepared.codes is not None:
            gone = prepared.data.missing(name)
            columns[name] = np.where(gone, values[prepared.codes], prepared.data[name])
    for name, of in spec.more.means:
        assert prepared.codes is not None
        columns[name] = _mean_of(np.asarray(columns.get(of, prepared.data[of]), float), prepared.codes)
    full = prepared.data.with_columns(columns).with_name(f"impute_datafile_chain{chain}_iter{at}")
    upper = None
    if prepared.upper is not None:
        upper = prepared.upper.with_columns(level2).with_name(f"impute_L2Data_chain{chain}_iter{at}")
    return full, upper


def _mean_of(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(n,) the group mean on every row."""
    return np.asarray((np.bincount(codes, values) / np.bincount(codes))[codes])
