"""Binomial and Poisson responses with several classifications: copies that are written out.

Exact: with a few units the cloned posterior by quadrature. Independent: lme4's glmer on crossed schools and on seeds
(lme4_counts.json, made by reference_counts.R), where units are large and its approximation is near. z-tests at 4.5
Monte Carlo errors, about 40 in all: false alarms under 1 in 3,000 for the file with fresh seeds; seeds are fixed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cases import seeds
from running import Ran, run
from scipy import optimize, special, stats

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.crossed import crossed_schools
from templates_engine.problems import Refused
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import copies as cloning_copies, priors as cloning_priors
from templates_engine.sampling.glm import laplace as glm_laplace
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.rng import streams

STOP = np.zeros(2, np.int64)
EXPECTED = json.loads((Path(__file__).parent / "lme4_counts.json").read_text())
BASE = {"numclass": "2", "C1": "primary", "C2": "second", "x": "cons,verbal"}
QUICK = {"nchains": "2", "clones": "1,3", "burnin": "50", "iterations": "150", "predict": "No", "tests": "No"}
ABSENCES = {"y": "absences", "D": "Poisson", "offset": "logdays"}
SEEDS = {"y": "came", "D": "Binomial", "n": "sown", "link": "probit", "numclass": "2", "C1": "lot", "C2": "bench"}


class Small:
    """Eight units by two, a row each, an intercept. θ = (β, log σ²_u1, log σ²_u2)."""

    def __init__(self, link: str):
        rng = np.random.default_rng(3)
        self.link, self.one, self.two = link, np.repeat(np.arange(8), 2), np.tile(np.arange(2), 8)
        u, v = np.array([1.2, 0.9, -0.2, -1.3, 0.3, -0.8, 0.6, -0.4]), np.array([0.8, -0.9])
        self.trials, self.offset = rng.integers(2, 6, 16).astype(float), rng.normal(0, 0.3, 16)
        eta = 0.3 + u[self.one] + v[self.two] + self.offset
        if link == "log":
            self.y = rng.poisson(np.exp(eta)).astype(float)
        else:
            mean = special.expit(eta) if link == "logit" else special.ndtr(eta)
            self.y = rng.binomial(self.trials.astype(int), mean).astype(float)
        self.x, self.factors = np.ones((16, 1)), [Factor(c, np.ones((16, 1))) for c in (self.one, self.two)]
        self.prior = cloning_priors.first(1)

    def rows(self, eta: np.ndarray) -> np.ndarray:
        """(8, 2, ·): log density of each row at eta (16, ·), scipy's."""
        if self.link == "log":
            found = stats.poisson.logpmf(self.y[:, None], np.exp(eta))
        else:
            mean = special.expit(eta) if self.link == "logit" else special.ndtr(eta)
            found = stats.binom.logpmf(self.y[:, None], self.trials[:, None], mean)
        return found.reshape(8, 2, -1)

    def likelihood(self, theta: np.ndarray, nodes: int = 44) -> float:
        """log L: given the two effects of the second classification the units of the first are independent."""
        at, weights = np.polynomial.hermite_e.hermegauss(nodes)
        weights = weights / weights.sum()
        s, t = np.exp(theta[1:] / 2)
        eta = theta[0] + self.offset[:, None] + (s * at[:, None] + t * at[None, :]).ravel()
        table = np.exp(self.rows(eta)).reshape(8, 2, nodes, nodes)
        units = np.einsum("m,jma,jmb->jab", weights, table[:, 0], table[:, 1], optimize=True)
        total = np.exp(np.log(np.maximum(units, 1e-290)).sum(axis=0))
        return float(np.log(weights @ total @ weights))

    def log_prior(self, theta: np.ndarray) -> float:
        """N(0, 10) of β, Gamma(0.001, 0.001) of both precisions, in the logarithm of the variances."""
        return float(-0.05 * theta[0] ** 2 - np.sum(0.001 * theta[1:] + 0.001 * np.exp(-theta[1:])))

    def highest(self, clones: int) -> tuple[np.ndarray, np.ndarray]:
        """Mode and covariance of the cloned posterior; clones = 0: of the likelihood."""

        def minus(theta: np.ndarray) -> float:
            given = self.log_prior(theta) / clones if clones else 0.0
            return -self.likelihood(theta) - given

        options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 2000}
        mode = optimize.minimize(minus, np.array([0.3, -0.5, -0.5]), method="Nelder-Mead", options=options).x
        step, hessian = 1e-3, np.empty((3, 3))
        for i, j in np.ndindex(3, 3):
            e, f = step * np.eye(3)[i], step * np.eye(3)[j]
            corners = minus(mode + e + f) - minus(mode + e - f) - minus(mode - e + f) + minus(mode - e - f)
            hessian[i, j] = corners / (4 * step * step)
        return mode, np.linalg.inv(hessian) / max(clones, 1)

    def exact(self, clones: int, nodes: int = 7) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of the cloned posterior, by a product rule about its mode."""
        mode, covariance = self.highest(clones)
        root = np.linalg.cholesky(covariance)
        at, weights = np.polynomial.hermite_e.hermegauss(nodes)
        z = np.stack(np.meshgrid(at, at, at), axis=-1).reshape(-1, 3)
        w = np.stack(np.meshgrid(weights, weights, weights), axis=-1).reshape(-1, 3).prod(axis=1)
        theta = mode + z @ root.T
        log = np.array([clones * self.likelihood(t) + self.log_prior(t) for t in theta]) + 0.5 * np.sum(z * z, axis=1)
        w = w * np.exp(log - log.max())
        w /= w.sum()
        mean = w @ theta
        return mean, np.sqrt(w @ (theta - mean) ** 2)

    def draws(self, clones: int, iterations: int = 5000) -> np.ndarray:
        """(chain, draw, 3) of θ."""
        more = {"trials": self.trials, "offset": self.offset}
        near = glm_laplace.fit(self.link, self.y, self.x, self.factors, **more)
        begin = cloning_copies.start(near, self.link, self.y, self.x, self.factors, **more)
        priors = cloning_copies.priors(self.prior, begin.omega)
        of = cloning_copies.target(self.link, self.y, self.x, self.factors, priors, clones, **more)
        chains = [
            cloning_copies.run_chain(of, begin, one, STOP.copy(), burnin=500, iterations=iterations)
            for one in streams(7, 3)
        ]
        return np.stack([np.concatenate([c.beta, np.log(c.omega)], axis=1) for c in chains])


def z_scores(values: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Of means, and of mean squared distances from the exact mean."""

    def score(part: np.ndarray, at: np.ndarray) -> np.ndarray:
        found = diagnostics.measures(np.moveaxis(part, 2, 0))
        return (part.mean(axis=(0, 1)) - at) / found["mcse"]

    return np.concatenate([score(values, mean), score((values - mean) ** 2, sd**2)])


SMALL = {link: Small(link) for link in ("log", "logit", "probit")}


@pytest.mark.parametrize(("link", "clones"), [("log", 20), ("logit", 20), ("probit", 20)])
def test_the_cloned_posterior_is_the_exact_one(link: str, clones: int) -> None:
    """Means and variances of β and of the log variances against quadrature, whose own error is far smaller."""
    small = SMALL[link]
    mean, sd = small.exact(clones)
    mode, _ = small.highest(clones)
    assert small.likelihood(mode, 60) == pytest.approx(small.likelihood(mode), abs=2e-5)
    wider = small.exact(clones, 9)
    np.testing.assert_allclose(wider[0], mean, atol=1e-3 * sd.min())
    np.testing.assert_allclose(wider[1], sd, rtol=1e-3)
    found = z_scores(small.draws(clones), mean, sd)
    assert np.abs(found).max() < 4.5, found


def test_clones_go_to_the_maximum_and_the_laplace_approximation_does_not() -> None:
    """Units so small that glmer's way is off by a tenth of a standard error: the cloned mean nears the maximum."""
    small = SMALL["logit"]
    maximum, covariance = small.highest(0)
    se = np.sqrt(np.diag(covariance))
    away = {k: np.abs(small.exact(k)[0] - maximum) / se for k in (20, 80)}
    assert away[80].max() < 0.01
    assert away[80].max() < 0.3 * away[20].max()
    drawn = small.draws(80, 2500)
    mean, error = drawn.mean(axis=(0, 1)), diagnostics.measures(np.moveaxis(drawn, 2, 0))["mcse"]
    assert np.all(np.abs(mean - maximum) < 4.5 * error + 0.01 * se)
    assert np.sqrt(80) * drawn.std(axis=(0, 1)) == pytest.approx(se, rel=0.08)
    near = glm_laplace.fit("logit", small.y, small.x, small.factors, trials=small.trials, offset=small.offset)
    assert abs(np.log(near.omega[0][0, 0]) - mean[1]) > 8 * error[1]


def test_copies_that_share_their_units_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trap of data cloning: effects that are not cloned become parameters. The test above would see it."""

    def shared(factors: list[Factor], clones: int) -> list[Factor]:
        return [Factor(np.tile(f.codes, clones), np.tile(f.z, (clones, 1))) for f in factors]

    monkeypatch.setattr(cloning_copies, "copied", shared)
    mean, sd = SMALL["log"].exact(20)
    assert np.abs(z_scores(SMALL["log"].draws(20, 1000), mean, sd)).max() > 20


@pytest.fixture(scope="module")
def absences(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    more = {"nchains": "2", "clones": "1,4,16", "burnin": "200", "iterations": "800", "predict": "No"}
    return run("LMM/DC", crossed_schools(), {**BASE, **ABSENCES, **more}, tmp_path_factory.mktemp("absences"))


def assert_near(ran: Ran, name: str, clones: int) -> None:
    """glmer's estimates within Monte Carlo error, and 2 % of a standard error for its approximation and the prior; for
    a variance v the cloned mean is also off by about se²/v times 3/K, as its posterior is skew."""
    theirs = EXPECTED[name]
    values = np.array([*theirs["beta"], *theirs["variances"]])
    se = np.array([*theirs["se"], *theirs["variances_se"]])
    skew = np.where(np.arange(len(se)) < 2, 0.0, se / values)
    table = ran.table("DCTable")
    last = table[table["clones"] == clones]
    error = last["sd"].to_numpy() / np.sqrt(last["ess_bulk"].to_numpy())
    away = np.abs(last["mean"].to_numpy() - values)
    assert np.all(away < 4.5 * error + 0.02 * se + 3 * skew * se / clones), away / se
    ratio = last["dcsd"].to_numpy() / se
    ess = last["ess_tail"].to_numpy()
    assert np.all(np.abs(ratio - 1) < 4.5 / np.sqrt(2 * ess) + 0.02 + 3 * skew**2 / clones), ratio
    mle = ran.table("MLE")
    assert np.all(np.abs(mle["estimate"] - values) < 0.01 * se)
    np.testing.assert_allclose(mle["se"], se, rtol=0.02)
    fit = ran.table("ModelFit").set_index("measure")["value"]
    assert fit["deviance"] == pytest.approx(theirs["criterion"], abs=1e-3)
    assert fit["AIC"] == pytest.approx(theirs["criterion"] + 8, abs=1e-3)


def test_counts_of_crossed_schools(absences: Ran) -> None:
    assert_near(absences, "absences", 16)
    np.testing.assert_allclose(absences.table("DCDiag")["lambda.scaled"], [1, 1 / 4, 1 / 16], rtol=0.25)
    verdicts = absences.table("Estimability")
    assert set(verdicts["verdict"]) == {"estimable"}
    assert verdicts["slope"].to_numpy() == pytest.approx(-1.0, abs=0.2)


def test_what_the_tables_say(absences: Ran) -> None:
    """The Laplace approximation is named wherever it stands, and nothing is promised that is not there."""
    text = (absences.folder / "equation.tex").read_text()
    assert r"\mathrm{Gamma}(0.001, 0.001)" in text
    assert r"\mathrm{Poisson}" in text
    assert "logdays" in text
    tables = absences.result.tables
    assert any("Laplace approximation" in note for note in tables["MLE"].notes)
    assert any("Laplace" in note for note in tables["ModelFit"].notes)
    assert any("Laplace" in note for note in tables["Tests"].notes)
    assert "RandomEffects" not in tables


def test_seeds_by_lot_and_bench(tmp_path: Path) -> None:
    more = {"clones": "2,40", "burnin": "200", "iterations": "800", "predict": "No", "tests": "No"}
    ran = run("LMM/DC", seeds(), {**SEEDS, "x": "cons,warmth", **more}, tmp_path)
    assert_near(ran, "seeds", 40)


def first_pupils() -> Dataset:
    data = crossed_schools()
    return Dataset("few", {name: data[name][:200] for name in data.columns})


def test_slopes_and_units_within_units(tmp_path: Path) -> None:
    """Random slopes, and schools within districts, run and are named."""
    given = {"numclass": "2", "C1": "primary", "C2": "district", "x": "cons,verbal", "x2_2": "cons,verbal"}
    ran = run("LMM/DC", first_pupils(), {**ABSENCES, **given, **QUICK}, tmp_path)
    names = ["beta_0", "beta_1", "omega_u1_0", "omega_u2_0", "omega_u2_1", "omega_u2_2"]
    assert list(ran.table("Coefficients")["parameter"])[:2] == names[:2]
    assert len(ran.table("Coefficients")) == len(names)
    assert "W}^{-1}(2," in (tmp_path / "equation.tex").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": "beta_2"}, "profile: There is no beta_2 .* sigma2_u1, sigma2_u2"),
        ({"priors": "Documents 1"}, "priors: .*Normal response"),
        ({"clones": "1,10000"}, "clones: .*largest clone number can be 5,000 here"),
        ({"smoothing": "No"}, "Normal response with one classification"),
    ],
)
def test_what_cannot_be_had(change: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        run("LMM/DC", first_pupils(), {**ABSENCES, **BASE, **QUICK, **change}, tmp_path)
    assert re.search(said, " ".join(p.line() for p in refused.value.problems))


def test_many_rows_are_announced(tmp_path: Path) -> None:
    from templates_engine import registry
    from templates_engine.asking import walk

    template, data = registry.get("LMM/DC"), crossed_schools()
    for clones, level in (("1,50", ["notice"]), ("1,5", [])):
        spec = walk(template, {**ABSENCES, **BASE, **QUICK, "clones": clones}, data.schema()).spec
        assert [p.level for p in template.check(spec, data) if p.key == "clones" and "copies" in p.code] == level


def test_a_classification_without_variance_is_on_the_boundary(tmp_path: Path) -> None:
    """Counts less alike within shelves than chance would have them: that variance is zero, and has no error."""
    rng = np.random.default_rng(5)
    box, shelf = np.repeat(np.arange(20.0), 6), np.tile(np.arange(6.0), 20)
    eggs = rng.poisson(np.exp(1.2 + rng.normal(0, 0.6, 20)[box.astype(int)]))
    for part in range(0, 120, 6):  # the same total on each shelf, or nearly
        eggs[part : part + 6] = np.roll(np.sort(eggs[part : part + 6]), part // 6)
    data = Dataset("eggs", {"eggs": eggs.astype(float), "box": box, "shelf": shelf})
    given = {"y": "eggs", "D": "Poisson", "x": "cons", "numclass": "2", "C1": "box", "C2": "shelf"}
    ran = run("LMM/DC", data, {**given, **QUICK, "clones": "1,20", "iterations": "500"}, tmp_path)
    verdicts = ran.table("Estimability").set_index("parameter")["verdict"]
    assert verdicts["sigma2_u2"] == "on the boundary"
    assert verdicts["sigma2_u1"] == "estimable"
    assert np.isnan(ran.table("Coefficients").set_index("parameter").loc["sigma2_u2", "dcsd"])
    assert ran.table("MLE").set_index("parameter").loc["sigma2_u2", "estimate"] == 0
