"""Likelihood-ratio tests on the same rows: of leaving out a coefficient, a random slope, a classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine import Cell, Table
from templates_engine.sampling.glm import data as glm_data, quadrature_fit as glm_fit
from templates_engine.sampling.normal import Factor, Floats, statistics, two_level_ml as mixed_ml
from templates_engine.sampling.sparse import Surface, classes, fit_reml

from .fitting import Fitted, approximated, quadrature
from .spec import NORMAL

MOST = 20  # coefficients


def table(fitted: Fitted) -> Table | None:
    """Of leaving out each coefficient, each random slope with its covariances, and each classification that has one
    random coefficient. None where there is none."""
    from scipy import stats as dist

    spec, rows, factors = fitted.spec, fitted.rows, fitted.parts.factors
    p = rows.x.shape[1]
    if not spec.smoothing:
        return None
    found: list[tuple[Cell, ...]] = []

    def add(hypothesis: str, variable: str, df: int, x: Floats, smaller: Sequence[Factor], edge: bool) -> None:
        ratio = max(_deviance(fitted, x, smaller) - fitted.exact.deviance, 0.0)
        tail = float(dist.chi2.sf(ratio, df))
        if edge:  # half with one degree fewer, none of which is a point at 0
            tail = 0.5 * (tail + (float(dist.chi2.sf(ratio, df - 1)) if df > 1 else float(ratio <= 1e-8)))
        found.append((hypothesis, variable, ratio, float(df), tail))

    for k in range(p if 1 < p <= MOST else 0):
        add(f"beta_{k} = 0", rows.names[k], 1, np.delete(rows.x, k, axis=1), factors, False)
    slopes = False
    for c, factor in enumerate(factors):
        names = _names(fitted, c)
        if factor.q == 1 and not fitted.singles:
            unit = spec.units[c] if spec.several else ""
            add(f"{names[0]} = 0", unit, 1, rows.x, [f for d, f in enumerate(factors) if d != c], True)
        for k in range(factor.q if factor.q > 1 else 0):
            if np.ptp(factor.z[:, k]) == 0.0:  # the intercept stays: what it would mean depends on where zero lies
                continue
            i, j = np.tril_indices(factor.q)
            gone = [name for name, a, b in zip(names, i, j, strict=True) if k in (a, b)]
            smaller = [Factor(f.codes, np.delete(f.z, k, axis=1)) if d == c else f for d, f in enumerate(factors)]
            variable = fitted.parts.z_names[c][k]
            if spec.several:
                variable = f"{variable} by {spec.units[c]}"
            add(" = ".join([*gone, "0"]), variable, factor.q, rows.x, smaller, True)
            slopes = True
    if not found:
        return None
    notes = [
        "statistic: twice the difference of the log likelihoods; p by chi-square with 1 df.",
        "A variance of 0 lies on the boundary: half a chi-square with 1 df, half nothing (Self and Liang 1987).",
    ]
    if slopes:
        notes.append(
            "A random slope is left out with its covariances: half a chi-square with df degrees of freedom, half with "
            "one fewer (Stram and Lee 1994)."
        )
    if spec.copied:
        notes.append("Both log likelihoods are Laplace approximations: p is no better than they are.")
    columns = ("hypothesis", "variable", "statistic", "df", "p")
    return Table(columns, tuple(found), "Likelihood-ratio tests", tuple(notes))


def _names(fitted: Fitted, c: int) -> list[str]:
    """The variances and covariances of one classification, packed."""
    sizes = [f.q * (f.q + 1) // 2 for f in fitted.parts.factors]
    first = len(fitted.exact.beta) + sum(sizes[:c])
    return list(fitted.names[first : first + sizes[c]])


def _deviance(fitted: Fitted, x: Floats, factors: Sequence[Factor]) -> float:
    """-2 log likelihood of a model with these columns and classifications, perhaps none, on the same rows."""
    rows, spec = fitted.rows, fitted.spec
    if spec.copied:
        return approximated(spec, fitted.parts, x, factors).deviance
    if spec.several:
        return fit_reml(Surface(classes(rows.y, x, factors)), reml=False).deviance
    codes, z = (factors[0].codes, factors[0].z) if factors else (None, None)
    if spec.family == NORMAL:
        return mixed_ml.fit(statistics(rows.y, x, codes, z), reml=False).deviance
    if factors:
        return quadrature(spec, fitted.parts, x, factors[0])[1].deviance
    return glm_fit.fit(glm_data.grouped(spec.link, rows.y, x, trials=rows.trials, offset=rows.offset)).deviance
