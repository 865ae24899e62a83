"""The pictures of a run: learning curves, evidence on images, mean maps, the strongest patches, their statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Job
from templates_engine.figures import Photo, PlotPanel, Row, overlaid, photos, picture, spread_cells, style
from templates_engine.networks import STRIDE, faithful, saliency, statistics

from .preparing import Prepared
from .reporting import Mapped, image_statistics

if TYPE_CHECKING:
    from .running import Trained

Pixels = npt.NDArray[np.uint8]
EXAMPLES, PATCHES = 6, 12  # images of each class; patches of each class
MARGIN = 12  # pixels shown round a patch


def training(job: Job, found: Sequence[Trained]) -> None:
    """Loss and validation area by epoch."""
    kept = [f for f in found if f.fit.history]
    if not kept:
        return
    longest = max(len(f.fit.history) for f in kept)

    def curve(panel: PlotPanel, value: Callable[[int, int], float | None], k: int) -> None:
        colour, dashes = style.look(k)
        n = len(kept[k].fit.history)
        y = [value(k, i) for i in range(n)]
        panel.line(
            np.arange(1, n + 1, dtype=float), np.array([np.nan if v is None else v for v in y]), colour, 1.8, dashes
        )

    def paint(p: int, make: Callable[[str], PlotPanel]) -> None:
        panel = make("Mean loss of the training images" if p == 0 else "Area under the ROC curve, validation images")
        top = max(e.loss for f in kept for e in f.fit.history) * 1.05
        last = max(2, longest)
        whole = sorted({round(t) for t in style.ticks(1, last)} & set(range(1, last + 1)))
        panel.scales((1, last), (0.0, top) if p == 0 else (0.0, 1.0), whole)
        for k in range(len(kept)):
            if p == 0:
                curve(panel, lambda k, i: kept[k].fit.history[i].loss, k)
            else:
                curve(panel, lambda k, i: kept[k].fit.history[i].validation_auc, k)
        panel.under("epoch")
        if p == 0:
            panel.key("", [(f.name, *style.look(k)) for k, f in enumerate(kept)])

    words = "; ".join(
        f"{f.name}: epoch {f.fit.best_at + 1} of {len(f.fit.history)} kept" for f in kept if f.fit.chosen is not None
    )
    job.figure("training.svg", picture("Training", words, 2, paint), "Training")


def masking(job: Job, curves: Mapping[str, faithful.Masking]) -> None:
    """Logit of the true class as patches are blacked out: in the order of evidence, and at random."""
    shown = list(curves.items())[:6]
    if not shown:
        return

    def paint(k: int, make: Callable[[str], PlotPanel]) -> None:
        name, found = shown[k]
        panel = make(f"{name}, logit of the true class")
        both = np.concatenate([found.strongest, found.random])
        room = 0.05 * (float(np.ptp(both)) or 1.0)
        x = 100 * np.array(found.shares)
        panel.scales((0.0, float(x[-1])), (float(both.min()) - room, float(both.max()) + room))
        panel.line(x, found.strongest, *_look(0))
        panel.line(x, found.random, *_look(1))
        panel.under("percent of patches blacked out")

    words = "Solid: the patches of most evidence for the true class first; dashed: at random. Means over test images."
    svg = picture("Is the evidence what the network goes by?", words, len(shown), paint)
    job.figure("masking.svg", svg, "Masking patches")


def _look(k: int) -> tuple[str, float, tuple[float, ...]]:
    colour, dashes = style.look(k)
    return colour, 1.8, dashes


def all_of(job: Job, mapped: Mapped, prepared: Prepared, test: npt.NDArray[np.int64]) -> None:
    """Every picture of one network's evidence."""
    if not len(test):
        return
    name = mapped.trained.name
    job.figure(f"evidence_{name}.svg", examples(mapped, prepared, test), f"{name}: evidence in test images")
    job.figure(f"mean_evidence_{name}.svg", means(mapped, prepared, test), f"{name}: mean evidence")
    job.figure(f"patches_{name}.svg", patches(mapped, prepared, test), f"{name}: the strongest patches")
    job.figure(f"evidence_statistics_{name}.svg", spread(mapped, prepared, test), f"{name}: evidence by true class")


def _ends(mapped: Mapped, prepared: Prepared, label: int = 1) -> tuple[float, str, str]:
    if len(prepared.classes) == 2:
        return mapped.clip, f"evidence for {prepared.classes[0]}", f"for {prepared.classes[1]}"
    return mapped.clip, "evidence against the class", "for the class"


def examples(mapped: Mapped, prepared: Prepared, test: npt.NDArray[np.int64]) -> bytes:
    """Test images of each class, the surest right ones first and then the wrong ones, each with its map under it."""
    p = mapped.trained.probabilities[test]
    labels, best = prepared.labels[test], statistics.predicted(p)
    two = len(prepared.classes) == 2
    rows = []
    for c, word in enumerate(prepared.classes[:10]):
        of_class = np.flatnonzero(labels == c)
        right = of_class[best[of_class] == c]
        wrong = of_class[best[of_class] != c]
        right = right[np.argsort(-p[right, c], kind="stable")]
        wrong = wrong[np.argsort(p[wrong, c], kind="stable")]
        shown = [*right[: EXAMPLES - min(2, len(wrong))], *wrong[:2]][:EXAMPLES]
        if not shown:
            continue
        maps = mapped.maps[:, 0] if two else mapped.maps[:, c]
        files = [prepared.files[test[i]] for i in shown]
        top = [
            Photo(prepared.images[test[i]], (f"{file}", f"P({prepared.classes[best[i]]}) = {p[i, best[i]]:.2f}"))
            for i, file in zip(shown, files, strict=True)
        ]
        size = prepared.images.shape[1]
        under = [Photo(overlaid(prepared.images[test[i]], maps[i], mapped.q, mapped.clip)) for i in shown]
        alone = [Photo(spread_cells(maps[i], mapped.q, size, mapped.clip), sharp=True) for i in shown]
        rows += [Row(f"True class {word}", top), Row("", under), Row("", alone)]
    words = (
        "Right and surest first, wrong ones last. Under each image its evidence laid over it, and the evidence alone."
    )
    return photos(f"{mapped.trained.name}: evidence", words, rows, scale=_ends(mapped, prepared))


def means(mapped: Mapped, prepared: Prepared, test: npt.NDArray[np.int64]) -> bytes:
    """Mean map and mean image of the correctly classified test images of each class; left eyes are mirrored."""
    best = statistics.predicted(mapped.trained.probabilities[test])
    labels = prepared.labels[test]
    two = len(prepared.classes) == 2
    size = prepared.images.shape[1]
    found = []
    for c, word in enumerate(prepared.classes[:10]):
        at = np.flatnonzero((labels == c) & (best == c))
        if not len(at):
            continue
        maps = mapped.maps[:, 0] if two else mapped.maps[:, c]
        mirrored = prepared.left[test[at]]
        mean = np.mean(
            [mirror(maps[i], mapped.q, size) if m else maps[i] for i, m in zip(at, mirrored, strict=True)], axis=0
        )
        image = np.zeros(prepared.images.shape[1:])
        for i, m in zip(at, mirrored, strict=True):
            one = prepared.images[test[i]]
            image += one[:, ::-1] if m else one
        found.append((word, len(at), mean, np.rint(image / len(at)).astype(np.uint8)))
    if not found:
        return photos(f"{mapped.trained.name}: mean evidence", "No test image was classified correctly.", [])
    top = float(max(np.abs(mean).max() for _, _, mean, _ in found)) or 1.0
    lines = [(f"true class {w}", f"{n} images") for w, n, _, _ in found]
    maps_ = [spread_cells(mean, mapped.q, size, top) for _, _, mean, _ in found]
    rows = [
        Row(
            "Mean evidence of the correctly classified",
            [Photo(m, under, True) for m, under in zip(maps_, lines, strict=True)],
        ),
        Row("Their mean image", [Photo(each[3], under) for each, under in zip(found, lines, strict=True)]),
    ]
    words = "Mean images that look alike show that place, size and colour do not tell the classes apart."
    ends = _ends(mapped, prepared)
    return photos(f"{mapped.trained.name}: mean evidence", words, rows, side=220, scale=(top, *ends[1:]))


def mirror(values: npt.NDArray[np.float32], q: int, size: int) -> npt.NDArray[np.float32]:
    """A map as its image's mirror image would have it, as nearly as the cells allow: the last pixels that no cell sees
    come to the other side, so columns are moved by the nearest whole cell."""
    n = values.shape[1]
    unseen = size - (STRIDE * (n - 1) + q)
    shift = round(unseen / STRIDE)
    flipped = values[:, ::-1]
    return np.concatenate([flipped[:, :1]] * shift + [flipped[:, : n - shift]], axis=1) if shift else flipped


def patches(mapped: Mapped, prepared: Prepared, test: npt.NDArray[np.int64]) -> bytes:
    """The patches of most evidence for each class, one of an image at most, with a little of what is round them."""
    rows = []
    for c, word in enumerate(prepared.classes[:10]):
        shown = []
        for patch in saliency.strongest(saliency.for_class(mapped.maps, c), PATCHES):
            image = prepared.images[test[patch.image]]
            true = prepared.classes[prepared.labels[test[patch.image]]]
            shown.append(Photo(cut_out(image, patch, mapped.q), (f"{patch.value:+.2f}", f"true {true}"), sharp=True))
        rows.append(Row(f"Most evidence for {word}", shown))
    words = f"Each from another test image; the {mapped.q} x {mapped.q} pixels in the frame decide."
    return photos(f"{mapped.trained.name}: the strongest patches", words, rows, side=88)


def cut_out(image: Pixels, patch: saliency.Patch, q: int) -> Pixels:
    padded = np.pad(image, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    top, left = STRIDE * patch.row, STRIDE * patch.column
    piece = padded[top : top + q + 2 * MARGIN, left : left + q + 2 * MARGIN].copy()
    a, b = MARGIN - 1, MARGIN + q
    for edge in (piece[a, a : b + 1], piece[b, a : b + 1], piece[a : b + 1, a], piece[a : b + 1, b]):
        edge[:] = 255
    return piece


def spread(mapped: Mapped, prepared: Prepared, test: npt.NDArray[np.int64]) -> bytes:
    """For each class: share of patches with much evidence (across) and largest evidence (up), a dot for each image."""
    labels = prepared.labels[test]
    shown = range(min(6, len(prepared.classes)))

    def paint(k: int, make: Callable[[str], PlotPanel]) -> None:
        panel = make(f"Evidence for {prepared.classes[k]}: largest of a patch")
        values = image_statistics(saliency.for_class(mapped.maps, k), mapped.threshold)
        x, y = 100 * values["share"], values["largest"]
        room = 0.05 * (np.ptp(y) or 1.0)
        panel.scales((0.0, max(1.0, float(x.max()) * 1.05)), (float(y.min() - room), float(y.max() + room)))
        for c in range(len(prepared.classes)):
            at = labels == c
            panel.dots(x[at], y[at], style.SERIES[c % len(style.SERIES)], 3.2)
        panel.under(f"percent of patches above {style.number(mapped.threshold)}")

    colours = ("blue", "orange", "green", "dark red")
    said = "; ".join(f"{colours[c]}: true class {w}" for c, w in enumerate(prepared.classes[:4]))
    words = f"A dot is a test image ({len(test)} of them). {said}."
    return picture(f"{mapped.trained.name}: evidence by true class", words, len(shown), paint)
