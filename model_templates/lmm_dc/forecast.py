"""PredictNew: a new group's effect, and a new observation of a new group and of each group that was seen."""

from __future__ import annotations

import numpy as np

from templates_engine import Cell, Table
from templates_engine.sampling import streams
from templates_engine.sampling.glm import families as glm_families
from templates_engine.sampling.normal import Floats

from .fitting import Fitted
from .predicting import Predicted
from .spec import BINOMIAL, NORMAL

MOST_PATTERNS, MOST_GROUPS = 24, 1000


def table(fitted: Fitted, predicted: Predicted) -> Table:
    """Means and intervals by simulation, with the parameters and effects that the prediction drew.

    A new observation has the explanatory variables of one of the patterns in the data, or, where these are more than
    MOST_PATTERNS, the means of their columns. The groups that were seen are those of the first classification; units of
    the others are new.
    """
    rng = streams(fitted.spec.mcmc.seed + 3, 1)[0]
    values, factors = predicted.values, fitted.parts.factors
    new = []
    for omega in values.omegas:
        root = np.linalg.cholesky(
            omega + 1e-13 * np.trace(omega, axis1=1, axis2=2)[:, None, None] * np.eye(omega.shape[1])
        )
        new.append(np.einsum("sab,sb->sa", root, rng.standard_normal((len(omega), omega.shape[1]))))
    rows: list[tuple[Cell, ...]] = []
    for c, factor in enumerate(factors):
        for k in range(factor.q):
            name = fitted.parts.z_names[c][k] or "cons"
            rows.append((f"new unit of {fitted.spec.units[c]}", f"effect of {name}", *_summary(fitted, new[c][:, k])))
    patterns = _patterns(fitted)
    groups = min(factors[0].groups, MOST_GROUPS)
    for said, x, zs, trials, offset in patterns:
        others = sum((new[c] @ zs[c] for c in range(1, len(factors))), np.zeros(len(new[0])))
        fixed = offset + (values.gamma @ _orthonormal(fitted, x)) + others
        seen = [("a new group", new[0])]
        if len(patterns) == 1:
            seen += [(fitted.parts.labels[0][j], predicted.draws[0][:, j]) for j in range(groups)]
        for label, u in seen:
            y = _observe(fitted, fixed + u @ zs[0], values.sigma2, trials, rng)
            rows.append((label, f"observation at {said}", *_summary(fitted, y)))
    notes = [f"{fitted.spec.level:g} % intervals; {predicted.method}: as the effects of the groups."]
    if fitted.spec.family == BINOMIAL:
        notes.append("Observations are numbers of successes.")
    return Table(
        ("unit", "what", "estimate", "sd", "lower", "upper"), tuple(rows), "New groups and observations", tuple(notes)
    )


def _orthonormal(fitted: Fitted, x: Floats) -> Floats:
    """q (p,) with x'β = x'centre + q'γ: the centre is added by `_patterns`."""
    return np.asarray(fitted.coordinates.inverse.T @ x, dtype=float)


def _patterns(fitted: Fitted) -> list[tuple[str, Floats, list[Floats], float, float]]:
    """(words, x, z by classification, trials, what is added to x'β)."""
    rows, factors = fitted.rows, fitted.parts.factors
    columns = [rows.x, *(f.z for f in factors), rows.trials[:, None], rows.offset[:, None]]
    cuts = np.cumsum([part.shape[1] for part in columns])[:-1]
    every, _ = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    means = len(every) > MOST_PATTERNS
    if means:
        every = np.column_stack(columns).mean(axis=0)[None]
        every[:, cuts[-2]] = np.round(every[:, cuts[-2]])
    coordinates = fitted.coordinates
    found = []
    for values in every:
        x, *zs, trials, offset = np.split(values, cuts)
        named = [f"{name} {v:.4g}" for name, v in zip(rows.names, x, strict=True) if name != "cons"]
        if fitted.spec.family == BINOMIAL:
            named.append(f"{trials[0]:g} trials")
        if fitted.spec.offset:
            named.append(f"{fitted.spec.offset} {offset[0]:.4g}")
        words = ", ".join(named) or "the intercept"
        centre = float(offset[0]) + float(coordinates.centre @ x)
        found.append((f"the means ({words})" if means else words, x, list(zs), float(trials[0]), centre))
    return found


def _observe(fitted: Fitted, eta: Floats, sigma2: Floats, trials: float, rng: np.random.Generator) -> Floats:
    if fitted.spec.family == NORMAL:
        return np.asarray(eta + np.sqrt(sigma2) * rng.standard_normal(len(eta)), dtype=float)
    mean = glm_families.mean(glm_families.CODES[fitted.spec.link], eta)
    if fitted.spec.family == BINOMIAL:
        return rng.binomial(int(trials), np.clip(mean, 0.0, 1.0)).astype(float)
    return rng.poisson(np.minimum(mean, 1e15)).astype(float)


def _summary(fitted: Fitted, values: Floats) -> tuple[float, float, float, float]:
    tail = 0.5 - fitted.spec.level / 200.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(values.mean()), float(values.std(ddof=1)), float(low), float(high)
