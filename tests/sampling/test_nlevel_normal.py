"""Protects the Normal sampler with several classifications and its REML twin: exact answers, lme4, safety, speed.

Statistical checks use |z| < 4.5 with z from the draws' own Monte Carlo error (false alarms below 1 in 100,000 each,
and the seeds are fixed).
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from beside import data_file, figures
from nlevel_cases import CELLS, layout, mean, priors, truth
from scipy import special, stats

from templates_engine.sampling.normal import (
    classified_stats as nlevel_stats,
    priors as mixed_priors,
    two_level_ml as mixed_ml,
    two_level_stats as mixed_stats,
)
from templates_engine.sampling.normal.classified import Chain, Priors, run_chain
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart
from templates_engine.sampling.saving import Live, Saved
from templates_engine.sampling.sparse import Surface, classes, fit_reml


def gamma_priors(count: int) -> Priors:
    weak = InverseWishart(0.002, np.array([[0.002]]))
    return Priors(InverseGamma(0.001, 0.001), (weak,) * count)


def draw(st, prior: Priors, n: int, *, seed: int = 1, burnin: int = 200, **more):
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    return run_chain(st, prior, rng, CELLS.copy(), burnin=burnin, iterations=n, **more)


def ess(x: np.ndarray) -> float:
    return float(array_stats.ess(x[None, :], method="mean"))


def assert_probability(draws: np.ndarray, quantile: float, probability: float) -> None:
    below = (draws < quantile).astype(float)
    error = math.sqrt(probability * (1 - probability) / ess(below))
    assert abs(below.mean() - probability) < 4.5 * error, (below.mean(), probability, error)


def intercepts(codes) -> Factor:
    codes = np.asarray(codes, dtype=np.int64)
    return Factor(codes, np.ones((len(codes), 1)))


@pytest.mark.parametrize("core", [None, []])
@pytest.mark.parametrize("prior", ["proper", "gamma"])
def test_crossed_posterior_equals_integration_over_the_variance_ratios(core, prior: str) -> None:
    """β and σ² analytically, both variance ratios on a grid, plain dense matrices; 4 by 3 units, unbalanced."""
    rng = np.random.default_rng(6)
    n, p = 14, 2
    one, two = rng.permutation(np.arange(n) % 4), rng.permutation(np.arange(n) % 3)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = x @ [1.0, 0.5] + rng.normal(size=4)[one] + rng.normal(size=3)[two] * 0.7 + rng.normal(size=n)
    if prior == "proper":
        pr = Priors(InverseGamma(3.0, 2.0), tuple(InverseWishart(4.0 + c, np.array([[1.5]])) for c in range(2)))
    else:
        pr = gamma_priors(2)
    a_e, b_e = pr.sigma2.shape, pr.sigma2.scale
    a = [w.df / 2 for w in pr.omega]
    b = [w.scale[0, 0] / 2 for w in pr.omega]
    kernel = [np.equal.outer(c, c).astype(float) for c in (one, two)]
    wide = prior == "gamma"
    logs = np.linspace(-18 if wide else -6, 12 if wide else 7, 260 if wide else 160)
    l1, l2 = (v.ravel() for v in np.meshgrid(logs, logs, indexing="ij"))
    m = np.eye(n) + np.exp(l1)[:, None, None] * kernel[0] + np.exp(l2)[:, None, None] * kernel[1]
    inverse = np.linalg.inv(m)
    xmx = x.T @ inverse @ x
    beta = np.linalg.solve(xmx, (x.T @ inverse @ y)[..., None])[..., 0]
    r = y - beta @ x.T
    rate = 0.5 * np.einsum("gi,gij,gj->g", r, inverse, r) + b_e + b[0] * np.exp(-l1) + b[1] * np.exp(-l2)
    shape = a_e + sum(a) + (n - p) / 2
    density = (
        -0.5 * (np.linalg.slogdet(m)[1] + np.linalg.slogdet(xmx)[1]) - shape * np.log(rate) - a[0] * l1 - a[1] * l2
    )
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    draws = draw(nlevel_stats.statistics(y, x, [intercepts(one), intercepts(two)], core=core), pr, 30000)
    for value in (0.05, 0.3, 1.0, 3.0):
        for c, at in enumerate((l1, l2)):
            exact = float(weight @ special.gammaincc(shape, rate * np.exp(at) / value))
            assert_probability(draws.omega[:, c], value, exact)
        assert_probability(draws.sigma2, value, float(weight @ special.gammaincc(shape, rate / value)))
    variances = np.einsum("gaa->ga", np.linalg.inv(xmx))
    for k in range(p):
        for value in np.quantile(draws.beta[:, k], [0.05, 0.5, 0.9]):
            spread = np.sqrt(rate / shape * variances[:, k])
            assert_probability(
                draws.beta[:, k], value, float(weight @ stats.t(2 * shape).cdf((value - beta[:, k]) / spread))
            )


@pytest.mark.parametrize(
    ("kind", "qs", "core"),
    [
        ("crossed", [2, 1], None),
        ("crossed", [2, 1], []),
        ("nested", [2, 2], []),
        ("three", [2, 1, 2], None),
        ("three", [1, 2, 1], []),
    ],
)
def test_deviance_and_effects_agree_with_rows(kind: str, qs: list[int], core) -> None:
    """The deviance of one draw is -2 log likelihood of the rows at that draw's coefficients and effects."""
    rng = np.random.default_rng(3)
    x, factors = layout(kind, qs, rng)
    prior = priors(qs)
    beta, _, sigma2, effects = truth(prior, factors, rng)
    y = 1e3 + mean(x, factors, beta, effects) + rng.normal(size=len(x)) * math.sqrt(sigma2)
    one = draw(nlevel_stats.statistics(y, x, factors, core=core), prior, 1, burnin=7)
    at = mean(x, factors, one.beta[0], one.effect_mean)
    wanted = -2 * stats.norm(at, math.sqrt(one.sigma2[0])).logpdf(y).sum()
    assert one.deviance[0] == pytest.approx(wanted, rel=1e-10)


def test_one_classification_is_the_two_level_model() -> None:
    """Beside normal.two_level, which is built another way: same REML, same posterior within Monte Carlo error."""
    from templates_engine.sampling.normal import two_level as mixed_normal

    rng = np.random.default_rng(2)
    codes = rng.integers(0, 12, 80)
    codes[:12] = np.arange(12)
    x = np.column_stack([np.ones(80), rng.normal(size=80)])
    y = x @ [2.0, 1.0] + rng.normal(size=(12, 2))[codes, 0] + rng.normal(size=80)
    factor = Factor(codes.astype(np.int64), x)
    old = mixed_stats.statistics(y, x, factor.codes, x)
    fit, wanted = fit_reml(Surface(classes(y, x, [factor])), reml=True), mixed_ml.fit(old)
    np.testing.assert_allclose(fit.beta, wanted.beta, rtol=1e-4)
    np.testing.assert_allclose(fit.omega[0], wanted.omega, atol=2e-4)
    assert fit.deviance == pytest.approx(wanted.deviance, abs=1e-5)
    scale = np.array([[2.0, 0.3], [0.3, 1.0]])
    prior = Priors(InverseGamma(2.0, 1.0), (InverseWishart(3.0, scale),))
    one = draw(nlevel_stats.statistics(y, x, [factor]), prior, 20000)
    two_priors = mixed_priors.Priors(prior.sigma2, prior.omega[0])
    two = mixed_normal.run_chain(old, two_priors, np.random.default_rng(5), CELLS.copy(), burnin=200, iterations=20000)
    for a, b in ((one.beta, two.beta), (one.omega, two.omega), (one.sigma2[:, None], two.sigma2[:, None])):
        for k in range(a.shape[1]):
            error = math.hypot(a[:, k].std() / math.sqrt(ess(a[:, k])), b[:, k].std() / math.sqrt(ess(b[:, k])))
            assert abs(a[:, k].mean() - b[:, k].mean()) < 4.5 * error


def scots(linear: bool) -> tuple:
    d = pd.read_csv(data_file("scotssec.csv"))
    social = [d["social"]] if linear else [d["social"] == k for k in (1, 2, 3)]
    x = np.column_stack([np.ones(len(d)), d["verbal"], d["girl"], *social]).astype(float)
    factors = [intercepts(pd.factorize(d[c], sort=True)[0]) for c in ("primary", "second")]
    key = "moi_social_linear" if linear else "moi"
    reference = figures("imputation")["NLevelImpute_scots"]["full_data"]
    return d["attain"].to_numpy(float), x, factors, reference[key]


@pytest.mark.parametrize("linear", [True, False])
def test_reml_on_scotssec_equals_lme4(linear: bool) -> None:
    """Every estimate to 1e-5 and standard error to 1e-3, with the secondary schools' variance inside (0.003) and on its
    boundary (zero, where there is no standard error, and those of the others are what they are without it)."""
    y, x, factors, reference = scots(linear)
    fit = fit_reml(Surface(classes(y, x, factors)), reml=True)
    fixed, variance = reference["fixed"].values(), reference["varcomp"]
    np.testing.assert_allclose(fit.beta, [v["est"] for v in fixed], rtol=1e-5)
    np.testing.assert_allclose(fit.beta_se, [v["se"] for v in fixed], rtol=1e-4)
    keys = ("primary:(Intercept)", "second:(Intercept)", "Residual")
    found = [float(fit.omega[0][0, 0]), float(fit.omega[1][0, 0]), fit.sigma2]
    np.testing.assert_allclose(found, [variance[k]["est"] for k in keys], rtol=1e-4, atol=1e-9)
    assert fit.singular == (False, not linear)
    se = [float(fit.omega_se[0][0]), float(fit.omega_se[1][0]), fit.sigma2_se]
    if linear:
        np.testing.assert_allclose(se, [variance[k]["se"] for k in keys], rtol=2e-3)
    else:
        assert math.isnan(se[1])
        alone = mixed_ml.fit(mixed_stats.statistics(y, x, factors[0].codes, factors[0].z))
        np.testing.assert_allclose([se[0], se[2]], [alone.omega_se[0], alone.sigma2_se], rtol=2e-3)


@pytest.mark.parametrize("linear", [True, False])
def test_posterior_on_scotssec_beside_lme4(linear: bool) -> None:
    """Coefficients: within Monte Carlo error and 0.06 posterior sd of REML (the posterior averages over the secondary
    variance, which REML puts at or near zero); sds 0 to 8 % larger, for REML's leave out what is unknown of variances.

    Variances: 148 primary schools, (J - 1)/(J - 3) = 1.4 % upwards and within 0.25 sd of REML; the secondary variance
    is all but unidentified: its posterior is skewed, its mean 2 to 4 times its median, so the claim is that REML
    (0 or 0.0035) is below its 60 % point and that it is small, 95 % below 0.06; sigma2 within 0.1 sd.
    """
    y, x, factors, reference = scots(linear)
    st = nlevel_stats.statistics(y, x, factors)
    draws = draw(st, gamma_priors(2), 10000, sigma2=4.0, omega=(np.eye(1) * 0.15, np.eye(1) * 0.02))
    for k, value in enumerate(reference["fixed"].values()):
        sd = draws.beta[:, k].std()
        error = sd / math.sqrt(ess(draws.beta[:, k]))
        assert abs(draws.beta[:, k].mean() - value["est"]) < 4.5 * error + 0.06 * sd
        assert 0.98 < sd / value["se"] < 1.08
        assert ess(draws.beta[:, k]) > 0.5 * len(draws.beta)
    estimates = [v["est"] for v in reference["varcomp"].values()]
    primary, second = draws.omega.T
    assert abs(primary.mean() - estimates[0] * 147 / 145) < 0.25 * primary.std()
    assert np.quantile(second, 0.95) < 0.06
    assert estimates[1] < np.quantile(second, 0.6)
    assert abs(draws.sigma2.mean() - estimates[2]) < 0.1 * draws.sigma2.std()
    assert ess(np.log(second)) > 0.02 * len(second)
    assert np.log(second).min() < math.log(1e-3)


def test_random_slopes_of_crossed_factors_by_reml_equal_dense_algebra() -> None:
    """The criterion at the estimate equals -2 log REML of a plain multivariate Normal, and no nearby point is lower."""
    rng = np.random.default_rng(9)
    x, factors = layout("crossed", [2, 1], rng, n=80)
    u = [rng.normal(size=(6, 2)), rng.normal(size=(4, 1))]
    y = mean(x, factors, np.array([1.0, 2.0]), u) + rng.normal(size=80)
    fit = fit_reml(Surface(classes(y, x, factors)), reml=True)

    def dense(omega, sigma2) -> float:
        v = sigma2 * np.eye(80)
        for factor, w in zip(factors, omega, strict=True):
            z = factor.matrix().toarray()
            v = v + z @ np.kron(np.eye(factor.groups), w) @ z.T
        inverse = np.linalg.inv(v)
        a = x.T @ inverse @ x
        r = y - x @ np.linalg.solve(a, x.T @ inverse @ y)
        logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(a)[1]
        return float((80 - 2) * math.log(2 * math.pi) + logs + r @ inverse @ r)

    best = dense(fit.omega, fit.sigma2)
    assert fit.deviance == pytest.approx(best, abs=1e-6)
    for factor in (0.97, 1.03):
        for c in range(2):
            moved = [w * factor if k == c else w for k, w in enumerate(fit.omega)]
            assert dense(moved, fit.sigma2) >= best - 1e-6
        assert dense(fit.omega, fit.sigma2 * factor) >= best - 1e-6


def crossed_students(n: int = 73421) -> tuple:
    """InstEval's shape: students by lecturers, most within a department of 14."""
    rng = np.random.default_rng(1)
    student = np.concatenate([np.arange(2972), rng.integers(0, 2972, n - 2972)])
    own, department = rng.integers(0, 14, 2972), np.arange(1128) % 14
    lecturer = np.where(rng.random(n) < 0.8, own[student] + 14 * rng.integers(0, 80, n), rng.integers(0, 1128, n))
    lecturer[:1128] = np.arange(1128)
    lecturer = np.minimum(lecturer, 1127)
    x = np.column_stack([np.ones(n), rng.random(n) < 0.43]).astype(float)
    y = x @ [3.3, -0.07] + rng.normal(0, 0.33, 2972)[student] + rng.normal(0, 0.51, 1128)[lecturer]
    y += rng.normal(0, 0.1, 14)[department[lecturer]] + rng.normal(0, 1.18, n)
    return y, x, [intercepts(student), intercepts(lecturer), intercepts(department[lecturer])]


def test_seventy_thousand_crossed_rows_take_milliseconds_and_mix(
    cost: Callable[..., float], steps: Callable[[int], None]
) -> None:
    """Two large crossed classifications and a small one above: 0.6 ms of CPU an iteration, less than a loop of 400,000
    steps, and ESS of every coefficient and large variance above 0.4 a draw (plain Gibbs has 0.01 for the intercept)."""
    y, x, factors = crossed_students()
    st = nlevel_stats.statistics(y, x, factors)
    assert st.layout.large == 2
    start = (np.eye(1) * 0.1, np.eye(1) * 0.25, np.eye(1) * 0.01)
    draw(st, gamma_priors(3), 2, burnin=0, sigma2=1.4, omega=start)

    def hundred() -> object:
        return draw(st, gamma_priors(3), 100, burnin=0, sigma2=1.4, omega=start)

    assert cost(hundred, beside=lambda: steps(400_000)) < 100
    draws = draw(st, gamma_priors(3), 1000, sigma2=1.4, omega=start)
    for values in (*draws.beta.T, draws.omega[:, 0], draws.omega[:, 1], draws.sigma2):
        assert ess(values) > 0.4 * len(values)
    truth_at = (3.3, -0.07, 0.33**2, 0.51**2, 1.18**2)
    for values, at in zip((*draws.beta.T, *draws.omega.T[:2], draws.sigma2), truth_at, strict=True):
        assert abs(values.mean() - at) < 4.5 * values.std()


def test_a_nested_chain_of_large_classifications_mixes() -> None:
    """400 units in 200 in the other: effects of the upper one mix because of the centring shift (under 0.1 a draw
    for the variance above without it)."""
    rng = np.random.default_rng(4)
    inner = np.repeat(np.arange(600), 12)
    outer = inner // 3
    x = np.ones((len(inner), 1))
    y = rng.normal(size=200)[outer] + rng.normal(size=600)[inner] + 0.3 * rng.normal(size=len(inner))
    st = nlevel_stats.statistics(y, x, [intercepts(outer), intercepts(inner)], core=[])
    assert st.layout.pairs.tolist() == [[1, 0]]
    draws = draw(st, gamma_priors(2), 3000)
    assert ess(draws.beta[:, 0]) > 0.2 * 3000
    assert ess(draws.omega[:, 0]) > 0.15 * 3000


def test_a_shift_of_millions_and_other_units_change_nothing() -> None:
    """Numerical safety: a mean of 1e8 and a predictor 1 ± 1e-5 give the same draws from the same stream."""
    rng = np.random.default_rng(1)
    x, factors = layout("crossed", [1, 1], rng)
    y = mean(x, factors, np.array([1.0, 2.0]), [rng.normal(size=(6, 1)), rng.normal(size=(4, 1))]) + rng.normal(size=30)
    moved = x.copy()
    moved[:, 1] = x[:, 1] * 1e-5 + 1.0
    for core in (None, []):
        one = draw(nlevel_stats.statistics(y, x, factors, core=core), gamma_priors(2), 300)
        two = draw(nlevel_stats.statistics(y + 1e8, moved, factors, core=core), gamma_priors(2), 300)
        np.testing.assert_allclose(two.beta[:, 1] * 1e-5, one.beta[:, 1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(two.omega, one.omega, rtol=1e-3)
        np.testing.assert_allclose(two.sigma2, one.sigma2, rtol=1e-3)


def test_stopping_keeps_complete_draws_and_a_seed_repeats() -> None:
    rng = np.random.default_rng(1)
    x, factors = layout("three", [1, 1, 1], rng)
    st = nlevel_stats.statistics(rng.normal(size=30), x, factors)
    one, two = draw(st, gamma_priors(3), 60, thin=3), draw(st, gamma_priors(3), 60, thin=3)
    assert one.beta.shape == (20, 2)
    np.testing.assert_array_equal(one.omega, two.omega)
    cells = np.array([0, 1], dtype=np.int64)
    stopped = run_chain(st, gamma_priors(3), np.random.default_rng(1), cells, burnin=5, iterations=60)
    assert stopped.beta.shape == (0, 2)
    assert cells[0] == 0


@pytest.mark.parametrize(
    ("kind", "qs", "core"), [("three", [2, 1, 2], None), ("nested", [2, 1], []), ("crossed", [1, 2], [])]
)
@pytest.mark.parametrize("thin", [1, 3])
def test_a_chain_that_goes_on_gives_the_very_draws(kind: str, qs: list[int], core, thin: int) -> None:
    """Bit for bit, through two interruptions, one of them in the burn-in: draws, effects' means and sds, kept effects.
    Seen to fail when held, σ² or the summary is not saved."""
    rng = np.random.default_rng(5)
    x, factors = layout(kind, qs, rng)
    st = nlevel_stats.statistics(rng.normal(size=30) + x[:, 1], x, factors, core=core)

    def chain(iterations: int, burnin: int = 40, resume: Saved | None = None, live: Live | None = None) -> Chain:
        stream = np.random.Generator(np.random.PCG64DXSM(3 if resume is None else 99))  # a resumed chain has its own
        return run_chain(
            st, priors(qs), stream, CELLS.copy(), burnin=burnin, iterations=iterations, thin=thin, room=16,
            resume=resume, live=live,
        )  # fmt: skip

    live = Live()
    whole = chain(300, live=live)
    early = chain(0, burnin=25)
    middle = chain(100, resume=early.saved)
    parts = chain(300, resume=middle.saved)
    for name in ("beta", "omega", "sigma2", "deviance", "kept_at"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    for name in ("effect_mean", "effect_sd", "kept_effects"):
        for one, other in zip(getattr(parts, name), getattr(whole, name), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(live.draws(), np.column_stack([whole.beta, whole.omega, whole.sigma2]))
    assert whole.saved is not None
    assert whole.saved.sweeps == 340


def test_kept_effects_are_those_of_their_draws() -> None:
    """With room for all: their mean and sd are the chain's; each draw's deviance is that of the rows at its effects,
    which places every unit of every classification."""
    rng = np.random.default_rng(3)
    x, factors = layout("three", [2, 1, 2], rng)
    y = 1e2 + x[:, 1] + rng.normal(size=len(x))
    for core in (None, []):
        st = nlevel_stats.statistics(y, x, factors, core=core)
        chain = draw(st, priors([2, 1, 2]), 40, room=64)
        np.testing.assert_array_equal(chain.kept_at, np.arange(40))
        for kept, average, sd in zip(chain.kept_effects, chain.effect_mean, chain.effect_sd, strict=True):
            np.testing.assert_allclose(kept.mean(axis=0), average, atol=1e-10)
            np.testing.assert_allclose(kept.std(axis=0, ddof=1), sd, rtol=1e-8)
        for s in (0, 17, 39):
            at = mean(x, factors, chain.beta[s], [kept[s] for kept in chain.kept_effects])
            wanted = -2 * stats.norm(at, math.sqrt(chain.sigma2[s])).logpdf(y).sum()
            assert chain.deviance[s] == pytest.approx(wanted, rel=1e-9)
        few = draw(st, priors([2, 1, 2]), 40, room=6)
        np.testing.assert_array_equal(few.kept_at, [7, 15, 23, 31, 39])
        np.testing.assert_array_equal(few.kept_effects[1], chain.kept_effects[1][few.kept_at])
