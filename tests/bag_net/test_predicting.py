"""Protects: a trained network is used on new images as it was trained, and says when it does not know."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "templates"))

from running import Ran, run
from test_run import QUICK, drawn

from templates_engine.problems import Refused


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def trained(home: Path) -> Ran:
    """A run whose results lie where those of run 7 do; with an external set, which its own table predicts."""
    data, other = drawn(16), drawn(6, 9, "clinic")
    answers = {**QUICK, "external": "clinic", "networks": "SmallBagNet17,SmallBagNet9"}
    return run("BagNet", data, answers, home / "runs" / "7" / "0", others={"eyes": data, "clinic": other})


@pytest.fixture(autouse=True)
def _data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_DATA", str(home))


def predict(tmp_path: Path, **answers: str) -> Ran:
    new = drawn(6, 9, "clinic").select(["file"])  # no labels
    return run("BagNetPredict", new, answers, tmp_path, pictures=True, others={"clinic": new})


def test_new_images_get_what_the_training_run_said_of_them(trained: Ran, tmp_path: Path) -> None:
    found = predict(tmp_path, weights="run 7 SmallBagNet17", unsure="0", tta="3").table("Predictions")
    stated = trained.table("Predictions").query("part == 'external' and network == 'SmallBagNet17'")
    column = "scaled_B" if stated["scaled_B"].notna().all() else "probability_B"
    assert found["file"].tolist() == stated["file"].tolist()
    assert np.abs(found["probability_B"].to_numpy() - stated[column].to_numpy()).max() < 1e-6
    assert found["predicted"].tolist() == stated["predicted"].tolist()
    assert (found["spread"] > 0).all()
    assert "<image" in (tmp_path / "evidence.svg").read_text()


def test_it_says_when_it_does_not_know(trained: Ran, tmp_path: Path) -> None:
    found = predict(tmp_path, weights="run 7 SmallBagNet17", unsure="1", tta="0").table("Predictions")
    sure = found[["probability_A", "probability_B"]].max(axis=1) >= 1
    assert (found["predicted"] == "do not know").equals(~sure)
    assert found["spread"].isna().all()


def test_the_supplied_network_knows_the_supplied_drawings(tmp_path: Path) -> None:
    """The shipped example, by its own answers: all forty drawings of other subjects are told right."""
    from templates_engine import inputs, registry
    from templates_engine.data.simulate import SUPPLIED

    example = registry.get("BagNetPredict").examples[0]
    data = SUPPLIED["fundus_clinic"]()
    found = run("BagNetPredict", data, dict(inputs.read(example.inputs).answers), tmp_path, others={data.name: data})
    assert (found.table("Predictions")["predicted"].to_numpy() == data["label"]).mean() >= 0.95


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("run 7", "several networks .SmallBagNet17, SmallBagNet9."),
        ("run 8", "Run 8 has trained no network"),
        ("run 7 BagNet33", "no network BagNet33"),
        ("gone.safetensors", "no weights file"),
        ("/etc/passwd", "STATGROVE_FILES"),
    ],
)
def test_other_weights_are_refused(trained: Ran, tmp_path: Path, weights: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        predict(tmp_path, weights=weights)
