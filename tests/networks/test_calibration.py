"""Protects: the temperature is that of the largest likelihood, and the calibration error is by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from templates_engine.networks import calibration, training


def drawn(n: int, scale: float, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times those from which the labels were drawn."""
    rng = np.random.default_rng(seed)
    if classes == 2:
        true = rng.normal(0, 2, (n, 1))
        labels = (rng.random(n) < 1 / (1 + np.exp(-true[:, 0]))).astype(int)
    else:
        true = rng.normal(0, 2, (n, classes))
        labels = np.array([rng.choice(classes, p=p) for p in training.probabilities(true)])
    return scale * true, labels


@pytest.mark.parametrize("classes", [2, 4])
def test_the_temperature_is_found_again(classes: int) -> None:
    """Its standard error at 4,000 images is below 0.15; 0.75 away is 5 of them."""
    logits, labels = drawn(4000, 3.0, classes, 1)
    found = calibration.temperature(logits, labels)
    assert found == pytest.approx(3.0, abs=0.75)
    at = calibration.loss(logits, labels, found)
    assert at <= min(calibration.loss(logits, labels, found * f) for f in (0.98, 1.02))
    names = list(range(classes))
    assert at == pytest.approx(log_loss(labels, training.probabilities(logits, found), labels=names), rel=1e-9)
    before = calibration.expected_error(training.probabilities(logits), labels)
    after = calibration.expected_error(training.probabilities(logits, found), labels)
    assert before is not None
    assert after is not None
    assert after < before / 2


def test_where_all_is_right_there_is_no_temperature() -> None:
    logits = np.array([[3.0], [-2.0], [1.0], [-4.0]])
    assert calibration.temperature(logits, np.array([1, 0, 1, 0])) is None
    assert calibration.temperature(logits, np.array([0, 1, 0, 1])) is None  # all wrong: it grows without end
    assert calibration.temperature(np.zeros((0, 1)), np.zeros(0, int)) is None
    assert calibration.expected_error(np.zeros((0, 2)), np.zeros(0, int)) is None


def test_the_error_is_by_bins() -> None:
    p = np.array([[0.05, 0.95], [0.08, 0.92], [0.35, 0.65], [0.62, 0.38]])
    labels = np.array([1, 0, 1, 0])
    found = calibration.bins(p, labels)
    assert [(b.low, b.n) for b in found] == [(0.6, 2), (0.9, 2)]
    expected = 0.5 * abs(0.635 - 1.0) + 0.5 * abs(0.935 - 0.5)
    assert calibration.expected_error(p, labels) == pytest.approx(expected)
