"""Protects: areas, intervals and effect sizes against their definitions and against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from templates_engine.networks import statistics


def test_the_area_counts_pairs_and_ties_half() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        scores = rng.integers(0, 6, 40).astype(float)
        positive = rng.random(40) < 0.4
        pairs = [(s > t) + 0.5 * (s == t) for s in scores[positive] for t in scores[~positive]]
        assert statistics.area(scores, positive) == pytest.approx(np.mean(pairs), abs=1e-12)
        assert statistics.area(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert statistics.area(np.ones(4), np.ones(4, bool)) is None


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(2)
    scores, positive = rng.standard_normal(30), rng.random(30) < 0.5
    weights = rng.integers(0, 4, (5, 30)).astype(float)
    for w, found in zip(weights, statistics.areas(scores, positive, weights), strict=True):
        times = w.astype(int)
        assert found == pytest.approx(roc_auc_score(np.repeat(positive, times), np.repeat(scores, times)), abs=1e-12)


def test_several_classes_are_one_against_the_rest() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    p = rng.dirichlet(np.ones(3), 60)
    found = statistics.one_against_rest(p, labels, np.ones((1, 60)))[0]
    assert found == pytest.approx(roc_auc_score(labels, p, multi_class="ovr", average="macro"), abs=1e-12)


def test_subjects_are_drawn_whole_and_as_many_as_there_are() -> None:
    subjects = np.array([4, 4, 7, 9, 9, 9])
    draws = statistics.draws_of_subjects(subjects, 200, np.random.default_rng(4))
    assert (draws[:, 0] == draws[:, 1]).all()
    assert (draws[:, 3] == draws[:, 5]).all()
    assert (draws[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_the_interval_covers_about_as_often_as_it_says() -> None:
    """Bootstrap of the area at 60 subjects with 2 alike images each. Over 200 samples the share of intervals with the
    true value has SD 0.017 at 0.94; below 0.88 it is wrong with a chance of less than 0.001 of a false alarm, and an
    interval that takes the images for independent covers about 0.83 and fails."""
    rng = np.random.default_rng(5)
    truth = 0.7602  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    hits = 0
    for k in range(200):
        labels = np.repeat(np.arange(60) % 2, 2)
        scores = np.repeat(rng.standard_normal(60), 2) + labels
        p = 1 / (1 + np.exp(-scores))
        found = statistics.score(np.stack([1 - p, p], 1), labels, np.repeat(np.arange(60), 2), k, 300)
        low, high = found.auc_interval
        assert low is not None
        assert high is not None
        hits += low <= truth <= high
    assert hits / 200 > 0.88


def test_the_exact_interval_is_clopper_and_pearsons() -> None:
    for hits, n in ((0, 7), (21, 29), (11, 29), (29, 29)):
        expected = binomtest(hits, n).proportion_ci(method="exact")
        assert statistics.clopper_pearson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_cohens_d_is_by_its_definition_and_says_when_it_is_not_defined() -> None:
    rng = np.random.default_rng(6)
    x, second = rng.standard_normal(25), np.arange(25) < 11
    a, b = x[~second], x[second]
    pooled = np.sqrt((10 * b.var(ddof=1) + 13 * a.var(ddof=1)) / 23)
    assert statistics.cohens_d(x, second) == pytest.approx((b.mean() - a.mean()) / pooled, rel=1e-10)
    assert statistics.cohens_d(x, ~second) == pytest.approx(-(b.mean() - a.mean()) / pooled, rel=1e-10)
    assert statistics.cohens_d(1e6 + x, second) == pytest.approx(statistics.cohens_d(x, second), rel=1e-6)
    assert statistics.cohens_d(np.zeros(25), second) is None
    assert statistics.cohens_d(second.astype(float), second) is None  # no spread inside the groups
    assert statistics.cohens_d(x, np.arange(25) < 1) is None


def test_one_class_has_accuracy_and_no_area() -> None:
    found = statistics.score(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([1, 1]), np.array([0, 1]), 1)
    assert found.accuracy == 0.5
    assert found.auc is None
    assert found.auc_interval == (None, None)
    assert statistics.score(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0, int), 1).accuracy is None
