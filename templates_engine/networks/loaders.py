"""Batches of images: their order and their augmentation depend on seed, epoch and batch number alone.

So a run that goes on from a checkpoint sees the same images as one that was never interrupted. One resampling does
rotation, flips, shift and zoom together, so that the image is interpolated once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on which the published weights were trained

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ranges:
    """How far an image is changed in training: degrees, share of the side, share of brightness, share of size."""

    rotation: float = 180.0
    shift: float = 0.1
    brightness: float = 0.2
    zoom: float = 0.1
    flips: bool = True


FULL = Ranges()


def generator(*numbers: int) -> np.random.Generator:
    """The random stream of these numbers (seed, phase, epoch, batch)."""
    return np.random.default_rng(np.random.SeedSequence([int(n) & 0xFFFFFFFF for n in numbers]))


def order(rows: Rows, seed: int, phase: int, epoch: int) -> Rows:
    """The rows in the order of this epoch."""
    return generator(seed, phase, epoch).permutation(rows)


def batches(rows: Rows, size: int) -> Iterator[Rows]:
    """Consecutive pieces; a last one of a single image joins the one before, which batch normalisation needs."""
    ends = list(range(size, len(rows), size))
    if ends and len(rows) - ends[-1] == 1:
        ends.pop()
    yield from np.split(rows, ends)


def normalised(images: Tensor) -> Tensor:
    """Bytes or bytes as floats (n, 3, s, s) to the scale of the published weights."""
    mean = torch.tensor(MEAN, device=images.device)[:, None, None]
    sd = torch.tensor(SD, device=images.device)[:, None, None]
    return (images.float() / 255 - mean) / sd


def tensor(images: Bytes, device: torch.device) -> Tensor:
    """(n, s, s, 3) bytes as (n, 3, s, s), contiguous: a permuted array would be channels-last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)


def warps(n: int, ranges: Ranges, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(n, 2, 3) maps from places of the changed image to places of the given one, sides from -1 to 1."""
    angle = np.deg2rad(rng.uniform(-ranges.rotation, ranges.rotation, n))
    zoom = 1 / rng.uniform(1 - ranges.zoom, 1 + ranges.zoom, n)
    flip = rng.choice([-1.0, 1.0], (n, 2)) if ranges.flips else np.ones((n, 2))
    shift = rng.uniform(-2 * ranges.shift, 2 * ranges.shift, (n, 2))
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    rows = [np.stack([cos * flip[:, 0], -sin * flip[:, 1], shift[:, 0]], 1)]
    rows.append(np.stack([sin * flip[:, 0], cos * flip[:, 1], shift[:, 1]], 1))
    return np.stack(rows, 1)


def changed(images: Tensor, ranges: Ranges, rng: np.random.Generator, keep: Tensor | None = None) -> Tensor:
    """Images (n, 3, s, s) of bytes, each turned, flipped, shifted, zoomed and lightened at random, as floats to 255.

    What comes in from outside is black. keep (s, s): 1 inside the circular mask, which is laid on again.
    """
    n = len(images)
    theta = torch.from_numpy(warps(n, ranges, rng)).to(images.device, torch.float32)
    places = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images.float(), places, padding_mode="zeros", align_corners=False)
    light = torch.from_numpy(rng.uniform(1 - ranges.brightness, 1 + ranges.brightness, n))
    moved = (moved * light.to(images.device, torch.float32)[:, None, None, None]).clamp(0, 255)
    return moved if keep is None else moved * keep
