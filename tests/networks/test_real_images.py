"""Protects: real photographs go through every step, and a small network learns from real images.

scikit-image ships the photographs (a fundus photograph; 200 pieces of photographs, half of them faces), scikit-learn
handwritten digits; nothing is downloaded. The accuracies were seen once and are stated with room: a network that has
learnt nothing is right in half of the faces and in a tenth of the digits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image
from sklearn.datasets import load_digits

from templates_engine.data.images import preparing, reading
from templates_engine.networks import BagNet, making, saliency, statistics, training

CPU = torch.device("cpu")
SHIPPED = Path(skimage.__file__).parent / "data"


def test_a_fundus_photograph_goes_through_every_step() -> None:
    image = reading.decoded((SHIPPED / "retina.jpg").read_bytes(), "retina.jpg")
    assert image.shape == (1411, 1411, 3)
    square = preparing.prepared(image, 224, 95)
    assert square.shape == (224, 224, 3)
    assert (square[~preparing.disc(224, 95)] == 0).all()
    inside = square[preparing.disc(224, 90)]
    assert (inside.max(axis=1) > preparing.DARK).mean() > 0.97  # the field of view fills the disc
    red, _, blue = inside.mean(axis=0)
    assert red > 2 * blue  # a fundus is orange
    sharp = preparing.quality(square)
    small = Image.fromarray(square).resize((28, 28)).resize((224, 224))
    assert preparing.quality(np.asarray(small))[0] < sharp[0] / 4
    network = making.made("BagNet33", 2, 1)
    assert isinstance(network, BagNet)
    found = saliency.evidence(network, square[None], np.array([0]), CPU)
    assert found.maps.shape == (1, 1, 24, 24)
    logit = training.predict(network, square[None], np.array([0]), CPU)
    assert np.abs(found.logits() - logit).max() < 1e-4 * max(1.0, float(np.abs(logit).max()))


def accuracy(images: np.ndarray, labels: np.ndarray, epochs: int) -> float:
    """Of the last quarter of shuffled images, after training on the rest."""
    rows = np.random.default_rng(1).permutation(len(images))
    cut = len(rows) * 3 // 4
    classes = int(labels.max()) + 1
    network = making.made("SmallBagNet9", classes, 1)
    settings = training.Settings(0, epochs, "AdamW", 0.01, batch=32, ranges=None, window=1, seed=1)
    pictures = training.Pictures(images, labels, classes)
    training.Trainer(network, pictures, rows[:cut], rows[:0], settings, CPU).run()
    p = training.probabilities(training.predict(network, images, rows[cut:], CPU))
    return float((statistics.predicted(p) == labels[rows[cut:]]).mean())


def test_faces_are_told_from_other_things() -> None:
    pieces = np.load(SHIPPED / "lfw_subset.npy", allow_pickle=False)
    assert pieces.shape == (200, 25, 25)
    grey = np.rint(255 * (pieces - pieces.min()) / np.ptp(pieces)).astype(np.uint8)
    images = np.repeat(grey[:, :, :, None], 3, axis=3)
    assert accuracy(images, (np.arange(200) < 100).astype(np.int64), 20) >= 0.85


def test_digits_are_told_apart() -> None:
    digits = load_digits()
    small = np.rint(digits.images * 255 / 16).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(d).resize((32, 32), Image.Resampling.BICUBIC)) for d in small])
    images = np.repeat(images[:, :, :, None], 3, axis=3)
    assert accuracy(images, digits.target.astype(np.int64), 3) >= 0.8
