"""Effects of counts and successes of crossed units, predicted, and their profile likelihood.

Exact: moments by quadrature where units are few, ranks of the truth by simulation. Independent: lme4's conditional
modes, their standard deviations and its profile intervals (lme4_effects.json, made by reference_effects.R). z-tests at
4.5 Monte Carlo errors, about 150 in all: false alarms under 1 in 900 for the file with fresh seeds; seeds are fixed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import seeds
from running import Ran, run
from scipy import special
from test_lmm_dc_crossed_counts import ABSENCES, BASE, SEEDS, SMALL, Small, first_pupils
from test_lmm_dc_slopes import OMEGA, made, row_logs

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate.crossed import crossed_schools
from templates_engine.sampling.cloning import (
    crossed_draws as cloning_crossed,
    glm as cloning_glm,
    laplace_profile as glm_laplace_profile,
    priors as cloning_priors,
)
from templates_engine.sampling.cloning.crossed_draws import Centre, general_crossed_effects
from templates_engine.sampling.cloning.normal import Cloned
from templates_engine.sampling.glm import (
    data as glm_data,
    laplace as glm_laplace,
)
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.rng import streams

LME4 = json.loads((Path(__file__).parent / "lme4_effects.json").read_text())
BETA, VARIANCES = 0.3, np.array([0.9, 0.8])
AT = np.append(BETA, VARIANCES)


def roots(variances: np.ndarray) -> list[np.ndarray]:
    return [np.full((1, 1), np.sqrt(v)) for v in variances]


def moments(small: Small, theta: np.ndarray = AT) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and standard deviations of the ten effects at (β, variances) on a fine grid, and log L: given the two
    of the second classification the eight of the first are independent."""
    at = np.linspace(-6.5, 6.5, 161)
    weight = np.exp(-(at**2) / 2)
    weight /= weight.sum()
    s, t = np.sqrt(theta[1:])
    eta = theta[0] + small.offset[:, None] + (s * at[:, None] + t * at[None, :]).ravel()
    table = np.exp(small.rows(eta)).reshape(8, 2, len(at), len(at))
    sums = [np.einsum("u,jua,jub->jab", weight * at**k, table[:, 0], table[:, 1], optimize=True) for k in range(3)]
    joint = np.exp(np.log(sums[0]).sum(axis=0)) * weight[:, None] * weight
    total = joint.sum()
    joint /= total
    first = [s**k * np.sum(joint * sums[k] / sums[0], axis=(1, 2)) for k in (1, 2)]
    second = [t**k * np.array([joint.sum(axis=1 - e) @ at**k for e in (0, 1)]) for k in (1, 2)]
    mean, square = (np.append(a, b) for a, b in zip(first, second, strict=True))
    return mean, np.sqrt(square - mean**2), float(np.log(total))


def drawn(small: Small, size: int, trajectories: int) -> np.ndarray:
    """(size, 10) of both classifications."""
    omegas = [np.full((size, 1, 1), v) for v in VARIANCES]
    found = general_crossed_effects(
        small.link, small.y, small.x, small.factors, np.full((size, 1), BETA), omegas, streams(5, 1)[0],
        trials=small.trials, offset=small.offset, trajectories=trajectories,
    )  # fmt: skip
    return np.concatenate([u[:, :, 0] for u in found], axis=1)


def z_scores(draws: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Of the means, and of the mean squared distances from the exact mean."""
    squares = (draws - mean) ** 2
    size = np.sqrt(len(draws))
    return np.concatenate([(draws.mean(0) - mean) / sd, (squares.mean(0) - sd**2) / squares.std(0)]) * size


@pytest.mark.parametrize("link", ["log", "logit", "probit"])
def test_effects_have_their_exact_law(link: str) -> None:
    """And the approximation that the draws begin at has not."""
    small = SMALL[link]
    mean, sd, _ = moments(small)
    assert np.abs(z_scores(drawn(small, 8000, 4), mean, sd)).max() < 4.5
    assert np.abs(z_scores(drawn(small, 8000, 0), mean, sd)).max() > 9


def test_steps_that_are_too_long_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter turn in one step errs so much that Metropolis' rule must see to the law."""
    monkeypatch.setattr(cloning_crossed, "TURNS", 1)
    monkeypatch.setattr(cloning_crossed, "_ACCEPTED", 0.0)
    mean, sd, _ = moments(SMALL["probit"])
    assert np.abs(z_scores(drawn(SMALL["probit"], 12_000, 10), mean, sd)).max() < 4.5


@pytest.mark.parametrize("link", ["log", "logit", "probit"])
def test_what_the_approximation_errs_by(link: str) -> None:
    """Between two points, against the grid."""
    small = SMALL[link]
    centre = Centre(link, small.y, small.x, small.factors, trials=small.trials, offset=small.offset)
    begin, end = AT, np.array([-0.2, 0.3, 1.6])
    ends = [(point[:1], roots(point[1:])) for point in (begin, end)]
    change, error = centre.path(*ends, 1000, streams(6, 1)[0])
    exact = moments(small, end)[2] - moments(small, begin)[2]
    wanted = exact - (centre.at(*ends[1]) - centre.at(*ends[0]))
    assert abs(wanted) > 6 * error
    assert abs(change - wanted) < 4.5 * error + 1e-4


@pytest.mark.parametrize("link", ["logit", "log"])
def test_slopes_have_their_exact_law(link: str) -> None:
    """Both effects of three groups, on a fine grid, as one classification of those there may be."""
    y, x, trials, codes = made(link, 3, 5)
    beta, size = np.array([0.4, 0.5]), 8000
    (found,) = general_crossed_effects(
        link, y, x, [Factor(codes, x)], np.tile(beta, (size, 1)), [np.tile(OMEGA, (size, 1, 1))], streams(2, 1)[0],
        trials=trials, offset=np.zeros(len(y)),
    )  # fmt: skip
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
        assert np.abs(z_scores(found[:, j], mean, np.sqrt(np.diag(cov)))).max() < 4.5
        product = (found[:, j] - mean).prod(axis=1)
        assert abs(product.mean() - cov[0, 1]) < 4.5 * product.std() / np.sqrt(size)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Effects and counts drawn at known parameters: the rank of a true effect among 199 draws is uniform on 0 to 199,
    so that 190 of 200 lie from 5 to 194. 100 data sets, whose own spread gives the error."""
    rng = np.random.default_rng(8)
    one, two, x = np.repeat(np.arange(12), 10), np.tile(np.arange(5), 24), np.ones((120, 1))
    factors = [Factor(one, x), Factor(two, x)]
    shares, heights = [], []
    for _ in range(100):
        u, v = rng.normal(0, 0.8, 12), rng.normal(0, 0.6, 5)
        y = rng.poisson(np.exp(0.2 + u[one] + v[two])).astype(float)
        omegas = [np.full((199, 1, 1), s * s) for s in (0.8, 0.6)]
        found = general_crossed_effects(
            "log", y, x, factors, np.full((199, 1), 0.2), omegas, rng, trials=np.ones(120), offset=np.zeros(120)
        )
        ranks = np.concatenate([np.sum(d[:, :, 0] < t, axis=0) for d, t in zip(found, (u, v), strict=True)])
        shares.append(np.mean((ranks >= 5) & (ranks < 195)))
        heights.append(np.mean(ranks / 199))
    for values, expected in ((shares, 0.95), (heights, 0.5)):
        assert abs(np.mean(values) - expected) < 4.5 * np.std(values, ddof=1) / np.sqrt(100)
    assert np.std(shares, ddof=1) / np.sqrt(100) < 0.01


def case(name: str) -> tuple[str, np.ndarray, np.ndarray, list[Factor], dict[str, np.ndarray], tuple[str, str]]:
    data = crossed_schools() if name == "absences" else seeds()
    names = ("primary", "second") if name == "absences" else ("lot", "bench")
    ones = np.ones(data.n_rows)
    factors = [Factor(np.unique(data[n], return_inverse=True)[1].astype(np.int64), ones[:, None]) for n in names]
    if name == "absences":
        more = {"trials": ones, "offset": data["logdays"]}
        return "log", data["absences"], np.column_stack([ones, data["verbal"]]), factors, more, names
    more = {"trials": data["sown"], "offset": 0 * ones}
    return "probit", data["came"], np.column_stack([ones, data["warmth"]]), factors, more, names


@pytest.mark.parametrize("name", ["absences", "seeds"])
def test_conditional_modes_are_those_of_lme4(name: str) -> None:
    """At lme4's estimates; its standard deviations are those of the Normal approximation."""
    link, y, x, factors, more, names = case(name)
    theirs = LME4[name]
    order = [theirs["names"].index(n) for n in names]
    centre = Centre(link, y, x, factors, **more)
    root = roots(np.array(theirs["variances"])[order])
    assert np.isfinite(centre.at(np.array(theirs["beta"]), root))
    modes = centre.effects(centre.mode, root)
    noise = streams(3, 1)[0].standard_normal((4000, centre.shape.count))
    draws = [centre.effects(centre.draw(e), root) for e in noise]
    for c, k in enumerate(order):
        sds = np.array(theirs["sds"][k])
        assert np.abs((modes[c][:, 0] - np.array(theirs["modes"][k])) / sds).max() < 1e-3
        ours = np.std([d[c][:, 0] for d in draws], axis=0)
        assert np.abs(ours / sds - 1).max() < 4.5 / np.sqrt(8000) + 1e-3


PROFILES = [
    ("absences", ("omega", 0, 0, 0), "sd_(Intercept)|primary"),
    ("absences", ("omega", 1, 0, 0), "sd_(Intercept)|second"),
    ("absences", ("beta", 1, 0, 0), "verbal"),
    ("seeds", ("omega", 0, 0, 0), "sd_(Intercept)|lot"),
    ("seeds", ("omega", 1, 0, 0), "sd_(Intercept)|bench"),
    ("seeds", ("beta", 0, 0, 0), "(Intercept)"),
    ("seeds", ("beta", 1, 0, 0), "warmth"),
]


@pytest.mark.parametrize(("name", "place", "theirs"), PROFILES)
def test_profile_intervals_are_those_of_lme4(name: str, place: tuple[str, int, int, int], theirs: str) -> None:
    """lme4 profiles standard deviations and interpolates with splines, hence the 0.4 % of the width."""
    link, y, x, factors, more, _ = case(name)
    near = glm_laplace.fit(link, y, x, factors, **more)
    curve = glm_laplace_profile.Curve(link, y, x, factors, near, place, **more)
    beta = place[0] == "beta"
    se = float(near.beta_se[place[1]] if beta else near.omega_se[place[1]][0])
    found = glm_laplace_profile.profile(curve, se, 95.0)
    ends = np.array([found.lower, found.upper])
    ends = ends if beta else np.sqrt(ends)
    low, high = LME4[name]["profile"][theirs]
    np.testing.assert_allclose(ends, [low, high], atol=4e-3 * (high - low))


@pytest.mark.parametrize("place", [("omega", 0, 0, 0), ("omega", 0, 1, 0), ("rho", 0, 1, 0), ("beta", 1, 0, 0)])
def test_profile_of_slopes_beside_quadrature(place: tuple[str, int, int, int]) -> None:
    """One classification, where the likelihood has an exact form: the note's fall is that of the likelihood itself at
    the profile's points; and nothing nearby is higher under the approximation."""
    y, x, trials, codes = made("logit", 20, 6)
    more = {"trials": trials, "offset": np.zeros(len(y))}
    factors = [Factor(codes, x)]
    near = glm_laplace.fit("logit", y, x, factors, **more)
    curve = glm_laplace_profile.Curve("logit", y, x, factors, near, place, **more)
    data = glm_data.grouped("logit", y, x, codes=codes, z=x, trials=trials)
    target = cloning_glm.target(data, cloning_priors.first(2), 1, nodes=15)

    def exact(value: float) -> float:
        point = curve.point(value)
        gamma = data.coordinates.triangle @ (point.beta - data.coordinates.centre)
        return target.at_root(gamma, np.linalg.cholesky(point.omega[0]), target.room())

    there = {"omega": 2.0 * curve.value, "rho": -0.5, "beta": curve.value + 0.5}[place[0]]
    centre = Centre("logit", y, x, factors, **more)
    ((fall, error),) = glm_laplace_profile.errors(curve, centre, [there], streams(4, 1)[0])
    wanted = 2.0 * (exact(curve.value) - exact(there))
    assert abs(fall - wanted) < 4.5 * error + 1e-3
    assert abs(curve(there) - wanted) > 3 * error  # what the approximation errs by is seen
    point = curve.point(there)
    held = {"omega": point.omega[0][place[2], place[2]], "beta": point.beta[1]}
    rho = point.omega[0][1, 0] / np.sqrt(point.omega[0][0, 0] * point.omega[0][1, 1])
    assert held.get(place[0], rho) == pytest.approx(there)
    best = centre.at(point.beta, [np.linalg.cholesky(point.omega[0])])
    rng = np.random.default_rng(1)
    for _ in range(40):
        scale = np.diag(1 + 0.1 * rng.standard_normal(2))  # keeps the correlation
        if place[0] == "omega":
            scale[place[2], place[2]] = 1.0
        step = 0.1 * rng.standard_normal(2) * (np.arange(2) != (1 if place[0] == "beta" else 9))
        beside = scale @ point.omega[0] @ scale
        assert centre.at(point.beta + step, [np.linalg.cholesky(beside)]) < best + 1e-6


@pytest.mark.parametrize("place", [("omega", 0, 0, 0), ("omega", 0, 1, 0), ("rho", 0, 1, 0), ("beta", 1, 0, 0)])
def test_slopes_of_the_search_are_those_of_its_criterion(place: tuple[str, int, int, int]) -> None:
    """By differences, with a variable whose zero is far away, so that the coefficients are far from orthogonal."""
    y, x, trials, codes = made("logit", 20, 6)
    x = x + np.array([0.0, 3.0])
    more = {"trials": trials, "offset": np.zeros(len(y))}
    factors = [Factor(codes, x), Factor(np.arange(len(y)) % 5, x[:, :1])]
    near = glm_laplace.fit("logit", y, x, factors, **more)
    curve = glm_laplace_profile.Curve("logit", y, x, factors, near, place, **more)
    value = curve.value * 0.9
    at = curve.start + 0.05 * np.random.default_rng(3).standard_normal(len(curve.start))
    slope = curve._criterion(at, value)[1]
    steps = 1e-5 * np.eye(len(at))
    wanted = [(curve._criterion(at + s, value)[0] - curve._criterion(at - s, value)[0]) / 2e-5 for s in steps]
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.fixture(scope="module")
def by_lot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Seeds with the column `lots`, of true effects of the lots; three ways to predict."""
    data = seeds()
    truth = np.random.Generator(np.random.PCG64(13)).normal(0, 0.5, 16)  # as good as any other, for the counting
    with_truth = Dataset("seeds", {**{n: data[n] for n in data.columns}, "lots": truth[data["lot"].astype(int) - 1]})
    given = {**SEEDS, "x": "cons,warmth", "clones": "2,10", "burnin": "100", "iterations": "400", "nchains": "1"}
    given |= {"tests": "No", "truth": "lots"}
    more = {"Drawn": {"prednew": "Yes", "profile": "sigma2_u2"}}
    folder = tmp_path_factory.mktemp("lots")
    ways = ("Drawn", "Plug-in", "Data twice")
    return {
        w: run("LMM/DC", with_truth, {**given, "predmethod": w, **more.get(w, {})}, folder / w, pictures=w in more)
        for w in ways
    }


def test_predictions_as_a_user_meets_them(by_lot: dict[str, Ran]) -> None:
    """Every unit of both classifications near its mode; drawn parameters widen, and data used twice narrow, again."""
    tables = {w: ran.table("RandomEffects").set_index(["classification", "group"]) for w, ran in by_lot.items()}
    for table in tables.values():
        assert list(table.index.unique(0)) == ["lot", "bench"]
        assert len(table) == 26
        for c, name in enumerate(("lot", "bench")):
            k = LME4["seeds"]["names"].index(name)
            away = (table.loc[name, "estimate"].to_numpy() - np.array(LME4["seeds"]["modes"][k])) / table.loc[
                name, "sd"
            ]
            assert np.abs(away).max() < 0.25, c
    sds = {w: table["sd"].mean() for w, table in tables.items()}
    assert sds["Plug-in"] < sds["Data twice"] < sds["Drawn"]
    widths = tables["Plug-in"]["upper"] - tables["Plug-in"]["lower"]
    assert (widths / tables["Plug-in"]["sd"]).mean() == pytest.approx(2 * 1.96, abs=0.05)


def test_truths_order_and_are_counted(by_lot: dict[str, Ran]) -> None:
    ran = by_lot["Drawn"]
    table, counted = ran.table("RandomEffects"), ran.table("Coverage").iloc[0]
    lots = table[table["classification"] == "lot"]
    inside = int(((lots["lower"] <= lots["truth"]) & (lots["truth"] <= lots["upper"])).sum())
    assert (counted["covered"], counted["groups"]) == (inside, 16)
    assert "lots, by which the groups are ordered" in (ran.folder / "caterpillar.svg").read_text()
    assert (ran.folder / "caterpillar_2.svg").is_file()
    assert any("twice" in note for note in by_lot["Data twice"].result.tables["RandomEffects"].notes)
    new = ran.table("PredictNew")
    assert list(new["unit"][:2]) == ["new unit of lot", "new unit of bench"]
    assert len(new) == 2 + 17


def test_the_profile_is_named_as_what_it_is(by_lot: dict[str, Ran]) -> None:
    interval = by_lot["Drawn"].result.tables["ProfileInterval"]
    assert "Laplace approximation" in interval.notes[1]
    assert sum("the likelihood itself by" in note for note in interval.notes) == 2
    low, high = LME4["seeds"]["profile"]["sd_(Intercept)|bench"]
    row = interval.records()[0]
    np.testing.assert_allclose(np.sqrt([row["lower"], row["upper"]]), [low, high], atol=4e-3 * (high - low))


def test_parameters_come_back_from_the_unbounded_scale() -> None:
    """Of a single variance and of a matrix of two coefficients, where the copies are written out."""
    from model_templates.lmm_dc.fitting import prepare
    from model_templates.lmm_dc.parameters import unbounded, values_of
    from model_templates.lmm_dc.rows import rows_of

    data = first_pupils()
    given = {**ABSENCES, **BASE, "x2_2": "cons,verbal"}
    spec = walk(registry.get("LMM/DC"), given, data.schema()).spec
    fitted = prepare(spec, rows_of(spec, data))
    beta, omega = np.array([[-3.0, -0.1], [-2.5, 0.2]]), np.array([[0.08, 0.5, -0.2, 0.3], [0.3, 0.05, 0.01, 0.9]])
    nothing = np.full(2, np.nan)
    values = values_of(fitted, unbounded(fitted, Cloned(beta, omega, nothing, omega, beta, 1.0)))
    np.testing.assert_allclose(fitted.coordinates.beta(values.gamma), beta, rtol=1e-9)
    np.testing.assert_allclose(values.omegas[0][:, 0, 0], omega[:, 0], rtol=1e-8)
    np.testing.assert_allclose(values.omegas[1][:, [0, 1, 1], [0, 0, 1]], omega[:, 1:], rtol=1e-8)


def test_slopes_of_a_classification_are_predicted(tmp_path: Path) -> None:
    given = {**ABSENCES, **BASE, "x2_2": "cons,verbal", "clones": "1,4", "nchains": "1", "burnin": "100"}
    more = {"iterations": "400", "tests": "No", "prednew": "Yes", "predmethod": "Plug-in"}
    ran = run("LMM/DC", first_pupils(), {**given, **more}, tmp_path)
    table = ran.table("RandomEffects")
    assert set(table.loc[table["classification"] == "second", "effect"]) == {"cons", "verbal"}
    assert (table["sd"] > 0).all()


def test_a_variance_of_zero_has_effects_of_zero(tmp_path: Path) -> None:
    """As in the test of the boundary: shelves whose totals hardly differ. The parameters are then fixed."""
    rng = np.random.default_rng(5)
    box, shelf = np.repeat(np.arange(20.0), 6), np.tile(np.arange(6.0), 20)
    eggs = rng.poisson(np.exp(1.2 + rng.normal(0, 0.6, 20)[box.astype(int)]))
    for part in range(0, 120, 6):
        eggs[part : part + 6] = np.roll(np.sort(eggs[part : part + 6]), part // 6)
    data = Dataset("eggs", {"eggs": eggs.astype(float), "box": box, "shelf": shelf})
    given = {"y": "eggs", "D": "Poisson", "x": "cons", "numclass": "2", "C1": "box", "C2": "shelf", "clones": "1,20"}
    more = {"nchains": "1", "burnin": "50", "iterations": "200", "profile": "sigma2_u2", "tests": "No"}
    ran = run("LMM/DC", data, {**given, **more}, tmp_path)
    table = ran.table("RandomEffects").set_index("classification")
    assert table.loc["shelf", "upper"].max() < 1e-4
    assert table.loc["box", "sd"].min() > 0.05
    assert any(note.code == "plug-in" for note in ran.notes)
    interval = ran.table("ProfileInterval").iloc[0]
    assert interval["lower"] == 0
    assert 0 < interval["upper"] < 0.5
