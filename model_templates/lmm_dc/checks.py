"""What only the rows can tell. Groups of one are no fault in themselves: they are what the verdict is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from templates_engine.data.dataset import Dataset, missing
from templates_engine.problems import Problem, Refused
from templates_engine.sampling import mixed_checks
from templates_engine.sampling.mixed_data import Rows

from .rows import long, rows_of
from .spec import BINOMIAL, CONS, NORMAL, SECOND, Spec

_KEYS = {"L2ID": "C1", "x2": "x2_1"}
# Matters of flat priors, which are not used here, and of groups of one, which are judged below.
_ELSEWHERE = {"more-effects-than-rows", "no-level-1-variance", "improper-posterior", "long-tail", "rows-dropped"}


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """Errors that stop the run, and notices that stand with its results."""
    table = long(spec, data)
    if CONS not in data and any(t.name not in table for t in (*spec.x, *spec.x2)):
        return [Problem("not-a-column", "A chosen column is not in the dataset any more.", key="x")]
    found = [
        replace(p, key=_KEYS.get(p.key, p.key))
        for p in mixed_checks.check(spec.model, table)
        if p.code not in _ELSEWHERE
    ]
    wrong = [p for p in found if p.level == "error"]
    if any(p.code == "no-complete-rows" for p in wrong):
        return found
    try:
        rows = rows_of(spec, data)
    except Refused as refused:
        return list(refused.problems)
    ours = _groups(spec, rows)
    if ours or wrong:
        return ours + [p for p in wrong if not (ours and p.code == "too-few-groups")]
    return found + _sampling(spec, rows) + _notices(spec, data, rows)


def _groups(spec: Spec, rows: Rows) -> list[Problem]:
    sizes = np.bincount(rows.codes) if rows.codes is not None else np.zeros(0)
    singles = bool(np.all(sizes == 1))
    q = 1 if rows.z is None else rows.z.shape[1]

    def wrong(text: str, key: str = "C1") -> list[Problem]:
        return [Problem("groups-of-one", text, key=key, column=spec.group)]

    if singles and spec.family == NORMAL and not spec.smoothing:
        return wrong(
            f"Each of the {rows.J:,} groups of {spec.unit} has one observation and a parameter of its own, so that "
            "nothing is left for the variance. Without smoothing at least one group needs two observations.",
            "smoothing",
        )
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
    if spec.family == NORMAL and not singles and spec.smoothing and not _left(rows):
        text = f"{spec.response} does not vary within the groups of {spec.unit}: there is no level 1 variance."
        return [Problem("no-level-1-variance", text, key="y", column=spec.response)]
    return []


def _left(rows: Rows) -> bool:
    from templates_engine.sampling.mixed_stats import statistics

    stats = statistics(rows.y, rows.x, rows.codes, rows.z)
    return bool(stats.within_rss > 1e-20 * float(rows.y @ rows.y))


def _residual(rows: Rows) -> float:
    """The maximum likelihood estimate of the residual variance; with groups of one, of both variances together."""
    from templates_engine.sampling import mixed_ml
    from templates_engine.sampling.mixed_stats import statistics

    return mixed_ml.fit(statistics(rows.y, rows.x, rows.codes, rows.z), reml=False).sigma2


def _sampling(spec: Spec, rows: Rows) -> list[Problem]:
    found: list[Problem] = []
    p, q = rows.x.shape[1], 1 if rows.z is None else rows.z.shape[1]
    if spec.prior == SECOND and spec.family == NORMAL:
        spread = _residual(rows)
        if not 0.001 < spread < 5:
            text = (
                f"The residual variance of {spec.response} is about {spread:.3g}, and Documents 2 allows values from "
                "0.001 to 5 only. Choose Weak."
            )
            found.append(Problem("prior", text, key="priors"))
    if not spec.profile:
        return found
    known = [f"beta_{k}" for k in range(p)]
    if spec.smoothing and q == 1 and not (spec.slopes and spec.family == NORMAL):
        known.append("sigma2_u")
    if spec.family == NORMAL and spec.smoothing and q == 1:
        known.append("sigma2")
    if not spec.smoothing:
        known = []
    if spec.profile not in known:
        text = f"There is no {spec.profile} to profile in this model; it has {', '.join(known) or 'none to profile'}."
        found.append(Problem("no-parameter", text, key="profile"))
    return found


def _notices(spec: Spec, data: Dataset, rows: Rows) -> list[Problem]:
    found: list[Problem] = []
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
