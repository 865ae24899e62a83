"""Protects REML of thousands of units: what is affordable, and the criterion beside another sparse factorisation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from templates_engine.sampling.normal import Factor
from templates_engine.sampling.sparse import Surface, affordable, classes, fit_reml


def intercepts(codes: np.ndarray) -> Factor:
    return Factor(np.asarray(codes, dtype=np.int64), np.ones((len(codes), 1)))


def test_reml_of_thousands_of_nested_units_is_affordable() -> None:
    """In whatever order they are given; variances lie within 4.5 standard errors of the truth, and moving any of them
    by a standard error costs about half a log likelihood unit."""
    rng = np.random.default_rng(1)
    inner = np.repeat(np.arange(2000), 5)
    codes = [inner // 4, inner, inner // 100]
    factors = [intercepts(c) for c in codes]
    x = np.column_stack([np.ones(10000), rng.normal(size=10000)])
    y = 1e4 + x[:, 1] + sum(rng.normal(0, 0.5, c.max() + 1)[c] for c in codes) + rng.normal(size=10000)
    reduced = classes(y, x, factors)
    assert affordable(reduced)
    surface = Surface(reduced)
    fit = fit_reml(surface, reml=True)
    assert fit.sure
    for c, (w, error) in enumerate(zip(fit.omega, fit.omega_se, strict=True)):
        assert abs(w[0, 0] - 0.25) < 4.5 * error[0], c
        moved = [np.sqrt((one + (error[0] if k == c else 0.0)) / fit.sigma2) for k, one in enumerate(fit.omega)]
        assert 0.5 < surface.at(moved, fit.sigma2, reml=True) - fit.deviance < 3.0


def test_pupils_crossed_with_many_teachers_are_affordable() -> None:
    """Two crossed classifications of thousands would take minutes; pupils of some schools who meet the teachers of
    these do not. The criterion is that of a factorisation by another library, at other parameters too."""
    from scipy.sparse import csc_matrix, hstack, identity
    from scipy.sparse.linalg import splu

    rng = np.random.default_rng(2)
    pupil = np.repeat(np.arange(3000), 2)
    school = np.where(rng.random(6000) < 0.05, rng.integers(0, 40, 6000), pupil % 40)
    teacher = school * 8 + rng.integers(0, 8, 6000)
    factors = [intercepts(np.unique(c, return_inverse=True)[1]) for c in (pupil, teacher, school)]
    x = np.column_stack([np.ones(6000), rng.normal(size=6000)])
    y = x @ [3.0, 1.0] + sum(rng.normal(size=f.groups)[f.codes] for f in factors) + rng.normal(size=6000)
    reduced = classes(y, x, factors)
    assert affordable(reduced)
    surface = Surface(reduced)
    fit = fit_reml(surface, reml=True)
    assert fit.sure
    for c, (w, error) in enumerate(zip(fit.omega, fit.omega_se, strict=True)):
        assert abs(w[0, 0] - 1.0) < 4.5 * error[0], c
    for scale in (1.0, 0.7):
        t = [np.sqrt(w * scale / fit.sigma2) for w in fit.omega]
        z = csc_matrix(hstack([f.matrix() * float(root[0, 0]) for f, root in zip(factors, t, strict=True)]))
        lu = splu((z.T @ z + identity(z.shape[1])).tocsc())

        def solved(v, z=z, lu=lu):
            return v - z @ lu.solve(z.T @ v)

        logs = float(np.log(np.abs(lu.U.diagonal())).sum())
        a = x.T @ np.column_stack([solved(c) for c in x.T])
        r = y - x @ np.linalg.solve(a, x.T @ solved(y))
        value = 5998 * math.log(2 * math.pi * fit.sigma2) + logs + np.linalg.slogdet(a)[1] + r @ solved(r) / fit.sigma2
        assert surface.at(t, fit.sigma2, reml=True) == pytest.approx(value, abs=1e-6)
    one, two = rng.permutation(20000) % 4000, rng.permutation(20000) % 4000
    wide = np.ones((20000, 1))
    assert not affordable(classes(rng.normal(size=20000), wide, [intercepts(one), intercepts(two)]))
