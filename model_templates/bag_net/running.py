"""A run of BagNet: read, split, train each network, predict, map the evidence, tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Job, Problem, Refused, Result, Table
from templates_engine.data import folders
from templates_engine.data.images import preparing as images, splitting
from templates_engine.networks import (
    KINDS,
    BagNet,
    Device,
    Network,
    loaders,
    making,
    saliency,
    statistics,
    training,
    weights,
)
from templates_engine.sampling import cores

from . import card, embedding, figures, judging, preparing, reporting
from .preparing import Prepared
from .spec import Spec

Floats = npt.NDArray[np.float64]
TRAINING, VALIDATION, TEST = range(3)
RANGES = {
    "Full": loaders.Ranges(),
    "Flips": loaders.Ranges(0.0, 0.0, 0.2, 0.0, True),
    "Gentle": loaders.Ranges(15.0, 0.05, 0.1, 0.05, False),
    "None": None,
}


@dataclass(frozen=True)
class Trained:
    """A network and what it says of every image."""

    name: str
    network: Network
    fit: training.Fit
    logits: Floats  # (n, outputs) of the images
    outside: Floats  # (m, outputs) of the external ones
    scores: dict[str, statistics.Score]
    spread: Floats | None  # (n,) SD of the probability over augmented copies, NaN where not asked for

    @property
    def probabilities(self) -> Floats:
        return training.probabilities(self.logits)


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    """Everything; the tables are Performance, Evidence, Predictions, Split, Excluded, Training."""
    small = all(KINDS[name].small for name in spec.networks)
    with making.threads(1 if small else cores()):  # narrow layers lose by threads
        return _run(spec, data, job)


def _run(spec: Spec, data: Dataset, job: Job) -> Result:
    epochs = spec.training.epochshead + spec.training.epochsall
    steps: list[tuple[str, float]] = [("Read the images", 1.0)]
    for name in spec.networks:
        steps += [(f"Train {name}", 0.5 * epochs), (f"Evaluate {name}", 1.0)]
    steps.append(("Evidence", 3.0))
    if spec.evidence.tsne != "None":
        steps.append(("Embedding", 20.0))
    job.steps(*steps)
    job.step("Read the images")
    source = data if data.name == spec.images else job.other(spec.images)
    if source is not data:
        from .checks import rows

        errors = [p for p in rows(spec, source) if p.level == "error"]
        if errors:
            raise Refused(errors)
    prepared = preparing.prepare(spec, source, job)
    parts = preparing.split(spec, prepared)
    outside = None
    if spec.external:
        outside = preparing.prepare(spec, job.other(spec.external), job, prepared.classes)
    tables = {
        "Split": reporting.split_table(prepared, parts, outside),
        "Excluded": reporting.excluded_table(prepared, outside),
    }
    for name, table in tables.items():
        job.table(name, table)
    if prepared.excluded:
        text = f"{len(prepared.excluded):,} of {source.n_rows:,} images are left out; the table Excluded says why."
        job.note(Problem("rows-dropped", text))

    found = []
    for at, name in enumerate(spec.networks):
        if job.stopped:
            break
        found.append(_one(spec, job, prepared, parts, outside, name, at))
    tables |= _tell(spec, job, prepared, parts, outside, found)
    return Result(tables=tables, info={"n": len(prepared.rows)})


def _one(spec: Spec, job: Job, prepared: Prepared, parts: Any, outside: Prepared | None, name: str, at: int) -> Trained:
    """Train one network and let it predict every image."""
    device = making.device()
    network = making.made(name, len(prepared.classes), spec.seed)
    if spec.pretrained:
        _begin_from(network, name, spec.pretrained[at])
    job.step(f"Train {name}")
    keep = images.disc(spec.prepare.size, spec.prepare.mask) if spec.prepare.mask else None
    pictures = training.Pictures(prepared.images, prepared.labels, len(prepared.classes), keep)
    rows = [np.flatnonzero(parts == k) for k in range(3)]
    trainer = training.Trainer(network, pictures, rows[TRAINING], rows[VALIDATION], settings(spec, device), device)

    def advance(done: int, total: int) -> bool:
        job.advance(done, total)
        return not job.stopped

    shown = 0

    def kept(now: training.Trainer) -> None:
        nonlocal shown
        for k, epoch in enumerate(now.fit.history[shown:], start=shown + 1):
            _point(job, name, k, epoch)
        shown = len(now.fit.history)
        job.checkpoint(f"{at}-{name}", now.packed())

    if (content := job.checkpointed(f"{at}-{name}")) is not None:
        trainer.unpack(content)
    fit = trainer.run(advance, kept)
    job.step(f"Evaluate {name}")
    everything = np.arange(len(prepared.rows))
    logits = training.predict(trainer.network, prepared.images, everything, device, job.advance)
    scores = {}
    probabilities = training.probabilities(logits)
    for k, part in enumerate(splitting.PARTS):
        scores[part] = statistics.score(
            probabilities[rows[k]], prepared.labels[rows[k]], prepared.subjects[rows[k]], spec.seed
        )
    beyond = np.zeros((0, logits.shape[1]))
    if outside is not None:
        beyond = training.predict(trainer.network, outside.images, np.arange(len(outside.rows)), device)
        p = training.probabilities(beyond)
        scores["external"] = statistics.score(p, outside.labels, outside.subjects, spec.seed)
    spread = _spread(spec, trainer, rows[TEST], len(everything), device) if spec.evidence.tta else None
    return Trained(name, trainer.network, fit, logits, beyond, scores, spread)


def _point(job: Job, network: str, epoch: int, now: training.Epoch) -> None:
    """One more epoch on the curves that the page shows meanwhile; epochs are counted over both phases."""
    job.point("loss", f"{network}, training", epoch, now.loss)
    if now.validation_loss is not None:
        job.point("loss", f"{network}, validation", epoch, now.validation_loss)
    if now.validation_auc is not None:
        job.point("auc", network, epoch, now.validation_auc)


def settings(spec: Spec, device: Device) -> training.Settings:
    """The trainer's settings of a spec."""
    t = spec.training
    return training.Settings(
        t.epochshead, t.epochsall, str(t.optimiser), t.lr, t.momentum, t.weightdecay, t.batch, RANGES[str(t.augment)],
        t.window, t.precision == "mixed" and device.type == "cuda", spec.seed,
    )  # fmt: skip


def _begin_from(network: Network, name: str, file: str) -> None:
    path = folders.allowed(file, "pretrained")
    weights.load(network, weights.read(path), name, path.name)
    if isinstance(network, BagNet):
        network.bn1.momentum = making.PUBLISHED_MOMENTUM


def _spread(spec: Spec, trainer: training.Trainer, rows: Any, n: int, device: Device) -> Floats:
    """(n,) SD over augmented copies of the probability of the class of the largest mean; NaN but for test images."""
    ranges = RANGES[str(spec.training.augment)] or RANGES["Gentle"]
    assert ranges is not None

    def copy(k: int) -> Floats:
        change = training.Change(ranges, trainer.mask, (spec.seed, 9, k))
        return training.probabilities(
            training.predict(trainer.network, trainer.pictures.images, rows, device, change=change)
        )

    stacked = np.stack([copy(k) for k in range(spec.evidence.tta)])
    best = stacked.mean(axis=0).argmax(axis=1)
    found = np.full(n, np.nan)
    found[rows] = stacked[:, np.arange(len(rows)), best].std(axis=0)
    return found


def _tell(
    spec: Spec, job: Job, prepared: Prepared, parts: Any, outside: Prepared | None, found: list[Trained]
) -> dict[str, Table]:
    """The tables and pictures of all networks."""
    if not found:
        return {}
    job.step("Evidence")
    rows = [np.flatnonzero(parts == k) for k in range(3)]
    tables = {
        "Performance": reporting.performance_table(found, prepared.classes),
        "Training": reporting.training_table(found),
    }
    if any(not f.fit.done for f in found):
        text = "The training was stopped before its end; the best epoch until then is shown."
        job.note(Problem("stopped-early", text))
    device = making.device()
    told = []
    for f in found:
        if isinstance(f.network, BagNet):
            maps = saliency.evidence(f.network, prepared.images, rows[TEST], device)
            seen = saliency.evidence(f.network, prepared.images, rows[VALIDATION][:2000], device).maps
            told.append(reporting.Mapped(f, maps.maps, seen if len(seen) else maps.maps, spec))
    if told:
        tables["Evidence"] = reporting.evidence_table(told, prepared, rows[TEST], spec.seed)
    tables["Calibration"], temperatures = judging.calibrated(found, prepared, parts)
    tables["Predictions"] = reporting.predictions_table(found, prepared, parts, outside, temperatures)
    if not job.stopped:
        tables["Faithfulness"], curves = judging.faithfulness(spec, found, prepared, parts)
        figures.masking(job, curves)
    if (groups := judging.subgroups(found, prepared, parts, spec)) is not None:
        tables["Subgroups"] = groups
    for name, table in tables.items():
        job.table(name, table)
    figures.training(job, found)
    for mapped in told:
        figures.all_of(job, mapped, prepared, rows[TEST])
    tables |= embedding.told(spec, job, told, prepared, parts)
    for f in found:
        clip = next((m.clip for m in told if m.trained is f), None)
        about = card.about(spec, prepared, f, temperatures[f.name], clip)
        job.file(f"weights_{f.name}.safetensors", weights.written(f.network, about), f"The trained {f.name}")
    job.text("ModelCard.md", card.text(spec, prepared, parts, found), "Model card")
    return tables
