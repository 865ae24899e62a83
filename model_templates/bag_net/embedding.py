"""The map of patches: t-SNE of their features, coloured by evidence; its dense regions, with four patches of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from templates_engine import Cell, Job, Table
from templates_engine.figures import Photo, PlotPanel, Row, diverging, photos, picture
from templates_engine.networks import BagNet, embedding, making, saliency, statistics

from .figures import cut_out
from .preparing import Prepared
from .reporting import Mapped
from .spec import Spec

Codes = npt.NDArray[np.int64]
MOST_PATCHES, MOST_CLUSTERS, MOST_DOTS = 20_000, 8, 4_000
SHOWN = 4  # patches of each region, as the article's Figure 3
STEPS = 9  # colours


def told(spec: Spec, job: Job, mapped: Sequence[Mapped], prepared: Prepared, parts: Codes) -> dict[str, Table]:
    """The table Clusters and the pictures, of every BagNet; nothing where no map was asked for."""
    if spec.evidence.tsne == "None" or not mapped or job.stopped:
        return {}
    job.step("Embedding")
    rows: list[tuple[Cell, ...]] = []
    for at, one in enumerate(mapped):
        chosen = _rows(spec, one, prepared, parts)
        if len(chosen) < 2 or job.stopped:
            continue
        rows += _one(spec, job, one, prepared, chosen, at, len(mapped))
    if not rows:
        return {}
    last = prepared.classes[1] if len(prepared.classes) == 2 else ""
    share = f"share_{last}" if last else "share_commonest"
    columns = ("network", "cluster", "patches", "images", share, "commonest", "mean_evidence", "strong", "purity")
    notes = (
        ("Dense regions of the map (DBSCAN), those of most evidence first; all is every patch of the map. The "
        "share is of "
        "patches whose image has that true class; strong is the share of patches among the 5 % of most evidence, "
        "either way."),
        ("purity, of all: the share of strong patches among the 15 neighbours of strong ones; by chance it would "
        "be 0.05."),
    )  # fmt: skip
    table = Table(columns, tuple(rows), "Regions of the map of patches", notes)
    job.table("Clusters", table)
    return {"Clusters": table}


def telling(regions: Codes, evidence: npt.NDArray[np.floating]) -> Codes:
    """(n,) the regions of most evidence, for or against, numbered by it; -1 for the others."""
    names = np.unique(regions[regions >= 0])
    strength = np.array([abs(float(evidence[regions == k].mean())) for k in names])
    found = np.full(len(regions), -1, np.int64)
    for rank, at in enumerate(np.argsort(-strength, kind="stable")[:MOST_CLUSTERS]):
        found[regions == names[at]] = rank
    return found


def _rows(spec: Spec, one: Mapped, prepared: Prepared, parts: Codes) -> Codes:
    """The images whose patches are embedded."""
    if spec.evidence.tsne == "Training":
        return np.flatnonzero(parts == 0)
    right = statistics.predicted(one.trained.probabilities) == prepared.labels
    return np.flatnonzero((parts == 2) & right)


def _one(
    spec: Spec, job: Job, one: Mapped, prepared: Prepared, rows: Codes, at: int, total: int
) -> list[tuple[Cell, ...]]:
    """Embed one network's patches, draw them; rows of the table."""
    network, name, device = one.trained.network, one.trained.name, making.device()
    assert isinstance(network, BagNet)
    done = [0]

    def going(iteration: int, error: float, places: object) -> bool:
        done[0] += 25
        job.advance(at + min(1.0, done[0] / 750), total)
        return job.stopped

    found = embedding.embed(network, prepared.images, rows, device, most=MOST_PATCHES, seed=spec.seed, going=going)
    maps = saliency.evidence(network, prepared.images, rows, device).maps
    maps = maps[:, :1] if len(prepared.classes) == 2 else maps
    values = maps[found.image, :, found.row, found.column]
    # Of several classes a patch is coloured by its evidence for the class that its image has.
    labels = prepared.labels[rows[found.image]]
    evidence = values[:, 0] if len(prepared.classes) == 2 else values[np.arange(len(values)), labels]
    strong = np.abs(evidence) >= np.quantile(np.abs(evidence), 0.95)
    regions = telling(embedding.clusters(found.places), evidence)
    job.figure(f"embedding_{name}.svg", _scatter(one, found, evidence, regions), f"{name}: map of patches")
    job.figure(
        f"clusters_{name}.svg", _patches(one, prepared, rows, found, evidence, regions), f"{name}: regions of the map"
    )

    def line(word: str, inside: npt.NDArray[np.bool_], purity: float | None) -> tuple[Cell, ...]:
        of = labels[inside]
        counts = np.bincount(of, minlength=len(prepared.classes))
        share = counts[1] / len(of) if len(prepared.classes) == 2 else counts.max() / len(of)
        n_images = len(np.unique(found.image[inside]))
        commonest = prepared.classes[int(counts.argmax())]
        mean, strongly = float(evidence[inside].mean()), float(strong[inside].mean())
        return (name, word, int(inside.sum()), n_images, float(share), commonest, mean, strongly, purity)

    everything = np.ones(len(regions), bool)
    lines = [line("all", everything, embedding.purity(found.places, strong))]
    return lines + [line(str(k + 1), regions == k, None) for k in range(int(regions.max(initial=-1)) + 1)]


def _scatter(one: Mapped, found: embedding.Embedding, evidence: npt.NDArray[np.floating], regions: Codes) -> bytes:
    """A dot a patch, thinned, coloured by evidence; the regions' numbers at their middles."""
    places = found.places
    if len(places) > MOST_DOTS:  # evenly over the order of the patches
        at = np.linspace(0, len(places) - 1, MOST_DOTS).astype(int)
    else:
        at = np.arange(len(places))
    at = at[np.argsort(np.abs(evidence[at]), kind="stable")]  # strong evidence lies on top
    steps = np.clip(np.rint((evidence[at] / one.clip + 1) / 2 * (STEPS - 1)), 0, STEPS - 1).astype(int)
    palette = diverging(np.linspace(-1, 1, STEPS) * 0.95, 1.0)
    palette[STEPS // 2] = (200, 202, 205)  # no evidence: grey, to be seen on white

    def paint(_: int, make: Callable[[str], PlotPanel]) -> None:
        panel = make("")
        low, high = places.min(axis=0), places.max(axis=0)
        room = 0.04 * (high - low)
        across, up = ((float(a), float(b)) for a, b in zip(low - room, high + room, strict=True))
        panel.scales(across, up, x_words=None)
        for k in sorted(range(STEPS), key=lambda k: abs(k - STEPS // 2)):
            here = at[steps == k]
            if len(here):
                colour = "#{:02x}{:02x}{:02x}".format(*palette[k].tolist())
                panel.dots(places[here, 0], places[here, 1], colour, 1.9)
        for k in range(int(regions.max(initial=-1)) + 1):
            x, y = np.median(places[regions == k], axis=0)
            (where,) = panel.pixels(np.array([x]), np.array([y]))
            panel.text(float(where[0]), float(where[1]), str(k + 1))

    thinned = f", {len(at):,} of them shown" if len(at) < len(places) else ""
    words = f"{len(places):,} patches{thinned}; blue: evidence for the first class, red: for the second, grey: little."
    if one.maps.shape[1] > 1:
        words = (
            f"{len(places):,} patches{thinned}; red: evidence for their image's class, blue: against it, grey: little."
        )
    return picture(f"{one.trained.name}: map of patches", words, 1, paint)


def _patches(
    one: Mapped,
    prepared: Prepared,
    rows: Codes,
    found: embedding.Embedding,
    evidence: npt.NDArray[np.floating],
    regions: Codes,
) -> bytes:
    """Four patches of each region: those nearest to its middle, of different images where there are."""
    shown = []
    for k in range(int(regions.max(initial=-1)) + 1):
        at = np.flatnonzero(regions == k)
        middle = np.median(found.places[at], axis=0)
        nearest = at[np.argsort(np.hypot(*(found.places[at] - middle).T), kind="stable")]
        _, first = np.unique(found.image[nearest], return_index=True)
        few = nearest[np.sort(first)][:SHOWN]
        pictures = []
        for i in few:
            row = rows[found.image[i]]
            patch = saliency.Patch(int(found.image[i]), int(found.row[i]), int(found.column[i]), float(evidence[i]))
            said = (f"{patch.value:+.2f}", f"true {prepared.classes[prepared.labels[row]]}")
            pictures.append(Photo(cut_out(prepared.images[row], patch, one.q), said, sharp=True))
        shown.append(Row(f"Region {k + 1}, {len(at):,} patches", pictures))
    words = "Four patches of each dense region of the map, nearest to its middle; the frame is what the network sees."
    return photos(f"{one.trained.name}: regions of the map", words, shown, side=88)
