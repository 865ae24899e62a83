"""Two steps of the joint sampler by themselves, where calibration of the whole would need many fits to notice a fault.

False alarm of each comparison: 5 standard errors, 6e-7. Changes made by hand and noticed here: the power of the slice
updates wrong by q, the power of the change of scale without its q m, the sign of its prior's linear term.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from arviz_stats.base import array_stats
from joint_cases import _CACHE, Case, Variable, blocks, conditioned_inverse_wishart, draw_cuts, simulate

from templates_engine.sampling.joint import Normal
from templates_engine.sampling.joint.covariance import draw_covariance
from templates_engine.sampling.joint.layout import build
from templates_engine.sampling.joint.rescaling import scale_latents
from templates_engine.sampling.rng import streams


def importance(df: float, S: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weighted draws of Ω (4, 4) with density |Ω|^-(df + 5)/2 exp(-tr(S Ω^-1) / 2) given ω_22 = ω_33 = 1.

    Proposal: ω_23 uniform, Ω_oc Student t, the Schur complement of Ω_oo inverse Wishart (all unit Jacobians).
    """
    rho = rng.uniform(-1, 1, n)
    t = scipy.stats.multivariate_t(shape=0.35 * np.eye(4), df=4)
    oc = t.rvs(n, random_state=rng).reshape(n, 2, 2)
    schur = scipy.stats.invwishart(df - 2, S[:2, :2])
    own = schur.rvs(n, random_state=rng)
    omega = np.empty((n, 4, 4))
    C = np.ones((n, 2, 2))
    C[:, 0, 1] = C[:, 1, 0] = rho
    omega[:, 2:, 2:] = C
    omega[:, :2, 2:] = oc
    omega[:, 2:, :2] = oc.transpose(0, 2, 1)
    omega[:, :2, :2] = own + oc @ np.linalg.inv(C) @ oc.transpose(0, 2, 1)
    logs = -0.5 * (df + 5) * np.linalg.slogdet(omega)[1] - 0.5 * np.einsum("ij,nji->n", S, np.linalg.inv(omega))
    logs -= t.logpdf(oc.reshape(n, 4)) + schur.logpdf(np.moveaxis(own, 0, -1))
    weights = np.exp(logs - logs.max())
    return omega, weights / weights.sum()


def functionals(omega: np.ndarray) -> np.ndarray:
    """(n, 8): what is compared."""
    correlation = omega[:, 0, 1] / np.sqrt(omega[:, 0, 0] * omega[:, 1, 1])
    rho, first, second = omega[:, 2, 3], omega[:, 0, 2], omega[:, 1, 3]
    logs = np.log(omega[:, 0, 0]), np.log(omega[:, 1, 1])
    return np.column_stack([rho, rho**2, first, first**2, second, correlation, *logs])


def test_covariance_with_two_fixed_variances_has_its_density() -> None:
    """Protects the slice updates and the regression decomposition together, at few df, where a slip of p or q shows.

    Two free dimensions and two binary ones; expectations by importance sampling from the density itself.
    """
    rng = np.random.default_rng(3)
    A = rng.standard_normal((4, 9))
    S, df = A @ A.T / 1.5, 8.0
    omega, weights = importance(df, S, 400_000, rng)
    f = functionals(omega)
    expected = weights @ f
    error = np.sqrt(weights**2 @ (f - expected) ** 2)

    current = np.eye(4)
    others, fixed, block = np.array([0, 1]), np.array([2, 3]), np.array([2, 3])
    generator = streams(1, 1)[0]
    draws = np.empty((20_000, 4, 4))
    for k in range(len(draws)):
        assert draw_covariance(generator, current, S.copy(), df, others, fixed, block)
        draws[k] = current
    g = functionals(draws)
    for k in range(f.shape[1]):
        ess = float(array_stats.ess(g[None, :, k], chain_axis=0, draw_axis=1))
        assert abs(g[:, k].mean() - expected[k]) < 5 * np.hypot(error[k], g[:, k].std() / np.sqrt(ess)), k


@pytest.mark.parametrize("covariance", ["differences", "identity"])
def test_change_of_scale_leaves_the_prior_as_it_is(covariance: str) -> None:
    """Protects the power of α and the prior's part in it: before and after, on independent draws from the prior."""
    case = Case(
        (Variable("Binary"), Variable("Binary")),
        (Variable("Unordered", 3, ("cons", "w")), Variable("Ordered", 3)),
        groups=8,
        rows=20,
        covariance=covariance,
        thresholds=Normal(1.0, 2.0),
    )
    rng = np.random.default_rng(6)
    layout = build(simulate(case, rng)[0])
    (_, prior), state, dims, (c,) = case.priors(), layout.state, layout.dims, layout.classes
    omega, z = c.effects.omega, c.effects.z
    share = 0.5 if covariance == "differences" else 0.0
    generator = streams(2, 1)[0]
    p1, p = case.p1, case.p1 + case.p2
    at = slice(int(dims.offset[p1]), int(dims.offset[p]))
    back = layout.output.back[at, at]

    def now() -> np.ndarray:
        gamma = back @ state.theta[at]
        return np.array(
            [
                np.log(np.abs(z)).mean(),
                (gamma**2).mean(),
                gamma.mean(),
                np.log(omega[0, 0]),
                np.log(omega[1, 1]),
                (omega[:p1, p1:] ** 2).mean(),
                omega[0, p1],
                state.tau[p - 1, 2],
                (residual[:, p1:] ** 2).mean(),
            ]
        )

    differences = []
    for _ in range(3000):
        omega[:] = conditioned_inverse_wishart(rng, prior.df, prior.scale, blocks(case.level2, p1), share, _CACHE)
        gamma = case.fixed.mean + rng.standard_normal(at.stop - at.start) / np.sqrt(case.fixed.precision)
        state.theta[at] = np.linalg.solve(back, gamma)
        state.tau[p - 1, 1:3] = draw_cuts(rng, case.level2[1], case.thresholds)
        residual = rng.multivariate_normal(np.zeros(p), omega, case.groups, method="cholesky")
        c.effects.u[:] = residual[:, :p1]
        for e in range(case.p2):
            of = slice(int(dims.offset[p1 + e]), int(dims.offset[p1 + e + 1]))
            first = int(dims.first[p1 + e])
            X = c.groups.design[:, first : first + int(dims.terms[p1 + e])]
            z[:, e] = X @ state.theta[of] + residual[:, p1 + e]
        before = now()
        assert scale_latents(generator, dims, c, layout.priors, state, residual)
        differences.append(now() - before)
    d = np.array(differences)
    assert (d.std(0) > 0.02).all()  # it does move
    assert (np.abs(d.mean(0)) < 5 * d.std(0) / np.sqrt(len(d))).all(), d.mean(0) / d.std(0) * np.sqrt(len(d))
