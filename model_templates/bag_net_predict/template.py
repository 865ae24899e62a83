"""BagNetPredict: what a network trained by BagNet says of new images, how sure it is, and where the evidence lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Head, Output, Template
from templates_engine.asking import ESTOPTIONS, Ask, seed
from templates_engine.networks import missing

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Problem, Result

FILE = "file"


@dataclass(frozen=True)
class Spec:
    images: str
    weights: str  # "run 12", a file of this machine, or "example"
    unsure: float  # below this probability the answer is "do not know"
    tta: int
    seed: int


HEADS = {
    "file": Head("File", number=False),
    "network": Head("Network", number=False),
    "predicted": Head("Predicted", number=False),
    "logit": Head("Logit"),
    "spread": Head("Spread", places=3, about="SD of the probability over augmented copies"),
    "reason": Head("Reason", number=False),
}


class BagNetPredict(Template):
    name = "BagNetPredict"
    title = "What a trained BagNet says of new images, how sure it is, and where the evidence lies"
    heading = "Images"
    tags = ("images", "classification")
    images = True
    equation = r"""
        \Pr(\text{class } c \mid \text{image}) = \mathrm{softmax}_c\left(\frac{1}{T}\Big(b_c + \frac{1}{n}
        \sum_{i,j} \mathbf{w}_c^{\top} \mathbf{x}_{ij}\Big)\right)"""
    outputs = (
        Output(
            "Predictions", "the class, its probability and its spread, for every image", order=1, lead=1, heads=HEADS
        ),
        Output("Excluded", "the images that could not be read, and why", heads=HEADS),
        Output("evidence.svg", "the surest and the least sure images with their evidence"),
    )

    def questions(self, ask: Ask) -> Spec:
        if why := missing():
            ask.notice("weights", why, code="no-torch")
        images = ask.images(
            "images",
            "Images",
            help="A dataset of images, prepared as those that the network was trained on. No labels.",
        )
        if images is not None and FILE not in images:
            ask.fault("images", f"The dataset {images.name} has lost its column {FILE}, which names the images.")
        weights = ask.text(
            "weights",
            "The trained network",
            default="example",
            help="run 12 takes the network that run 12 of BagNet has trained (run 12 BagNet33 where it trained "
            "several). "
            "Or the name of a .safetensors file that such a run has made, in a folder that may be read from. "
            "example is a "
            "small network for the simulated fundus drawings, trained by BagNet's own example.",
        )
        unsure = ask.number(
            "unsure",
            "Do not know below a probability of",
            min=0,
            max=1,
            default=0.6,
            help="An image whose most probable class is less probable than this is not told to be of any. 0 "
            "always tells.",
        )
        tta = ask.integer(
            "tta",
            "Augmented copies of each image",
            min=0,
            max=1000,
            default=8,
            help="Each image is predicted so many times more, turned a little and shifted at random; the spread of the "
            "probabilities says how much the answer hangs on how the picture was taken.",
        )
        with ask.group(ESTOPTIONS):
            number = seed(ask)
        return Spec("" if images is None else images.name, weights.strip(), unsure, tta, number)

    def lacking(self) -> str:
        return missing()

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .predicting import check

        return check(spec)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .predicting import run

        return run(spec, data, job)
