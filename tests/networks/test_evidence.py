"""Protects: maps do not depend on the batch, change sign with the classes, and are told without their bias."""

from __future__ import annotations

import numpy as np
import torch

from templates_engine.figures import diverging
from templates_engine.networks import making, saliency, training
from templates_engine.networks.bagnet import BagNet

CPU = torch.device("cpu")


def network(classes: int = 2) -> BagNet:
    made = making.made("SmallBagNet17", classes, 3)
    assert isinstance(made, BagNet)
    with torch.no_grad():  # averages that differ from those of any batch, so that training mode would show
        made.bn1.running_mean.add_(0.3)
    return made


def images(n: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (n, 64, 64, 3), np.uint8)


def test_a_map_does_not_depend_on_its_batch() -> None:
    made = network().train()  # left in training mode, as a trainer leaves it
    pictures = images(70)
    whole = saliency.evidence(made, pictures, np.arange(70), CPU)
    alone = saliency.evidence(made, pictures, np.array([69]), CPU)
    assert np.abs(whole.maps[69] - alone.maps[0]).max() < 1e-5
    assert not made.training


def test_the_mean_of_a_map_and_the_bias_are_the_logit() -> None:
    for classes in (2, 4):
        made = network(classes)
        found = saliency.evidence(made, images(5), np.arange(5), CPU)
        assert found.maps.shape[1] == making.outputs_for(classes)
        logits = training.predict(made, images(5), np.arange(5), CPU)
        assert np.abs(found.logits() - logits).max() < 1e-5 * max(1.0, np.abs(logits).max())


def test_swapping_the_classes_negates_a_map() -> None:
    made = network()
    before = saliency.evidence(made, images(3), np.arange(3), CPU).maps
    assert np.array_equal(saliency.for_class(before, 0), -saliency.for_class(before, 1))
    with torch.no_grad():  # the network of the same data with the two classes' names exchanged
        made.fc.weight.neg_()
        made.fc.bias.neg_()
    after = saliency.evidence(made, images(3), np.arange(3), CPU).maps
    assert np.array_equal(before, -after)


def test_maps_of_one_sign_and_of_zeros_have_limits_and_colours() -> None:
    for maps in (np.zeros((2, 1, 4, 4), np.float32), np.full((2, 1, 4, 4), 3.0, np.float32), np.zeros((0, 1, 4, 4))):
        limit = saliency.limits(maps.astype(np.float32), 99)
        assert limit > 0
        assert diverging(maps, limit).shape == (*maps.shape, 3)
    middle = diverging(np.zeros(1), 1.0)[0]
    assert middle.tolist() == [247, 247, 247]
    low, high = diverging(np.array([-5.0, 5.0]), 1.0)  # beyond the ends: the colours of the ends
    assert low[2] > low[0]
    assert high[0] > high[2]


def test_strongest_patches_are_one_an_image() -> None:
    values = np.zeros((3, 2, 2), np.float32)
    values[0, 1, 0], values[1, 0, 1], values[2, 1, 1] = 5, 9, 1
    found = saliency.strongest(values, 2)
    assert [(p.image, p.row, p.column, p.value) for p in found] == [(1, 0, 1, 9.0), (0, 1, 0, 5.0)]
