"""Is the evidence what the network goes by? Three checks that a map can fail.

masking       patches blacked out in the order of their evidence must lower the logit faster than random ones
              (Samek et al., 2017, IEEE TNNLS, "region perturbation")
randomising   maps must change when the weights are drawn anew, layer by layer from the last (Adebayo et al., 2018,
              NeurIPS, "Sanity checks for saliency maps")
quality       measures of image quality alone must not tell the classes apart as well as the network does
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from templates_engine.networks import loaders, saliency, statistics
from templates_engine.networks.bagnet import STRIDE, BagNet
from templates_engine.networks.loaders import Bytes, Rows

Floats = npt.NDArray[np.float64]
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the patches, blacked out one after the other


@dataclass(frozen=True)
class Masking:
    """Mean logit of the true class over images, when so large a share of the patches is blacked out."""

    shares: tuple[float, ...]
    strongest: Floats  # (shares,)
    random: Floats
    areas: Floats  # (n,) of each image: mean over the shares of random minus strongest

    @property
    def area(self) -> float:
        return float(self.areas.mean())


def masking(network: BagNet, images: Bytes, rows: Rows, labels: Rows, device: torch.device, seed: int) -> Masking:
    """Black out cells (8 x 8 pixels at the middle of each patch) in the order of evidence for the true class, and at
    random. labels (n,): the true classes of the rows."""
    network.eval()
    strongest, at_random = [], []
    for k, (row, label) in enumerate(zip(rows, labels, strict=True)):
        maps = saliency.evidence(network, images, np.array([row]), device).maps
        values = saliency.for_class(maps, int(label))[0].reshape(-1)
        order = np.argsort(-values, kind="stable")
        shuffled = loaders.generator(seed, 11, k).permutation(len(order))
        image = images[row]
        strongest.append(_curve(network, image, order, maps.shape[2], int(label), device))
        at_random.append(_curve(network, image, shuffled, maps.shape[2], int(label), device))
    s, r = np.array(strongest), np.array(at_random)
    return Masking(SHARES, s.mean(axis=0), r.mean(axis=0), (r - s)[:, 1:].mean(axis=1))


def _curve(
    network: BagNet,
    image: npt.NDArray[np.uint8],
    order: npt.NDArray[np.int64],
    side: int,
    label: int,
    device: torch.device,
) -> Floats:
    """(shares,) the logit of a class when the first cells of an order are black."""
    start = (network.q - 1) // 2 - STRIDE // 2
    copies = []
    for share in SHARES:
        black = image.copy()
        for cell in order[: round(share * len(order))]:
            top, left = start + STRIDE * (cell // side), start + STRIDE * (cell % side)
            black[max(0, top) : top + STRIDE, max(0, left) : left + STRIDE] = 0
        copies.append(black)
    with torch.no_grad():
        logits = network(loaders.normalised(loaders.tensor(np.stack(copies), device))).double().cpu().numpy()
    if logits.shape[1] == 1:
        return logits[:, 0] if label == 1 else -logits[:, 0]
    return np.asarray(logits[:, label])


def randomising(network: BagNet, images: Bytes, rows: Rows, device: torch.device, seed: int) -> list[tuple[str, float]]:
    """(what has been drawn anew, mean over images of Spearman's correlation with the trained network's map), from the
    output layer to all layers. A map without spread counts as 0."""
    trained = saliency.evidence(network, images, rows, device).maps[:, 0]
    changed = copy.deepcopy(network)
    found: list[tuple[str, float]] = []
    parts = ["fc", "layer4", "layer3", "layer2", "layer1", "conv2", "conv1"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for k, name in enumerate(parts):
            _draw_anew(getattr(changed, name))
            now = saliency.evidence(changed, images, rows, device).maps[:, 0]
            alike = [_spearman(a.reshape(-1), b.reshape(-1)) for a, b in zip(trained, now, strict=True)]
            found.append((name if k == 0 else f"{parts[0]} to {name}", float(np.mean(alike)) if alike else 0.0))
    return found


def _draw_anew(part: nn.Module) -> None:
    """Weights permuted among their places: the same values, so that the scale of the layer stays."""
    with torch.no_grad():
        for module in part.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                flat: Tensor = module.weight.view(-1)
                flat.copy_(flat[torch.randperm(len(flat)).to(flat.device)])


def _spearman(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    from scipy.stats import rankdata

    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y / length) if length > 0 else 0.0


def by_measures(measures: Floats, labels: Rows, fitted: Rows, judged: Rows, classes: int) -> float | None:
    """Area under the ROC curve, on the rows `judged`, of a linear discriminant of image measures (n, p) fitted to the
    rows `fitted`; None where it is not defined. With several classes the mean of one against the rest."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x = measures[fitted]
    sd = x.std(axis=0)
    used = sd > 1e-12
    if not used.any() or len(np.unique(labels[fitted])) < classes or not len(judged):
        return None
    scale = (measures - x.mean(axis=0))[:, used] / sd[used]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(scale[fitted], labels[fitted])
    p = model.predict_proba(scale[judged])
    found = statistics.one_against_rest(p, labels[judged], np.ones((1, len(judged))))[0]
    return None if np.isnan(found) else float(found)
