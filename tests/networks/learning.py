"""Train a small network on simulated images and measure where its evidence tells the classes apart.

The evidence of a region is the mean over the cells whose window touches it. That the strongest cell lies on disc or
macula would prove nothing: it does so in images without any difference of the classes, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from templates_engine.data.images.preparing import disc
from templates_engine.data.images.splitting import by_subject
from templates_engine.data.simulate import Design, Drawn, Simulated, fundus_images
from templates_engine.networks import loaders, making, saliency, statistics, training
from templates_engine.networks.bagnet import STRIDE, BagNet

CPU = torch.device("cpu")
FLIPS = loaders.Ranges(0.0, 0.0, 0.2, 0.0, True)


@dataclass(frozen=True)
class Learnt:
    network: BagNet
    images: npt.NDArray[np.uint8]
    drawn: list[Drawn]
    labels: npt.NDArray[np.int64]
    subjects: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    fit: training.Fit

    @property
    def maps(self) -> npt.NDArray[np.float32]:
        return saliency.evidence(self.network, self.images, self.test, CPU).maps[:, 0]

    def score(self) -> statistics.Score:
        logits = training.predict(self.network, self.images, self.test, CPU)
        return statistics.score(training.probabilities(logits), self.labels[self.test], self.subjects[self.test], 1)

    def touches(self, structure: str) -> npt.NDArray[np.bool_]:
        """(test images, rows, columns): does the cell's window touch the structure?"""
        n, q = self.maps.shape[1], self.network.q
        masks = [getattr(self.drawn[i], structure) for i in self.test]
        return np.array(
            [
                [
                    [m[STRIDE * i : STRIDE * i + q, STRIDE * j : STRIDE * j + q].any() for j in range(n)]
                    for i in range(n)
                ]
                for m in masks
            ]
        )

    def differences(self, cue: str) -> dict[str, float]:
        """Cohen's d between the classes of the mean evidence where the cue is seen, on the other structure alone, and
        elsewhere."""
        other = "macula" if cue == "disc" else "disc"
        maps, seen_, others = self.maps, self.touches(cue), self.touches(other)
        regions = {cue: seen_, other: others & ~seen_, "elsewhere": ~seen_ & ~others}
        second = self.labels[self.test] == 1
        found = {}
        for name, cells in regions.items():
            seen = cells.any(axis=(1, 2))
            means = np.array([m[c].mean() for m, c in zip(maps[seen], cells[seen], strict=True)])
            d = statistics.cohens_d(means, second[seen])
            found[name] = 0.0 if d is None else d
        return found


def learn(cue: str, effect: float, *, subjects: int, extra: int = 0, epochs: int = 14, seed: int = 1) -> Learnt:
    """SmallBagNet17 on 96 pixels. extra: so many subjects more are in the test."""
    design = Design(subjects + extra, 96, cue, effect, seed)
    data, source = fundus_images(design), Simulated(design.place().partition(":")[2])
    drawn = [source.drawn(str(f)) for f in data["file"]]
    images = np.stack([d.image for d in drawn])
    labels = (data["label"] == "B").astype(np.int64)
    number = np.repeat(np.arange(subjects + extra), 2)
    parts = np.full(len(number), 2)
    parts[: 2 * subjects] = by_subject(number[: 2 * subjects], labels[: 2 * subjects], (75, 10, 15), seed)
    rows = [np.flatnonzero(parts == k) for k in range(3)]
    network = making.made("SmallBagNet17", 2, seed)
    assert isinstance(network, BagNet)
    settings = training.Settings(0, epochs, "AdamW", 0.01, batch=16, ranges=FLIPS, window=4, seed=seed)
    pictures = training.Pictures(images, labels, 2, disc(96, 95))
    fit = training.Trainer(network, pictures, rows[0], rows[1], settings, CPU).run()
    return Learnt(network, images, drawn, labels, number, rows[2], fit)
