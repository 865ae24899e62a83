"""What can be wrong with the data of an imputation template once the rows are looked at.

Errors stop the run before it starts; notices stand with the results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from templates_engine.asking import Term
from templates_engine.data import (
    Dataset,
    code_text,
    collinear,
    design,
    first_in_group,
    levels_of,
    no_intercept,
    spans_ones,
    varies_within,
)
from templates_engine.imputation import carried
from templates_engine.imputation.complete import bound, joint_model
from templates_engine.imputation.leads import ONE_PASS_LEAD
from templates_engine.imputation.spec import Classification, Imputation, Response
from templates_engine.problems import Problem, Refused


def check(spec: Imputation, data: Dataset) -> list[Problem]:
    """All faults and notices at once."""
    found: list[Problem] = []
    for i, response in enumerate(spec.level1):
        found += _response(response, data, 1, i, data[response.name])
        found += _bounds(response, data)
    units = []
    for level, each in enumerate(spec.classes, start=2):
        try:
            codes, labels = data.groups(each.column)
        except Refused as refused:
            return [replace(problem, key=each.key) for problem in refused.problems]
        units.append(codes)
        found += _few(spec, each, len(labels))
        for i, response in enumerate(each.responses):
            found += _varying(each, response.name, codes, data, "notice", f"yimp{level}")
            values = first_in_group(codes, data[response.name], len(labels))
            found += _response(response, data, level, i, values)
            for c, terms in enumerate(response.predictors):
                for term in terms:
                    found += _varying(each, term.name, codes, data, "error", _key(response, level, i, c))
    found += _arrangement(spec, units)
    if not any(data.missing(r.name).any() for r in spec.responses):
        text = "No value of the variables to impute is missing, so all completed datasets are the same: one is enough."
        found.append(Problem("nothing-missing", text, key="yimp1", level="notice"))
    found += _left_out(spec, data)
    found += slopes_of_incomplete(spec, data)
    found += carried.notices(spec, data)
    found += _without_intercept(spec, data)
    if not any(problem.level == "error" for problem in found):
        found += _improper(spec, data)
    return found


def _bounds(response: Response, data: Dataset) -> list[Problem]:
    """A lower bound that is not below the upper one, on rows where the variable is missing."""
    if response.lower is None and response.upper is None:
        return []
    none = np.full(data.n_rows, np.nan)
    low, high = (none if b is None else b for b in (bound(data, response.lower), bound(data, response.upper)))
    gaps = data.missing(response.name)
    wrong = np.flatnonzero(gaps & (low >= high))  # false where one is NaN
    name, key = response.name, f"upper_{response.name}"
    if len(wrong):
        row = wrong[0]
        text = (
            f"The bounds of {name} leave no room on {len(wrong):,} rows where it is missing: on row {row + 1} they are "
            f"{low[row]:g} and {high[row]:g}. The lower must be below the upper."
        )
        return [Problem("no-room-between-bounds", text, key=key, column=name)]
    if not (gaps & ~(np.isnan(low) & np.isnan(high))).any():
        text = f"No missing value of {name} has a bound, so its bounds change nothing."
        return [Problem("bounds-unused", text, key=key, column=name, level="notice")]
    return []


def _key(response: Response, level: int, i: int, c: int) -> str:
    return f"ximp{level}_{i}_{c}" if response.kind == "Unordered" else f"ximp{level}_{i}"


def _response(response: Response, data: Dataset, level: int, i: int, values: np.ndarray) -> list[Problem]:
    found = _values(response, values, f"bin{level}_{i + 1}")
    for c, terms in enumerate(response.predictors):
        found += _collinear(data, terms, _key(response, level, i, c))
    return found


def _few(spec: Imputation, each: Classification, count: int) -> list[Problem]:
    """Too few units for anything, or for correlations."""
    if count < 2:
        text = f"{each.column} has {count} group; two levels need at least two, and about ten to be useful."
        return [Problem("too-few-groups", text, key=each.key, column=each.column)]
    if not each.structure and each.diagonal(spec.level1, count):
        p = each.dimensions(spec.level1)
        text = (
            f"{each.column} has {count} groups, and a covariance matrix of {p} dimensions with a flat prior needs "
            f"{2 * p + 2}. So the effects of {each.column} are taken as uncorrelated, with half-t priors of their "
            "standard deviations."
        )
        return [Problem("diagonal-covariances", text, key=each.key, column=each.column, level="notice")]
    return []


def _arrangement(spec: Imputation, units: Sequence[np.ndarray]) -> list[Problem]:
    """How several classifications lie to one another: which holds which, which are one, which do not hang together."""
    from templates_engine.sampling.joint import components, parent_of

    found = []
    for b, two in enumerate(spec.classes):
        for a, one in enumerate(spec.classes[:b]):
            key, names = two.key, (one.column, two.column)
            inside, outside = parent_of(units[a], units[b]) is not None, parent_of(units[b], units[a]) is not None
            if inside and outside:
                text = (
                    f"{two.column} divides the rows in the same units as {one.column}, so that their variances cannot "
                    "be told apart: leave one of the two out."
                )
                found.append(Problem("same-classification", text, key=key, column=two.column))
            elif inside or outside:
                inner, outer = names if inside else names[::-1]
                text = f"{inner} is nested in {outer}: every unit of {inner} lies in one unit of {outer}."
                found.append(Problem("nested", text, key=key, column=inner, level="notice"))
            else:
                text = f"{one.column} and {two.column} are crossed."
                parts = components(units[a], units[b])
                if parts > 1:
                    text += (
                        f" They fall into {parts:,} parts that share no unit, so that differences between the parts "
                        "belong to either: their variances lean on the prior."
                    )
                found.append(Problem("crossed", text, key=key, column=two.column, level="notice"))
    return found


def slopes_of_incomplete(spec: Imputation, data: Dataset) -> list[Problem]:
    """A random slope of an incomplete covariate comes out too small after joint imputation."""
    found: list[Problem] = []
    lead = ONE_PASS_LEAD.name if spec.moi and carried.one_pass(spec.moi) else ""
    for c, terms in enumerate(spec.moi.slopes if spec.moi else (), start=1):
        key = "x2" if spec.moi and len(spec.moi.groups) == 1 and spec.classes[0].key == "L2ID" else f"x2_{c}"
        for term in terms:
            gaps = float(data.missing(term.name).mean())
            if gaps:
                text = (
                    f"{term.name} has a random slope and lacks {100 * gaps:.0f}% of its values. Joint imputation does "
                    "not know of the slope's variance and makes it too small, by about a sixth at 10% missing, a "
                    "quarter at 20%, half at 40%" + (": use 2LevelMissingOnePass." if lead else ".")
                )
                found.append(Problem("slope-of-incomplete", text, key=key, column=term.name, level="notice", lead=lead))
    return found


def _improper(spec: Imputation, data: Dataset) -> list[Problem]:
    """With flat priors the posterior of a covariance matrix needs enough groups or units."""
    from templates_engine.sampling.joint import propriety

    return [
        Problem("improper-posterior", text, key=key, column=column)
        for text in propriety(joint_model(spec, data))
        for key, column in [_place(spec, text)]
    ]


def _place(spec: Imputation, text: str) -> tuple[str, str]:
    """(key, column) of the question that mends what a sentence says: a variable's predictors, or the variables."""
    named = [
        (r.name, level, i, r.kind)
        for level, responses in enumerate(spec.levels, start=1)
        for i, r in enumerate(responses)
    ]
    for name, level, i, kind in sorted(named, key=lambda found: -len(found[0])):
        if text.startswith(f"The predictors of {name} "):
            return (f"ximp{level}_{i}_0" if kind == "Unordered" else f"ximp{level}_{i}"), name
        if text.startswith(f"{name} has ") or f"value of {name} is" in text:
            return f"bin{level}_{i + 1}", name
    if "determine one another" in text:
        level = next((level for name, level, _, _ in named if text.startswith((f"{name}, ", f"{name} and "))), 1)
        return f"yimp{level}", ""
    said = re.search(r"level (\d+)", text)
    at = int(said[1]) - 2 if said else 0
    return (spec.classes[max(at, 0)].key if spec.classes else "yimp1"), ""


def _varying(each: Classification, name: str, codes: np.ndarray, data: Dataset, level: str, key: str) -> list[Problem]:
    """A variable of a classification should have one value in each unit."""
    groups = varies_within(codes, data[name])
    if not len(groups):
        return []
    _, labels = data.groups(each.column)
    first = groups[0]
    values = list(dict.fromkeys(data[name][(codes == first) & ~data.missing(name)].tolist()))[:3]
    example = f"{labels[first]} has {', '.join(code_text(v) for v in values)}"
    where = f"{len(groups)} of the groups of {each.column} ({example})"
    if level == "notice":
        text = (
            f"{name} is not constant within {where}. The first value in each group is used; Generate makes a column of "
            "group means, if these are meant."
        )
    else:
        text = f"{name} varies within {where}. Predictors of a level 2 variable need one value for each group."
    return [Problem("varies-within-group", text, key=key, column=name, level=level)]


def _values(response: Response, values: np.ndarray, key: str) -> list[Problem]:
    """As many categories as were said, and something to learn from."""
    name = response.name
    seen = levels_of(values)
    if len(seen) < 2:
        text = f"{name} has {'no observed value' if not len(seen) else 'only one value'}, so it cannot be imputed."
        return [Problem("constant-column", text, key=key, column=name)]
    if response.kind == "Normal":
        return []
    if len(seen) == response.n_categories:
        return []
    shown = ", ".join(code_text(v) for v in seen[:6]) + (", …" if len(seen) > 6 else "")
    text = f"{name} is {response.kind} with {response.n_categories} categories; the data hold {len(seen)}: {shown}."
    hint = " Give their number, or choose another type." if response.kind != "Binary" else " Choose another type."
    return [Problem("wrong-number-of-categories", text + hint, key=key, column=name)]


def _collinear(data: Dataset, terms: Sequence[Term], key: str) -> list[Problem]:
    repeated = collinear(design(data, terms))
    if not repeated:
        return []
    text = f"{', '.join(repeated)} can be written as a sum of the other predictors: leave it out, or leave out cons."
    return [Problem("collinear", text, key=key, column=repeated[0])]


def _without_intercept(spec: Imputation, data: Dataset) -> list[Problem]:
    """A line for the model of interest, and for each variable whose predictors lack the intercept."""
    found = []
    if spec.moi and not _has_intercept(data, spec.moi.x):
        said = "the line or plane is forced through the origin"
        found.append(no_intercept(data, said, "x", "in the model of interest"))
    for level, responses in enumerate(spec.levels, start=1):
        for i, response in enumerate(responses):
            if all(_has_intercept(data, terms) for terms in response.predictors):
                continue
            key = f"ximp{level}_{i}_0" if response.kind == "Unordered" else f"ximp{level}_{i}"
            said = "where they are 0 its mean is taken for 0"
            found.append(no_intercept(data, said, key, f"in the predictors of {response.name}"))
    return found


def _has_intercept(data: Dataset, terms: Sequence[Term]) -> bool:
    x = design(data, [term for term in terms if term.categorical or not data.is_text(term.name)])
    return spans_ones(x.matrix[x.complete])


def _left_out(spec: Imputation, data: Dataset) -> list[Problem]:
    """Variables of the model that the imputation ignores."""
    imputed = {r.name for r in spec.responses}
    predictors = {term.name for r in spec.responses for terms in r.predictors for term in terms}
    found: list[Problem] = []
    for name in spec.moi.columns if spec.moi else ():
        gaps = int(data.missing(name).sum())
        if gaps and name not in imputed:
            text = (
                f"{name} has {gaps:,} missing values and is not imputed: its incomplete rows are left out of every fit."
            )
            found.append(Problem("not-imputed", text, key="yimp1", column=name, level="notice"))
        elif not gaps and name not in imputed | predictors and len(levels_of(data[name])) > 1:
            text = (
                f"{name} is in the model of interest but not in the imputation model, as response or predictor. "
                "Its association with the imputed variables is then attenuated."
            )
            found.append(Problem("left-out-of-imputation", text, key="yimp1", column=name, level="notice"))
    for response in spec.responses:
        if (
            spec.moi
            and spec.moi.distribution != "Normal"
            and response.name == spec.moi.y
            and data.missing(response.name).any()
        ):
            text = f"{response.name} is {spec.moi.distribution} and must be complete; it has missing values."
            found.append(Problem("incomplete-response", text, key="y", column=response.name))
    return found
