"""Several classifications, nested and crossed: the likelihood by dense algebra, the estimates by lme4, the cloned law
by copies that are written out, the effects by their exact Normal law.

lme4's numbers stand in lme4_classifications.json, made by reference.R from the data of cases.py. False alarms: z-tests
at 4.5 Monte Carlo errors, about 60 in all, so under 1 in 2,000 for the file with fresh seeds; seeds are fixed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, nested
from running import run, shared_data
from scipy import linalg

from templates_engine.data.dataset import Dataset
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import (
    normal as cloning_normal,
    normal_ml as cloning_ml,
    predict as cloning_predict,
    priors as cloning_priors,
)
from templates_engine.sampling.cloning.joined_groups import Cells
from templates_engine.sampling.cloning.profile import correlation_profile, found_profile
from templates_engine.sampling.normal import classified as nlevel_normal, priors as mixed_priors
from templates_engine.sampling.normal.classified_stats import Factor, statistics as copied_statistics
from templates_engine.sampling.normal.two_level_stats import orthonormal, statistics
from templates_engine.sampling.rng import streams
from templates_engine.sampling.sparse import (
    Surface,
    factor as cloning_sparse_kernel,
    fit_reml,
    likelihood as cloning_sparse,
)

STOP = np.zeros(2, np.int64)


@cache
def reference() -> dict:
    return json.loads((Path(__file__).parent / "lme4_classifications.json").read_text())


@pytest.fixture(scope="module")
def model() -> tuple[np.ndarray, np.ndarray, list[Factor]]:
    """300 rows: 20 units with a slope, crossed with 7, the 20 nested in 7 more."""
    rng = np.random.default_rng(1)
    n = 300
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    fine, cross = rng.integers(0, 20, n), rng.integers(0, 7, n)
    y = rng.normal(size=n) + rng.normal(0, 0.7, 20)[fine] + rng.normal(0, 0.5, 7)[cross]
    return y, x, [Factor(cross, np.ones((n, 1))), Factor(fine, x), Factor(fine // 3, np.ones((n, 1)))]


ROOTS = [np.array([[0.7]]), np.array([[0.5, 0.0], [0.2, 0.3]]), np.array([[0.4]])]


def dense(y: np.ndarray, x: np.ndarray, factors: Sequence[Factor], roots: Sequence[np.ndarray]):
    """V, W and Z written out."""
    z = [f.matrix().toarray() for f in factors]
    v = np.eye(len(y))
    for part, f, t in zip(z, factors, roots, strict=True):
        v += part @ np.kron(np.eye(f.groups), t @ t.T) @ part.T
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return v, np.column_stack([orthonormal(x)[0], residual]), z


@pytest.mark.parametrize("split", [None, "all sparse", "one dense"])
def test_the_likelihood_is_that_of_dense_algebra(model, split, monkeypatch: pytest.MonkeyPatch) -> None:
    """log|V| and W'V^-1 W, wherever the dense block begins."""
    y, x, factors = model
    if split:
        place = {"all sparse": -1, "one dense": 1}[split]
        monkeypatch.setattr(cloning_sparse, "_choose", lambda counts, starts: (starts[place], 0.0))
    data = cloning_sparse.classes(y, x, factors)
    v, w, _ = dense(y, x, factors, ROOTS)
    found = np.empty((3, 3))
    logs = cloning_sparse_kernel.reduced_classes(data.pattern, data.roots(ROOTS), data.room(), found)
    assert logs == pytest.approx(np.linalg.slogdet(v)[1], abs=1e-10)
    np.testing.assert_allclose(found, w.T @ np.linalg.solve(v, w), rtol=1e-11, atol=1e-10)


def test_one_classification_is_that_of_the_cells(model) -> None:
    y, x, factors = model
    f = factors[1]
    prior = cloning_priors.first(2)
    one = cloning_normal.target(statistics(y, x, f.codes, f.z), prior, 7)
    two = cloning_normal.target(cloning_sparse.classes(y, x, [f]), prior, 7)
    assert isinstance(one.data, Cells)
    for theta in np.random.default_rng(2).normal(size=(5, 4)):
        assert one(theta) == pytest.approx(two(theta), abs=1e-7)


def test_effects_have_their_exact_law(model) -> None:
    """20,000 joint draws given the parameters: every mean and variance against N(P^-1 Z'r, P^-1)."""
    y, x, factors = model
    data = cloning_sparse.classes(y, x, factors)
    target = cloning_normal.target(data, cloning_priors.first(2), 1)
    size, gamma, sigma2 = 20_000, np.array([0.3, -0.2]), 0.81
    omegas = [np.tile(t @ t.T * sigma2, (size, 1, 1)) for t in ROOTS]
    found = cloning_predict.crossed_effects(
        target, np.tile(gamma, (size, 1)), omegas, np.full(size, sigma2), streams(3, 1)[0]
    )
    _, w, z = dense(y, x, factors, ROOTS)
    every = np.hstack(z)
    prior = linalg.block_diag(
        *[np.kron(np.eye(f.groups), t @ t.T * sigma2) for f, t in zip(factors, ROOTS, strict=True)]
    )
    covariance = np.linalg.inv(every.T @ every / sigma2 + np.linalg.inv(prior))
    mean = covariance @ every.T @ (w[:, 2] - w[:, :2] @ gamma) / sigma2
    drawn = np.hstack([part.reshape(size, -1) for part in found])
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(size)
    assert np.abs(drawn.var(axis=0) / sd**2 - 1).max() < 4.5 * np.sqrt(2 / size)
    correlation = np.corrcoef(drawn.T) - covariance / np.outer(sd, sd)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(size)


FORMULAS = {
    "nested": ("strength", (), (("cask", ()), ("batch", ()))),
    "crossed": ("diameter", ("hours",), (("plate", ("hours",)), ("sample", ()))),
    "schools": ("attain", ("verbal", "girl"), (("primary", ("verbal",)), ("second", ()))),
    "three": ("attain", ("verbal",), (("primary", ()), ("second", ()), ("district", ()))),
}


@cache
def surface(name: str) -> tuple[Surface, list[str]]:
    """The likelihood, and lme4's names of its variances in our order."""
    response, fixed, parts = FORMULAS[name]
    data = CASES["schools" if name == "three" else name]()
    one = np.ones(data.n_rows)
    factors, names = [], []
    for group, slopes in parts:
        factors.append(Factor(data.groups(group)[0], np.column_stack([one, *(data[s] for s in slopes)])))
        names.append(f"{group}.(Intercept)")
        names += [f"{group}.(Intercept).{s}" for s in slopes] + [f"{group}.{s}" for s in slopes]
    x = np.column_stack([one, *(data[v] for v in fixed)])
    data_ = cloning_sparse.classes(np.asarray(data[response], float), x, factors)
    return Surface(cloning_normal.target(data_, cloning_priors.first(x.shape[1]), 1)), names


@pytest.mark.parametrize("name", list(FORMULAS))
@pytest.mark.parametrize("how", ["ml", "reml"])
def test_estimates_of_lme4(name: str, how: str) -> None:
    """To the accuracy of lme4's optimiser; the criterion to 1e-6."""
    expected = reference()[name][how]
    of, names = surface(name)
    fit = fit_reml(of, reml=how == "reml")
    assert fit.deviance == pytest.approx(expected["criterion"], abs=2e-6)
    np.testing.assert_allclose(fit.beta, expected["beta"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.beta_se, expected["se"], rtol=1e-4)
    found = np.concatenate([w[np.tril_indices(len(w))] for w in fit.omega])
    np.testing.assert_allclose(found, [expected["varcov"][n] for n in names], rtol=1e-3, atol=1e-5)
    assert fit.sigma2 == pytest.approx(expected["varcov"]["Residual.NA"], rel=1e-4)


def profile_cases():
    yield "nested", ("beta", 0, 0, 0), "(Intercept)"
    yield "nested", ("omega", 0, 0, 0), "sd_(Intercept)|cask"
    yield "nested", ("omega", 1, 0, 0), "sd_(Intercept)|batch"
    yield "nested", ("sigma2", 0, 0, 0), "sigma"
    yield "crossed", ("beta", 1, 0, 0), "hours"
    yield "crossed", ("omega", 0, 0, 0), "sd_(Intercept)|plate"
    yield "crossed", ("omega", 0, 1, 0), "sd_hours|plate"
    yield "crossed", ("omega", 1, 0, 0), "sd_(Intercept)|sample"
    yield "crossed", ("rho", 0, 1, 0), "cor_hours.(Intercept)|plate"


@pytest.mark.parametrize(("name", "place", "theirs"), list(profile_cases()))
def test_profile_intervals_of_lme4(name: str, place: tuple[str, int, int, int], theirs: str) -> None:
    """lme4 profiles standard deviations and interpolates with splines, hence the 0.4 % of the width."""
    low, high = reference()[name]["ml"]["profile"][theirs]
    of, _ = surface(name)
    fit = fit_reml(of, reml=False)
    if place[0] == "beta":
        at, se = float(fit.beta[place[1]]), float(fit.beta_se[place[1]])
    elif place[0] == "sigma2":
        at, se = fit.sigma2, fit.sigma2_se
    else:
        _, c, k, _ = place
        at = float(fit.omega[c][k, k])
        se = float(fit.omega_se[c][(k + 1) * (k + 2) // 2 - 1])
    drop = cloning_ml.profiled(of, fit.omega, fit.sigma2, place)
    if place[0] == "rho":
        omega = fit.omega[0]
        at = float(omega[1, 0] / np.sqrt(omega[0, 0] * omega[1, 1]))
        found = correlation_profile(lambda v: drop(v) - fit.deviance, at, 0.2, 95)
    else:
        found = found_profile(lambda v: drop(v) - fit.deviance, at, se, place[0] != "beta", 95)
    ends = np.array([found.lower, found.upper])
    ends = ends if place[0] in ("beta", "rho") else np.sqrt(ends)
    np.testing.assert_allclose(ends, [low, high], atol=4e-3 * (high - low))


@pytest.mark.parametrize(
    ("parameter", "theirs"),
    [
        ("omega_u_0", "sd_(Intercept)|Subject"),
        ("omega_u_2", "sd_Days|Subject"),
        ("rho_u_1", "cor_Days.(Intercept)|Subject"),
        ("beta_1", "Days"),
        ("sigma2", "sigma"),
    ],
)
def test_profile_with_random_slopes(parameter: str, theirs: str, tmp_path) -> None:
    """sleepstudy, by the template, against lme4's profile."""
    given = {"y": "Reaction", "C1": "Subject", "x": "cons,Days", "x2_1": "cons,Days", "profile": parameter}
    quick = {"clones": "1,10", "iterations": "200", "burnin": "50", "tests": "No", "predict": "No"}
    ran = run("LMM/DC", shared_data("lmm/sleepstudy.csv"), {**given, **quick}, tmp_path)
    row = ran.table("ProfileInterval").iloc[0]
    low, high = reference()["sleepstudy"]["ml"]["profile"][theirs]
    ends = np.array([row["lower"], row["upper"]])
    ends = ends if parameter.startswith(("beta", "rho")) else np.sqrt(ends)
    np.testing.assert_allclose(ends, [low, high], atol=4e-3 * (high - low))


def z_scores(values: np.ndarray, other: np.ndarray) -> float:
    """(chain, draw) of two samplers."""
    error = np.hypot(*(diagnostics.measures(v[None])["mcse"][0] for v in (values, other)))
    return float((values.mean() - other.mean()) / error)


def test_clones_that_are_written_out_have_the_same_law() -> None:
    """Four copies of the rows, each with its own units of both classifications, by the Gibbs sampler of NLevelMod."""
    rng = np.random.default_rng(4)
    n, clones = 240, 4
    one, two = rng.integers(0, 15, n), rng.integers(0, 12, n)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = 1 + 0.5 * x[:, 1] + rng.normal(0, 0.8, 15)[one] + rng.normal(0, 0.6, 12)[two] + rng.normal(0, 0.7, n)
    factors = [Factor(one, x[:, :1]), Factor(two, x[:, :1])]
    data = cloning_sparse.classes(y, x, factors)
    prior = cloning_priors.Prior(
        np.zeros(2), np.full(2, 1e8), (cloning_priors.LOG_SD, 0.0, 1e6), (cloning_priors.LOG_SD, 0.0, 1e6)
    )
    fit = fit_reml(Surface(cloning_normal.target(data, prior, 1)), reml=False)
    target = cloning_normal.target(data, prior, clones)
    near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
    collapsed = [
        cloning_normal.run_chain(target, near, one_, STOP.copy(), burnin=300, iterations=5000) for one_ in streams(5, 3)
    ]
    many = [
        Factor(np.concatenate([f.codes + k * f.groups for k in range(clones)]), np.ones((n * clones, 1)))
        for f in factors
    ]
    copies = copied_statistics(np.tile(y, clones), np.tile(x, (clones, 1)), many)
    flat = mixed_priors.InverseWishart(0.002, np.array([[0.002]]))
    priors = nlevel_normal.Priors(mixed_priors.InverseGamma(0.001, 0.001), (flat, flat))
    naive = [
        nlevel_normal.run_chain(copies, priors, one_, STOP.copy(), burnin=500, iterations=5000)
        for one_ in streams(6, 3)
    ]
    for part in (
        lambda c: c.beta[:, 0], lambda c: c.beta[:, 1], lambda c: c.omega[:, 0], lambda c: c.omega[:, 1],
        lambda c: c.sigma2,
    ):  # fmt: skip
        ours, theirs = (np.stack([part(c) for c in chains]) for chains in (collapsed, naive))
        assert abs(z_scores(ours, theirs)) < 4.5
        assert ours.std() == pytest.approx(theirs.std(), rel=0.08)


def test_crossed_schools_as_a_user_meets_them(tmp_path) -> None:
    """The supplied crossed example: lme4's estimates by cloning, variances that fall as 1/K, effects of both."""
    given = {"y": "attain", "numclass": "2", "C1": "primary", "C2": "second", "x": "cons,verbal,girl"}
    more = {"x2_1": "cons,verbal", "x2_2": "cons", "clones": "10,50,200", "iterations": "1500", "burnin": "300"}
    ran = run("LMM/DC", CASES["schools"](), {**given, **more}, tmp_path)
    expected = reference()["schools"]["ml"]
    table, mle = ran.table("Coefficients").set_index("parameter"), ran.table("MLE").set_index("parameter")
    assert list(table.index) == [
        "beta_0", "beta_1", "beta_2", "omega_u1_0", "omega_u1_1", "omega_u1_2", "sigma2_u2", "sigma2",
    ]  # fmt: skip
    values = [*expected["beta"], *expected["varcov"].values()]
    for name, value in zip(table.index, values, strict=True):
        se = mle.loc[name, "se"]
        assert abs(table.loc[name, "estimate"] - value) < 0.04 * se + 4.5 * se / np.sqrt(200 * 2000), name
        assert table.loc[name, "dcsd"] == pytest.approx(se, rel=0.07), name
    verdicts = ran.table("Estimability")
    assert set(verdicts["verdict"]) == {"estimable"}
    np.testing.assert_allclose(ran.table("DCDiag")["lambda.scaled"], [1, 0.2, 0.05], rtol=0.15)
    effects = ran.table("RandomEffects")
    assert effects.groupby("classification").size().to_dict() == {"primary": 160, "second": 16}
    fit = ran.table("ModelFit").set_index("measure")["value"]
    assert (fit["units of primary"], fit["units of second"], fit["parameters"]) == (80, 16, 8)
    tests = ran.table("Tests").set_index("hypothesis")
    assert tests.loc["sigma2_u2 = 0", "statistic"] > 5
    assert (tmp_path / "caterpillar_2.svg").exists()


def test_a_classification_without_variance_is_on_the_boundary(tmp_path) -> None:
    """Casks dealt to batches at random: the variance of batches is zero, that of casks and the rest are estimated."""
    data = nested()
    dealt = np.random.default_rng(8).permutation(30) % 10
    mixed = Dataset(
        "dealt", {**{k: data[k] for k in ("cask", "strength")}, "batch": dealt[data["cask"].astype(int) - 1]}
    )
    given = {"y": "strength", "numclass": "2", "C1": "cask", "C2": "batch", "x": "cons"}
    ran = run("LMM/DC", mixed, {**given, "clones": "1,20", "iterations": "500"}, tmp_path)
    verdicts = ran.table("Estimability").set_index("parameter")["verdict"]
    assert verdicts["sigma2_u2"] == "on the boundary"
    assert verdicts["sigma2_u1"] == "estimable"
    assert np.isnan(ran.table("Coefficients").set_index("parameter").loc["sigma2_u2", "dcsd"])
    assert ran.table("MLE").set_index("parameter").loc["sigma2_u2", "estimate"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"C2": "row"}, "row has 60 units, but there are only 60 rows"),
        ({"C2": "again"}, "same 30 units as cask"),
        ({"C2": "one"}, "one has 1 unit in the rows used|at least two units"),
        ({"smoothing": "No"}, "Normal response with one classification"),
        ({"profile": "omega_u1_1"}, "no omega_u1_1 to profile"),
        ({"profile": "sigma2_u"}, "sigma2_u1, sigma2_u2"),
    ],
)
def test_classifications_that_cannot_be_told_apart(change: dict, said: str, tmp_path) -> None:
    import re

    from templates_engine.problems import Refused

    data = nested()
    columns = {k: data[k] for k in data.columns}
    odd = Dataset(
        "odd", {**columns, "cons": np.ones(60), "row": np.arange(60.0), "again": 100 - data["cask"], "one": np.ones(60)}
    )
    given = {"y": "strength", "numclass": "2", "C1": "cask", "C2": "batch", "x": "cons", **change}
    with pytest.raises(Refused) as refused:
        run("LMM/DC", odd, given, tmp_path)
    assert re.search(said, " ".join(p.line() for p in refused.value.problems))


def test_wide_form_with_a_classification_above(tmp_path) -> None:
    """Each row an individual with two responses, individuals in larger groups: the same as the long form."""
    rng = np.random.default_rng(9)
    herd = np.repeat(np.arange(12.0), 6)
    u = rng.normal(0, 0.5, 12)[herd.astype(int)] + rng.normal(0, 0.6, 72)
    pair = np.stack([u, u]) + rng.normal(0, 0.4, (2, 72))
    quick = {"clones": "1,10", "iterations": "300", "burnin": "100", "tests": "No", "predict": "No"}
    wide = Dataset("wide", {"a": pair[0], "b": pair[1], "herd": herd})
    long = Dataset("long", {"y": pair.ravel(), "herd": np.tile(herd, 2), "id": np.tile(np.arange(72.0), 2)})
    one = run("LMM/DC", wide, {"y": "a,b", "numclass": "2", "C1": "none", "C2": "herd", **quick}, tmp_path / "a")
    two = run("LMM/DC", long, {"y": "y", "numclass": "2", "C1": "id", "C2": "herd", **quick}, tmp_path / "b")
    np.testing.assert_allclose(one.table("MLE")["estimate"], two.table("MLE")["estimate"], rtol=1e-6)


def test_faces_of_the_posterior_at_one_clone(model) -> None:
    """With few units a good part of the mass lies where a variance is all but zero: the mixture of proposals against
    slices and wide proposals alone, which know nothing of it."""
    y, x, factors = model
    stats = statistics(y[:80], x[:80], np.unique(factors[1].codes[:80], return_inverse=True)[1], x[:80])
    fit = fit_reml(Surface(cloning_normal.target(stats, cloning_priors.first(2), 1)), reml=False)
    target = cloning_normal.target(stats, cloning_priors.first(2), 1)
    near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
    assert not near.regular
    plain = cloning_normal.Laplace(near.mode, near.factor, False)
    runs = [
        [cloning_normal.run_chain(target, how, one, STOP.copy(), burnin=500, iterations=size) for one in streams(7, 3)]
        for how, size in ((near, 6000), (plain, 12000))
    ]
    fast, slow = runs
    assert fast[0].evaluations < 0.4 * slow[0].evaluations
    for part in (
        lambda c: c.beta[:, 0], lambda c: c.omega[:, 0], lambda c: c.omega[:, 2], lambda c: c.sigma2,
        lambda c: (c.theta[:, 1] < -4.0).astype(float), lambda c: (c.theta[:, 3] < -4.0).astype(float),
    ):  # fmt: skip
        ours, theirs = (np.stack([part(c) for c in chains]) for chains in (fast, slow))
        assert abs(z_scores(ours, theirs)) < 4.5


def test_sleepstudy_mixes_at_one_clone() -> None:
    """At one copy 40 % of the mass lies where intercepts and slopes correlate perfectly, as the prior of the documents
    is flat there: with proposals for that face no parameter's effective sample is below a quarter of the draws."""
    data = shared_data("lmm/sleepstudy.csv")
    x = np.column_stack([np.ones(data.n_rows), data["Days"]])
    stats = statistics(data["Reaction"], x, data.groups("Subject")[0], x)
    fit = fit_reml(Surface(cloning_normal.target(stats, cloning_priors.first(2), 1)), reml=False)
    target = cloning_normal.target(stats, cloning_priors.weak(fit.beta, fit.beta_se), 1)
    near = cloning_normal.approximate(target, fit.omega, fit.sigma2)
    chains = [
        cloning_normal.run_chain(target, near, one, STOP.copy(), burnin=500, iterations=2000) for one in streams(1, 3)
    ]
    values = np.stack([np.column_stack([c.beta, c.omega, c.sigma2]) for c in chains])
    assert diagnostics.measures(np.moveaxis(values, 2, 0))["ess_bulk"].min() > 1500
    assert 0.25 < np.mean([c.theta[:, 3] < -4 for c in chains]) < 0.55
    assert chains[0].evaluations < 15
