"""A network by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn

from templates_engine.networks.bagnet import BagNet
from templates_engine.networks.inception import InceptionV3
from templates_engine.networks.names import KINDS

# The published networks keep the first normalisation's averages almost fixed (0.001). From fresh weights they would
# need thousands of steps to come near, and the network judged with them would be another than the one trained.
FRESH_MOMENTUM, PUBLISHED_MOMENTUM = 0.1, 0.001
SMALL_WIDTH, SMALL_BLOCKS = 8, (1, 1, 1, 1)


Network: TypeAlias = nn.Module  # names for those who must not import PyTorch themselves
Device: TypeAlias = torch.device


def outputs_for(classes: int) -> int:
    """One logistic output for two classes, as the article; with more, one for each (softmax)."""
    return 1 if classes == 2 else classes


def made(name: str, classes: int, seed: int = 0) -> nn.Module:
    """The network with fresh weights, which depend on the seed alone."""
    kind = KINDS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind.q == 0:
            return InceptionV3(outputs_for(classes))
        shape = (SMALL_WIDTH, SMALL_BLOCKS) if kind.small else (64, (3, 4, 6, 3))
        network = BagNet(kind.q, outputs_for(classes), *shape)
        network.bn1.momentum = FRESH_MOMENTUM
        return network


@contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads for PyTorch inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device() -> torch.device:
    """The graphics card where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
