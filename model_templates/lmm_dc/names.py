"""The parameters of LMM/DC: their names, the classifications they belong to, and where they stand among the draws."""

from __future__ import annotations

import re

import numpy as np

from templates_engine.sampling.cloning import Cloned
from templates_engine.sampling.normal import Floats, packed

from .rows import Parts
from .spec import NORMAL, Spec


def natural(spec: Spec, chain: Cloned, kept: int, effects: Floats | None = None) -> Floats:
    """(draw, parameter): coefficients, variances, and the shown effects without smoothing."""
    columns = [chain.beta[:kept]]
    if spec.smoothing:
        columns.append(chain.omega[:kept])
    if spec.family == NORMAL:
        columns.append(chain.sigma2[:kept, None])
    if effects is not None:
        columns.append(effects)
    return np.concatenate(columns, axis=1)


def variance_names(spec: Spec, parts: Parts) -> list[str]:
    """sigma2_u, or omega_u_0, …; with several classifications their number stands behind the u; sigma2 last."""
    found: list[str] = []
    for c, factor in enumerate(parts.factors, start=1):
        u = f"u{c}" if spec.several else "u"
        if factor.q > 1 or (spec.slopes and not spec.several):
            found += [f"omega_{u}_{k}" for k in range(len(packed(factor.q)))]
        elif spec.smoothing:
            found.append(f"sigma2_{u}")
    return found + (["sigma2"] if spec.family == NORMAL else [])


def effect_names(spec: Spec, parts: Parts) -> list[str]:
    """Without smoothing the first and the last effect, which are parameters then, stand in the tables."""
    return [] if spec.smoothing else ["u_1", f"u_{parts.groups}"]


def correlations(spec: Spec, parts: Parts) -> list[tuple[int, int, int, str]]:
    """(classification, coefficient, coefficient, name) of every correlation: rho_u_1 belongs to the covariance
    omega_u_1."""
    found = []
    for c, factor in enumerate(parts.factors):
        u = f"u{c + 1}" if spec.several else "u"
        rows, columns = np.tril_indices(factor.q)
        for k, (a, b) in enumerate(zip(rows, columns, strict=True)):
            if a != b:
                found.append((c, int(a), int(b), f"rho_{u}_{k}"))
    return found


def classification(spec: Spec, name: str) -> str:
    """The classification whose variance or covariance this is, where there are several."""
    found = re.match(r"(?:sigma2|omega|rho)_u(\d+)", name)
    return spec.units[int(found[1]) - 1] if spec.several and found else ""
