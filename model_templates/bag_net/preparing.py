"""From the dataset's rows to images, classes, subjects and parts; what is left out is listed with the reason."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Job, Problem, Refused
from templates_engine.data import levels
from templates_engine.data.images import place, preparing, splitting

from . import checks
from .spec import Spec

IN_MEMORY = 1 << 30  # bytes of images; more lie in a file that the system keeps in memory as far as there is room
FEWEST = 6
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """n usable images of a dataset, in its order."""

    images: preparing.Pixels  # (n, size, size, 3)
    rows: Codes  # (n,) rows of the dataset
    labels: Codes  # (n,)
    classes: tuple[str, ...]
    subjects: Codes  # (n,)
    subject_words: tuple[str, ...]
    measures: npt.NDArray[np.float64]  # (n, 5) of quality
    excluded: list[tuple[str, str, str]]  # file, label, reason
    data: Dataset
    left: npt.NDArray[np.bool_]  # (n,) left eyes, False where that is not known

    @property
    def files(self) -> list[str]:
        return [str(f) for f in self.data["file"][self.rows].tolist()]


def prepare(spec: Spec, data: Dataset, job: Job, classes: tuple[str, ...] | None = None) -> Prepared:
    """Read, prepare and judge the images of a dataset. classes: those of the training data, for an external set.

    Refused when no image, or one class only, is left.
    """
    if data.images is None:
        raise Refused(Problem("not-images", f"{data.name} is not a dataset of images.", key="images"))
    label = levels(data, spec.label)
    words = label.words if classes is None else classes
    codes = np.array([words.index(w) if w in words else -1 for w in label.words] + [-1])[label.codes]
    subject = checks.subjects_of(spec, data)
    excluded: list[tuple[str, str, str]] = []
    usable = np.ones(data.n_rows, bool)

    def leave_out(row: int, why: str) -> None:
        usable[row] = False
        said = label.words[label.codes[row]] if label.codes[row] >= 0 else ""
        excluded.append((str(data["file"][row]), said, why))

    for row in range(data.n_rows):
        if label.codes[row] < 0:
            leave_out(row, "it has no label")
        elif codes[row] < 0:
            leave_out(row, f"its label {label.words[label.codes[row]]} is not among those of the training images")
        elif subject.codes[row] < 0:
            leave_out(row, "it has no subject")
        elif spec.prepare.qualitylist and not _graded(data, spec.prepare.qualitylist, row):
            leave_out(row, f"the column {spec.prepare.qualitylist} says that it is not usable")
    candidates = np.flatnonzero(usable)
    size, mask = spec.prepare.size, spec.prepare.mask
    files = [str(f) for f in data["file"][candidates].tolist()]
    read = preparing.read_all(place.opened(data.images.place), files, size, mask, _store(job), _advance(job))
    for at, why in read.reasons.items():
        leave_out(int(candidates[at]), f"unreadable: {why}")
    images, rows, measures = read.images, candidates[read.rows], read.measures
    if spec.prepare.quality and len(rows):
        kept, scores = _quality(measures, spec.prepare.quality)
        for worst in np.flatnonzero(~kept).tolist():
            leave_out(int(rows[worst]), f"quality {scores[worst]:.2f} is among the worst {spec.prepare.quality:g} %")
        images, rows, measures = images[kept], rows[kept], measures[kept]
    if not len(rows):
        first = f" ({excluded[0][0]}: {excluded[0][2]})" if excluded else ""
        raise Refused(Problem("no-images", f"No image of {data.name} can be used{first}.", key="images"))
    left = _left(data, spec.evidence.eye)[rows]
    return Prepared(
        images, rows, codes[rows], words, subject.codes[rows], subject.words, measures, excluded, data, left
    )


def split(spec: Spec, prepared: Prepared) -> Codes:
    """(n,) part of each image. Refused where a class is not in training, or a part is empty that must not be."""
    if spec.prepare.split:
        words = [str(v) for v in prepared.data[spec.prepare.split][prepared.rows].tolist()]
        parts = splitting.given(words, prepared.subjects, prepared.subject_words, spec.prepare.split)
    else:
        parts = splitting.by_subject(prepared.subjects, prepared.labels, spec.prepare.shares, spec.seed)
    if leaks := splitting.leaking(parts, prepared.subjects):
        raise RuntimeError(f"subjects in two parts: {leaks[:5]}")  # impossible by construction
    for k in (0, 2):
        lacking = [w for c, w in enumerate(prepared.classes) if not ((parts == k) & (prepared.labels == c)).any()]
        if lacking:
            text = f"There is no image of {' or '.join(lacking)} in {splitting.PARTS[k]}: more subjects are needed."
            raise Refused(Problem("empty-part", text, key="split"))
    return parts


def _graded(data: Dataset, column: str, row: int) -> bool:
    value = float(data[column][row])
    return value >= 0.5  # NaN is not


def _quality(
    measures: npt.NDArray[np.float64], percent: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """(which are kept, the combined score): the worst `percent` of the images are left out."""
    scores = preparing.combined(measures)
    drop = int(len(scores) * percent / 100)
    kept = np.ones(len(scores), bool)
    kept[np.argsort(scores, kind="stable")[:drop]] = False
    return kept, scores


def _left(data: Dataset, column: str) -> npt.NDArray[np.bool_]:
    from templates_engine.data.images import EYES

    if not column or column not in data:
        return np.zeros(data.n_rows, bool)
    words = levels(data, column)
    is_left = [EYES.get(w.strip().casefold()) == "left" for w in words.words]
    return np.array([*is_left, False])[words.codes]


def _store(job: Job) -> Callable[[tuple[int, ...]], preparing.Pixels]:
    def store(shape: tuple[int, ...]) -> preparing.Pixels:
        if int(np.prod(shape, dtype=np.int64)) <= IN_MEMORY:
            return np.empty(shape, np.uint8)
        with tempfile.TemporaryFile(dir=job.store.folder) as file:  # the file goes when nothing maps it any more
            return np.memmap(file, np.uint8, "w+", shape=shape)

    return store


def _advance(job: Job) -> Callable[[int, int], bool]:
    def advance(done: int, total: int) -> bool:
        job.advance(done, total)
        return not job.stopped

    return advance
