"""Inception-v3 (Szegedy et al., 2016, CVPR) without its auxiliary head: the article's comparison, as Keras has it.

in   images (n, 3, height, width), at least 75 pixels a side; 299 in the original
out  logits (n, classes)

Modules bear the names under which PyTorch's own weights are published. Averages in the pooling branches leave out the
padding, as Keras does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMALLEST = 75  # pixels a side
# name of the branch's part, channels out, kernel (rows, columns), stride
Part = tuple[str, int, tuple[int, int], int]


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation (eps 0.001) and ReLU."""

    def __init__(self, channels: int, out: int, kernel: tuple[int, int], stride: int = 1, same: bool = True):
        super().__init__()
        padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2) if same else (0, 0)
        self.conv = nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side, their channels joined. `pool`: channels of the pooling branch; 0 keeps a plain maximum.

    Parts that end in "a" and "b" see the same input and are joined (modules 7b and 7c).
    """

    def __init__(self, channels: int, branches: Sequence[Sequence[Part]], pool: int):
        super().__init__()
        self.branches = [tuple(name for name, *_ in branch) for branch in branches]
        self.pooled = pool > 0
        self.out = pool or channels
        for branch in branches:
            before = channels
            for name, out, kernel, stride in branch:
                setattr(self, name, Convolution(before, out, kernel, stride, same=stride == 1))
                if name.endswith("a"):
                    self.out += out  # its sister "b" has the same input
                else:
                    before = out
            self.out += before
        if pool:
            self.branch_pool = Convolution(channels, pool, (1, 1))
            self.pool: nn.Module = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        else:
            self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        joined = []
        for branch in self.branches:
            y = x
            for name in branch:
                part = getattr(self, name)
                if name.endswith("a"):
                    joined.append(part(y))
                else:
                    y = part(y)
            joined.append(y)
        pooled = self.pool(x)
        joined.append(self.branch_pool(pooled) if self.pooled else pooled)
        return torch.cat(joined, 1)


def _five(channels: int, pool: int) -> Mixed:
    """35 x 35 cells at 299 pixels."""
    return Mixed(
        channels,
        (
            (("branch1x1", 64, (1, 1), 1),),
            (("branch5x5_1", 48, (1, 1), 1), ("branch5x5_2", 64, (5, 5), 1)),
            (("branch3x3dbl_1", 64, (1, 1), 1), ("branch3x3dbl_2", 96, (3, 3), 1), ("branch3x3dbl_3", 96, (3, 3), 1)),
        ),
        pool,
    )


def _six(c: int) -> Mixed:
    """17 x 17 cells; c channels inside the branches."""
    return Mixed(
        768,
        (
            (("branch1x1", 192, (1, 1), 1),),
            (("branch7x7_1", c, (1, 1), 1), ("branch7x7_2", c, (1, 7), 1), ("branch7x7_3", 192, (7, 1), 1)),
            (
                ("branch7x7dbl_1", c, (1, 1), 1),
                ("branch7x7dbl_2", c, (7, 1), 1),
                ("branch7x7dbl_3", c, (1, 7), 1),
                ("branch7x7dbl_4", c, (7, 1), 1),
                ("branch7x7dbl_5", 192, (1, 7), 1),
            ),
        ),
        192,
    )


def _seven(channels: int) -> Mixed:
    """8 x 8 cells."""
    return Mixed(
        channels,
        (
            (("branch1x1", 320, (1, 1), 1),),
            (("branch3x3_1", 384, (1, 1), 1), ("branch3x3_2a", 384, (1, 3), 1), ("branch3x3_2b", 384, (3, 1), 1)),
            (
                ("branch3x3dbl_1", 448, (1, 1), 1),
                ("branch3x3dbl_2", 384, (3, 3), 1),
                ("branch3x3dbl_3a", 384, (1, 3), 1),
                ("branch3x3dbl_3b", 384, (3, 1), 1),
            ),
        ),
        192,
    )


class InceptionV3(nn.Module):
    """The network; 2,048 channels before the last layer."""

    q, channels = 0, 2048  # no local evidence: each cell sees the whole image

    def __init__(self, classes: int):
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), 2, same=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3), same=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3))
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3), same=False)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _five(192, 32), _five(256, 64), _five(288, 64)
        self.Mixed_6a = Mixed(
            288,
            (
                (("branch3x3", 384, (3, 3), 2),),
                (
                    ("branch3x3dbl_1", 64, (1, 1), 1),
                    ("branch3x3dbl_2", 96, (3, 3), 1),
                    ("branch3x3dbl_3", 96, (3, 3), 2),
                ),
            ),
            0,
        )
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _six(128), _six(160), _six(160), _six(192)
        self.Mixed_7a = Mixed(
            768,
            (
                (("branch3x3_1", 192, (1, 1), 1), ("branch3x3_2", 320, (3, 3), 2)),
                (
                    ("branch7x7x3_1", 192, (1, 1), 1),
                    ("branch7x7x3_2", 192, (1, 7), 1),
                    ("branch7x7x3_3", 192, (7, 1), 1),
                    ("branch7x7x3_4", 192, (3, 3), 2),
                ),
            ),
            0,
        )
        self.Mixed_7b, self.Mixed_7c = _seven(1280), _seven(2048)
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(
                    module.weight, nonlinearity="relu" if isinstance(module, nn.Conv2d) else "linear"
                )

    def features(self, x: Tensor) -> Tensor:
        """(n, 2048, rows, columns) before the mean: 8 x 8 at 299 pixels, 5 x 5 at 224."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))
