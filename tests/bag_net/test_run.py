"""Protects: a run from images to tables, pictures and weights, by the answers that scripts rely on."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "templates"))

from running import Ran, run

from templates_engine import inputs, registry
from templates_engine.data.dataset import Dataset
from templates_engine.data.images import collecting
from templates_engine.data.simulate import Design, fundus_images
from templates_engine.networks import making, training, weights
from templates_engine.problems import Refused

KEYS = """images label subject networks size pretrained quality mask split epochshead epochsall optimiser lr momentum
weightdecay batch augment window precision external qualitylist flip clip threshold tta tsne seed"""
QUICK = {
    "networks": "SmallBagNet17", "size": "64", "epochshead": "1", "epochsall": "3", "optimiser": "AdamW", "lr": "0.01",
    "augment": "Flips", "window": "2", "split": "60,20,20", "tsne": "None",
}  # fmt: skip


def example(name: str) -> dict[str, str]:
    found = next(e for e in registry.get("BagNet").examples if e.name == name)
    return dict(inputs.read(found.inputs).answers)


def drawn(subjects: int = 30, seed: int = 5, name: str = "eyes", **more: object) -> Dataset:
    return fundus_images(Design(subjects, 64, seed=seed, **more), name)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two networks on few images, with an external set, and an image that cannot be read."""
    data = drawn()
    files = data["file"].copy()
    files[3] = "gone.png"
    data = data.with_columns(file=files)
    other = drawn(8, 6, "clinic")
    answers = {
        **QUICK,
        "networks": "SmallBagNet17,SmallBagNet9",
        "external": "clinic",
        "tta": "2",
        "quality": "5",
        "tsne": "Test",
    }
    return run(
        "BagNet", data, answers, tmp_path_factory.mktemp("run"), pictures=True, others={"clinic": other, "eyes": data}
    )


def test_every_key_is_asked() -> None:
    asked = set(example("article")) | set(example("fundus"))
    assert set(KEYS.split()) <= asked


def test_the_tables_are_there_with_their_columns(ran: Ran) -> None:
    performance = ran.table("Performance")
    assert {"network", "part", "n", "accuracy", "auc", "auc_low", "auc_high"} <= set(performance.columns)
    assert set(performance["network"]) == {"SmallBagNet17", "SmallBagNet9"}
    assert list(performance["part"][:4]) == ["training", "validation", "test", "external"]
    evidence = ran.table("Evidence")
    assert {"network", "statistic", "mean_A", "mean_B", "cohens_d"} <= set(evidence.columns)
    split, excluded, predictions = (ran.table(n) for n in ("Split", "Excluded", "Predictions"))
    assert excluded["reason"].str.contains("unreadable").sum() == 1
    assert excluded["reason"].str.contains("quality").sum() == int(59 * 0.05) + int(16 * 0.05)
    used = 60 - int((excluded["set"] == "images").sum())
    assert split.loc[split["part"] != "external", "images"].sum() == used
    assert len(predictions) == 2 * (used + 16)
    assert (predictions["probability_A"] + predictions["probability_B"]).sub(1).abs().max() < 1e-9
    assert predictions.loc[predictions["part"] == "test", "spread"].notna().all()
    assert predictions.loc[predictions["part"] != "test", "spread"].isna().all()
    assert any(note.code == "rows-dropped" for note in ran.notes)


def test_accuracy_and_split_follow_from_the_predictions(ran: Ran) -> None:
    """The tables agree: accuracy counted again from the predictions, and each subject in one part."""
    predictions, performance = ran.table("Predictions"), ran.table("Performance")
    for (network, part), rows in predictions.groupby(["network", "part"]):
        stated = performance[(performance["network"] == network) & (performance["part"] == part)].iloc[0]
        assert stated["accuracy"] == pytest.approx((rows["predicted"] == rows["label"]).mean())
        assert stated["n"] == len(rows)
    inside = predictions[predictions["part"] != "external"]
    assert inside.groupby("subject")["part"].nunique().max() == 1


def test_what_is_to_be_believed_is_told(ran: Ran) -> None:
    faithfulness, calibration, subgroups, clusters = (
        ran.table(n) for n in ("Faithfulness", "Calibration", "Subgroups", "Clusters")
    )
    assert set(faithfulness["check"]) == {"masking", "randomised", "quality alone"}
    assert set(faithfulness[faithfulness["check"] == "masking"]["of"]) == {"A", "B"}
    whole = calibration[(calibration["confidence"] == "all") & (calibration["temperature"] == 1)]
    test = ran.table("Performance").query("part == 'test'").set_index("network")["accuracy"]
    assert np.allclose(whole.set_index("network")["accuracy"], test[whole["network"]])
    assert set(subgroups["column"]) >= {"eye", "camera"}
    by_eye = subgroups[subgroups["column"] == "eye"].groupby("network")["images"].sum()
    assert (by_eye == ran.table("Split").query("part == 'test'")["images"].sum()).all()
    assert {"network", "patches", "share_B", "purity"} <= set(clusters.columns)
    assert (clusters["share_B"].between(0, 1)).all()


def test_the_pictures_are_svg_with_words(ran: Ran) -> None:
    names = ["training.svg", "masking.svg"] + [
        f"{kind}_{network}.svg"
        for kind in ("evidence", "mean_evidence", "patches", "evidence_statistics", "embedding", "clusters")
        for network in ("SmallBagNet17", "SmallBagNet9")
    ]
    for name in names:
        text = (ran.folder / name).read_text()
        assert re.search(r"<desc>.+</desc>", text), name
        assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", text).replace("http://www.w3.org", ""), name


def test_the_weights_give_the_predictions_again(ran: Ran) -> None:
    """The exported file, put into a fresh network, predicts what the table says; its metadata say of what it is."""
    from templates_engine.data.images import place, preparing

    file = ran.folder / "weights_SmallBagNet17.safetensors"
    about = weights.about(file)
    assert about["classes"] == ["A", "B"]
    network = making.made(about["network"], 2)
    assert weights.load(network, weights.read(file), about["network"], file.name)
    predictions = ran.table("Predictions")
    rows = predictions[(predictions["network"] == "SmallBagNet17") & (predictions["part"] == "test")]
    source = place.opened(drawn().images.place)  # type: ignore[union-attr]
    images = np.stack([preparing.prepared(source.pixels(f), about["size"], about["mask"]) for f in rows["file"]])
    logits = training.predict(network, images, np.arange(len(images)), torch.device("cpu"))
    assert np.abs(training.probabilities(logits)[:, 1] - rows["probability_B"]).max() < 1e-6
    card = (ran.folder / "ModelCard.md").read_text()
    assert "sha256" in card


def test_the_same_answers_give_the_same_files(tmp_path: Path) -> None:
    data = drawn(12)
    for k in range(2):
        run("BagNet", data, {**QUICK, "epochsall": "1"}, tmp_path / str(k), others={"eyes": data})
    for file in ("Performance.csv", "Predictions.csv", "Evidence.csv", "weights_SmallBagNet17.safetensors"):
        assert (tmp_path / "0" / file).read_bytes() == (tmp_path / "1" / file).read_bytes()


def test_a_trained_network_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_FILES", str(tmp_path))
    data = drawn(12)
    answers = {**QUICK, "epochsall": "1", "epochshead": "0"}
    first = run("BagNet", data, answers, tmp_path / "a", others={"eyes": data})
    file = str(first.folder / "weights_SmallBagNet17.safetensors")
    second = run("BagNet", data, {**answers, "pretrained": file, "lr": "1e-7"}, tmp_path / "b", others={"eyes": data})
    a, b = first.table("Predictions"), second.table("Predictions")
    assert np.abs(a["probability_A"] - b["probability_A"]).max() < 0.2
    with pytest.raises(Refused, match=r"not of a SmallBagNet9: it differs in shape: .*conv2\.weight"):
        run(
            "BagNet",
            data,
            {**answers, "pretrained": file, "networks": "SmallBagNet9"},
            tmp_path / "c",
            others={"eyes": data},
        )
    with pytest.raises(Refused, match="STATGROVE_FILES"):
        run("BagNet", data, {**answers, "pretrained": "/etc/passwd"}, tmp_path / "d", others={"eyes": data})


class Killed(BaseException):
    pass


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second attempt trains only what is left, and gives the bytes of a run that was never killed."""
    from templates_engine.asking import walk
    from templates_engine.running import Job, Store

    data = drawn(12)
    template = registry.get("BagNet")
    answers = {**QUICK, "epochsall": "5", "tsne": "None"}
    spec = walk(template, answers, data.schema(), datasets={"eyes": data.schema()}, strict_keys=True).require()
    trained: list[int] = []
    one_epoch = training.Trainer._one_epoch

    def counted(self: training.Trainer, advance: object) -> float | None:
        trained.append(1)
        if len(trained) == 4:
            raise Killed
        return one_epoch(self, advance)  # type: ignore[arg-type]

    monkeypatch.setattr(training.Trainer, "_one_epoch", counted)

    def attempt(number: int) -> Path:
        folder = tmp_path / str(number)
        with Job(Store(folder), others={"eyes": data}, template=template, checkpoints=tmp_path / "checkpoints") as job:
            template.run(spec, data, job)
        return folder

    with pytest.raises(Killed):
        attempt(0)
    second = attempt(1)
    assert len(trained) == 4 + 3  # of six epochs three were kept
    straight = run("BagNet", data, answers, tmp_path / "straight", others={"eyes": data}).folder
    for file in ("Training.csv", "Predictions.csv", "weights_SmallBagNet17.safetensors"):
        assert (second / file).read_bytes() == (straight / file).read_bytes()


def test_three_classes_have_three_maps(tmp_path: Path) -> None:
    """Stripes across, stripes down, none: softmax, one map a class, each evidence for its own class."""
    rng = np.random.default_rng(4)
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w") as opened:
        for k in range(60):
            name, image = ("across", "down", "plain")[k % 3], rng.normal(128, 10, (40, 40, 3))
            wave = 60 * np.sin(np.arange(40) * 1.3)
            image += 0 if name == "plain" else wave[:, None, None] if name == "across" else wave[None, :, None]
            out = io.BytesIO()
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(out, "PNG")
            opened.writestr(f"{name}/p{k}.png", out.getvalue())
    data = collecting.from_zip(file, "stripes.zip")
    answers = {**QUICK, "networks": "SmallBagNet9", "size": "40", "mask": "0", "augment": "None", "epochsall": "8"}
    found = run("BagNet", data, answers, tmp_path / "run", pictures=True, others={"stripes": data})
    test = found.table("Performance").set_index("part").loc["test"]
    assert test["auc"] >= 0.95
    evidence = found.table("Evidence")
    largest = evidence[evidence["statistic"] == "share"]
    assert (largest["cohens_d"].dropna() > 0).all()
    assert {"mean_across", "mean_down", "mean_plain"} <= set(evidence.columns)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "camera", "subject": "none"}, None),
        ({"size": "12"}, "needs images of at least 17 pixels"),
        ({"networks": "SmallBagNet17,SmallBagNet17"}, "named twice"),
        ({"networks": "ResNet"}, "not of the form"),
        ({"split": "parts"}, "neither three shares"),
        ({"split": "eye"}, "the parts are training"),
        ({"pretrained": "a.pth,b.pth"}, "give one for each"),
        ({"external": "pupils"}, "not a dataset of images"),
        ({"clip": "0"}, "above 0"),
        ({"label": "subject"}, "Each class needs 6"),
    ],
)
def test_answers_that_do_not_suit_are_refused(change: dict[str, str], words: str | None, tmp_path: Path) -> None:
    data = drawn(24 if words is None else 8)
    answers = {**QUICK, "epochsall": "1", "epochshead": "0", **change}
    if words is None:
        assert run("BagNet", data, answers, tmp_path, others={"eyes": data}).result.tables
        return
    with pytest.raises(Refused, match=words):
        run("BagNet", data, answers, tmp_path, others={"eyes": data})


def test_a_leaky_given_split_and_a_single_class_are_refused(tmp_path: Path) -> None:
    data = drawn(12)
    leaky = data.with_columns(part=np.tile(["training", "test"], 12))  # the two eyes of each subject apart
    with pytest.raises(Refused, match=r"puts 12 subjects into two parts .s0001"):
        run("BagNet", leaky, {**QUICK, "split": "part"}, tmp_path, others={"eyes": leaky})
    one = data.with_columns(label=np.array(["A"] * 24))
    with pytest.raises(Refused, match="two to a hundred classes"):
        run("BagNet", one, {**QUICK, "label": "label"}, tmp_path, others={"eyes": one})
    sorted_ = data.with_columns(part=np.repeat(["train", "val", "test"], [14, 2, 8]))
    found = run("BagNet", sorted_, {**QUICK, "split": "part", "epochsall": "1"}, tmp_path, others={"eyes": sorted_})
    assert found.table("Split").groupby("part")["images"].sum()["training"] == 14
