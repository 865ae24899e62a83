"""What a run of BagNet was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preparation:
    """From files to squares: side in pixels, mask in percent of the radius (0: none); exclusions and split."""

    size: int
    mask: float
    quality: float  # percent of the images of least quality that are left out
    qualitylist: str  # column that says which images are usable, "" for none
    shares: tuple[float, ...]  # training, validation, test; empty where a column gives the split
    split: str  # that column, or ""


@dataclass(frozen=True)
class Training:
    """How the networks are trained."""

    epochshead: int
    epochsall: int
    optimiser: str
    lr: float
    momentum: float
    weightdecay: float
    batch: int
    augment: str
    window: int
    precision: str


@dataclass(frozen=True)
class Evidence:
    """How the evidence is shown. clip, threshold: 0 where the validation images say them."""

    eye: str  # column whose left eyes are mirrored in mean maps, "" for none
    clip: float
    threshold: float
    tsne: str  # "None", "Test" or "Training": whose patches are embedded
    tta: int  # augmented copies that each test image is predicted from once more


@dataclass(frozen=True)
class Spec:
    images: str  # the image dataset's name
    label: str
    subject: str  # "" where each image counts as a subject
    networks: tuple[str, ...]
    pretrained: tuple[str, ...]  # a weights file for each network, or none
    external: str  # another image dataset, "" for none
    prepare: Preparation
    training: Training
    evidence: Evidence
    seed: int
    classes: tuple[str, ...]  # the words of the label, in order, as far as the schema knows them
