"""Are the probabilities chances? Temperature scaling and the calibration curve.

Temperature: one number by which the logits are divided, chosen by the likelihood of the validation images (Guo et al.,
2017, ICML). It changes no order, so accuracy and ROC stay. Expected calibration error: mean distance of confidence and
accuracy over ten bins of confidence, weighted by their images (the same paper, equation 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.networks import statistics, training

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
BINS = 10
RANGE = (0.01, 100.0)  # of temperatures that are looked at


def loss(logits: Floats, labels: Codes, temperature: float) -> float:
    """Mean negative log likelihood."""
    scaled = logits / temperature
    if scaled.shape[1] == 1:
        signed = np.where(labels == 1, scaled[:, 0], -scaled[:, 0])
        return float(np.logaddexp(0.0, -signed).mean())
    top = scaled.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
    return float((total - scaled[np.arange(len(labels)), labels]).mean())


def temperature(logits: Floats, labels: Codes) -> float | None:
    """The temperature of the largest likelihood of logits (n, 1) or (n, k); None where every image is classified right
    or there is none: the likelihood then grows without end as the temperature falls."""
    from scipy.optimize import minimize_scalar

    if not len(labels):
        return None
    low, high = np.log(RANGE[0]), np.log(RANGE[1])
    # In 1 / temperature the loss is convex, so there is one valley.
    found = minimize_scalar(
        lambda t: loss(logits, labels, float(np.exp(t))), bounds=(low, high), method="bounded", options={"xatol": 1e-6}
    )
    at = float(found.x)
    inside = low + 1e-3 < at < high - 1e-3
    return float(np.exp(at)) if found.success and inside else None


@dataclass(frozen=True)
class Bin:
    """Images whose confidence (probability of the predicted class) lies in a range."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def bins(probabilities: Floats, labels: Codes) -> list[Bin]:
    """The bins of confidence that hold images."""
    best = statistics.predicted(probabilities)
    confidence = probabilities[np.arange(len(best)), best]
    right = best == labels
    at = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(
            k / BINS,
            (k + 1) / BINS,
            int((at == k).sum()),
            float(confidence[at == k].mean()),
            float(right[at == k].mean()),
        )
        for k in range(BINS)
        if (at == k).any()
    ]


def expected_error(probabilities: Floats, labels: Codes) -> float | None:
    """Expected calibration error; None without images."""
    found = bins(probabilities, labels)
    n = sum(b.n for b in found)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in found) / n if n else None


def scaled(logits: Floats, t: float | None) -> Floats:
    """(n, k) probabilities at a temperature; as they are where it is None."""
    return training.probabilities(logits, 1.0 if t is None else t)
