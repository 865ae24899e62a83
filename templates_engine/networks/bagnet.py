"""BagNet: a network that sees an image as a bag of small patches (Brendel and Bethge, 2019, ICLR).

in   images (n, 3, height, width), normalised
out  logits (n, classes), or the features of each patch (n, channels, rows, columns)

It is ResNet-50 with most of its 3 x 3 convolutions turned into 1 x 1 and no padding anywhere, so that a cell of the
last layer sees q x q pixels and no more: cell (i, j) sees rows 8i to 8i + q - 1, and columns likewise. The logit of an
image is the mean over cells of a linear function of their features, so each cell's logit is its part of the evidence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

STRIDE = 8  # pixels from cell to cell
EXPANSION = 4
# Of layers 1 to 4: does the first block keep a 3 x 3 convolution?
KEEPS_3X3 = {9: (True, True, False, False), 17: (True, True, True, False), 33: (True, True, True, True)}


class Bottleneck(nn.Module):
    """1 x 1 to `width` channels, k x k, 1 x 1 to 4 `width`, each normalised, and a shortcut around them."""

    def __init__(self, channels: int, width: int, stride: int, kernel: int, padding: int = 0):
        super().__init__()
        out = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel, stride=stride, padding=padding, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        # Without padding the main path is smaller. The published networks cut the shortcut at the bottom and right.
        return torch.relu(y + shortcut[:, :, : y.shape[2], : y.shape[3]])


class BagNet(nn.Module):
    """BagNet-q for q 9, 17 or 33. Module names are those of the published weights.

    width: channels of the first layer, 64 as published; fewer, with one block a layer, make a small network for small
    images and quick trials.
    """

    def __init__(self, q: int, classes: int, width: int = 64, blocks: tuple[int, ...] = (3, 4, 6, 3)):
        if q not in KEEPS_3X3:
            raise ValueError(f"q is 9, 17 or 33, not {q}")
        super().__init__()
        self.q, self.stride, self.channels = q, STRIDE, EXPANSION * 8 * width
        self.conv1 = nn.Conv2d(3, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width, momentum=0.001)
        channels = width
        for k, (n, keeps) in enumerate(zip(blocks, KEEPS_3X3[q], strict=True), start=1):
            inside = width * 2 ** (k - 1)
            layer = []
            for i in range(n):
                first = i == 0
                layer.append(Bottleneck(channels, inside, 2 if first and k < 4 else 1, 3 if first and keeps else 1))
                channels = EXPANSION * inside
            setattr(self, f"layer{k}", nn.Sequential(*layer))
        self.fc = nn.Linear(channels, classes)
        initialise(self)

    def features(self, x: Tensor) -> Tensor:
        """(n, channels, rows, columns) of the patches' features."""
        # On the CPU, the backward pass through the cut shortcut crashes for narrow layers in channels-last memory.
        if x.device.type == "cpu":
            x = x.contiguous()
        x = torch.relu(self.bn1(self.conv2(self.conv1(x))))
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))

    def patch_logits(self, x: Tensor) -> Tensor:
        """(n, classes, rows, columns): each patch's logits, with the bias. Their mean is the image's."""
        return torch.einsum("nchw,kc->nkhw", self.features(x), self.fc.weight) + self.fc.bias[:, None, None]

    def grid(self, pixels: int) -> int:
        """Cells along a side of so many pixels; 0 where the side is smaller than a patch."""
        return grid(self.q, pixels)


def grid(q: int, pixels: int) -> int:
    """Cells along a side of so many pixels, counted layer by layer; 0 where the side is smaller than a patch."""
    if pixels < q:
        return 0
    side = pixels - 2
    for keeps in KEEPS_3X3[q][:3]:
        side = (side - (3 if keeps else 1)) // 2 + 1
    return side - 2 if KEEPS_3X3[q][3] else side


def window(q: int, row: int, column: int) -> tuple[int, int, int, int]:
    """First row, last row, first column, last column of the pixels that a cell sees."""
    return STRIDE * row, STRIDE * row + q - 1, STRIDE * column, STRIDE * column + q - 1


def initialise(network: nn.Module) -> None:
    """Normal weights with SD sqrt(2 / (k^2 out)) for convolutions (He et al., 2015), 1 and 0 for normalisation."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan))
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
