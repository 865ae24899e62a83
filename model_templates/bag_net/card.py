"""The model card: what the network is of, how it was made, and how good it is (after Mitchell et al., 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from templates_engine.data.images import splitting

from .preparing import Prepared
from .spec import Spec

if TYPE_CHECKING:
    from .running import Trained


def about(
    spec: Spec, prepared: Prepared, trained: Trained, temperature: float | None, clip: float | None
) -> dict[str, Any]:
    """What the weights file says of itself: enough to use it on new images."""
    return {
        "network": trained.name,
        "classes": list(prepared.classes),
        "size": spec.prepare.size,
        "mask": spec.prepare.mask,
        "dataset": prepared.data.name,
        "dataset_sha256": prepared.data.sha256(),
        "label": spec.label,
        "temperature": temperature,
        "clip": clip,
    }


def text(spec: Spec, prepared: Prepared, parts: npt.NDArray[np.int64], found: list[Trained]) -> str:
    """The card as Markdown."""
    t, p = spec.training, spec.prepare
    lines = [
        f"# {', '.join(f.name for f in found)} on {prepared.data.name}",
        "",
        f"Tells the classes of `{spec.label}` apart: {', '.join(prepared.classes)}."
        + (f" A positive logit means {prepared.classes[1]}." if len(prepared.classes) == 2 else ""),
        "Not a medical device; it has been judged on the images named below and on no others.",
        "",
        "## Data",
        "",
        f"- Dataset {prepared.data.name}, sha256 {prepared.data.sha256()}",
        *[f"- {note}" for note in prepared.data.notes],
        f"- {len(prepared.rows):,} images of {len(np.unique(prepared.subjects)):,} "
        + ("subjects" if spec.subject else "images, each counted as a subject")
        + f"; {len(prepared.excluded):,} left out",
    ]
    for k, part in enumerate(splitting.PARTS):
        inside = parts == k
        lines.append(
            f"- {part}: {int(inside.sum()):,} images of {len(np.unique(prepared.subjects[inside])):,} subjects"
        )
    begun = ", ".join(spec.pretrained) if spec.pretrained else "fresh weights"
    lines += [
        "",
        "## Training",
        "",
        f"- Images of {p.size} x {p.size} pixels"
        + (f", circular mask of {p.mask:g} % of the radius" if p.mask else ""),
        f"- Begun from {begun}; {t.epochshead} epochs of the output layer, {t.epochsall} of all layers",
        (
            f"- {t.optimiser}, rate {t.lr:g}, momentum {t.momentum:g}, weight decay {t.weightdecay:g}, batch "
            f"{t.batch}, "
            f"augmentation {t.augment}, best of the last {t.window} epochs by validation, seed {spec.seed}"
        ),
    ]
    for f in found:
        if (e := f.fit.chosen) is not None:
            lines.append(
                f"- {f.name}: epoch {e.number} of phase {'all layers' if e.phase else 'output layer'} was kept"
            )
    lines += ["", "## Performance", "", "| network | part | n | accuracy | AUC (95 %) |", "|---|---|---|---|---|"]
    for f in found:
        for part, s in f.scores.items():
            auc = "" if s.auc is None else f"{s.auc:.3f} ({_number(s.auc_interval[0])} to {_number(s.auc_interval[1])})"
            lines.append(f"| {f.name} | {part} | {s.n} | {_number(s.accuracy)} | {auc} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
