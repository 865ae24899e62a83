"""Protects what is computed row by row from kept draws: log likelihoods and predictions, against plain scipy.

Seen to fail with: the first effect in place of the k-th, constants left out, the effects of the draw before, an
unknown category or group taken for a known one, shares in place of numbers of successes, the transpose of Ω's root,
offsets left out, ddof 0, the wrong half thrown away when the shelf is full.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from templates_engine.asking.mcmc_questions import McmcOptions
from templates_engine.asking.questions import Term
from templates_engine.data.dataset import Dataset
from templates_engine.regression import fits as mixed_fits, predictions as mixed_rows
from templates_engine.regression.data import prepare
from templates_engine.regression.questions import BINOMIAL, COUNTS, NEGATIVE_BINOMIAL, NORMAL, POISSON, Model
from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.kept_effects import put, shelf
from templates_engine.sampling.normal import (
    classified as nlevel_normal,
    two_level as mixed_normal,
    two_level_stats as mixed_stats,
)
from templates_engine.sampling.normal.classified import Chain
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart, Priors
from templates_engine.sampling.prior_names import GAMMA

OPTIONS = McmcOptions(2, 1, 20, 60, 1, "out", makepred=True)
PRIORS = {1: Priors(InverseGamma(1, 1), InverseWishart(3.0, np.eye(1))),
          2: Priors(InverseGamma(1, 1), InverseWishart(4.0, np.eye(2)))}  # fmt: skip
LINKS = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}
CASES = [
    ("identity", 0), ("identity", 1), ("identity", 2),
    ("logit", 1), ("logit", 0), ("logit", 2), ("probit", 1), ("cloglog", 1), ("log", 1), ("log", 0), ("nb", 0),
    ("nb", 2),
]  # fmt: skip


def data() -> Dataset:
    """Rows out of order, gaps in the response, a predictor, the group and a category, and a group without responses."""
    rng = np.random.default_rng(6)
    n = 60
    g = rng.permutation(np.repeat(np.arange(10.0, 70.0, 10.0), 10))
    y = rng.integers(0, 4, n).astype(float)
    y[g == 30.0] = np.nan
    y[[1, 2]] = np.nan
    x = rng.normal(size=n)
    x[[3, 4]] = np.nan
    g[5] = np.nan
    c = np.tile([1.0, 2.0, 3.0], 20)
    c[7], y[7] = 9.0, np.nan  # a category that no fitted row is in
    offset = 0.3 * rng.normal(size=n)
    offset[8] = np.nan
    columns = {"y": y, "g": g, "cons": np.ones(n), "x": x, "c": c, "n": np.full(n, 4.0), "e": offset, "pred": x}
    return Dataset("d", columns)


def model(link: str, q: int) -> Model:
    family = {"identity": NORMAL, "log": POISSON, "nb": NEGATIVE_BINOMIAL}.get(link, BINOMIAL)
    x2 = (Term("cons"), Term("x")) if q == 2 else ()
    return Model(
        "y", (Term("cons"), Term("x"), Term("c", True)), OPTIONS, "g" if q else None, x2, family,
        "log" if link == "nb" else link, "n" if family == BINOMIAL else None, "e" if family in COUNTS else None, GAMMA,
    )  # fmt: skip


def chains(m: Model, rows, room: int = 16) -> list[Chain]:
    found = []
    for seed in (1, 2):
        rng, cells = np.random.default_rng(seed), np.zeros(2, dtype=np.int64)
        more = {"burnin": 20, "iterations": 60, "room": room}
        if m.family == NORMAL:
            st = mixed_stats.statistics(rows.y, rows.x, rows.codes, rows.z)
            chain = mixed_normal.run_chain(st, PRIORS[max(st.q, 1)], rng, cells, **more)
            found.append(mixed_fits.classified(chain, m.group is not None))
        else:
            arrays = glm_sampler.prepare(
                m.link, rows.y, rows.x, rows.factors, trials=rows.trials, offset=rows.offset,
                negative_binomial=m.family == NEGATIVE_BINOMIAL,
            )  # fmt: skip
            prior = nlevel_normal.Priors(InverseGamma(1, 1), tuple(PRIORS[f.q].omega for f in rows.factors))
            found.append(glm_sampler.run_chain(arrays, prior, rng, cells, **more))
    return found


@pytest.mark.parametrize(("link", "q"), CASES)
def test_rows_add_up_to_the_deviance_of_each_draw(link: str, q: int) -> None:
    """The sampler's own deviance, made of sums, at the very draws that were kept: effects, rows and draws go together,
    and no constant is missing. To rounding."""
    m = model(link, q)
    rows = prepare(m, data())
    made = chains(m, rows)
    sample = mixed_rows.sample_of(m, made)
    assert 16 <= sample.size <= 32
    total = np.concatenate(list(mixed_rows.log_likelihoods(m, rows, sample)), axis=0)
    assert total.shape == (rows.n, sample.size)
    wanted = np.concatenate([chain.deviance[chain.kept_at] for chain in made])
    np.testing.assert_allclose(-2 * total.sum(axis=0), wanted, rtol=1e-9)


@pytest.mark.parametrize(("link", "q"), CASES)
def test_predictions_equal_direct_computation(link: str, q: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row's expected response at every kept draw, by plain loops; which rows have one; small blocks as well."""
    m, full = model(link, q), data()
    rows = prepare(m, full)
    sample = mixed_rows.sample_of(m, chains(m, rows))
    monkeypatch.setattr(mixed_rows, "CELLS", 7 * sample.size)
    made = mixed_rows.predictions(m, full, rows, sample, np.random.default_rng(3))
    assert list(made.columns)[len(full.columns) :] == [
        "pred_2",
        "pred_sd_2",
        "pred_lower_2",
        "pred_upper_2",
        "residual_2",
    ]
    np.testing.assert_array_equal(made["pred"], full["pred"])
    labels = list(np.unique(rows.units[0])) if q else []
    seen = 0
    for i in range(full.n_rows):
        lacking = np.isnan(full["x"][i]) or full["c"][i] == 9.0 or (q and np.isnan(full["g"][i]))
        lacking = lacking or (link in ("log", "nb") and np.isnan(full["e"][i]))
        assert np.isnan(made["pred_2"][i]) == bool(lacking)
        if lacking or full["g"][i] == 30.0:
            continue
        seen += 1
        row = np.array([1.0, full["x"][i], full["c"][i] == 1.0, full["c"][i] == 2.0])
        eta = sample.beta @ row + (full["e"][i] if link in ("log", "nb") else 0.0)
        if q:
            u = sample.effects[0][:, labels.index(full["g"][i])]
            eta = eta + u @ np.array([1.0, full["x"][i]])[:q]
        value = np.exp(eta) if link in ("log", "nb") else 4.0 * LINKS[link](eta) if link in LINKS else eta
        found = [made[f"{name}_2"][i] for name in ("pred", "pred_sd", "pred_lower", "pred_upper")]
        np.testing.assert_allclose(
            found, [value.mean(), value.std(ddof=1), *np.quantile(value, [0.025, 0.975])], rtol=1e-9
        )
        np.testing.assert_allclose(made["residual_2"][i], full["y"][i] - value.mean(), rtol=1e-9)
    assert seen > 40


def test_a_group_without_responses_is_drawn_from_the_population() -> None:
    """Its effects have covariance Ω (here a given one, 4,000 draws: 5 standard errors), the same for all its rows."""
    m, full = model("identity", 2), data()
    rows = prepare(m, full)
    omega = np.array([[2.0, 0.7], [0.7, 0.5]])
    size = 4000
    effects = np.full((size, rows.J, 2), 100.0)
    wide = np.tile(omega, (size, 1, 1))
    sample = mixed_rows.Sample(np.zeros((size, 4)), np.ones(size), (wide,), (effects,))
    codes, grown = mixed_rows.units_of(
        np.array([30.0, 10.0, 30.0, 5.0]), rows.units[0], effects, wide, np.random.default_rng(4)
    )
    assert codes.tolist() == [rows.J + 1, 0, rows.J + 1, rows.J]
    drawn = grown[:, rows.J + 1]
    assert np.abs(np.cov(drawn.T) - omega).max() < 5 * 2.0 * np.sqrt(2 / size)
    assert np.abs(drawn.mean(axis=0)).max() < 5 * np.sqrt(2.0 / size)
    assert np.all(grown[:, 0] == 100.0)
    made = mixed_rows.predictions(m, full, rows, sample, np.random.default_rng(4))
    at = (full["g"] == 30.0) & ~np.isnan(full["x"]) & (full["c"] != 9.0)
    z = np.column_stack([np.ones(60), full["x"]])[at]
    np.testing.assert_allclose(made["pred_sd_2"][at], np.sqrt(np.einsum("ia,ab,ib->i", z, omega, z)), rtol=0.06)


@pytest.mark.parametrize(("room", "draws"), [(5, 100), (8, 1000), (4, 7), (6, 6), (166, 2000), (2, 1)])
def test_the_shelf_keeps_evenly_spaced_draws(room: int, draws: int) -> None:
    """Whenever a chain stops: evenly spaced, at least a third full once that many draws are there, the right ones."""
    kept = shelf(room, 1, 1)
    for k in range(1, 4 * draws + 1):
        put(k, np.array([[float(k)]]), kept.effects, kept.at, kept.pace)
        at, effects = kept.filled
        np.testing.assert_array_equal(effects[:, 0, 0], at + 1.0)
        if len(at) > 1:
            assert len(set(np.diff(at))) == 1
            assert at[0] + 1 == at[1] - at[0]
        if k == draws:
            assert len(at) >= min(draws, room) // 2
    assert len(kept.filled[0]) >= room // 3
