"""Training, validation and test: every image of a subject in one part, by construction or by refusal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Problem, Refused

PARTS = ("training", "validation", "test")
WORDS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}

Codes = npt.NDArray[np.int64]


def by_subject(subjects: Codes, labels: Codes, shares: Sequence[float], seed: int) -> Codes:
    """(n,) the part 0, 1 or 2 of each image, dealt to whole subjects, within each label apart (stratified).

    subjects, labels (n,): codes; a subject's label is that of its first image. shares: of the subjects, any scale.
    Within a label the number of subjects in each part is its share rounded by largest remainders; a part whose share is
    not 0 gets at least one subject where there are enough.
    """
    rng = np.random.default_rng(seed)
    names, first = np.unique(subjects, return_index=True)
    label_of = labels[first]
    part_of = np.zeros(len(names), np.int64)
    for label in np.unique(label_of):
        members = rng.permutation(np.flatnonzero(label_of == label))
        counts = apportioned(len(members), shares)
        part_of[members] = np.repeat(np.arange(len(shares)), counts)
    return part_of[np.searchsorted(names, subjects)]


def apportioned(n: int, shares: Sequence[float]) -> Codes:
    """n subjects among the parts by largest remainders, at least one in each part of positive share where n allows."""
    share = np.asarray(shares, np.float64) / sum(shares)
    counts = np.floor(n * share + 1e-9).astype(np.int64)
    for k in np.argsort(-(n * share - counts), kind="stable")[: n - counts.sum()]:
        counts[k] += 1
    for k in np.flatnonzero((share > 0) & (counts == 0)):
        donor = int(np.argmax(counts))
        if counts[donor] > 1:
            counts[donor] -= 1
            counts[k] += 1
    return counts


def given(words: Sequence[str], subjects: Codes, names: Sequence[str], column: str) -> Codes:
    """The split that a column gives, as words or the numbers 0, 1, 2. Refused when a subject is in two parts, a word is
    unknown, or a part is empty. names: of the subjects by code."""
    codes = np.empty(len(words), np.int64)
    for i, word in enumerate(words):
        plain = str(word).strip().casefold()
        code = WORDS.get(plain, {"0": 0, "1": 1, "2": 2}.get(plain.removesuffix(".0")))
        if code is None:
            accepted = "training, validation and test (or train, val and test)"
            text = f"Column {column} says {plain!r} in row {i + 1:,}; the parts are {accepted}."
            raise Refused(Problem("unknown-part", text, key="split", column=column, word=str(word)))
        codes[i] = code
    if leaks := leaking(codes, subjects):
        shown = ", ".join(str(names[s]) for s in leaks[:5]) + (" and others" if len(leaks) > 5 else "")
        text = (
            f"The split in column {column} puts {len(leaks):,} subject{'s' if len(leaks) > 1 else ''} into two parts "
            f"({shown}): the test would be of subjects that the network has seen. Give each subject one part, or "
            "answer split with shares such as 75,10,15."
        )
        raise Refused(Problem("leaky-split", text, key="split", column=column))
    return codes


def leaking(parts: Codes, subjects: Codes) -> list[int]:
    """The subjects that are in more than one part; none, unless something is wrong."""
    low = np.full(int(subjects.max(initial=-1)) + 1, 9)
    high = np.full(len(low), -1)
    np.minimum.at(low, subjects, parts)
    np.maximum.at(high, subjects, parts)
    return [int(s) for s in np.flatnonzero(high > low)]
