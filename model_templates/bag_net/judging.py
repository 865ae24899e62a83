"""Whether the evidence and the probabilities are to be believed: the tables Faithfulness, Calibration and Subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Table
from templates_engine.data import levels
from templates_engine.data.images import splitting
from templates_engine.networks import BagNet, calibration, faithful, making, statistics, training

from .preparing import Prepared
from .spec import Spec

if TYPE_CHECKING:
    from .running import Trained

Codes = npt.NDArray[np.int64]
MASKED = 60  # test images that are masked; those of each class in turn
MOST_GROUPS = 12
SMALLEST_GROUP = 2  # images


def faithfulness(
    spec: Spec, found: Sequence[Trained], prepared: Prepared, parts: Codes
) -> tuple[Table, dict[str, faithful.Masking]]:
    """Masking by class, maps of randomised weights, and what image quality alone would tell; with the curves."""
    columns = ("network", "check", "of", "images", "value", "low", "high", "compare")
    rows: list[tuple[Cell, ...]] = []
    curves: dict[str, faithful.Masking] = {}
    test = np.flatnonzero(parts == 2)
    device = making.device()
    for f in found:
        if not isinstance(f.network, BagNet):
            continue
        for c, word in enumerate(prepared.classes):
            at = test[prepared.labels[test] == c][:MASKED]
            if not len(at):
                continue
            masked = faithful.masking(f.network, prepared.images, at, prepared.labels[at], device, spec.seed)
            curves[f"{f.name}: {word}"] = masked
            weights = statistics.draws_of_subjects(
                prepared.subjects[at], statistics.REPLICATES, np.random.default_rng([spec.seed, 79])
            )
            interval = statistics.interval(weights @ masked.areas / weights.sum(axis=1))
            rows.append((f.name, "masking", word, len(at), masked.area, *interval, 0.0))
        for name, alike in faithful.randomising(f.network, prepared.images, test[:MASKED], device, spec.seed):
            rows.append((f.name, "randomised", name, min(len(test), MASKED), alike, None, None, 1.0))
    for f in found:
        at = np.flatnonzero(parts == 0)
        alone = faithful.by_measures(prepared.measures, prepared.labels, at, test, len(prepared.classes))
        rows.append((f.name, "quality alone", "AUC, test", len(test), alone, None, None, f.scores["test"].auc))
    notes = (
        ("masking: by how much the logit of the true class falls further when patches are blacked out in the order of "
        "their evidence than at random (mean over shares of 2 to 50 %); above 0 the evidence is what the network "
        "goes by."),
        ("randomised: Spearman's correlation of the map with that of the same network after weights of these layers "
        "were shuffled; near 1 the map would not depend on what was learnt."),
        ("quality alone: area under the ROC curve of a linear discriminant of the five quality measures, beside the "
        "network's own; near the network's, the classes might be told apart by the camera."),
    )  # fmt: skip
    return Table(columns, tuple(rows), "Is the evidence what the network goes by?", notes), curves


def calibrated(found: Sequence[Trained], prepared: Prepared, parts: Codes) -> tuple[Table, dict[str, float | None]]:
    """Temperature from the validation images, and the calibration of the test images before and after it."""
    columns = ("network", "temperature", "confidence", "images", "mean_confidence", "accuracy", "error")
    rows: list[tuple[Cell, ...]] = []
    temperatures: dict[str, float | None] = {}
    test, validation = np.flatnonzero(parts == 2), np.flatnonzero(parts == 1)
    labels = prepared.labels[test]
    for f in found:
        t = calibration.temperature(f.logits[validation], prepared.labels[validation])
        temperatures[f.name] = t
        for used in (1.0,) if t is None else (1.0, t):
            p = training.probabilities(f.logits[test], used)
            whole = calibration.expected_error(p, labels)
            best = statistics.predicted(p)
            confidence = float(p[np.arange(len(p)), best].mean())
            rows.append((f.name, used, "all", len(test), confidence, float((best == labels).mean()), whole))
            for b in calibration.bins(p, labels):
                said = f"{b.low:.1f} to {b.high:.1f}"
                rows.append((f.name, used, said, b.n, b.confidence, b.accuracy, abs(b.confidence - b.accuracy)))
    notes = [
        ("Test images by the probability of the predicted class (confidence). error: distance of confidence and "
        "accuracy, "
        "of all images the expected calibration error over ten bins."),
        "A temperature other than 1 divides the logits; it is that of the largest likelihood of the validation images.",
    ]  # fmt: skip
    lacking = [name for name, t in temperatures.items() if t is None]
    if lacking:
        notes.append(
            f"{', '.join(lacking)}: no temperature; the validation images do not bound it (all right, or none)."
        )
    return Table(columns, tuple(rows), "Calibration", tuple(notes)), temperatures


def subgroups(found: Sequence[Trained], prepared: Prepared, parts: Codes, spec: Spec) -> Table | None:
    """Accuracy in the test by every column with few values; None where there is none."""
    columns = ("network", "column", "value", "images", "subjects", "accuracy", "accuracy_low", "accuracy_high", "auc")
    rows: list[tuple[Cell, ...]] = []
    test = np.flatnonzero(parts == 2)
    data = prepared.data
    left_out = {"file", spec.label, spec.subject, spec.prepare.split}
    for name in data.names:
        if name in left_out:
            continue
        groups = levels(data, name)
        if not 2 <= len(groups) <= MOST_GROUPS:
            continue
        code = groups.codes[prepared.rows[test]]
        for f in found:
            p = f.probabilities[test]
            for k, word in enumerate(groups.words):
                at = code == k
                if at.sum() < SMALLEST_GROUP:
                    continue
                s = statistics.score(p[at], prepared.labels[test][at], prepared.subjects[test][at], spec.seed)
                rows.append((f.name, name, word, s.n, s.subjects, s.accuracy, *s.accuracy_interval, s.auc))
    if not rows:
        return None
    notes = (f"Of the {splitting.PARTS[2]} images. auc is empty where a group holds one class only.",)
    return Table(columns, tuple(rows), "Accuracy by subgroup", notes)
