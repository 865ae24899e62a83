"""Protects what is computed row by row with several classifications: log likelihoods and predictions, against loops.

Seen to fail with: the effects of another classification, the packed Ω's cut at the wrong place, σ² or α of another
draw, the effects of fitted units in another order, half of Ω for a unit that was not fitted, shares in place of numbers
of successes, offsets left out.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from templates_engine.asking.mcmc_questions import McmcOptions
from templates_engine.asking.questions import Term
from templates_engine.data.dataset import Dataset
from templates_engine.regression import predictions as mixed_rows
from templates_engine.regression.data import prepare
from templates_engine.regression.questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL, POISSON
from templates_engine.regression.questions_classes import NModel
from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal import classified as nlevel_normal, classified_stats as nlevel_stats
from templates_engine.sampling.normal.classified import Chain, Priors
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart
from templates_engine.sampling.prior_names import GAMMA

OPTIONS = McmcOptions(2, 1, 20, 60, 1, "out", makepred=True)
LINKS = {"logit": stats.logistic.cdf, "probit": stats.norm.cdf, "cloglog": lambda v: -np.expm1(-np.exp(v))}
CASES = [
    (NORMAL, "identity", False), (NORMAL, "identity", True), (BINOMIAL, "logit", False), (BINOMIAL, "cloglog", True),
    (POISSON, "log", True), (NEGATIVE_BINOMIAL, "log", False),
]  # fmt: skip


def data() -> Dataset:
    """Rows out of order, three classifications (text, crossed, one above another), gaps everywhere."""
    rng = np.random.default_rng(6)
    n = 72
    g = rng.permutation(np.repeat(np.arange(10.0, 70.0, 10.0), 12))
    h = rng.permutation(np.array(["east", "north", "south", "west"] * 18, dtype=object))
    y = rng.integers(0, 4, n).astype(float)
    y[g == 30.0] = np.nan  # a unit that is not fitted
    y[[1, 2]] = np.nan
    x = rng.normal(size=n)
    x[[3, 4]] = np.nan
    g[5] = np.nan
    offset = 0.3 * rng.normal(size=n)
    columns = {"y": y, "g": g, "h": h, "top": np.floor(g / 30.0), "cons": np.ones(n), "x": x, "n": np.full(n, 4.0),
               "e": offset}  # fmt: skip
    return Dataset("d", columns)


def model(family: str, link: str, slopes: bool) -> NModel:
    cons, x = Term("cons"), Term("x")
    counts = family in (POISSON, NEGATIVE_BINOMIAL)
    return NModel(
        "y", (cons, x), OPTIONS, family=family, link=link, trials="n" if family == BINOMIAL else None,
        offset="e" if counts else None, prior=GAMMA, classes=("h", "g", "top"),
        slopes=((cons,), (cons, x), (x,)) if slopes else (),
    )  # fmt: skip


def chains(m: NModel, rows) -> list[Chain]:
    factors = rows.factors
    prior = Priors(InverseGamma(2, 1), tuple(InverseWishart(f.q + 2.0, np.eye(f.q)) for f in factors))
    found = []
    for seed in (1, 2):
        rng, cells = np.random.Generator(np.random.PCG64DXSM(seed)), np.zeros(2, dtype=np.int64)
        more = {"burnin": 20, "iterations": 60, "room": 16}
        if m.family == NORMAL:
            st = nlevel_stats.statistics(rows.y, rows.x, factors)
            found.append(nlevel_normal.run_chain(st, prior, rng, cells, **more))
        else:
            arrays = glm_sampler.prepare(
                m.link, rows.y, rows.x, factors, trials=rows.trials, offset=rows.offset,
                negative_binomial=m.family == NEGATIVE_BINOMIAL,
            )  # fmt: skip
            found.append(glm_sampler.run_chain(arrays, prior, rng, cells, **more))
    return found


@pytest.mark.parametrize(("family", "link", "slopes"), CASES)
def test_rows_add_up_to_the_deviance_of_each_draw(family: str, link: str, slopes: bool) -> None:
    """The sampler's own deviance at the very draws that were kept: effects of all classifications, rows and draws go
    together, and no constant is missing. To rounding."""
    m = model(family, link, slopes)
    rows = prepare(m, data())
    made = chains(m, rows)
    sample = mixed_rows.sample_of(m, made)
    assert 16 <= sample.size <= 32
    total = np.concatenate(list(mixed_rows.log_likelihoods(m, rows, sample)), axis=0)
    wanted = np.concatenate([chain.deviance[chain.kept_at] for chain in made])
    np.testing.assert_allclose(-2 * total.sum(axis=0), wanted, rtol=1e-9)
    packed = np.concatenate([w[:, *np.tril_indices(w.shape[1])] for w in sample.omega], axis=1)
    np.testing.assert_array_equal(packed, np.concatenate([chain.omega[chain.kept_at] for chain in made]))
    half = sample.thinned(sample.size // 2)
    assert half.size == sample.size // 2
    again = np.concatenate(list(mixed_rows.log_likelihoods(m, rows, half)), axis=0)
    at = np.linspace(0, sample.size - 1, half.size).astype(int)
    np.testing.assert_allclose(again, total[:, at], rtol=1e-12)


@pytest.mark.parametrize(("family", "link", "slopes"), CASES)
def test_predictions_equal_direct_computation(
    family: str, link: str, slopes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row's expected response at every kept draw, by plain loops; which rows have one; small blocks as well."""
    m, full = model(family, link, slopes), data()
    rows = prepare(m, full)
    sample = mixed_rows.sample_of(m, chains(m, rows))
    monkeypatch.setattr(mixed_rows, "CELLS", 7 * sample.size)
    made = mixed_rows.predictions(m, full, rows, sample, np.random.default_rng(3))
    assert list(made.columns)[len(full.columns) :] == ["pred", "pred_sd", "pred_lower", "pred_upper", "residual"]
    labels = [list(np.unique(units)) for units in rows.units]
    seen = 0
    for i in range(full.n_rows):
        lacking = np.isnan(full["x"][i]) or np.isnan(full["g"][i])
        assert np.isnan(made["pred"][i]) == bool(lacking)
        if lacking or full["g"][i] == 30.0:
            continue
        seen += 1
        row = np.array([1.0, full["x"][i]])
        eta = sample.beta @ row + (full["e"][i] if link == "log" else 0.0)
        for c, name in enumerate(m.classes):
            z = [row[:1], row, row[1:]][c] if slopes else row[:1]
            eta = eta + sample.effects[c][:, labels[c].index(full[name][i])] @ z
        value = np.exp(eta) if link == "log" else 4.0 * LINKS[link](eta) if link in LINKS else eta
        found = [made[name][i] for name in ("pred", "pred_sd", "pred_lower", "pred_upper")]
        np.testing.assert_allclose(
            found, [value.mean(), value.std(ddof=1), *np.quantile(value, [0.025, 0.975])], rtol=1e-9
        )
        np.testing.assert_allclose(made["residual"][i], full["y"][i] - value.mean(), rtol=1e-9)
    assert seen > 50


def test_a_unit_without_responses_is_drawn_from_its_own_classification() -> None:
    """Crossed with fitted ones: expected response varies by that classification's Ω about the rest (fixed here; 4,000
    draws, 5 standard errors of an sd)."""
    m, full = model(NORMAL, "identity", True), data()
    rows = prepare(m, full)
    size, omega = 4000, np.array([[2.0, 0.7], [0.7, 0.5]])
    effects = tuple(np.full((size, f.groups, f.q), 10.0 ** (c + 1)) for c, f in enumerate(rows.factors))
    wide = tuple(np.tile(w, (size, 1, 1)) for w in (np.eye(1) * 50, omega, np.eye(1) * 90))
    sample = mixed_rows.Sample(np.zeros((size, 2)), np.ones(size), wide, effects)
    made = mixed_rows.predictions(m, full, rows, sample, np.random.default_rng(4))
    at = (full["g"] == 30.0) & ~np.isnan(full["x"])
    assert at.sum() > 8
    z = np.column_stack([np.ones(72), full["x"]])[at]
    np.testing.assert_allclose(made["pred_sd"][at], np.sqrt(np.einsum("ia,ab,ib->i", z, omega, z)), rtol=0.06)
    np.testing.assert_allclose(made["pred"][at], 10.0 + 1000.0 * z[:, 1], atol=5 * 3.0 / np.sqrt(size) * 2)
