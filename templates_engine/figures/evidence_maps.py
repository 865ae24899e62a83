"""Evidence of patches on the image that they are of: a cell for every 8 pixels, at the middle of its patch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.figures.photo_rows import Pixels, diverging

STRIDE = 8  # pixels from cell to cell


def overlaid(image: Pixels, values: npt.NDArray[np.floating], q: int, clip: float) -> Pixels:
    """The image (size, size, 3) in grey with the evidence (rows, columns) in colour, the more opaque the stronger.

    q: side of a patch in pixels; clip: the evidence at the ends of the colour scale.
    """
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    full, seen = _spread(values, q, image.shape[0])
    colour = diverging(full, clip).astype(np.float64)
    strength = (np.clip(np.abs(full) / clip, 0, 1) * 0.85 * seen)[:, :, None]
    return np.rint(grey * (1 - strength) + colour * strength).astype(np.uint8)


def spread_cells(values: npt.NDArray[np.floating], q: int, size: int, clip: float) -> Pixels:
    """The map alone at the image's size, grey where no cell's middle lies."""
    full, seen = _spread(values, q, size)
    return np.where(seen[:, :, None], diverging(full, clip), 225).astype(np.uint8)


def _spread(
    values: npt.NDArray[np.floating], q: int, size: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(size, size) the value of the cell whose middle is nearest, and where a cell lies: cell i's middle is pixel
    8 i + (q - 1) / 2 and it stands for the 8 pixels round it."""
    start = (q - 1) // 2 - STRIDE // 2
    at = (np.arange(size) - start) // STRIDE
    n = values.shape[0]
    inside = (at >= 0) & (at < n)
    index = np.clip(at, 0, n - 1)
    return values[np.ix_(index, index)].astype(np.float64), inside[:, None] & inside[None, :]
