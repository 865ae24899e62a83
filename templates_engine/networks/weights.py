"""Weights in files: published ones read by name, trained ones written as safetensors. No file can run code.

A PyTorch file is read with weights_only=True: a pickle that would do anything but build tensors is refused.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from templates_engine.problems import Problem, Refused

COUNTERS = "num_batches_tracked"
_SHOWN = 6


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or PyTorch file, "module." and an outer "state_dict" taken away.

    Refused when the file is not there, damaged, or a pickle that would run code.
    """
    if not file.is_file():
        raise _refused("no-weights", f"There is no weights file {file}.")
    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = f"{file.name} holds more than numbers: reading it would run code, so it is refused. Save its state_dict "
        raise _refused(
            "unsafe-weights", text + "alone (torch.save(network.state_dict(), …)) or as .safetensors."
        ) from error
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise _refused("damaged-weights", f"{file.name} cannot be read as weights ({said}).") from error
    for _ in range(2):
        if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()) or not found:
        text = f"{file.name} holds no weights: a table of names and tensors (a state_dict) is needed."
        raise _refused("no-weights", text)
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def load(network: nn.Module, tensors: dict[str, Tensor], name: str, file: str) -> bool:
    """Put tensors into a network of this name. True: the output layer's too; False: it had another number of classes.

    Counters may be missing; what the network does not know in an auxiliary head is left out. Refused with the layers
    that differ where the file is of another architecture.
    """
    own = network.state_dict()
    given = {k: v for k, v in tensors.items() if not k.startswith("AuxLogits.")}
    head = all(k in given and given[k].shape == own[k].shape for k in ("fc.weight", "fc.bias"))
    wanted = [k for k in own if not k.startswith("fc.") and not k.endswith(COUNTERS)]
    lacking = [k for k in wanted if k not in given]
    foreign = [k for k in given if k not in own]
    shapes = [
        f"{k} ({_shape(given[k])} in the file, {_shape(own[k])} in {name})"
        for k in wanted
        if k in given and given[k].shape != own[k].shape
    ]
    if lacking or foreign or shapes:
        parts = [
            ("lacks ", lacking),
            ("has what the network does not: ", foreign),
            ("differs in shape: ", shapes),
        ]
        said = "; ".join(start + _few(each) for start, each in parts if each)
        raise _refused("other-architecture", f"{file} is not of a {name}: it {said}.")
    new = {k: given[k].to(own[k].dtype) if k in given else own[k] for k in own}
    if not head:
        new |= {k: own[k] for k in ("fc.weight", "fc.bias")}
    bad = [k for k, v in new.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if bad:
        raise _refused("damaged-weights", f"{file} holds values that are not numbers, in {_few(bad)}.")
    network.load_state_dict(new)
    return head


def written(network: nn.Module, about: dict[str, Any]) -> bytes:
    """The weights as a safetensors file, with what they are of in its metadata."""
    from safetensors.torch import save

    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    return bytes(save(tensors, {"statgrove": json.dumps(about, ensure_ascii=False)}))


def about(file: Path) -> dict[str, Any]:
    """What `written` said of the weights; empty for weights of elsewhere."""
    if file.suffix.lower() != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return dict(json.loads((opened.metadata() or {}).get("statgrove", "{}")))


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _refused(code: str, text: str) -> Refused:
    return Refused(Problem(code, text, key="pretrained"))
