"""Protects the Normal two-level sampler and its REML twin: exact answers, real data, numerical safety, speed.

Statistical checks use |z| < 4.5 with z from the draws' own Monte Carlo error (false alarms below 1 in 100,000 each,
and the seeds are fixed).
"""

import math

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from beside import data_file, figures
from scipy import special, stats

from templates_engine.sampling.normal import (
    priors as mixed_priors,
    two_level as mixed_normal,
    two_level_ml as mixed_ml,
    two_level_stats as mixed_stats,
)

LME4 = figures("lme4")
FLAT = mixed_priors.named(mixed_priors.UNIFORM, 1)
GAMMA = mixed_priors.named(mixed_priors.GAMMA, 1)


def chain(st, priors, n, *, seed=1, burnin=100, sigma2=1.0, omega=None, cells=None, thin=1):
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    cells = np.zeros(2, dtype=np.int64) if cells is None else cells
    return mixed_normal.run_chain(
        st, priors, rng, cells, burnin=burnin, iterations=n, thin=thin, sigma2=sigma2, omega=omega
    )


def ess(x):
    return float(array_stats.ess(x[None, :], method="mean"))


def assert_probability(draws, quantile, probability):
    """The share of draws below `quantile` is `probability`, within Monte Carlo error."""
    below = (draws < quantile).astype(float)
    error = math.sqrt(probability * (1 - probability) / ess(below))
    assert abs(below.mean() - probability) < 4.5 * error, (below.mean(), probability, error)


def small_groups(seed=5, groups=7, size=4):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), size)[:-2]
    n = len(codes)
    x = np.column_stack([np.ones(n), rng.normal(2, 1, n), rng.normal(size=groups)[codes]])
    y = x @ [1.0, -0.7, 0.4] + rng.normal(0, 0.8, groups)[codes] + rng.normal(0, 1.1, n)
    return y, x, codes


def test_one_level_posterior_is_students_t() -> None:
    """Flat β and p(σ²) ∝ 1: β_k is t with n - p - 2 degrees of freedom about least squares, σ² inverse gamma."""
    y, x, _ = small_groups()
    n, p = x.shape
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    rss = float(np.sum((y - x @ beta) ** 2))
    df = n - p - 2
    inverse = np.linalg.inv(x.T @ x)
    draws = chain(mixed_stats.statistics(y, x), FLAT, 20000)
    for probability in (0.025, 0.5, 0.975):
        for k in range(p):
            at = beta[k] + stats.t(df).ppf(probability) * math.sqrt(rss / df * inverse[k, k])
            assert_probability(draws.beta[:, k], at, probability)
        assert_probability(draws.sigma2, stats.invgamma(df / 2, scale=rss / 2).ppf(probability), probability)


@pytest.mark.parametrize("prior", ["gamma", "uniform", "proper"])
def test_two_level_posterior_equals_integration_over_the_variance_ratio(prior: str) -> None:
    """β and σ² integrated analytically, the ratio λ = σ²_u/σ² on a grid, with plain dense matrices."""
    y, x, codes = small_groups()
    n, p = x.shape
    z = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
    if prior == "proper":
        priors = mixed_priors.Priors(
            mixed_priors.InverseGamma(3.0, 2.0), mixed_priors.InverseWishart(4.0, np.array([[1.5]]))
        )
    else:
        priors = GAMMA if prior == "gamma" else FLAT
    a_e, b_e = priors.sigma2.shape, priors.sigma2.scale
    a_u, b_u = priors.omega.df / 2, priors.omega.scale[0, 0] / 2
    shape = a_u + a_e + (n - p) / 2
    logs = np.linspace(math.log(1e-9), math.log(1e6), 2500)
    density, scale, means, variances = [], [], [], []
    for ratio in np.exp(logs):
        m = np.eye(n) + ratio * z @ z.T
        inverse = np.linalg.inv(m)
        a = x.T @ inverse @ x
        beta = np.linalg.solve(a, x.T @ inverse @ y)
        r = y - x @ beta
        b = 0.5 * r @ inverse @ r + b_e + b_u / ratio
        value = -a_u * math.log(ratio) - shape * math.log(b)  # with the Jacobian of the log scale
        density.append(value - 0.5 * (np.linalg.slogdet(m)[1] + np.linalg.slogdet(a)[1]))
        scale.append(b)
        means.append(beta)
        variances.append(np.diag(np.linalg.inv(a)))
    weight = np.exp(np.array(density) - max(density))
    weight /= weight.sum()
    scale, means, variances = np.array(scale), np.array(means), np.array(variances)
    draws = chain(mixed_stats.statistics(y, x, codes, np.ones((n, 1))), priors, 40000, burnin=500)
    for value in (0.05, 0.3, 1.0, 4.0):
        exact = float(weight @ special.gammaincc(shape, scale * np.exp(logs) / value))
        assert_probability(draws.omega[:, 0], value, exact)
        assert_probability(draws.sigma2, value, float(weight @ special.gammaincc(shape, scale / value)))
    for k in range(p):
        for value in np.quantile(draws.beta[:, k], [0.05, 0.5, 0.9]):
            spread = np.sqrt(scale / shape * variances[:, k])
            exact = float(weight @ stats.t(2 * shape).cdf((value - means[:, k]) / spread))
            assert_probability(draws.beta[:, k], value, exact)


def lmm(name):
    return pd.read_csv(data_file(f"lmm/{name}.csv"))


def two_level(frame, y, columns, group, random=None):
    x = np.column_stack([np.ones(len(frame)), *[frame[c] for c in columns]]).astype(float)
    codes = pd.factorize(frame[group], sort=True)[0].astype(np.int64)
    z = x[:, [0, *(1 + columns.index(c) for c in random or [])]]
    return mixed_stats.statistics(frame[y].to_numpy(float), x, codes, np.ascontiguousarray(z))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("key", "data", "args"),
    [
        ("dyestuff", "Dyestuff", ("Yield", [], "Batch")),
        ("dyestuff2", "Dyestuff2", ("Yield", [], "Batch")),
        ("sleep_int", "sleepstudy", ("Reaction", ["Days"], "Subject")),
        ("sleep_slope", "sleepstudy", ("Reaction", ["Days"], "Subject", ["Days"])),
    ],
)
def test_likelihood_fit_equals_lme4(key: str, data: str, args: tuple, reml: bool) -> None:
    """Every estimate and standard error to 1e-4, the criterion to 1e-7; a zero variance comes out zero."""
    reference = LME4[f"{key}_{'reml' if reml else 'ml'}"]
    fit = mixed_ml.fit(two_level(lmm(data), *args), reml=reml)
    np.testing.assert_allclose(fit.beta, list(reference["fixef"].values()), rtol=1e-4)
    se = reference["se"]
    np.testing.assert_allclose(fit.beta_se, list(se.values()) if isinstance(se, dict) else se, rtol=1e-4)
    assert fit.deviance == pytest.approx(reference["deviance_or_reml"], abs=1e-6)
    wanted = [v["vcov"] for v in reference["varcorr"]]
    found = [fit.omega[0, 0], fit.sigma2]
    if len(wanted) == 4:
        found = [fit.omega[0, 0], fit.omega[1, 1], fit.omega[1, 0], fit.sigma2]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert fit.singular == reference["singular"]


def test_posterior_on_the_tutorial_data_beside_reml() -> None:
    """Fixed effects equal REML's within Monte Carlo error and 0.03 posterior sd (the small known difference).

    With J = 65 groups of about 62 the group variance's posterior is near an inverse gamma with J - 1 degrees of freedom
    about the REML estimate: under Gamma(0.001, 0.001) its mean is (J - 1)/(J - 3) times REML (+3.2 %),
    under Uniform (J - 1)/(J - 5) times (+6.7 %); allowed: 2 % more or less.
    """
    frame = pd.read_csv(data_file("tutorial.csv"))
    frame["s0"], frame["s1"] = (frame["schgend"] == 2) * 1.0, (frame["schgend"] == 3) * 1.0
    st = two_level(frame, "normexam", ["standlrt", "girl", "s0", "s1"], "school")
    truth = figures("imputation")["full_data"]["moi_2levelimpute"]
    fit = mixed_ml.fit(st)
    wanted = [v["est"] for v in truth["fixed"].values()]
    np.testing.assert_allclose(fit.beta, wanted, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(fit.beta_se, [v["se"] for v in truth["fixed"].values()], rtol=1e-3)
    assert fit.omega_se[0] == pytest.approx(truth["varcomp"]["school:(Intercept)"]["se"], rel=0.01)
    for priors, factor in ((GAMMA, 64 / 62), (FLAT, 64 / 60)):
        draws = chain(st, priors, 10000, omega=fit.omega, sigma2=fit.sigma2)
        sd = draws.beta.std(axis=0)
        for k in range(st.p):
            error = sd[k] / math.sqrt(ess(draws.beta[:, k]))
            assert abs(draws.beta[:, k].mean() - wanted[k]) < 4.5 * error + 0.03 * sd[k]
        # REML's standard errors leave out what is unknown of the variances: posterior sds are up to 5 % larger.
        assert np.all((sd / fit.beta_se > 0.97) & (sd / fit.beta_se < 1.07))
        assert draws.omega.mean() / fit.omega[0, 0] == pytest.approx(factor, abs=0.02)
        assert draws.sigma2.mean() == pytest.approx(truth["varcomp"]["Residual"]["est"], rel=0.005)
        for x in (*draws.beta.T, draws.omega[:, 0], draws.sigma2):
            assert ess(x) > 0.5 * len(x)


def test_random_slopes_on_sleepstudy_beside_reml() -> None:
    """q = 2, J = 18, inverse Wishart(2, 2 Ω̂): E[Ω] ≈ ((J - 1) + 2) / (J - 1 + 2 - 3) Ω̂_REML = 1.19 Ω̂ where groups are
    well determined; the correlation is poorly determined, so the diagonal only, within 12 %; slopes' mean exact."""
    st = two_level(lmm("sleepstudy"), "Reaction", ["Days"], "Subject", ["Days"])
    fit = mixed_ml.fit(st)
    priors = mixed_priors.named(mixed_priors.WISHART, 2, fit.omega)
    draws = chain(st, priors, 20000, omega=fit.omega, sigma2=fit.sigma2)
    for k in range(2):
        error = draws.beta[:, k].std() / math.sqrt(ess(draws.beta[:, k]))
        assert abs(draws.beta[:, k].mean() - fit.beta[k]) < 4.5 * error + 0.02 * draws.beta[:, k].std()
    ratio = draws.omega.mean(axis=0)[[0, 2]] / np.diag(fit.omega)
    assert np.all(np.abs(ratio / (19 / 16) - 1) < 0.12)
    assert draws.sigma2.mean() == pytest.approx(fit.sigma2, rel=0.04)
    # Group effects: the first three BLUPs of lme4, within a quarter of their posterior sd.
    blup = LME4["sleep_slope_reml"]["ranef_first3"]["Subject"]
    for j in range(3):
        for k, name in enumerate(("(Intercept)", "Days")):
            assert abs(draws.effect_mean[j, k] - blup[j][name]) < 0.25 * draws.effect_sd[j, k]


def test_a_variance_near_zero_does_not_stick() -> None:
    """Dyestuff2 (REML variance 0): the sampler moves across decades; ESS of its log at least 3 in 100 draws."""
    st = two_level(lmm("Dyestuff2"), "Yield", [], "Batch")
    draws = chain(st, GAMMA, 20000, sigma2=14.0, omega=np.array([[1.0]]))
    logs = np.log(draws.omega[:, 0])
    assert logs.min() < math.log(1e-3) < math.log(3.0) < logs.max()
    assert ess(logs) > 0.03 * len(logs)


def test_deviance_agrees_with_rows() -> None:
    """The deviance from the statistics is -2 log likelihood of the rows, random slopes and a group of one included."""
    y, x, codes = small_groups(size=3)
    z = x[:, :2]
    st = mixed_stats.statistics(y, x, codes, np.ascontiguousarray(z))
    rng = np.random.default_rng(3)
    beta, u, sigma2 = rng.normal(size=3), rng.normal(size=(codes.max() + 1, 2)), 0.7
    mean = x @ beta + np.sum(z * u[codes], axis=1)
    wanted = -2 * stats.norm(mean, math.sqrt(sigma2)).logpdf(y).sum()
    assert mixed_normal.deviance_at(st, beta, u, sigma2) == pytest.approx(wanted, rel=1e-12)


def test_a_shift_of_millions_changes_nothing() -> None:
    """Numerical safety: a mean of 1e9 and a predictor 1 ± 1e-6 give the same slopes from the same stream."""
    y, x, codes = small_groups()
    moved = x.copy()
    moved[:, 1] = x[:, 1] * 1e-6 + 1.0
    one = chain(mixed_stats.statistics(y, x, codes, np.ones((len(y), 1))), GAMMA, 500)
    two = chain(mixed_stats.statistics(y + 1e9, moved, codes, np.ones((len(y), 1))), GAMMA, 500)
    np.testing.assert_allclose(two.beta[:, 1] * 1e-6, one.beta[:, 1], rtol=1e-4)
    np.testing.assert_allclose(two.omega, one.omega, rtol=1e-4)
    np.testing.assert_allclose(two.sigma2, one.sigma2, rtol=1e-4)


def test_dependent_columns_are_found_and_near_ones_kept() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(50), rng.normal(size=50), np.zeros(50), rng.normal(size=50)])
    x = np.column_stack([x, x[:, 1] - 2 * x[:, 3], 2000 + 0.5 * rng.normal(size=50)])
    assert mixed_stats.dependent_columns(x) == [2, 4]
    with pytest.raises(mixed_stats.CollinearError):
        mixed_stats.statistics(rng.normal(size=50), x)


def test_predictors_in_the_span_of_the_random_part() -> None:
    y, x, codes = small_groups()
    st = mixed_stats.statistics(y, x, codes, np.ones((len(y), 1)))
    assert st.in_span.tolist() == [True, False, True]


def test_stopping_keeps_complete_draws_and_a_seed_repeats() -> None:
    y, x, codes = small_groups()
    st = mixed_stats.statistics(y, x, codes, np.ones((len(y), 1)))
    one, two = chain(st, GAMMA, 60, thin=3), chain(st, GAMMA, 60, thin=3)
    assert one.beta.shape == (20, 3)
    np.testing.assert_array_equal(one.beta, two.beta)
    cells = np.array([0, 1], dtype=np.int64)
    assert chain(st, GAMMA, 60, cells=cells).beta.shape == (0, 3)
    assert cells[0] == 0
