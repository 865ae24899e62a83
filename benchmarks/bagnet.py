"""Images per second of BagNet in training and in saliency, beside the same network with every kernel 3 x 3.

    make bench BENCH=bagnet                    the small network, and BagNet-33 at 96 pixels on the processor
    make bench BENCH=bagnet ARGS="--size 224 --batch 64"     on a graphics card, float32 and mixed precision

Operations are counted: a multiplication and an addition for each weight at each place, three times the forward pass for
a training step. The last network is ResNet-50's shape as this project writes it (the BagNet blocks with 3 x 3 kernels
and padding); its share of the device's speed is what convolutions of that shape reach here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from templates_engine.networks import BagNet, making, saliency, training

LEAST = 3.0  # seconds of a measurement


def all_three(network: BagNet) -> BagNet:
    """Every middle convolution 3 x 3 with padding, the shape of ResNet-50."""
    for module in network.modules():
        conv = getattr(module, "conv2", None)
        if isinstance(conv, nn.Conv2d) and hasattr(module, "conv3"):
            module.conv2 = nn.Conv2d(conv.in_channels, conv.out_channels, 3, conv.stride, padding=1, bias=False)
    return network


def operations(network: nn.Module, x: Tensor) -> float:
    """Multiplications and additions of one image's forward pass, counted at every convolution."""
    counted = [0.0]

    def count(module: nn.Module, _: object, out: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        counted[0] += 2.0 * out[0].numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(x[:1])
    for hook in hooks:
        hook.remove()
    return counted[0]


def seconds(step: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """(clock, processor) seconds of a step, the first left out."""

    def settled() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    step()
    settled()
    n, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < LEAST:
        step()
        settled()
        n += 1
    return (time.perf_counter() - began) / n, (time.process_time() - cpu) / n


def measure(name: str, network: BagNet, size: int, batch: int, mixed: bool) -> None:
    device = making.device()
    network = network.to(device)
    x = torch.rand(batch, 3, size, size, device=device)
    if device.type == "cuda":
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    y = torch.arange(batch, device=device) % 2
    forward = operations(network.eval(), x)
    optimiser = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)

    def train() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = training.losses(network(x), y)
        loss.backward()
        optimiser.step()

    def map_() -> None:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            saliency.maps_of(network, x)

    for word, step, times in (("training", train, 3.0), ("saliency", map_, 1.0)):
        network.train(word == "training")
        clock, cpu = seconds(step, device)
        rate = times * forward * batch / clock / 1e12
        print(
            f"{name:<16} {word:<9} {'mixed' if mixed else 'float32':<8} {batch / clock:10.1f} images/s "
            f"{1000 * cpu / batch:9.2f} CPU ms/image {rate:8.3f} TFLOP/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = making.device()
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"processor, {chosen.threads} thread(s)"
    print(f"{where}; {chosen.size} pixels, batch {chosen.batch}")
    for mixed in (False, True) if device.type == "cuda" else (False,):
        for name in ("SmallBagNet17", "BagNet33"):
            network = making.made(name, 2)
            assert isinstance(network, BagNet)
            measure(name, network, chosen.size, chosen.batch, mixed)
        measure("ResNet-50 shape", all_three(BagNet(33, 1)), chosen.size, chosen.batch, mixed)


if __name__ == "__main__":
    main()
