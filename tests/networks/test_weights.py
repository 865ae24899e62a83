"""Protects: published weights load by name, other architectures are told apart, and no file runs code."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from templates_engine.networks import making, weights
from templates_engine.problems import Refused


def test_weights_survive_a_round_trip(tmp_path: Path) -> None:
    network = making.made("SmallBagNet9", 3, 1)
    file = tmp_path / "w.safetensors"
    file.write_bytes(weights.written(network, {"classes": ["a", "b", "c"]}))
    other = making.made("SmallBagNet9", 3, 2)
    assert weights.load(other, weights.read(file), "SmallBagNet9", file.name)
    x = torch.rand(2, 3, 40, 40)
    assert torch.equal(network.eval()(x), other.eval()(x))
    assert weights.about(file) == {"classes": ["a", "b", "c"]}


def test_published_files_load_in_their_forms(tmp_path: Path) -> None:
    """A wrapped dictionary, "module." before each name, no counters, another number of classes."""
    network = making.made("SmallBagNet9", 1000, 1)
    state = {f"module.{k}": v for k, v in network.state_dict().items() if "num_batches" not in k}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "published.pth.tar")
    other = making.made("SmallBagNet9", 2, 2)
    head = other.fc.weight.clone()
    assert not weights.load(other, weights.read(tmp_path / "published.pth.tar"), "SmallBagNet9", "published")
    assert torch.equal(other.fc.weight, head)
    assert torch.equal(other.layer4[0].conv1.weight, network.layer4[0].conv1.weight)


def test_another_architecture_is_refused_with_the_layers_that_differ(tmp_path: Path) -> None:
    torch.save(making.made("SmallBagNet17", 2, 1).state_dict(), tmp_path / "w.pth")
    with pytest.raises(Refused, match=r"not of a SmallBagNet9: it differs in shape: layer3\.0\.conv2\.weight"):
        weights.load(making.made("SmallBagNet9", 2), weights.read(tmp_path / "w.pth"), "SmallBagNet9", "w.pth")
    with pytest.raises(Refused, match=r"lacks .*has what the network does not: "):
        weights.load(making.made("InceptionV3", 2), weights.read(tmp_path / "w.pth"), "InceptionV3", "w.pth")


class Harm:
    def __init__(self, trace: str):
        self.trace = trace

    def __reduce__(self) -> object:
        return Path.write_text, (Path(self.trace), "this code has run")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"state_dict": Harm(str(trace))}, tmp_path / "harm.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Harm(str(trace))))
    for name in ("harm.pth", "bare.pth"):
        with pytest.raises(Refused) as refused:
            weights.read(tmp_path / name)
        assert refused.value.problems[0].code in ("unsafe-weights", "damaged-weights")
        assert not trace.exists()
    torch.load(tmp_path / "harm.pth", weights_only=False)  # it would have run
    assert trace.exists()


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("weights")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "short.safetensors").write_bytes(b"\x08")
    for name in ("text.pth", "list.pth", "short.safetensors", "none.pth"):
        with pytest.raises(Refused):
            weights.read(tmp_path / name)
    state = making.made("SmallBagNet9", 2, 1).state_dict()
    state["conv1.weight"][0] = float("nan")
    with pytest.raises(Refused, match=r"not numbers, in conv1\.weight"):
        weights.load(making.made("SmallBagNet9", 2), state, "SmallBagNet9", "w")
