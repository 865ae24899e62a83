"""What only the rows can tell before a run: labels, subjects, the given split, weights files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from templates_engine import Dataset, Problem, Refused
from templates_engine.data import folders, levels
from templates_engine.data.images import splitting
from templates_engine.networks import missing

from .spec import Spec

FEWEST_SUBJECTS = 6  # of each class, so that each part can have one


def check(spec: Spec, data: Dataset) -> list[Problem]:
    """Errors and notices. The rows of another dataset than the run's own are checked by the run."""
    found: list[Problem] = []
    if why := missing():
        found.append(Problem("no-torch", why, key="networks"))
    if spec.images == data.name:
        try:
            found += rows(spec, data)
        except Refused as refused:
            found += refused.problems
    for file in spec.pretrained:
        try:
            if not folders.allowed(file, "pretrained").is_file():
                found.append(Problem("no-weights", f"There is no weights file {file}.", key="pretrained", word=file))
        except Refused as refused:
            found += refused.problems
    return found


def rows(spec: Spec, data: Dataset) -> list[Problem]:
    """Problems of the image dataset's rows. Refused where the given split leaks."""
    if data.images is None:
        return [Problem("not-images", f"{data.name} is not a dataset of images.", key="images")]
    return list(_rows(spec, data))


def _rows(spec: Spec, data: Dataset) -> Iterator[Problem]:
    label = levels(data, spec.label)
    if len(label) < 2:
        text = f"All images have the label {label.words[0]}: two classes at least are needed." if len(label) else "no"
        yield Problem("one-class", text, key="label", column=spec.label)
        return
    subject = subjects_of(spec, data)
    few = [
        f"{label.words[k]} has {n}"
        for k in range(len(label))
        if (n := len(np.unique(subject.codes[label.rows(k) & (subject.codes >= 0)]))) < FEWEST_SUBJECTS
    ]
    if few and not spec.prepare.split:
        who = "subjects" if spec.subject else "images"
        text = f"Each class needs {FEWEST_SUBJECTS} {who} at least, to be in training, validation and test; "
        text += f"{', '.join(few)}."
        yield Problem("too-few", text, key="label", column=spec.label)
    if spec.subject:
        seen = (label.codes >= 0) & (subject.codes >= 0)
        pairs = np.unique(np.stack([subject.codes[seen], label.codes[seen]]), axis=1)
        names, counts = np.unique(pairs[0], return_counts=True)
        if (both := names[counts > 1]).size:
            shown = ", ".join(subject.words[int(s)] for s in both[:5])
            text = f"{both.size:,} subjects have images of more than one class ({shown}); each is dealt to one part "
            text += "by its first image."
            yield Problem("two-labels", text, key="subject", column=spec.subject, level="notice")
        if gaps := int((subject.codes < 0).sum()):
            text = f"{gaps:,} images have no subject and are left out."
            yield Problem("rows-dropped", text, key="subject", column=spec.subject, level="notice")
    if gaps := int((label.codes < 0).sum()):
        yield Problem("rows-dropped", f"{gaps:,} images have no label and are left out.", key="label", level="notice")
    if spec.prepare.split:
        kept = (label.codes >= 0) & (subject.codes >= 0)
        words = [str(v) for v in data[spec.prepare.split][kept].tolist()]
        parts = splitting.given(words, subject.codes[kept], subject.words, spec.prepare.split)
        for k, name in enumerate(splitting.PARTS):
            if k != 1 and not (parts == k).any():
                text = f"Column {spec.prepare.split} puts no image into {name}."
                yield Problem("empty-part", text, key="split", column=spec.prepare.split)


class Subjects:
    """Each row's subject: codes (n,), -1 where it has none, and the subjects' words."""

    def __init__(self, codes: np.ndarray, words: tuple[str, ...]):
        self.codes, self.words = codes, words


def subjects_of(spec: Spec, data: Dataset) -> Subjects:
    if not spec.subject:
        return Subjects(np.arange(data.n_rows), tuple(str(f) for f in data["file"].tolist()))
    found = levels(data, spec.subject)
    return Subjects(found.codes, found.words)
