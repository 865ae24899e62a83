"""Training: first the output layer alone, then all layers; the best epoch of a closing window by validation.

As in Ilanchezian et al. (2021), section 3.2: stochastic gradient descent, 10 epochs of the output layer, 100 of all
layers, the best of the last ones by validation. Ties of the validation area are broken by the validation loss.
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from templates_engine.networks import loaders, statistics
from templates_engine.networks.loaders import Bytes, Rows

Floats = npt.NDArray[np.float64]
HEAD, ALL = 0, 1  # the two phases
EVALUATED = 64  # images in a batch without gradients


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are the article's, with momentum and weight decay, which it does not state."""

    epochs_head: int = 10
    epochs_all: int = 100
    optimiser: str = "SGD"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch: int = 16
    ranges: loaders.Ranges | None = loaders.FULL
    window: int = 6
    mixed: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean loss of the augmented training images; loss and area of the validation images."""

    phase: int
    number: int  # from 1, within the phase
    loss: float
    validation_loss: float | None
    validation_auc: float | None


@dataclass
class Fit:
    """How far the training is: everything that the next epoch depends on but for the weights and the optimiser."""

    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] | None = None  # weights of the best epoch so far
    best_at: int = -1  # its place in the history
    done: bool = False

    @property
    def chosen(self) -> Epoch | None:
        return self.history[self.best_at] if self.best_at >= 0 else None


@dataclass(frozen=True)
class Pictures:
    """The images of a dataset, (n, s, s, 3), and the class of each; keep (s, s): the circular mask, or None."""

    images: Bytes
    targets: Rows
    classes: int
    keep: npt.NDArray[np.bool_] | None = None


class Trainer:
    """Trains one network. `run` goes on from where `load` has put it.

    advance(done, total): told after each batch, says whether to go on. kept(self): told after each epoch.
    """

    def __init__(
        self, network: nn.Module, pictures: Pictures, training: Rows, validation: Rows, settings: Settings,
        device: torch.device,
    ):  # fmt: skip
        self.network = network.to(device)
        self.pictures, self.settings, self.device = pictures, settings, device
        self.training, self.validation = training, validation
        self.fit = Fit()
        self._phase, self._epoch = HEAD, 0
        self.mask = None if pictures.keep is None else mask_of(pictures.keep, device)
        if device.type == "cuda":
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = self._optimiser_of(HEAD)

    def run(
        self,
        advance: Callable[[int, int], bool] = lambda done, total: True,
        kept: Callable[[Trainer], None] = lambda trainer: None,
    ) -> Fit:
        """Train to the end, or until `advance` says no; the network then has the weights of the best epoch."""
        epochs = (self.settings.epochs_head, self.settings.epochs_all)
        each = len(list(loaders.batches(self.training, self.settings.batch)))
        total = each * sum(epochs)
        while self._phase <= ALL:
            if self._epoch >= epochs[self._phase]:
                self._phase, self._epoch = self._phase + 1, 0
                if self._phase <= ALL:
                    self._optimiser = self._optimiser_of(self._phase)
                continue
            done = each * (self._epoch + (epochs[0] if self._phase == ALL else 0))
            loss = self._one_epoch(lambda b, done=done: advance(done + b, total))  # type: ignore[misc]
            if loss is None:
                break
            self._epoch += 1
            self._judge(loss)
            kept(self)
        else:
            self.fit.done = True
        if self.fit.best is not None:
            self.network.load_state_dict(self.fit.best)
        return self.fit

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "phase": self._phase,
            "epoch": self._epoch,
            "history": [tuple(vars(e).values()) for e in self.fit.history],
            "best": self.fit.best,
            "best_at": self.fit.best_at,
        }

    def packed(self) -> bytes:
        """`state` as bytes."""
        out = io.BytesIO()
        torch.save(self.state(), out)
        return out.getvalue()

    def unpack(self, content: bytes) -> None:
        """Go on from what `packed` gave. Nothing of it can run code."""
        self.load(torch.load(io.BytesIO(content), map_location=self.device, weights_only=True))

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._phase, self._epoch = state["phase"], state["epoch"]
        self._optimiser = self._optimiser_of(self._phase)
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.fit = Fit([Epoch(*each) for each in state["history"]], state["best"], state["best_at"])

    def _optimiser_of(self, phase: int) -> torch.optim.Optimizer:
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(phase == ALL or name.startswith("fc."))
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        s = self.settings
        if s.optimiser == "SGD":
            return torch.optim.SGD(parameters, s.lr, momentum=s.momentum, weight_decay=s.weight_decay)
        return torch.optim.AdamW(parameters, s.lr, weight_decay=s.weight_decay)

    def _one_epoch(self, advance: Callable[[int], bool]) -> float | None:
        """Mean loss; None when it was asked to stop."""
        s = self.settings
        self.network.train(self._phase == ALL)  # with frozen layers, their normalisation is left alone too
        rows = loaders.order(self.training, s.seed, self._phase, self._epoch)
        pieces = list(loaders.batches(rows, s.batch))
        summed = 0.0
        for b, piece in enumerate(pieces):
            x, y = self._batch(piece, b)
            self._set_rate(self._epoch * len(pieces) + b, len(pieces))
            self._optimiser.zero_grad(set_to_none=True)
            with self._precision():
                if self._phase == HEAD:
                    with torch.no_grad():
                        pooled = self.network.features(x).mean((2, 3))  # type: ignore[operator]
                    loss = losses(self.network.fc(pooled), y)  # type: ignore[operator]
                else:
                    loss = losses(self.network(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            summed += float(loss.detach()) * len(piece)
            if not math.isfinite(summed):
                raise FloatingPointError("the loss of the network is not a number any more: take a smaller lr")
            if not advance(b + 1):
                return None
        return summed / len(rows)

    def _batch(self, rows: Rows, number: int) -> tuple[Tensor, Tensor]:
        images = loaders.tensor(self.pictures.images[rows], self.device)
        if self.settings.ranges is None:
            x = images.float()
        else:
            rng = loaders.generator(self.settings.seed, self._phase, self._epoch, number + 1)
            x = loaders.changed(images, self.settings.ranges, rng, self.mask)
        x = loaders.normalised(x)
        if self.device.type == "cuda":
            x = x.contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(self.pictures.targets[rows]).to(self.device)

    def _set_rate(self, step: int, each: int) -> None:
        """SGD keeps its rate; AdamW's follows one cycle over the second phase, a pure function of the step."""
        s = self.settings
        if s.optimiser == "SGD" or self._phase == HEAD:
            return
        rate = one_cycle(step, each * s.epochs_all, s.lr)
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.mixed)

    def _judge(self, loss: float) -> None:
        """Evaluate on the validation images and keep the weights where this is the best epoch to stop at."""
        s = self.settings
        logits = predict(self.network, self.pictures.images, self.validation, self.device)
        found: tuple[float | None, float | None] = (None, None)
        if len(self.validation):
            y = self.pictures.targets[self.validation]
            with torch.no_grad():
                value = float(losses(torch.from_numpy(logits), torch.from_numpy(y)))
            p = probabilities(logits)
            auc = statistics.one_against_rest(p, y, np.ones((1, len(y))))[0]
            found = value, None if np.isnan(auc) else float(auc)
        self.fit.history.append(Epoch(self._phase, self._epoch, loss, *found))
        at = len(self.fit.history) - 1
        if self._better(at, s.epochs_all - s.window):
            self.fit.best_at = at
            self.fit.best = copy.deepcopy(self.network.state_dict())

    def _better(self, at: int, before_window: int) -> bool:
        """Is this epoch to be kept in the place of the best so far?

        The first of the window replaces any before it, so an early lucky epoch is never the last word; until the window
        is reached the best so far is kept for a run that is stopped.
        """
        new, old = self.fit.history[at], self.fit.chosen
        if old is None or (new.phase, old.phase) == (ALL, HEAD):
            return True

        def in_window(e: Epoch) -> bool:
            return e.phase == ALL and e.number > before_window

        if in_window(new) != in_window(old):
            return in_window(new)
        if new.validation_loss is None or old.validation_loss is None:
            return True  # nothing to judge by: the last epoch
        rank = (new.validation_auc or 0.0, -new.validation_loss)
        return rank > (old.validation_auc or 0.0, -old.validation_loss)


def losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean loss of logits (n, 1), logistic, or (n, k), softmax."""
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits[:, 0].float(), targets.float())
    return functional.cross_entropy(logits.float(), targets)


def one_cycle(step: int, total: int, top: float) -> float:
    """Rate of one cycle (Smith and Topin, 2019): up to `top` by a cosine in 30 % of the steps, then down to near 0."""
    rise = max(1.0, 0.3 * total - 1)
    if step <= rise:
        return top / 25 + (top - top / 25) * (1 - math.cos(math.pi * step / rise)) / 2
    along = (step - rise) / max(1.0, total - 1 - rise)
    return top * 1e-4 + (top - top * 1e-4) * (1 + math.cos(math.pi * min(1.0, along))) / 2


def mask_of(keep: npt.NDArray[np.bool_], device: torch.device) -> Tensor:
    """(s, s) 1 inside the circular mask, as a tensor."""
    return torch.from_numpy(keep).to(device, torch.float32)


@dataclass(frozen=True)
class Change:
    """A random change of every image, as in training; it depends on `numbers` and the image's batch alone."""

    ranges: loaders.Ranges
    mask: Tensor | None
    numbers: tuple[int, ...]


def predict(
    network: nn.Module,
    images: Bytes,
    rows: Rows,
    device: torch.device,
    advance: Callable[[int, int], object] = lambda done, total: True,
    change: Change | None = None,
) -> Floats:
    """(n, outputs) logits of these rows, in evaluation mode: they do not depend on the batch."""
    network.eval()
    found = [np.zeros((0, int(network.fc.out_features)))]  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        for first in range(0, len(rows), EVALUATED):
            piece = rows[first : first + EVALUATED]
            x = loaders.tensor(images[piece], device)
            if change is not None:
                x = loaders.changed(x, change.ranges, loaders.generator(*change.numbers, first), change.mask)
            found.append(network(loaders.normalised(x)).double().cpu().numpy())
            advance(first + len(piece), len(rows))
    return np.concatenate(found)


def probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """(n, k) from logits (n, 1) or (n, k), divided by a temperature."""
    scaled = logits / temperature
    if scaled.shape[1] == 1:
        second = 1 / (1 + np.exp(-np.clip(scaled[:, 0], -700, 700)))
        first = 1 / (1 + np.exp(np.clip(scaled[:, 0], -700, 700)))
        return np.stack([first, second], 1)
    exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
