"""The collapsed samplers draw from the cloned posterior: its exact moments, and the same law as copies of the data.

False alarms: z-tests at 4.5 Monte Carlo standard errors, about 80 in all, so under 1 in 1,000 for the file with fresh
seeds; seeds are fixed, so a run either passes always or never.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from beside import data_file, figures

from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import glm as cloning_glm, normal as cloning_normal, priors as cloning_priors
from templates_engine.sampling.glm import data as glm_data, quadrature_fit as glm_fit, sampler as glm_sampler
from templates_engine.sampling.normal import priors as mixed_priors, two_level as mixed_normal, two_level_ml as mixed_ml
from templates_engine.sampling.normal.classified import Priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.two_level_stats import statistics
from templates_engine.sampling.rng import streams

STOP = np.zeros(2, np.int64)


def z_scores(values: np.ndarray, expected: float) -> float:
    """values (chain, draw)."""
    found = diagnostics.measures(values[None])
    return float((found["mean"][0] - expected) / found["mcse"][0])


def breeding(name: str):
    frame = pd.read_csv(data_file(f"lmm_dc_{name}.csv"))
    ones = np.ones((len(frame), 1))
    return statistics(frame["y"].to_numpy(), ones, frame["id"].to_numpy() - 1, ones)


def drawn(stats, prior, clones: int, seed: int, iterations: int = 6000):
    fit = mixed_ml.fit(stats, reml=False)
    target = cloning_normal.target(stats, prior, clones)
    near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
    return [
        cloning_normal.run_chain(target, near, rng, STOP.copy(), burnin=500, iterations=iterations)
        for rng in streams(seed, 3)
    ]


@pytest.mark.parametrize("name", ["m2", "m1"])
@pytest.mark.parametrize("at", range(5))
def test_moments_of_the_cloned_posterior_are_exact(name: str, at: int) -> None:
    """Means by quadrature (reference) within 4.5 Monte Carlo errors, sds within 5 %, at K = 1, 10, 25, 50, 100. With
    one observation each, the posterior lies along a ridge through both variances, which the chains must travel."""
    reference = figures("lmm_dc")["exact_cloned_posterior"][name][at]
    chains = drawn(breeding(name), cloning_priors.first(1), reference["K"], seed=100 + at)
    mu = np.stack([c.beta[:, 0] for c in chains])
    sigma2, tau2 = np.stack([c.sigma2 for c in chains]), np.stack([c.omega[:, 0] for c in chains])
    found = {
        "mu": mu, "sigma_sq": sigma2, "tau_sq": tau2, "sum": sigma2 + tau2,
        "log_sigma": 0.5 * np.log(sigma2), "log_tau": 0.5 * np.log(tau2),
    }  # fmt: skip
    for key, values in found.items():
        assert abs(z_scores(values, reference["mean"][key])) < 4.5, key
        assert values.std() == pytest.approx(reference["sd"][key], rel=0.05), key


def copied(codes: np.ndarray, clones: int) -> np.ndarray:
    groups = codes.max() + 1
    return np.concatenate([codes + k * groups for k in range(clones)])


def test_clones_that_are_written_out_have_the_same_law() -> None:
    """The definition: five copies of the rows, each with its own group effects, by the Gibbs sampler of 2LevelMod."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    n, clones = len(codes), 5
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = 1.0 + 0.5 * x[:, 1] + rng.normal(0, 0.8, 12)[codes] + rng.normal(0, 0.6, n)
    wide = 1e8
    prior = cloning_priors.Prior(
        np.zeros(2), np.full(2, wide), (cloning_priors.INVERSE_GAMMA, 0.001, 0.001),
        (cloning_priors.INVERSE_GAMMA, 0.001, 0.001),
    )  # fmt: skip
    collapsed = drawn(statistics(y, x, codes, x[:, :1]), prior, clones, seed=7, iterations=8000)
    many_y, many_x, many = np.tile(y, clones), np.tile(x, (clones, 1)), copied(codes, clones)
    stats = statistics(many_y, many_x, many, many_x[:, :1])
    naive = [
        mixed_normal.run_chain(
            stats, mixed_priors.named(mixed_priors.GAMMA, 1), one, STOP.copy(), burnin=500, iterations=8000
        )
        for one in streams(8, 3)
    ]
    for part in (lambda c: c.beta[:, 0], lambda c: c.beta[:, 1], lambda c: c.omega[:, 0], lambda c: c.sigma2):
        ours, theirs = (np.stack([part(c) for c in chains]) for chains in (collapsed, naive))
        error = np.hypot(*(diagnostics.measures(v[None])["mcse"][0] for v in (ours, theirs)))
        assert abs(ours.mean() - theirs.mean()) < 4.5 * error
        assert ours.std() == pytest.approx(theirs.std(), rel=0.08)


@pytest.mark.parametrize("link", ["logit", "probit", "log"])
def test_latent_effects_that_are_written_out_have_the_same_law(link: str) -> None:
    """The same for binomial and Poisson responses: quadrature against four copies with their own latent effects."""
    rng = np.random.default_rng(5)
    codes, clones = np.repeat(np.arange(25), 4), 4
    n = len(codes)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    eta = 0.3 + 0.4 * x[:, 1] + rng.normal(0, 0.7, 25)[codes]
    trials = np.full(n, 6.0)
    if link == "log":
        y = rng.poisson(np.exp(eta)).astype(float)
    else:
        y = rng.binomial(6, 1 / (1 + np.exp(-eta))).astype(float)
    data = glm_data.grouped(link, y, x, trials=trials, codes=codes, z=x[:, :1])
    prior = cloning_priors.Prior(
        np.zeros(2), np.full(2, 1e8), (0.0, 0.0, 1.0), (cloning_priors.INVERSE_GAMMA, 0.001, 0.001)
    )
    target = cloning_glm.target(data, prior, clones)
    fit = glm_fit.fit(data)
    near = cloning_glm.approximate(target, fit.gamma, fit.gamma_covariance, np.full((1, 1), fit.sigma2_u))
    collapsed = [
        cloning_glm.run_chain(target, near, one, STOP.copy(), burnin=300, iterations=3000) for one in streams(9, 2)
    ]
    copies = Factor(copied(codes, clones), np.ones((n * clones, 1)))
    many = glm_sampler.prepare(
        link, np.tile(y, clones), np.tile(x, (clones, 1)), [copies], trials=np.tile(trials, clones)
    )
    weak = mixed_priors.named(mixed_priors.GAMMA, 1)
    naive = [
        glm_sampler.run_chain(many, Priors(weak.sigma2, (weak.omega,)), one, STOP.copy(), burnin=1000, iterations=5000)
        for one in streams(10, 2)
    ]
    for part in (lambda c: c.beta[:, 0], lambda c: c.beta[:, 1], lambda c: c.omega[:, 0]):
        ours, theirs = (np.stack([part(c) for c in chains]) for chains in (collapsed, naive))
        error = np.hypot(*(diagnostics.measures(v[None])["mcse"][0] for v in (ours, theirs)))
        assert abs(ours.mean() - theirs.mean()) < 4.5 * error
        assert ours.std() == pytest.approx(theirs.std(), rel=0.12)


def test_a_search_that_goes_astray_does_not_spoil_the_likelihood() -> None:
    """Standard deviations tried far out must not leave the modes of the effects where no later value is finite."""
    from templates_engine.data.simulate.breeding import breeding as simulated

    data = simulated()
    codes, _ = data.groups("sire")
    x = np.column_stack([data["cons"], data["male"]])
    grouped = glm_data.grouped(
        "log", data["ticks"], x, offset=data["log_days"], codes=codes, z=np.ones((data.n_rows, 1))
    )
    fit = glm_fit.fit(grouped)
    target = cloning_glm.target(grouped, cloning_priors.first(2), 1)
    best = target.likelihood(np.append(fit.gamma, 0.5 * np.log(fit.sigma2_u)))
    constants = fit.deviance + 2 * best
    assert np.isfinite(fit.deviance)
    assert abs(constants) < 1e4
    assert 0.05 < fit.sigma2_u_se < 0.3
    room = target.room()
    theta = np.append(fit.gamma, 0.5 * np.log(fit.sigma2_u))
    target.likelihood(np.append(fit.gamma, 6.9), room)
    assert target.likelihood(theta, room) == pytest.approx(best, abs=1e-6)
