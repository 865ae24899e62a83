"""Whether a joint model has a proper posterior and can be fitted: what is wrong, in plain sentences."""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.joint.model import (
    Array,
    InverseWishart,
    JointModel,
    Prior,
    Response,
    Uniform,
    dimensions_within,
)


def propriety(model: JointModel) -> list[str]:
    """Why the posterior would be improper or the model could not be fitted: plain sentences, none if all is well."""
    found: list[str] = []
    for level, responses in enumerate(model.levels, start=1):
        p = len(dimensions_within(model, level - 1))
        given = model.prior.level1 if level == 1 else model.classes[level - 2].prior
        flat = isinstance(given, Uniform)
        if isinstance(given, InverseWishart):
            if given.scale.shape != (p, p) or not given.df > p - 1:
                found.append(
                    f"The inverse Wishart prior at level {level} needs a {p} by {p} scale and df above {p - 1}."
                )
            elif np.linalg.eigvalsh(given.scale).min() <= 0:
                found.append(f"The scale of the inverse Wishart prior at level {level} must be positive definite.")
        for response in responses:
            found += _response_faults(response, level, flat and level == 1, p, model.prior)
        found += _dependent(responses)
    for level, each in enumerate(model.classes, start=2):
        p, J = len(dimensions_within(model, level - 1)), each.n_units
        if J < 2:
            found.append(f"At least two groups are needed at level {level}.")
        elif isinstance(each.prior, Uniform) and not 2 * p + 1 < J:
            found.append(
                f"With a uniform prior the level {level} covariance matrix of {p} dimensions needs more than"
                f" {2 * p + 1} groups; there are {J}. Use fewer responses or an inverse Wishart prior."
            )
    return found


def _response_faults(response: Response, level: int, flat: bool, p: int, prior: Prior) -> list[str]:
    """Faults of one response by itself."""
    found: list[str] = []
    seen = response.values[~np.isnan(response.values)]
    name = response.name
    if seen.size == 0:
        return [f"{name} has no observed values."]
    if response.kind == "Normal":
        if seen.min() == seen.max():
            found.append(f"{name} is constant.")
        elif flat and seen.size - len(response.names[0]) <= 2 * p:
            found.append(
                f"{name} has {seen.size} observed values; with a uniform prior more than"
                f" {2 * p + len(response.names[0])} are needed."
            )
    else:
        counts = np.bincount(seen.astype(np.int64), minlength=response.categories)
        if prior.fixed is None and (response.kind != "Ordered" or prior.thresholds is None):
            found += [f"No observed value of {name} is in category {k}." for k in np.flatnonzero(counts == 0)]
    if prior.fixed is None:
        rows = ~np.isnan(response.values)
        if response.kind == "Binary" and not found and separated(response.designs[0][rows], seen):
            found.append(
                f"The predictors of {name} ({', '.join(response.names[0])}) determine its value for some rows, so that"
                " its coefficients have no finite estimate under flat priors. Leave out or combine predictors."
            )
        for label, design, names in zip(response.labels, response.designs, response.names, strict=True):
            if design.shape[1] and np.linalg.matrix_rank(design[rows]) < design.shape[1]:
                found.append(
                    f"The predictors of {label} at level {level} ({', '.join(names)}) are linearly dependent among its"
                    " observed rows."
                )
    return found


def _dependent(responses: tuple[Response, ...]) -> list[str]:
    """Normal responses that are linear combinations of one another (and a constant) have no covariance matrix."""
    normal = [r for r in responses if r.kind == "Normal"]
    if len(normal) < 2:
        return []
    rows = ~np.isnan([r.values for r in normal]).any(axis=0)
    values = np.array([r.values[rows] for r in normal])
    spread = values.std(axis=1) if rows.any() else np.zeros(len(normal))
    if rows.sum() <= len(normal) or not (spread > 0).all():
        return []
    size, vectors = np.linalg.eigh(np.corrcoef(values))
    if size[0] > 1e-10:
        return []
    names = [r.name for r, weight in zip(normal, vectors[:, 0], strict=True) if abs(weight) > 1e-3]
    return [f"{', '.join(names[:-1])} and {names[-1]} determine one another: leave one out."]


def separated(design: Array, y: Array) -> bool:
    """Whether some combination of predictors is never on the wrong side of a 0/1 response, and sometimes on the right.

    Then a probit with flat coefficients has no maximum and no proper posterior (Albert and Anderson, 1984, Biometrika
    71, 1-10). A linear programme over the distinct rows: maximise the total of s_i x_i' b, each between 0 and 1, where
    s_i = +1 or -1 is the side of row i.
    """
    if np.unique(design, axis=0).shape[0] <= 1:  # nothing but a constant: both values were seen
        return False
    import scipy.optimize  # half a second, and most models have no use for it

    signed = np.unique(design * np.where(y > 0.5, 1.0, -1.0)[:, None], axis=0)
    signed = signed / np.maximum(np.abs(signed).max(axis=0), 1e-300)
    bounds = np.concatenate([np.ones(len(signed)), np.zeros(len(signed))])
    result = scipy.optimize.linprog(
        -signed.sum(axis=0), A_ub=np.vstack([signed, -signed]), b_ub=bounds, bounds=(None, None), method="highs"
    )
    return bool(result.status == 0 and -result.fun > 1e-6)
