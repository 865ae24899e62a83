"""From a photograph to the square that a network sees: crop to the field of view, resize, mask the rim; judge quality.

The measures of quality are of the prepared image and know nothing of labels. Sources: variance of the Laplacian for
sharpness (Pech-Pacheco et al., 2000), root-mean-square contrast, share of black or burnt-out pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.data.images.place import Place
from templates_engine.data.images.reading import Unreadable

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
DARK = 12  # of 255: a row or column that nowhere passes this lies outside the field of view
MEASURES = ("sharpness", "contrast", "exposed", "field", "evenness")  # of each, more is better


def crop(image: Pixels) -> Pixels:
    """Cut away the black margin round the field of view, and make the rest square by cutting the longer side."""
    bright = image.max(axis=2) > DARK
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if len(rows) and len(columns):
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def disc(size: int, percent: float) -> npt.NDArray[np.bool_]:
    """(size, size) True inside the central disc whose radius is `percent` of half the side."""
    at = np.arange(size) - (size - 1) / 2
    return np.hypot(at[:, None], at[None, :]) <= percent / 100 * size / 2


def prepared(image: Pixels, size: int, mask: float) -> Pixels:
    """(size, size, 3): cropped, resized (bilinear, antialiased), black outside the disc of `mask` percent of radius.

    mask 0: neither cropped to the field of view nor masked, only made square and resized.
    """
    from PIL import Image

    if mask:
        image = crop(image)
    else:
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        image = image[top : top + side, left : left + side]
    if image.shape[:2] != (size, size):
        image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))
    return np.where(disc(size, mask)[:, :, None], image, 0).astype(np.uint8) if mask else image


def quality(image: Pixels) -> Floats:
    """(5,) MEASURES of a prepared image."""
    grey = image.astype(np.float64).mean(axis=2)
    inside = grey > DARK
    share = float(inside.mean())
    if share == 0:
        return np.zeros(len(MEASURES))
    seen = grey[inside]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    # The rim of the field of view is an edge of the camera and no sign of sharpness.
    core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:] & inside[1:-1, 1:-1]
    sharp = float(laplacian[core].var()) if core.any() else 0.0
    half = [grey[: len(grey) // 2], grey[len(grey) // 2 :], grey[:, : len(grey) // 2], grey[:, len(grey) // 2 :]]
    means = [float(part[part > DARK].mean()) if (part > DARK).any() else 0.0 for part in half]
    burnt = float((image.max(axis=2)[inside] >= 254).mean())
    even = -(max(means) - min(means)) / max(1.0, float(seen.mean()))
    return np.array([sharp, float(seen.std() / seen.mean()), -burnt, share, even])


def combined(measures: Floats) -> Floats:
    """(n,) from 0 (worst) to 1 (best): the mean over the measures (n, 5) of each image's rank; ties share a rank."""
    from scipy.stats import rankdata

    n = len(measures)
    return (rankdata(measures, axis=0).mean(axis=1) - 1) / max(1, n - 1)


@dataclass(frozen=True)
class Read:
    """The images of a dataset's rows: `images` (m, size, size, 3) of the rows `rows` (m,); why the others are not."""

    images: Pixels
    rows: npt.NDArray[np.int64]
    reasons: dict[int, str]
    measures: Floats  # (m, 5)


def read_all(
    place: Place,
    files: Sequence[str],
    size: int,
    mask: float,
    store: Callable[[tuple[int, ...]], Pixels],
    advance: Callable[[int, int], bool],
) -> Read:
    """Read and prepare every image. store: makes the array, in memory or on disk. advance(done, total): go on?"""
    images = store((len(files), size, size, 3))
    kept: list[int] = []
    measures: list[Floats] = []
    reasons: dict[int, str] = {}
    for row, name in enumerate(files):
        try:
            image = place.pixels(str(name))
            if min(image.shape[:2]) < 2:
                raise Unreadable("it has no extent")
            square = prepared(image, size, mask)
        except Unreadable as why:
            reasons[row] = str(why)
        else:
            images[len(kept)] = square
            measures.append(quality(square))
            kept.append(row)
        if not advance(row + 1, len(files)):
            break
    table = np.array(measures).reshape(-1, len(MEASURES))
    return Read(images[: len(kept)], np.array(kept, np.int64), reasons, table)
