"""The evidence of each patch: the weights of the last layer applied to the patch's features (w x_ij, without the bias).

Always in evaluation mode, so that a map does not depend on the other images of its batch. The mean of a map and the
bias are the image's logit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from templates_engine.networks import loaders
from templates_engine.networks.bagnet import BagNet
from templates_engine.networks.loaders import Bytes, Rows

Maps = npt.NDArray[np.float32]  # (n, maps, rows, columns)
EVALUATED = 32


@dataclass(frozen=True)
class Evidence:
    """maps (n, m, rows, columns) of n images: one map with two classes, positive for the second; else one a class."""

    maps: Maps
    bias: npt.NDArray[np.float64]  # (m,)

    def logits(self) -> npt.NDArray[np.float64]:
        """(n, m) of the images, from their maps."""
        return self.maps.mean(axis=(2, 3), dtype=np.float64) + self.bias


def evidence(
    network: BagNet,
    images: Bytes,
    rows: Rows,
    device: torch.device,
    advance: Callable[[int, int], object] = lambda done, total: True,
) -> Evidence:
    """The evidence maps of these rows of images (n, s, s, 3)."""
    network.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(rows), EVALUATED):
            piece = rows[first : first + EVALUATED]
            x = loaders.normalised(loaders.tensor(images[piece], device))
            found.append(maps_of(network, x).cpu().numpy().astype(np.float32))
            advance(first + len(piece), len(rows))
    bias = network.fc.bias.detach().double().cpu().numpy()
    side = network.grid(images.shape[1])
    empty = np.zeros((0, len(bias), side, side), np.float32)
    return Evidence(np.concatenate([empty, *found]), bias)


def maps_of(network: BagNet, x: torch.Tensor) -> torch.Tensor:
    """(n, m, rows, columns) of normalised images (n, 3, s, s)."""
    return torch.einsum("nchw,kc->nkhw", network.features(x), network.fc.weight)


def for_class(maps: Maps, label: int) -> npt.NDArray[np.float32]:
    """(n, rows, columns) the evidence for a class. Swapping two classes negates their one map."""
    if maps.shape[1] == 1:
        return maps[:, 0] if label == 1 else -maps[:, 0]
    return maps[:, label]


def limits(maps: Maps, percent: float) -> float:
    """The value that `percent` of the patches' |evidence| do not pass; 1 where all of it is 0."""
    if not maps.size:
        return 1.0
    found = float(np.quantile(np.abs(maps), percent / 100))
    return found if found > 0 else float(np.abs(maps).max()) or 1.0


@dataclass(frozen=True)
class Patch:
    """One patch: its image (place in the maps), row, column and evidence."""

    image: int
    row: int
    column: int
    value: float


def strongest(values: npt.NDArray[np.float32], n: int) -> list[Patch]:
    """The n patches of most evidence in maps (images, rows, columns), one of each image at most."""
    if not values.size:
        return []
    best = values.reshape(len(values), -1).argmax(axis=1)
    n_columns = values.shape[2]
    at = [Patch(i, b // n_columns, b % n_columns, float(values[i].flat[b])) for i, b in enumerate(best.tolist())]
    return sorted(at, key=lambda p: -p.value)[:n]
