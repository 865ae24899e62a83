"""What can be wrong with 2LevelImpute's data once the rows are looked at.

Errors stop the run before it starts; notices stand with the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from templates_engine import Dataset, Problem, Refused, Term
from templates_engine.data import code_text, collinear, design, first_in_group, levels_of, varies_within
from templates_engine.regression import no_intercept, spans_ones

from .spec import Response, Spec


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """All faults and notices at once."""
    codes, n_groups = None, 0
    found: list[Problem] = []
    if spec.group is not None:
        try:
            codes, labels = data.groups(spec.group)
        except Refused as refused:
            return [replace(problem, key="L2ID") for problem in refused.problems]
        n_groups = len(labels)
        if n_groups < 2:
            found.append(
                Problem(
                    "too-few-groups",
                    f"{spec.group} has {n_groups} group; two levels need at least two, and about ten to be useful.",
                    key="L2ID",
                    column=spec.group,
                )
            )
    for level, responses in ((1, spec.level1), (2, spec.level2)):
        for i, response in enumerate(responses):
            values = data[response.name]
            if level == 2 and codes is not None:
                found += _varying(spec, response.name, codes, data, "notice")
                values = first_in_group(codes, values, n_groups)
            found += _values(response, values, f"bin{level}_{i + 1}")
            for c, terms in enumerate(response.predictors):
                key = f"ximp{level}_{i}_{c}" if response.kind == "Unordered" else f"ximp{level}_{i}"
                if level == 2 and codes is not None:
                    for term in terms:
                        found += _varying(spec, term.name, codes, data, "error", key)
                found += _collinear(data, terms, key)
    if not any(data.missing(r.name).any() for r in spec.responses):
        text = "No value of the variables to impute is missing, so all completed datasets are the same: one is enough."
        found.append(Problem("nothing-missing", text, key="yimp1", level="notice"))
    found += _left_out(spec, data)
    found += _without_intercept(spec, data)
    if not any(problem.level == "error" for problem in found):
        found += _improper(spec, data)
    return found


def _improper(spec: Spec, data: Dataset) -> list[Problem]:
    """With flat priors the posterior of a covariance matrix needs enough groups or units."""
    from templates_engine.sampling.joint import propriety

    from .imputing import joint_model

    return [
        Problem("improper-posterior", text, key=key, column=column)
        for text in propriety(joint_model(spec, data))
        for key, column in [_place(spec, text)]
    ]


def _place(spec: Spec, text: str) -> tuple[str, str]:
    """(key, column) of the question that mends what a sentence says: a variable's predictors, or the variables."""
    named = [
        (r.name, level, i, r.kind)
        for level, responses in ((1, spec.level1), (2, spec.level2))
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
    return ("L2ID" if spec.group is not None else "yimp1"), ""


def _varying(spec: Spec, name: str, codes: np.ndarray, data: Dataset, level: str, key: str = "yimp2") -> list[Problem]:
    """A level 2 variable should have one value in each group."""
    groups = varies_within(codes, data[name])
    if not len(groups):
        return []
    _, labels = data.groups(spec.group or "")
    first = groups[0]
    values = list(dict.fromkeys(data[name][(codes == first) & ~data.missing(name)].tolist()))[:3]
    example = f"{labels[first]} has {', '.join(code_text(v) for v in values)}"
    where = f"{len(groups)} of the groups of {spec.group} ({example})"
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


def _collinear(data: Dataset, terms: tuple[Term, ...], key: str) -> list[Problem]:
    repeated = collinear(design(data, terms))
    if not repeated:
        return []
    text = f"{', '.join(repeated)} can be written as a sum of the other predictors: leave it out, or leave out cons."
    return [Problem("collinear", text, key=key, column=repeated[0])]


def _without_intercept(spec: Spec, data: Dataset) -> list[Problem]:
    """A line for the model of interest, and for each variable whose predictors lack the intercept."""
    found = []
    if not _has_intercept(data, spec.moi.x):
        said = "the line or plane is forced through the origin"
        found.append(no_intercept(data, said, "x", "in the model of interest"))
    for level, responses in ((1, spec.level1), (2, spec.level2)):
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


def _left_out(spec: Spec, data: Dataset) -> list[Problem]:
    """Variables of the model that the imputation ignores."""
    imputed = {r.name for r in spec.responses}
    predictors = {term.name for r in spec.responses for terms in r.predictors for term in terms}
    found = []
    for name in spec.moi.columns:
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
        if spec.moi.distribution != "Normal" and response.name == spec.moi.y and data.missing(response.name).any():
            text = f"{response.name} is {spec.moi.distribution} and must be complete; it has missing values."
            found.append(Problem("incomplete-response", text, key="y", column=response.name))
    return found
