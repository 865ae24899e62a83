"""The tables of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Table
from templates_engine.data.images import splitting
from templates_engine.networks import KINDS, saliency, statistics, training

from .preparing import Prepared
from .spec import Spec

if TYPE_CHECKING:
    from .running import Trained

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CLIP, THRESHOLD = 99.0, 95.0  # percent of |evidence| of the validation images, where the answers say auto


@dataclass(frozen=True)
class Mapped:
    """A trained network's maps of the test images (n, m, rows, columns), and of validation images."""

    trained: Trained
    maps: saliency.Maps
    validation: saliency.Maps
    spec: Spec

    @property
    def clip(self) -> float:
        return self.spec.evidence.clip or saliency.limits(self.validation, CLIP)

    @property
    def threshold(self) -> float:
        return self.spec.evidence.threshold or saliency.limits(self.validation, THRESHOLD)

    @property
    def q(self) -> int:
        return KINDS[self.trained.name].q


def split_table(prepared: Prepared, parts: Codes, outside: Prepared | None) -> Table:
    """Images and subjects of each class in each part."""
    rows: list[tuple[Cell, ...]] = []
    for k, part in enumerate(splitting.PARTS):
        rows += _counted(part, prepared, parts == k)
    if outside is not None:
        rows += _counted("external", outside, np.ones(len(outside.rows), bool))
    notes = ("Every image of a subject is in one part.",)
    return Table(("part", "class", "images", "subjects"), tuple(rows), "Training, validation and test", notes)


def _counted(part: str, prepared: Prepared, inside: npt.NDArray[np.bool_]) -> list[tuple[Cell, ...]]:
    found: list[tuple[Cell, ...]] = []
    for c, word in enumerate(prepared.classes):
        at = inside & (prepared.labels == c)
        found.append((part, word, int(at.sum()), len(np.unique(prepared.subjects[at]))))
    return found


def excluded_table(prepared: Prepared, outside: Prepared | None) -> Table:
    """Every image that was left out."""
    rows = [("images", *each) for each in prepared.excluded]
    if outside is not None:
        rows += [("external", *each) for each in outside.excluded]
    notes = () if rows else ("No image was left out.",)
    return Table(("set", "file", "label", "reason"), tuple(rows), "Images that were left out", notes)


def performance_table(found: Sequence[Trained], classes: Sequence[str]) -> Table:
    """The article's Table 1, with intervals."""
    columns = ("network", "part", "n", "subjects", "accuracy", "accuracy_low", "accuracy_high", "binomial_low",
               "binomial_high", "auc", "auc_low", "auc_high")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for f in found:
        for part, s in f.scores.items():
            rows.append(
                (f.name, part, s.n, s.subjects, s.accuracy, *s.accuracy_interval, *s.exact, s.auc, *s.auc_interval)
            )
    auc = (
        f"The area under the ROC curve (auc) is that of {classes[1]} against {classes[0]}."
        if len(classes) == 2
        else "The area under the ROC curve (auc) is the mean over the classes of one against the rest."
    )
    notes = (
        (
            f"{auc} Its interval, and that of accuracy from low to high, are percentile bootstrap over subjects, "
            f"{statistics.REPLICATES:,} samples, 95 %."
        ),
        (
            "binomial is the exact interval that takes each image for a subject of its own; where all are right, the "
            "bootstrap has no width and this one has."
        ),
    )
    return Table(columns, tuple(rows), "Performance", notes)


def training_table(found: Sequence[Trained]) -> Table:
    """Every epoch of every network; `chosen` marks the one whose weights were kept."""
    columns = ("network", "phase", "epoch", "loss", "validation_loss", "validation_auc", "chosen")
    rows: list[tuple[Cell, ...]] = []
    for f in found:
        for at, e in enumerate(f.fit.history):
            phase = "all layers" if e.phase else "output layer"
            chosen = "yes" if at == f.fit.best_at else ""
            rows.append((f.name, phase, e.number, e.loss, e.validation_loss, e.validation_auc, chosen))
    note = "The epoch of best validation AUC in the closing window is chosen, the smaller loss where several tie."
    return Table(columns, tuple(rows), "Training", (note,))


def evidence_table(told: Sequence[Mapped], prepared: Prepared, test: Codes, seed: int) -> Table:
    """For each class: the share of patches with much evidence for it and the largest evidence, by true class."""
    means = tuple(f"mean_{word}" for word in prepared.classes)
    columns = ("network", "evidence_for", "statistic", *means, "cohens_d", "d_low", "d_high")
    labels, subjects = prepared.labels[test], prepared.subjects[test]
    rows: list[tuple[Cell, ...]] = []
    for mapped in told:
        for c, word in enumerate(prepared.classes):
            values = saliency.for_class(mapped.maps, c)
            for name, x in image_statistics(values, mapped.threshold).items():
                by_class = [float(x[labels == k].mean()) if (labels == k).any() else None for k in range(len(means))]
                second = labels == c
                d = statistics.cohens_d(x, second)
                interval = statistics.d_interval(x, second, subjects, seed)
                rows.append((mapped.trained.name, word, name, *by_class, d, *interval))
    said = ", ".join(f"{m.trained.name} {m.threshold:.4g}" for m in told)
    notes = (
        (
            f"Of the test images. share: patches whose evidence for the class passes the threshold ({said}); "
            "largest: the "
            "patch of most evidence for it. Evidence is on the scale of the logit, without clipping."
        ),
        (
            "cohens_d: mean of images of that class less the mean of the others, over the pooled SD; empty where the "
            "SD is 0. "
            "Its interval is bootstrap over subjects."
        ),
    )
    return Table(columns, tuple(rows), "Evidence by true class", notes)


def image_statistics(values: npt.NDArray[np.float32], threshold: float) -> dict[str, npt.NDArray[np.float64]]:
    """Of maps (n, rows, columns): the share of cells above the threshold and the largest value, (n,) each."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    return {"share": (flat > threshold).mean(axis=1), "largest": flat.max(axis=1)}


def predictions_table(
    found: Sequence[Trained],
    prepared: Prepared,
    parts: Codes,
    outside: Prepared | None,
    temperatures: Mapping[str, float | None],
) -> Table:
    """A row for each image and network, with the probabilities of the network and those after temperature scaling."""
    spreads = any(f.spread is not None for f in found)
    plain = [f"probability_{word}" for word in prepared.classes]
    scaled = [f"scaled_{word}" for word in prepared.classes]
    columns = ("file", "subject", "part", "label", "network", "predicted", "correct", *plain, *scaled)
    columns += ("spread",) if spreads else ()
    rows: list[tuple[Cell, ...]] = []

    def add(of: Prepared, names: Sequence[str], f: Trained, logits: Floats, spread: Floats | None) -> None:
        p = training.probabilities(logits)
        t = temperatures.get(f.name)
        q = [(None,) * len(plain)] * len(p) if t is None else training.probabilities(logits, t).tolist()
        best = statistics.predicted(p)
        for i, file in enumerate(of.files):
            right = "yes" if best[i] == of.labels[i] else "no"
            row: tuple[Cell, ...] = (file, of.subject_words[of.subjects[i]], names[i], of.classes[of.labels[i]], f.name)
            row += (of.classes[best[i]], right, *map(float, p[i]), *q[i])
            if spreads:
                row += (_finite(spread[i]) if spread is not None else None,)
            rows.append(row)

    for f in found:
        add(prepared, [splitting.PARTS[k] for k in parts], f, f.logits, f.spread)
        if outside is not None:
            add(outside, ["external"] * len(outside.rows), f, f.outside, None)
    notes = ["probability: the network's own; scaled: after temperature scaling, where there is a temperature."]
    if spreads:
        notes.append("spread: SD of the predicted class's probability over augmented copies of a test image.")
    return Table(columns, tuple(rows), "Predictions", tuple(notes))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
