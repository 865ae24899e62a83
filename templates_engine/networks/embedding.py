"""A map of patches: t-SNE of the features of their cells (van der Maaten and Hinton, 2008), as the article's Figure 3.

Uniform affinities over 15 neighbours, PCA start, and the heavy-tailed kernel (1 + d²/α)^(-α) with α = 0.5 (Kobak et
al., 2019), by openTSNE, whose `dof` is this α. Features go to 50 principal components first. They are read a few images
at a time and projected at once, so those of a million patches are never held together: what is held is one covariance
(2,048 x 2,048 numbers) and 50 numbers in single precision a patch, 200 MB for a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from templates_engine.networks import loaders
from templates_engine.networks.bagnet import BagNet
from templates_engine.networks.loaders import Bytes, Rows

Floats = npt.NDArray[np.float64]
COMPONENTS, NEIGHBOURS, TAIL = 50, 15, 0.5
EVALUATED = 16


@dataclass(frozen=True)
class Embedding:
    """Places (n, 2) of patches and where each comes from."""

    places: Floats
    image: npt.NDArray[np.int64]  # (n,) position among the rows given
    row: npt.NDArray[np.int64]  # (n,) of the cell
    column: npt.NDArray[np.int64]
    explained: float  # share of the variance in the components kept


def components(
    network: BagNet, images: Bytes, rows: Rows, cells: npt.NDArray[np.int64], device: torch.device
) -> tuple[npt.NDArray[np.float32], float]:
    """(n, p) principal components of the features of the chosen cells, and the share of variance that they explain.

    cells (n, 3): position among the rows, row, column; sorted by the first. p is 50 or fewer.
    """
    mean, covariance, n = np.zeros(network.channels), np.zeros((network.channels, network.channels)), 0
    for _, block in _features(network, images, rows, cells, device):
        mean += block.sum(axis=0)
        covariance += block.T @ block
        n += len(block)
    mean /= n
    covariance = covariance / n - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)
    kept = min(COMPONENTS, len(values))
    axes = vectors[:, ::-1][:, :kept]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])  # one of the two signs, always the same
    found = np.empty((len(cells), kept), np.float32)
    for at, block in _features(network, images, rows, cells, device):
        found[at] = (block - mean) @ axes
    total = float(np.maximum(values, 0).sum())
    return found, float(np.maximum(values[::-1][:kept], 0).sum()) / total if total else 0.0


def _features(
    network: BagNet, images: Bytes, rows: Rows, cells: npt.NDArray[np.int64], device: torch.device
) -> Iterator[tuple[slice, Floats]]:
    """Yields (which of the cells, their features) of a few images at a time."""
    network.eval()
    ends = np.searchsorted(cells[:, 0], np.arange(0, len(rows) + EVALUATED, EVALUATED))
    with torch.no_grad():
        for k in range(len(ends) - 1):
            at = slice(int(ends[k]), int(ends[k + 1]))
            if at.start == at.stop:
                continue
            piece = rows[k * EVALUATED : (k + 1) * EVALUATED]
            x = network.features(loaders.normalised(loaders.tensor(images[piece], device))).cpu().numpy()
            here = cells[at]
            yield at, x[here[:, 0] - k * EVALUATED, :, here[:, 1], here[:, 2]].astype(np.float64)


def chosen_cells(n_images: int, side: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """(n, 3) all cells of all images, or `most` of them drawn at random; sorted."""
    total = n_images * side * side
    flat = np.arange(total)
    if total > most:
        flat = np.sort(loaders.generator(seed, 12).choice(total, most, replace=False))
    image, rest = np.divmod(flat, side * side)
    return np.stack([image, rest // side, rest % side], 1)


def embed(
    network: BagNet,
    images: Bytes,
    rows: Rows,
    device: torch.device,
    *,
    most: int,
    seed: int,
    going: Callable[[int, float, object], bool] = lambda *_: False,
) -> Embedding:
    """The embedding of the patches of these rows, at most `most` of them. going: called now and then by the descent;
    True stops it."""
    from openTSNE import TSNEEmbedding, affinity, initialization

    side = network.grid(images.shape[1])
    cells = chosen_cells(len(rows), side, most, seed)
    x, explained = components(network, images, rows, cells, device)
    neighbours = min(NEIGHBOURS, len(x) - 1)
    nearest = affinity.Uniform(x, k_neighbors=neighbours, symmetrize=True, random_state=seed % 2**31, n_jobs=1)
    start = initialization.pca(x, random_state=seed % 2**31)
    # FFT interpolation pays from some thousands of points; below, exact trees are as quick.
    method = "fft" if len(x) > 5000 else "bh"
    found = TSNEEmbedding(
        start,
        nearest,
        dof=TAIL,
        negative_gradient_method=method,
        random_state=seed % 2**31,
        n_jobs=1,
        callbacks=going,
        callbacks_every_iters=25,
    )
    from openTSNE import OptimizationInterrupt

    try:
        found = found.optimize(250, exaggeration=12, momentum=0.5)
        found = found.optimize(500, momentum=0.8)
    except OptimizationInterrupt as stopped:
        found = stopped.final_embedding
    return Embedding(np.asarray(found, np.float64), cells[:, 0], cells[:, 1], cells[:, 2], explained)


def clusters(places: Floats) -> npt.NDArray[np.int64]:
    """(n,) dense regions 0, 1, … from the largest, -1 between them: DBSCAN at the distance of the neighbour that most
    patches have within (the 90 % quantile of the tenth)."""
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    k = min(10, len(places) - 1)
    if k < 1:
        return np.full(len(places), -1, np.int64)
    tenth = NearestNeighbors(n_neighbors=k + 1).fit(places).kneighbors(places)[0][:, -1]
    labels = DBSCAN(eps=float(np.quantile(tenth, 0.9)) or 1e-9, min_samples=k).fit_predict(places)
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    found = np.full(len(places), -1, np.int64)
    for rank, at in enumerate(np.argsort(-counts, kind="stable")):
        found[labels == names[at]] = rank
    return found


def purity(places: Floats, marked: npt.NDArray[np.bool_], neighbours: int = NEIGHBOURS) -> float:
    """Mean share of marked patches among the neighbours of the marked ones; by chance it would be their share."""
    from sklearn.neighbors import NearestNeighbors

    k = min(neighbours, len(places) - 1)
    at = NearestNeighbors(n_neighbors=k + 1).fit(places).kneighbors(places[marked], return_distance=False)[:, 1:]
    return float(marked[at].mean())
