"""Read the images as the network's own were, predict them, map the evidence, tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Dataset, Job, Problem, Refused, Result, Table
from templates_engine.data import folders
from templates_engine.data.images import place, preparing
from templates_engine.figures import Photo, Row, overlaid, photos
from templates_engine.networks import (
    KINDS,
    BagNet,
    Network,
    loaders,
    making,
    missing,
    saliency,
    statistics,
    training,
    weights,
)

if TYPE_CHECKING:
    from .template import Spec

Floats = npt.NDArray[np.float64]
LITTLE = loaders.Ranges(15.0, 0.05, 0.1, 0.05, False)
SHOWN = 12  # images of the picture: half the surest, half the least sure


def check(spec: Spec) -> list[Problem]:
    """Problems of the weights file that can be told before the run."""
    if why := missing():
        return [Problem("no-torch", why, key="weights")]
    try:
        _described(file_of(spec.weights))
    except Refused as refused:
        return refused.problems
    return []


def file_of(text: str) -> Path:
    """The weights file that an answer means. Refused where there is none, or several."""
    if text.casefold() == "example":
        return Path(__file__).with_name("example.safetensors")
    if found := re.fullmatch(r"(?i:run)\s*(\d{1,9})(?:\s+(\w+))?", text):
        name = found[2] or "*"
        files = folders.of_run(int(found[1]), f"weights_{name}.safetensors")
        if len(files) == 1:
            return files[0]
        if files:
            names = ", ".join(f.stem.removeprefix("weights_") for f in files)
            raise _refused(
                f"Run {found[1]} has trained several networks ({names}): write run {found[1]} and one of them."
            )
        raise _refused(f"Run {found[1]} has trained no network{' ' + found[2] if found[2] else ''}.")
    return folders.allowed(text, "weights")


def _described(file: Path) -> dict[str, Any]:
    """What the file says of its network. Refused where it is not one of BagNet's."""
    if not file.is_file():
        raise _refused(f"There is no weights file {file.name}.")
    try:
        about = weights.about(file)
    except Exception as error:
        raise _refused(f"{file.name} cannot be read as weights ({str(error)[:100]}).") from error
    if about.get("network") not in KINDS or not about.get("classes"):
        raise _refused(
            f"{file.name} does not say of which network and classes it is: a file that BagNet made is needed."
        )
    return about


def _refused(text: str) -> Refused:
    return Refused(Problem("no-weights", text, key="weights"))


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    """The tables Predictions and Excluded, and a picture of the evidence."""
    about = _described(file_of(spec.weights))
    small = KINDS[about["network"]].small
    with making.threads(1 if small else 2):
        return _run(spec, data if data.name == spec.images else job.other(spec.images), job, about)


def _run(spec: Spec, data: Dataset, job: Job, about: dict[str, Any]) -> Result:
    job.steps("Read the images", "Predict")
    job.step("Read the images")
    classes: list[str] = about["classes"]
    file = file_of(spec.weights)
    network = making.made(about["network"], len(classes))
    weights.load(network, weights.read(file), about["network"], file.name)
    device = making.device()
    network = network.to(device)
    if data.images is None:
        raise Refused(Problem("not-images", f"{data.name} is not a dataset of images.", key="images"))

    def advance(done: int, total: int) -> bool:
        job.advance(done, total)
        return not job.stopped

    def store(shape: tuple[int, ...]) -> preparing.Pixels:
        return np.empty(shape, np.uint8)

    files = [str(f) for f in data["file"].tolist()]
    read = preparing.read_all(place.opened(data.images.place), files, about["size"], about["mask"], store, advance)
    excluded = tuple((files[row], f"unreadable: {why}") for row, why in read.reasons.items())
    tables = {"Excluded": Table(("file", "reason"), excluded, "Images that could not be read")}
    job.table("Excluded", tables["Excluded"])
    if not len(read.rows):
        raise Refused(Problem("no-images", f"No image of {data.name} can be read.", key="images"))
    job.step("Predict")
    rows = np.arange(len(read.rows))
    logits = training.predict(network, read.images, rows, device, job.advance)
    p = training.probabilities(logits, about.get("temperature") or 1.0)
    spread = _spread(spec, about, network, read.images, p)
    names = [files[row] for row in read.rows]
    tables["Predictions"] = _table(spec, about, names, logits, p, spread)
    job.table("Predictions", tables["Predictions"])
    if isinstance(network, BagNet):
        svg = _picture(network, about, read.images, names, p)
        job.figure("evidence.svg", svg, "Evidence in the surest and the least sure images")
    return Result(tables=tables, info={"n": len(rows)})


def _spread(spec: Spec, about: dict[str, Any], network: Network, images: preparing.Pixels, p: Floats) -> Floats | None:
    """(n,) SD over augmented copies of the probability of the predicted class."""
    if not spec.tta:
        return None
    best, rows, device = statistics.predicted(p), np.arange(len(p)), making.device()
    keep = training.mask_of(preparing.disc(about["size"], about["mask"]), device) if about["mask"] else None
    copies = []
    for k in range(spec.tta):
        change = training.Change(LITTLE, keep, (spec.seed, 9, k))
        copy = training.predict(network, images, rows, device, change=change)
        copies.append(training.probabilities(copy, about.get("temperature") or 1.0)[rows, best])
    return np.std(copies, axis=0)


def _table(
    spec: Spec, about: dict[str, Any], names: Sequence[str], logits: Floats, p: Floats, spread: Floats | None
) -> Table:
    classes: list[str] = about["classes"]
    best = statistics.predicted(p)
    columns = ("file", "predicted", *(f"probability_{word}" for word in classes), "spread")
    rows: list[tuple[Cell, ...]] = []
    for i, name in enumerate(names):
        told = classes[best[i]] if p[i, best[i]] >= spec.unsure else "do not know"
        rows.append((name, told, *map(float, p[i]), None if spread is None else float(spread[i])))
    unsure = sum(row[1] == "do not know" for row in rows)
    t = about.get("temperature")
    notes = (
        f"By {about['network']}, trained on {about.get('dataset', 'another dataset')}; "
        + (
            f"probabilities at the temperature {t:.3g}."
            if t
            else "probabilities are the network's own, not calibrated."
        ),
        f"{unsure:,} of {len(rows):,} images are below {spec.unsure:g}: do not know.",
    )
    return Table(columns, tuple(rows), "Predictions", notes)


def _picture(
    network: BagNet, about: dict[str, Any], images: preparing.Pixels, names: Sequence[str], p: Floats
) -> bytes:
    """The surest and the least sure images, each with its evidence under it: for its predicted class in red."""
    classes: list[str] = about["classes"]
    best = statistics.predicted(p)
    order = np.argsort(-p[np.arange(len(p)), best], kind="stable")
    half = min(SHOWN // 2, -(-len(order) // 2))
    rows = []
    found = saliency.evidence(
        network, images, np.concatenate([order[:half], order[half:][-half:]]), making.device()
    ).maps
    clip = about.get("clip") or saliency.limits(found, 99)
    at = 0
    for title, chosen in (("The surest", order[:half]), ("The least sure", order[half:][-half:])):
        top, under = [], []
        for i in chosen:
            top.append(Photo(images[i], (names[i], f"P({classes[best[i]]}) = {p[i, best[i]]:.2f}")))
            values = saliency.for_class(found[at : at + 1], int(best[i]))[0]
            under.append(Photo(overlaid(images[i], values, network.q, clip)))
            at += 1
        rows += [Row(title, top), Row("", under)]
    words = "Under each image its evidence: red speaks for the predicted class, blue against it."
    return photos("Evidence", words, rows, scale=(clip, "against the predicted class", "for it"))
