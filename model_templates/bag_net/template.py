"""BagNet: classify images by local patches and show which patches decide (Ilanchezian et al., 2021, MICCAI).

The networks are those of Brendel and Bethge (2019); PyTorch is touched only while a run trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templates_engine import Curve, Head, Output, Schema, Template
from templates_engine.asking import Ask
from templates_engine.networks import missing

from . import asking
from .spec import Spec

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Problem, Result


def _words(text: str) -> Head:
    return Head(text, number=False)


HEADS = {
    "network": _words("Network"),
    "part": _words("Part"),
    "class": _words("Class"),
    "images": Head("Images", places=0),
    "subjects": Head("Subjects", places=0),
    "accuracy": Head("Accuracy", places=3),
    "accuracy_low": Head("from", places=3, about="95 % interval, bootstrap over subjects"),
    "accuracy_high": Head("to", places=3, about="95 % interval, bootstrap over subjects"),
    "binomial_low": Head("exact from", places=3, about="95 % binomial interval, each image on its own"),
    "binomial_high": Head("exact to", places=3, about="95 % binomial interval, each image on its own"),
    "auc": Head("AUC", places=3, about="Area under the ROC curve"),
    "auc_low": Head("from", places=3, about="95 % interval, bootstrap over subjects"),
    "auc_high": Head("to", places=3, about="95 % interval, bootstrap over subjects"),
    "evidence_for": _words("Evidence for"),
    "statistic": _words("Statistic"),
    "cohens_d": Head("Cohen's d", places=2),
    "d_low": Head("from", places=2, about="95 % interval, bootstrap over subjects"),
    "d_high": Head("to", places=2, about="95 % interval, bootstrap over subjects"),
    "phase": _words("Phase"),
    "epoch": Head("Epoch", places=0),
    "loss": Head("Loss"),
    "validation_loss": Head("Validation loss"),
    "validation_auc": Head("Validation AUC", places=3),
    "chosen": _words("Kept"),
    "file": _words("File"),
    "subject": _words("Subject"),
    "label": _words("True class"),
    "predicted": _words("Predicted"),
    "correct": _words("Right"),
    "spread": Head("Spread", places=3),
    "check": _words("Check"),
    "of": _words("Of"),
    "value": Head("Value", places=3),
    "low": Head("from", places=3, about="95 % interval, bootstrap over subjects"),
    "high": Head("to", places=3, about="95 % interval, bootstrap over subjects"),
    "compare": Head("To compare", places=3),
    "temperature": Head("Temperature", places=2),
    "confidence": _words("Confidence"),
    "mean_confidence": Head("Mean confidence", places=3),
    "error": Head("Error", places=3),
    "column": _words("Column"),
    "cluster": _words("Region"),
    "patches": Head("Patches", places=0),
    "commonest": _words("Commonest class"),
    "mean_evidence": Head("Mean evidence"),
    "strong": Head("Strong", places=3, about="Share of patches among the 5 % of most evidence"),
    "purity": Head("Purity", places=3),
    "set": _words("Set"),
    "reason": _words("Reason"),
}


class BagNet(Template):
    name = "BagNet"
    title = "Image classification by local patches, with a map of the evidence in each image"
    heading = "Images"
    tags = ("images", "classification")
    images = True
    queue = "gpu"
    curves = (
        Curve("loss", "Loss", "Epoch", "Training images are augmented, validation images are not."),
        Curve("auc", "Validation AUC", "Epoch"),
    )
    equation = r"""
        \mathrm{logit}\,\Pr(<<label|var>>_k = <<second>>) &= b + \frac{1}{n} \sum_{i,j} e_{kij}, \qquad
        e_{kij} = \mathbf{w}^{\top} \mathbf{x}_{kij} \\
        \mathbf{x}_{kij} &= f_{\theta}(\text{the patch of <<pixels>> pixels from row $8i$, column $8j$})"""
    outputs = (
        Output(
            "Performance",
            "accuracy and area under the ROC curve of each network in each part, with intervals",
            order=1,
            lead=1,
            heads=HEADS,
        ),
        Output("Evidence", "how much the evidence differs between the classes", order=2, heads=HEADS),
        Output(
            "Faithfulness",
            "whether the network goes by its evidence: masking, randomised weights, quality",
            heads=HEADS,
        ),
        Output("Calibration", "temperature, and confidence beside accuracy", heads=HEADS),
        Output("Subgroups", "accuracy in the test by every column with few values", heads=HEADS),
        Output("Clusters", "dense regions of the map of patches, with the share of the true class", heads=HEADS),
        Output("Training", "loss and validation of every epoch", heads=HEADS),
        Output("Predictions", "the probability of each class for every image", heads=HEADS),
        Output("Split", "images and subjects of each class in each part", heads=HEADS),
        Output("Excluded", "the images that were left out, and why", heads=HEADS),
        Output("evidence_<network>.svg", "test images with their evidence laid over them"),
        Output("mean_evidence_<network>.svg", "mean maps and mean images of the correctly classified"),
        Output("patches_<network>.svg", "the strongest patches for each class"),
        Output("evidence_statistics_<network>.svg", "share of patches with much evidence, and the largest, by class"),
        Output("embedding_<network>.svg", "t-SNE of the patches' features, coloured by their evidence"),
        Output("clusters_<network>.svg", "four patches of each dense region of that map"),
        Output("masking.svg", "the logit as patches are blacked out, by evidence and at random"),
        Output("training.svg", "loss and validation area by epoch"),
        Output("weights_<network>.safetensors", "the trained network"),
        Output("ModelCard.md", "what the network is of, how it was made, and how good it is"),
    )

    def questions(self, ask: Ask) -> Spec:
        return asking.questions(ask)

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        from templates_engine.manual import var
        from templates_engine.networks import KINDS

        second = spec.classes[1] if len(spec.classes) == 2 else "c"
        q = next((KINDS[n].q for n in spec.networks if KINDS[n].q), 33)
        return {"second": var(second), "pixels": rf"${q} \times {q}$"}

    def lacking(self) -> str:
        return missing()

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .running import run

        return run(spec, data, job)
