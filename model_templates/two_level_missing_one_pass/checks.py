"""What can be wrong with the data of 2LevelMissingOnePass once the rows are looked at."""

from __future__ import annotations

import numpy as np

from templates_engine import Dataset, Problem, Refused
from templates_engine.data import (
    Design,
    code_text,
    collinear,
    design,
    levels_of,
    no_intercept,
    spans_ones,
    varies_within,
)
from templates_engine.regression import Model, Rows, response_faults
from templates_engine.sampling import UNIFORM
from templates_engine.sampling.glm import data as glm_data, fixed_only
from templates_engine.sampling.joint import propriety

from .building import Prepared, complete_design, prepare
from .scaling import misfits
from .spec import BINARY, CATEGORICAL, ROWS, Response, Spec

STEEP = 1e6  # largest ratio of singular values of the scaled terms: cross-products keep four digits of a coefficient


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """Errors and notices. Where a level 2 dataset is named, the run looks at its rows (`faults`)."""
    if spec.level2 and spec.level2_data != ROWS:
        return []
    try:
        found = _values(spec, data)
        if any(p.level == "error" for p in found):
            return found
        prepared = prepare(spec, data, None)
    except Refused as refused:
        return list(refused.problems)
    return found + faults(spec, prepared)


def _values(spec: Spec, data: Dataset) -> list[Problem]:
    """What may not be asked of the sampler's arrays: another number of categories, values that vary."""
    found: list[Problem] = []
    for k, r in enumerate(spec.level1, 1):
        found += coded(r, data[r.name], f"bin{k}")
    if spec.level2 and spec.level2_data == ROWS and spec.upper is not None:
        codes, _ = data.groups(spec.upper)
        for k, r in enumerate(spec.level2, 1):
            found += coded(r, data[r.name], f"bin2_{k}")
            for name, level in ((r.name, "notice"), *((t.name, "error") for t in r.predictors)):
                many = len(varies_within(codes, data[name]))
                if not many:
                    continue
                text = f"{name} is not constant within {many:,} groups of {spec.upper}."
                text += " The first value in each group is used." if level == "notice" else " It cannot be used here."
                key = "yimp2" if level == "notice" else f"ximp2_{k}"
                found.append(Problem("varies-within-group", text, key=key, column=name, level=level))
    return found


def coded(response: Response, values: np.ndarray, key: str) -> list[Problem]:
    """As many categories as were said; at least two values seen."""
    name = response.name
    seen = levels_of(values)
    if len(seen) < 2:
        text = f"{name} has {'no observed value' if not len(seen) else 'only one value'}: nothing can be learnt of it."
        return [Problem("constant-column", text, key=key, column=name)]
    if response.kind not in CATEGORICAL:
        return misfits(response, np.asarray(seen, float), key)
    if len(seen) == response.n_categories:
        return []
    shown = ", ".join(code_text(v) for v in seen[:6]) + (", …" if len(seen) > 6 else "")
    text = f"{name} is {response.kind} with {response.n_categories} categories; the data hold {len(seen)}: {shown}."
    text += " Choose another type." if response.kind == BINARY else " Give their number, or choose another type."
    return [Problem("wrong-number-of-categories", text, key=key, column=name)]


def faults(spec: Spec, prepared: Prepared) -> list[Problem]:
    """Errors that would spoil the run, and notices that stand with the results."""
    found: list[Problem] = []
    if prepared.upper is not None and spec.level2_data != ROWS:
        for k, r in enumerate(spec.level2, 1):
            found += coded(r, prepared.upper[r.name], f"bin2_{k}")
    for k, r in enumerate(spec.level1, 1):
        found += _collinear(design(prepared.data, r.predictors), f"ximp{k}")
    found += _response(spec, prepared)
    model = prepared.model
    matrix, kept = complete_design(model)
    names = tuple(term.name for term in model.interest.terms)
    if kept.sum() <= len(names) + 1:
        text = f"Only {int(kept.sum()):,} rows are complete; the chains would have nothing to settle on."
        return [*found, Problem("too-few-rows", text, key="xvars")]
    for key, at in (("xvars", model.interest.fixed), ("x2vars", model.interest.random)):
        part = Design(matrix[:, list(at)], tuple(names[k] for k in at), tuple(names[k] for k in at))
        found += _collinear(part, key)
    if not found:
        found += _steep(matrix, names)
    if not found and spec.link != "identity":
        found += _separation(spec, prepared, matrix, kept)
    found += [
        Problem("improper-posterior", text, key="L2IDimp" if spec.upper is not None else "yimp")
        for text in propriety(model.covariates)
    ]
    found += _groups(spec, prepared)
    if not any(p.level == "error" for p in found):
        found += _notices(spec, prepared, int(kept.sum()))
    return found


def _response(spec: Spec, prepared: Prepared) -> list[Problem]:
    """What is wrong with the response and the trials, in the words of the regression templates."""
    interest = prepared.model.interest
    seen = ~np.isnan(interest.y)
    n, none = int(seen.sum()), np.zeros((int(seen.sum()), 0))
    trials = interest.trials[seen] if interest.trials is not None else np.ones(n)
    rows = Rows(n, 0, interest.y[seen], none, (), trials, np.zeros(n), (), (), (), ())
    model = Model(spec.y, (), spec.mcmc, family=spec.family, link=spec.link, trials=spec.trials, offset=spec.offset)
    return response_faults(model, rows)


def _separation(spec: Spec, prepared: Prepared, matrix: np.ndarray, kept: np.ndarray) -> list[Problem]:
    """With flat priors, coefficients that run off to infinity have no posterior (Albert and Anderson 1984)."""
    interest = prepared.model.interest
    rows = glm_data.grouped(
        spec.link, interest.y[kept], matrix[:, list(interest.fixed)],
        trials=None if interest.trials is None else interest.trials[kept],
        offset=None if interest.offset is None else interest.offset[kept],
    )  # fmt: skip
    if fixed_only(rows).finite:
        return []
    text = (
        f"The explanatory variables predict {spec.y} perfectly in part of the complete rows (separation): a "
        "coefficient has no finite estimate. Leave a variable out or merge categories."
    )
    return [Problem("separation", text, key="xvars")]


def _collinear(part: Design, key: str) -> list[Problem]:
    repeated = collinear(part)
    if not repeated:
        return []
    text = f"{', '.join(repeated)} can be written as a sum of the others: leave it out, or leave out cons."
    return [Problem("collinear", text, key=key, column=repeated[0])]


def _steep(matrix: np.ndarray, names: tuple[str, ...]) -> list[Problem]:
    """Terms that are nearly collinear only because of where zero is, as year and year²."""
    scaled = matrix / np.maximum(np.sqrt(np.mean(matrix**2, axis=0)), 1e-300)
    size = np.linalg.svd(scaled, compute_uv=False)
    if size[-1] * STEEP > size[0]:
        return []
    text = (
        f"The terms {', '.join(names)} are so nearly collinear that their coefficients could not be computed to four "
        "digits. Take a round number near its mean off each measurement (Generate), and build the terms anew."
    )
    return [Problem("nearly-collinear", text, key="xvars")]


def _groups(spec: Spec, prepared: Prepared) -> list[Problem]:
    """Groups enough for the random effects of the model of interest."""
    if spec.group is None:
        return []
    J, q = len(prepared.labels), len(prepared.model.interest.random)
    if J < 2:
        text = f"{spec.group} has {J} group; two levels need at least two."
        return [Problem("too-few-groups", text, key="L2ID", column=spec.group)]
    if spec.prior_interest == UNIFORM and not 2 * q + 1 < J:
        text = (
            f"With a uniform prior the random effects' {q} by {q} covariance matrix needs more than {2 * q + 1} "
            f"groups; there are {J}. Choose the other prior or fewer random coefficients."
        )
        return [Problem("improper-posterior", text, key="priorsint", column=spec.group)]
    return []


def _notices(spec: Spec, prepared: Prepared, complete: int) -> list[Problem]:
    found = []
    n = prepared.data.n_rows
    if prepared.dropped:
        text = f"{prepared.dropped:,} rows in which {spec.y} is missing are left out; {n:,} are used."
        found.append(Problem("rows-dropped", text, level="notice"))
    said = {t.name for r in spec.responses for t in r.predictors} | {r.name for r in spec.responses}
    said |= {name for name, _ in spec.more.means}
    for name in spec.variables:
        if not spec.level1 or name in said or name not in prepared.data or np.ptp(prepared.data[name]) == 0:
            continue
        text = (
            f"{name} is in the model of interest and predicts none of the incomplete variables: where it is associated "
            "with them, the association is lost in what is drawn. Add it to their predictors."
        )
        found.append(Problem("not-a-predictor", text, key="ximp1", column=name, level="notice"))
    found += _without_intercept(spec, prepared)
    model = prepared.model.covariates
    gaps = [r.name for r in (*model.level1, *model.level2) if np.isnan(r.values).any()]
    if not gaps:
        text = "None of the chosen variables has a missing value: 2LevelMod or 2LevelRS fits this model faster."
        found.append(Problem("nothing-missing", text, key="yimp", level="notice"))
    return found


def _without_intercept(spec: Spec, prepared: Prepared) -> list[Problem]:
    """A line for the model of interest, and for each variable whose predictors lack the intercept."""
    found = []
    matrix, _ = complete_design(prepared.model)
    if not spans_ones(matrix[:, list(prepared.model.interest.fixed)]):
        said = "the line or plane is forced through the origin"
        found.append(no_intercept(prepared.data, said, "xvars", "in the model of interest"))
    for form, responses in (("ximp{}", spec.level1), ("ximp2_{}", spec.level2)):
        for k, r in enumerate(responses, 1):
            table = prepared.upper if form == "ximp2_{}" and prepared.upper is not None else prepared.data
            if not spans_ones(design(table, r.predictors).matrix):
                said = "where they are 0 its mean is taken for 0"
                found.append(no_intercept(table, said, form.format(k), f"in the predictors of {r.name}"))
    return found
