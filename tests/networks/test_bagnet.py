"""Protects: the networks are the published ones, so that published weights load and give the published outputs.

The reference was made with the original authors' module (../shared/reference/README_lmm_hw_bagnet.md).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from templates_engine.networks import loaders, making, saliency
from templates_engine.networks.bagnet import KEEPS_3X3, BagNet, grid, window
from templates_engine.networks.inception import InceptionV3

QS = (9, 17, 33)
# Measured by the reference's own small network: its weights, one logistic output.
SMALL = {17: 95_305, 33: 128_073}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def by_formula(network: nn.Module) -> None:
    """The weights that the reference's README states as formulas of name order and place."""
    state = network.state_dict()
    for i, name in enumerate(sorted(state)):
        value = state[name]
        if name.endswith("num_batches_tracked"):
            continue
        t = torch.arange(value.numel(), dtype=torch.float64)
        if name.endswith("running_var"):
            new = 1 + 0.5 * torch.sin(0.1 * t + i)
        elif name.endswith("running_mean"):
            new = 0.05 * torch.sin(0.3 * t + i)
        elif value.ndim == 1 and name.endswith("weight"):
            new = 1 + 0.1 * torch.cos(0.2 * t + i)
        elif value.ndim == 1:
            new = 0.02 * torch.sin(0.7 * t + i)
        else:
            fan_in = value.numel() // value.shape[0]
            new = torch.sin(0.37 * t + 1.3 * i) * math.sqrt(2 / fan_in)
        state[name] = new.reshape(value.shape).to(value.dtype)
    network.load_state_dict(state)


def stated_input() -> Tensor:
    k, c, r, s = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in (2, 3, 224, 224)), indexing="ij"
    )  # fmt: skip
    return torch.sin(0.05 * (c + 1) * r + 0.03 * (c + 2) * s + 0.5 * k).float()


@pytest.mark.parametrize("q", QS)
def test_names_shapes_and_counts_are_the_published_ones(q: int, reference: dict[str, Any]) -> None:
    stated = reference[f"bagnet{q}"]
    network = BagNet(q, 1000)
    found = [[n, list(v.shape), str(v.dtype).removeprefix("torch.")] for n, v in network.state_dict().items()]
    assert found == stated["state_dict"]
    assert parameters(network) == stated["params_1000_classes"]
    assert parameters(network) - parameters(network.fc) == stated["params_without_fc"]
    assert parameters(BagNet(q, 1)) == stated["params_1_logit"]
    assert network.bn1.momentum == stated["bn_momentum"]["bn1"]


@pytest.mark.parametrize("q", QS)
def test_grids_are_the_published_ones(q: int, reference: dict[str, Any]) -> None:
    for size, expected in reference[f"bagnet{q}"]["grid"].items():
        height, width = (size.split("x") * 2)[:2]
        assert [grid(q, int(height)), grid(q, int(width))] == expected, size
    assert grid(q, q) == 1
    assert grid(q, q - 1) == 0


@pytest.mark.parametrize("q", QS)
def test_the_forward_pass_is_the_published_one(q: int, reference: dict[str, Any]) -> None:
    """Logits, patch logits and features with the stated weights; the mean of the patch logits is the image's."""
    stated = reference[f"bagnet{q}"]["check_forward"]
    network = BagNet(q, 1000)
    by_formula(network)
    network.eval()
    with torch.no_grad():
        x = stated_input()
        features = network.features(x)
        logits, patches = network(x), network.patch_logits(x)
    assert np.allclose(logits[:, :5], stated["logits_first5"], atol=1e-5)
    assert patches[0, 0, 0, 0].item() == pytest.approx(stated["patch_logit_0_at_0_0"], abs=1e-5)
    assert patches[0, 0, 10, 7].item() == pytest.approx(stated["patch_logit_0_at_10_7"], abs=1e-5)
    assert features.mean().item() == pytest.approx(stated["layer4_mean"], abs=1e-5)
    assert features.std().item() == pytest.approx(stated["layer4_std"], abs=1e-5)
    assert (patches.mean((2, 3)) - logits).abs().max().item() < 1e-5


def small(q: int, seed: int = 1, classes: int = 2) -> BagNet:
    network = making.made({9: "SmallBagNet9", 17: "SmallBagNet17", 33: "SmallBagNet33"}[q], classes, seed)
    assert isinstance(network, BagNet)
    return network.eval()


@pytest.mark.parametrize("q", QS)
def test_a_cell_sees_its_patch_and_nothing_else(q: int, reference: dict[str, Any]) -> None:
    """The gradient of a cell's evidence reaches exactly q x q pixels: of the published network, and at its places."""
    stated = reference[f"bagnet{q}"]["receptive_field_rows_cols_224"]
    for network, size in ((BagNet(q, 1).eval(), 96), (small(q), 224)):
        cells = [(0, 0), (0, 1), (3, 5)]
        cells += [(grid(q, size) - 1,) * 2] if size == 224 else []
        x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4), requires_grad=True)
        maps = saliency.maps_of(network, x)
        for i, j in cells:
            (slope,) = torch.autograd.grad(maps[0, 0, i, j], x, retain_graph=True)
            reached = slope.abs().sum((0, 1)) > 0
            rows, columns = (torch.nonzero(reached.any(d)).flatten() for d in (1, 0))
            assert (rows[0], rows[-1], columns[0], columns[-1]) == window(q, i, j)
            if f"{i},{j}" in stated:
                assert list(window(q, i, j)) == stated[f"{i},{j}"]


@pytest.mark.parametrize("q", QS)
def test_evidence_is_local_to_the_bit(q: int) -> None:
    """Pixels outside a cell's window do not change its evidence, in evaluation mode."""
    network = small(q)
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    top, bottom, left, right = window(q, 3, 2)
    other = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(6))
    other[:, :, top : bottom + 1, left : right + 1] = x[:, :, top : bottom + 1, left : right + 1]
    with torch.no_grad():
        a, b = saliency.maps_of(network, x), saliency.maps_of(network, other)
    assert torch.equal(a[..., 3, 2], b[..., 3, 2])
    assert not torch.equal(a[..., 3, 3], b[..., 3, 3])


def test_sides_need_not_be_equal() -> None:
    network = small(17)
    with torch.no_grad():
        x = torch.rand(2, 3, 64, 96)
        patches = network.patch_logits(x)
        assert patches.shape[2:] == (grid(17, 64), grid(17, 96))
        assert torch.allclose(patches.mean((2, 3)), network(x), atol=1e-6)


def test_small_networks_have_the_measured_size() -> None:
    for q, n in SMALL.items():
        assert parameters(small(q)) == n
    assert set(KEEPS_3X3) == set(QS)


def test_channels_last_input_does_not_crash_the_backward_pass() -> None:
    """The backward pass through the cut shortcut crashed the process for channels-last input of narrow layers."""
    network = small(33).train()
    image = np.random.default_rng(1).random((4, 64, 64, 3), np.float32)
    x = torch.from_numpy(image).permute(0, 3, 1, 2)
    assert x.is_contiguous(memory_format=torch.channels_last)
    network(x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert loaders.tensor((255 * image).astype(np.uint8), torch.device("cpu")).is_contiguous()


def test_inception_has_the_counted_weights_and_grids() -> None:
    """Counted layer by layer from the paper: 23,834,568 with 1,000 classes, 2,048 features on 8 x 8 and 5 x 5 cells."""
    network = InceptionV3(1000).eval()
    assert parameters(network) == 23_834_568
    assert parameters(network) - parameters(network.fc) == 21_785_568
    assert parameters(InceptionV3(1)) == 21_787_617
    with torch.no_grad():
        for size, cells in ((299, 8), (224, 5)):
            assert network.features(torch.zeros(1, 3, size, size)).shape == (1, 2048, cells, cells)
