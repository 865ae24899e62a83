"""How good a classification is, with intervals, and how far classes lie apart. NumPy and SciPy only.

area          area under the ROC curve: the Mann-Whitney statistic over n1 n0, ties counted half
intervals     percentile bootstrap over subjects (Efron and Tibshirani, 1993, section 13.3): images of one subject
              are drawn together
cohens_d      difference of means over the pooled SD (Cohen, 1988, section 2.2)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
LEVEL = 0.95
REPLICATES = 1000
_CELLS = 4_000_000  # of weights held at once


def area(scores: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of scores (n,); None where a class is missing."""
    found = areas(scores, positive, np.ones((1, len(scores))))[0]
    return None if np.isnan(found) else float(found)


def areas(scores: Floats, positive: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """(b,) the area under each row of weights (b, n); NaN where a class has no weight."""
    order = np.argsort(scores, kind="stable")
    ranked, yes = scores[order], positive[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(ranked) else np.array([0])
    w = weights[:, order]
    ones = np.add.reduceat(np.where(yes, w, 0.0), starts, axis=1)
    zeros = np.add.reduceat(np.where(yes, 0.0, w), starts, axis=1)
    below = np.cumsum(zeros, axis=1) - zeros / 2  # zeros below, and half of those at the same score
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, (ones * below).sum(axis=1) / pairs, np.nan)


def one_against_rest(scores: Floats, labels: Codes, weights: Floats) -> Floats:
    """(b,) mean over classes of the area of the class's score (n, k) against the rest; of two, that of the second."""
    if scores.shape[1] == 2:
        return areas(scores[:, 1], labels == 1, weights)
    each = np.stack([areas(scores[:, k], labels == k, weights) for k in range(scores.shape[1])])
    return each.mean(axis=0)


def draws_of_subjects(subjects: Codes, replicates: int, rng: np.random.Generator) -> Floats:
    """(replicates, n) how often each image is in a bootstrap sample of as many subjects as there are."""
    _, at = np.unique(subjects, return_inverse=True)
    n = int(at.max(initial=-1)) + 1
    counts = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(np.float64)
    return counts[:, at]


@dataclass(frozen=True)
class Score:
    """Accuracy and area with 95 % intervals; None where not defined (one class only, no images)."""

    n: int
    subjects: int
    accuracy: float | None
    accuracy_interval: tuple[float | None, float | None]
    exact: tuple[float | None, float | None]  # binomial, as if every image were a subject of its own
    auc: float | None
    auc_interval: tuple[float | None, float | None]


def score(probabilities: Floats, labels: Codes, subjects: Codes, seed: int, replicates: int = REPLICATES) -> Score:
    """probabilities (n, k) of the classes, labels and subjects (n,)."""
    n = len(labels)
    if n == 0:
        return Score(0, 0, None, (None, None), (None, None), None, (None, None))
    right = (predicted(probabilities) == labels).astype(np.float64)
    rng = np.random.default_rng([seed, 77])
    accuracies, aucs = [], []
    at_once = max(1, _CELLS // n)
    for first in range(0, replicates, at_once):
        weights = draws_of_subjects(subjects, min(at_once, replicates - first), rng)
        accuracies.append(weights @ right / weights.sum(axis=1))
        aucs.append(one_against_rest(probabilities, labels, weights))
    whole = one_against_rest(probabilities, labels, np.ones((1, n)))[0]
    return Score(
        n,
        len(np.unique(subjects)),
        float(right.mean()),
        interval(np.concatenate(accuracies)),
        clopper_pearson(int(right.sum()), n),
        None if np.isnan(whole) else float(whole),
        (None, None) if np.isnan(whole) else interval(np.concatenate(aucs)),
    )


def predicted(probabilities: Floats) -> Codes:
    """(n,) the class of the largest probability; at one half, the second of two classes."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= 0.5).astype(np.int64)
    return probabilities.argmax(axis=1)


def interval(draws: Floats) -> tuple[float | None, float | None]:
    """The middle 95 % of bootstrap draws; draws without a value (a class was not drawn) are left out."""
    seen = draws[np.isfinite(draws)]
    if not len(seen):
        return None, None
    low, high = np.quantile(seen, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a proportion (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


def cohens_d(values: Floats, second: npt.NDArray[np.bool_]) -> float | None:
    """(mean of the second group - that of the first) / pooled SD; None where the SD is 0 or a group has one value."""
    found = _ds(values, second, np.ones((1, len(values))))[0]
    return None if np.isnan(found) else float(found)


def _ds(values: Floats, second: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """(b,) Cohen's d under each row of whole-number weights (b, n); NaN where it is not defined."""
    centred = values - values.mean()  # sums of squares of small numbers
    sums = []
    for group in (~second, second):
        w = weights[:, group]
        v = centred[group]
        n = w.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = w @ v / n
        sums.append((n, mean, np.maximum(w @ v**2 - n * mean**2, 0.0)))
    (n0, mean0, ss0), (n1, mean1, ss1) = sums
    scale = float((centred**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.sqrt((ss0 + ss1) / (n0 + n1 - 2))
        return np.where((n0 > 1) & (n1 > 1) & (ss0 + ss1 > 1e-12 * scale), (mean1 - mean0) / pooled, np.nan)


def d_interval(
    values: Floats, second: npt.NDArray[np.bool_], subjects: Codes, seed: int
) -> tuple[float | None, float | None]:
    """95 % bootstrap interval of Cohen's d over subjects."""
    if cohens_d(values, second) is None:
        return None, None
    weights = draws_of_subjects(subjects, REPLICATES, np.random.default_rng([seed, 78]))
    return interval(_ds(values, second, weights))
