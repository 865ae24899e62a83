"""What only the rows can tell. Groups of one are no fault in themselves: they are what the verdict is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from templates_engine import Dataset, Problem, Refused
from templates_engine.data import missing
from templates_engine.regression import NModel, checks as mixed_checks
from templates_engine.sampling.cloning import MOST_COEFFICIENTS

from . import quantities
from .names import correlations, effect_names, variance_names
from .rows import Parts, long, rows_of
from .spec import BINOMIAL, MANY_COPIED, MOST_COPIED, NORMAL, SECOND, Spec

_KEYS = {"L2ID": "C1", "x2": "x2_1"}
_FLAT = {"improper-posterior", "long-tail", "rows-dropped"}  # matters of flat priors, which are not used here
_ELSEWHERE = {*_FLAT, "more-effects-than-rows", "no-level-1-variance"}  # and of groups of one, which are judged below


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """Errors that stop the run, and notices that stand with its results."""
    table = long(spec, data)
    if any(t.name not in table for t in spec.terms):
        return [Problem("not-a-column", "A chosen column is not in the dataset any more.", key="x")]
    model = spec.model
    if isinstance(model, NModel):
        return _several(spec, model, data)
    found = [
        replace(p, key=_KEYS.get(p.key, p.key)) for p in mixed_checks.check(model, table) if p.code not in _ELSEWHERE
    ]
    wrong = [p for p in found if p.level == "error"]
    if any(p.code == "no-complete-rows" for p in wrong):
        return found
    try:
        parts = rows_of(spec, data)
    except Refused as refused:
        return list(refused.problems)
    ours = _groups(spec, parts)
    if ours or wrong:
        return ours + [p for p in wrong if not (ours and p.code == "too-few-groups")]
    return found + _sampling(spec, parts) + _notices(spec, data, parts)


def _several(spec: Spec, model: NModel, data: Dataset) -> list[Problem]:
    """Several classifications: units of one row each cannot be told from the residual, whatever else there is."""
    found = [p for p in mixed_checks.check(model, long(spec, data)) if p.code not in _FLAT]
    if any(p.level == "error" for p in found):
        return found
    parts = rows_of(spec, data)
    if not _affordable(spec, parts):
        units = " and ".join(f"{f.groups:,} of {name}" for f, name in zip(parts.factors, spec.units, strict=True))
        of = "the Laplace approximation" if spec.copied else "an exact likelihood"
        text = f"The units ({units}) cross in too many ways for {of} on this machine: leave one out."
        return [*found, Problem("too-large", text, key="numclass")]
    if spec.copied:
        found += _copies(spec, parts)
    return found + _sampling(spec, parts) + _notices(spec, data, parts)


def _affordable(spec: Spec, parts: Parts) -> bool:
    """Whether the likelihood, or its approximation, can be had."""
    if spec.copied:
        from templates_engine.sampling.glm import laplace as glm_laplace

        return glm_laplace.affordable(parts.rows.x.shape[1], parts.factors)
    from templates_engine.sampling.sparse import classes

    try:
        classes(parts.rows.y, parts.rows.x, parts.factors)
    except ValueError:
        return False
    return True


def _copies(spec: Spec, parts: Parts) -> list[Problem]:
    """What copies that are written out cost."""
    n, largest = parts.rows.n, spec.clones[-1]
    size = f"{largest:,} copies of {n:,} rows are {n * largest:,} rows"
    if n * largest > MOST_COPIED:
        text = (
            f"With a {spec.family} response and several classifications the copies are written out: {size}, and at "
            f"most {MOST_COPIED:,} can be fitted. The largest clone number can be {MOST_COPIED // n:,} here."
        )
        return [Problem("too-large", text, key="clones")]
    if n * largest > MANY_COPIED:
        text = (
            f"With a {spec.family} response and several classifications the copies are written out: {size} that each "
            "iteration passes over, so this run takes minutes. Fewer clones take less."
        )
        return [Problem("many-copies", text, key="clones", level="notice")]
    return []


def _groups(spec: Spec, parts: Parts) -> list[Problem]:
    rows = parts.rows
    sizes = np.bincount(parts.factors[0].codes)
    singles = bool(np.all(sizes == 1))
    q = parts.factors[0].q

    def wrong(text: str, key: str = "C1") -> list[Problem]:
        return [Problem("groups-of-one", text, key=key, column=spec.group)]

    if singles and spec.family == NORMAL and not spec.smoothing:
        return wrong(
            f"Each of the {rows.J:,} groups of {spec.unit} has one observation and a parameter of its own, so that "
            "nothing is left for the variance. Without smoothing at least one group needs two observations.",
            "smoothing",
        )
    if spec.family != NORMAL and q > MOST_COEFFICIENTS:
        text = (
            f"With a {spec.family} response a group can have {MOST_COEFFICIENTS} random coefficients at most, and "
            f"these are {q} ({', '.join(parts.z_names[0])}): choose fewer."
        )
        return [Problem("too-many-effects", text, key="x2_1")]
    if spec.family != NORMAL and q > 1 and singles:
        return wrong(f"Every group of {spec.unit} has one row; random slopes need groups with several.")
    if spec.family == NORMAL and q > 1 and rows.J * q >= rows.n:
        return wrong(
            f"{spec.unit} has {rows.J:,} groups with {q} random coefficients each, but only {rows.n:,} rows: random "
            "slopes need groups with more observations than that."
        )
    if spec.family == NORMAL and spec.slopes and not np.any(sizes > 1):
        return wrong(f"Every group of {spec.unit} has one row; random slopes need groups with several.")
    if spec.family == BINOMIAL and singles and bool(np.all(rows.trials <= 1)):
        return wrong(
            f"Every group of {spec.unit} has one row with one trial: a yes or no by itself cannot tell a difference "
            "between groups from chance. Groups need several rows, or rows several trials."
        )
    if spec.family == NORMAL and not singles and spec.smoothing and not _left(parts):
        text = f"{spec.response} does not vary within the groups of {spec.unit}: there is no level 1 variance."
        return [Problem("no-level-1-variance", text, key="y", column=spec.response)]
    return []


def _left(parts: Parts) -> bool:
    from templates_engine.sampling.normal import statistics

    rows = parts.rows
    stats = statistics(rows.y, rows.x, rows.codes, rows.z)
    return bool(stats.within_rss > 1e-20 * float(rows.y @ rows.y))


def _residual(parts: Parts) -> float:
    """The maximum likelihood estimate of the residual variance; with groups of one, of both variances together."""
    from templates_engine.sampling.normal import statistics, two_level_ml as mixed_ml

    rows = parts.rows
    return mixed_ml.fit(statistics(rows.y, rows.x, rows.codes, rows.z), reml=False).sigma2


def _sampling(spec: Spec, parts: Parts) -> list[Problem]:
    found: list[Problem] = []
    rows = parts.rows
    if spec.prior == SECOND and spec.family == NORMAL:
        spread = _residual(parts)
        if not 0.001 < spread < 5:
            text = (
                f"The residual variance of {spec.response} is about {spread:.3g}, and Documents 2 allows values from "
                "0.001 to 5 only. Choose Weak."
            )
            found.append(Problem("prior", text, key="priors"))
    names = [f"beta_{k}" for k in range(rows.x.shape[1])] + variance_names(spec, parts)
    if spec.derived:
        known = [*names, *effect_names(spec, parts), *(rho for *_, rho in correlations(spec, parts))]
        found += [Problem("derived", text, key="derived") for text in quantities.faults(spec.derived, known)]
    if not spec.profile:
        return found
    known = profiled(spec, parts, names) if spec.smoothing else []
    if spec.profile not in known:
        text = f"There is no {spec.profile} to profile in this model; it has {', '.join(known) or 'none to profile'}."
        if spec.smoothing and spec.profile in names:
            rho = spec.profile.replace("omega", "rho")
            text = f"{spec.profile} is a covariance: {rho}, the correlation that belongs to it, has a profile."
        found.append(Problem("no-parameter", text, key="profile"))
    return found


def profiled(spec: Spec, parts: Parts, names: list[str]) -> list[str]:
    """The parameters that have a profile: of covariances their correlations."""
    rhos = [rho for *_, rho in correlations(spec, parts)]
    off = {rho.replace("rho", "omega") for rho in rhos}
    return [name for name in names if name not in off] + rhos


def _notices(spec: Spec, data: Dataset, parts: Parts) -> list[Problem]:
    found: list[Problem] = []
    rows = parts.rows
    table = long(spec, data)
    if rows.dropped:
        gaps = {name: int(missing(table[name]).sum()) for name in spec.model.columns}
        most = [f"{name} {count:,}" for name, count in sorted(gaps.items(), key=lambda g: -g[1]) if count][:4]
        text = f"{rows.dropped:,} of {table.n_rows:,} observations are incomplete and left out; {rows.n:,} are used "
        found.append(Problem("rows-dropped", f"{text}(missing: {', '.join(most)}).", level="notice"))
    if len(spec.clones) == 1:
        text = "With one clone number nothing can be said of estimability; give at least two, such as 1,10."
        found.append(Problem("one-clone-number", text, key="clones", level="notice"))
    elif spec.clones[-1] < 10:
        text = f"The largest clone number is {spec.clones[-1]}: the prior may still be seen in the estimates."
        found.append(Problem("few-clones", text, key="clones", level="notice"))
    if spec.truth and spec.truth in table:
        ids = table[spec.unit]
        values = table[spec.truth]
        known = ~missing(values) & ~missing(ids)
        pairs = {(str(i), float(v)) for i, v in zip(ids[known].tolist(), values[known].tolist(), strict=True)}
        if len(pairs) > len({i for i, _ in pairs}):
            text = f"{spec.truth} varies within groups of {spec.unit}; the first value of each group is taken."
            found.append(Problem("truth-varies", text, key="truth", column=spec.truth, level="notice"))
    return found
