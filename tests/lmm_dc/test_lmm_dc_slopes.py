"""Binomial and Poisson models with random slopes: the likelihood by brute force, the estimates where that is highest,
the cloned law by copies that are written out, effects by their law on a fine grid; profile intervals by lme4.

False alarms: z-tests at 4.5 Monte Carlo errors, about 40 in all, so under 1 in 3,000 for the file with fresh seeds.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from running import run, shared_data
from scipy import special

from templates_engine.data.dataset import Dataset
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import (
    glm as cloning_glm,
    normal as cloning_normal,
    predict as cloning_predict,
    priors as cloning_priors,
)
from templates_engine.sampling.glm import (
    data as glm_data,
    families as glm_families,
    quadrature_fit as glm_fit,
    sampler as glm_sampler,
)
from templates_engine.sampling.normal import classified as nlevel_normal, priors as mixed_priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.rng import streams

STOP = np.zeros(2, np.int64)
OMEGA = np.array([[0.5, 0.15], [0.15, 0.3]])


def made(link: str, groups: int = 30, each: int = 6):
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(groups), each)
    n = len(codes)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    u = rng.multivariate_normal([0, 0], OMEGA, groups)
    eta = 0.4 + 0.5 * x[:, 1] + np.sum(x * u[codes], axis=1)
    trials = np.full(n, 8.0)
    if link == "log":
        y = rng.poisson(np.exp(eta)).astype(float)
    else:
        y = rng.binomial(8, special.expit(eta) if link == "logit" else special.ndtr(eta)).astype(float)
    return y, x, trials, codes


def row_logs(link: str, y: np.ndarray, trials: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Log probabilities without constants, written with SciPy."""
    if link == "log":
        return y * eta - np.exp(eta)
    low = special.log_ndtr if link == "probit" else special.log_expit
    return y * low(eta) + (trials - y) * low(-eta)


def brute(link: str, y, x, trials, codes, beta, omega, z, half: float = 9.0, points: int = 181) -> float:
    """Trapezium rule over the standardised effects of each group: exact to rounding for a smooth integrand that has
    vanished at the ends."""
    q = len(omega)
    root = np.linalg.cholesky(omega)
    line = np.linspace(-half, half, points)
    grid = np.stack(np.meshgrid(*[line] * q, indexing="ij"), axis=-1).reshape(-1, q)
    weight = q * np.log(line[1] - line[0]) - 0.5 * np.sum(grid**2, axis=1) - 0.5 * q * np.log(2 * np.pi)
    total = 0.0
    for j in range(codes.max() + 1):
        at = codes == j
        eta = (x[at] @ beta)[:, None] + z[at] @ root @ grid.T
        total += special.logsumexp(weight + row_logs(link, y[at][:, None], trials[at][:, None], eta).sum(axis=0))
    return float(total)


@pytest.mark.parametrize("link", ["logit", "probit", "log"])
def test_likelihood_by_brute_force(link: str) -> None:
    """Two coefficients, nine nodes in each direction: within 1e-4 a group of the trapezium rule with 181 points."""
    y, x, trials, codes = made(link)
    data = glm_data.grouped(link, y, x, trials=trials, codes=codes, z=x)
    target = cloning_glm.target(data, cloning_priors.first(2), 1)
    for beta, omega in (([0.4, 0.5], OMEGA), ([0.0, 0.2], 2 * OMEGA), ([0.5, 0.3], 0.05 * np.eye(2))):
        gamma = data.coordinates.triangle @ np.array(beta)
        found = target.likelihood(target.theta(gamma, omega)) if np.linalg.eigvalsh(omega)[0] > 1e-3 else np.nan
        wanted = brute(link, y, x, trials, codes, np.array(beta), omega, x)
        assert found == pytest.approx(wanted, abs=1e-4 * 30)
        zeros = target.at_root(gamma, np.zeros((2, 2)), target.room())
        assert zeros == pytest.approx(row_logs(link, y, trials, x @ np.array(beta)).sum(), abs=1e-8)


def test_three_coefficients_by_brute_force() -> None:
    y, x, trials, codes = made("log", 6, 8)
    z = np.column_stack([x, x[:, 1] ** 2 - 1])
    omega = np.array([[0.4, 0.1, 0.0], [0.1, 0.3, -0.05], [0.0, -0.05, 0.1]])
    data = glm_data.grouped("log", y, x, codes=codes, z=z)
    target = cloning_glm.target(data, cloning_priors.first(2), 1)
    beta = np.array([0.4, 0.5])
    found = target.likelihood(target.theta(data.coordinates.triangle @ beta, omega))
    assert found == pytest.approx(brute("log", y, x, trials, codes, beta, omega, z, 8.0, 81), abs=1e-3)


@pytest.mark.parametrize("link", ["logit", "log"])
def test_estimates_are_where_the_likelihood_is_highest(link: str) -> None:
    """By the trapezium rule: the value is that of the fit, and 24 steps of a fifth of a standard error are all lower by
    about what the curvature says."""
    y, x, trials, codes = made(link)
    data = glm_data.grouped(link, y, x, trials=trials, codes=codes, z=x)
    fit = glm_fit.fit(data)
    best = brute(link, y, x, trials, codes, fit.beta, fit.omega, x)
    constants = glm_families.constant(data.link, data.y, data.trials)
    assert fit.deviance == pytest.approx(-2 * (best + constants), abs=2e-2)
    errors = np.append(fit.beta_se, fit.omega_se)
    for k in range(5):
        falls = []
        for sign in (-0.5, 0.5):
            beta, packed = fit.beta.copy(), fit.omega[np.tril_indices(2)].copy()
            step = sign * errors[k]
            if k < 2:
                beta[k] += step
            else:
                packed[k - 2] += step
            omega = np.array([[packed[0], packed[1]], [packed[1], packed[2]]])
            falls.append(best - brute(link, y, x, trials, codes, beta, omega, x))
        # along one axis the fall is at least that of the profile, (1/2) 0.5², up to the third derivative
        assert min(falls) > 0.06
        assert abs(falls[0] - falls[1]) < 0.5 * sum(falls)


def test_clones_that_are_written_out_have_the_same_law() -> None:
    """Three copies of the rows, each with its own effects, by the sampler of 2LevelRS under an inverse Wishart with no
    degrees of freedom, |Ω|^(-3/2); ours, flat in log L11, L21, log L22, is L22 times that: the copies are weighted."""
    clones = 3
    y, x, _, codes = made("log")
    data = glm_data.grouped("log", y, x, codes=codes, z=x)
    wide = 1e8
    prior = cloning_priors.Prior(np.zeros(2), np.full(2, wide), (0.0, 0.0, 1.0), (0.0, 0.0, wide))
    target = cloning_glm.target(data, prior, clones)
    fit = glm_fit.fit(data)
    near = cloning_glm.approximate(target, fit.gamma, fit.gamma_covariance, fit.omega)
    ours = [cloning_glm.run_chain(target, near, one, STOP.copy(), burnin=200, iterations=2500) for one in streams(9, 2)]
    assert min(c.accepted for c in ours) > 0.6
    many = np.concatenate([codes + k * 30 for k in range(clones)])
    tiled = np.tile(x, (clones, 1))
    copies = glm_sampler.prepare("log", np.tile(y, clones), tiled, [Factor(many, tiled)])
    priors = nlevel_normal.Priors(
        mixed_priors.InverseGamma(0.001, 0.001), (mixed_priors.InverseWishart(0.0, 1e-9 * np.eye(2)),)
    )
    naive = [
        glm_sampler.run_chain(copies, priors, one, STOP.copy(), burnin=1000, iterations=8000) for one in streams(10, 2)
    ]
    weights = np.stack([np.sqrt(c.omega[:, 2] - c.omega[:, 1] ** 2 / c.omega[:, 0]) for c in naive])
    weights /= weights.mean()
    parts = [lambda c: c.beta[:, 0], lambda c: c.beta[:, 1], *(lambda c, k=k: c.omega[:, k] for k in range(3))]
    for part in parts:
        mine, theirs = (np.stack([part(c) for c in chains]) for chains in (ours, naive))
        centre = float((weights * theirs).mean())
        spread = float(np.sqrt((weights * (theirs - centre) ** 2).mean()))
        errors = [diagnostics.measures(v[None])["mcse"][0] for v in (mine, weights * (theirs - centre))]
        assert abs(mine.mean() - centre) < 4.5 * np.hypot(*errors)
        assert mine.std() == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("link", ["logit", "log"])
def test_effects_have_their_law(link: str) -> None:
    """6,000 draws of both effects of three groups given the parameters, against moments on a fine grid."""
    y, x, trials, codes = made(link, 3, 5)
    data = glm_data.grouped(link, y, x, trials=trials, codes=codes, z=x)
    beta, size = np.array([0.4, 0.5]), 6000
    gamma = np.tile(data.coordinates.triangle @ beta, (size, 1))
    drawn = cloning_predict.general_effects(data, gamma, np.tile(OMEGA, (size, 1, 1)), streams(2, 1)[0])
    line = np.linspace(-7, 7, 401)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    u = grid @ np.linalg.cholesky(OMEGA).T
    for j in range(3):
        at = codes == j
        eta = (x[at] @ beta)[:, None] + x[at] @ u.T
        logs = -0.5 * np.sum(grid**2, axis=1) + row_logs(link, y[at][:, None], trials[at][:, None], eta).sum(axis=0)
        weight = special.softmax(logs)
        mean = weight @ u
        cov = (u - mean).T @ ((u - mean) * weight[:, None])
        sd = np.sqrt(np.diag(cov))
        assert np.abs((drawn[:, j].mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(size)
        np.testing.assert_allclose(np.cov(drawn[:, j].T) / np.outer(sd, sd), cov / np.outer(sd, sd), atol=0.09)


def test_slopes_of_a_count_as_a_user_meets_them(tmp_path) -> None:
    """Estimates by cloning beside maximum likelihood, variances that fall as 1/K, effects, a profile."""
    y, x, _, codes = made("log")
    data = Dataset("counts", {"y": y, "x": x[:, 1], "g": codes + 1.0})
    given = {"y": "y", "C1": "g", "D": "Poisson", "x": "cons,x", "x2_1": "cons,x", "clones": "10,100"}
    quick = {"nchains": "2", "iterations": "800", "burnin": "200", "profile": "omega_u_2", "tests": "No"}
    ran = run("LMM/DC", data, {**given, **quick}, tmp_path)
    mle, table = ran.table("MLE").set_index("parameter"), ran.table("Coefficients").set_index("parameter")
    assert list(table.index) == ["beta_0", "beta_1", "omega_u_0", "omega_u_1", "omega_u_2"]
    for name in table.index:
        se = mle.loc[name, "se"]
        assert abs(table.loc[name, "estimate"] - mle.loc[name, "estimate"]) < 0.06 * se + 4.5 * se / np.sqrt(100 * 900)
        assert table.loc[name, "dcsd"] == pytest.approx(se, rel=0.08), name
    np.testing.assert_allclose(ran.table("DCDiag")["lambda.scaled"], [1, 0.1], rtol=0.2)
    assert set(ran.table("Estimability")["verdict"]) == {"estimable"}
    interval = ran.table("ProfileInterval").iloc[0]
    assert interval["lower"] < mle.loc["omega_u_2", "estimate"] < interval["upper"]
    assert len(ran.table("RandomEffects")) == 60


@pytest.mark.parametrize(("parameter", "theirs"), [("sigma2_u", "sd_(Intercept)|herd"), ("beta_0", "(Intercept)")])
def test_profile_of_a_binomial_model_is_that_of_lme4(parameter: str, theirs: str, tmp_path) -> None:
    """cbpp with 25 quadrature points there, 15 here; splines there, hence 1 % of the width."""
    low, high = json.loads((Path(__file__).parent / "lme4_classifications.json").read_text())["cbpp"]["ml"]["profile"][
        theirs
    ]
    given = {"y": "incidence", "C1": "herd", "D": "Binomial", "n": "size", "x": "cons,period:cat", "profile": parameter}
    quick = {"clones": "1,10", "iterations": "200", "burnin": "50", "tests": "No", "predict": "No"}
    ran = run("LMM/DC", shared_data("lmm/cbpp.csv"), {**given, **quick}, tmp_path)
    ends = ran.table("ProfileInterval").loc[0, ["lower", "upper"]].to_numpy(float)
    ends = np.sqrt(ends) if parameter == "sigma2_u" else ends
    np.testing.assert_allclose(ends, [low, high], atol=0.01 * (high - low))


def test_weak_slopes_at_one_clone() -> None:
    """Where a variance may be zero, the mixture of proposals and slices alone give the same law."""
    y, x, trials, codes = made("logit", 10, 4)
    data = glm_data.grouped("logit", y, x, trials=trials, codes=codes, z=x)
    target = cloning_glm.target(data, cloning_priors.first(2), 1, nodes=4)  # few: it is about the steps
    fit = glm_fit.fit(data)
    near = cloning_glm.approximate(target, fit.gamma, fit.gamma_covariance, fit.omega)
    assert len(near.proposal.logs) > 1
    bulk = cloning_glm.mixture(target, near, (), np.ones(target.d))
    plain = cloning_normal.Laplace(near.mode, near.factor, False, bulk)
    both = [
        [cloning_glm.run_chain(target, how, one, STOP.copy(), burnin=300, iterations=size) for one in streams(4, 2)]
        for how, size in ((near, 2000), (plain, 1000))
    ]
    for part in (lambda c: c.beta[:, 0], lambda c: c.omega[:, 0], lambda c: c.omega[:, 2]):
        ours, theirs = (np.stack([part(c) for c in chains]) for chains in both)
        error = np.hypot(*(diagnostics.measures(v[None])["mcse"][0] for v in (ours, theirs)))
        assert abs(ours.mean() - theirs.mean()) < 4.5 * error
