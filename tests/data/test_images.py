"""Protects: a zip or a folder becomes an image dataset, hostile ones are refused, and a split never leaks."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from templates_engine.data import folders
from templates_engine.data.dataset import Dataset
from templates_engine.data.images import collecting, place, preparing, reading, splitting
from templates_engine.data.simulate import Design, Simulated, fundus_images
from templates_engine.problems import Refused


def picture(seed: int = 1, mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (30, 20)) -> bytes:
    rng = np.random.default_rng(seed)
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    deep = mode == "I;16"
    values: Any = rng.integers(0, 65536, shape).astype(np.uint16) if deep else rng.integers(0, 256, shape, np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind)
    return out.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def test_folders_of_classes_become_labels(tmp_path: Path) -> None:
    members = {f"set/{c}/{s}_{eye}.jpeg": picture(s) for c in "ab" for s in (1, 2) for eye in ("left", "right")}
    data = collecting.from_zip(zipped(tmp_path / "x.zip", members), "eyes.zip")
    assert data.name == "eyes"
    assert sorted(set(data["label"].tolist())) == ["a", "b"]
    assert sorted(set(data["subject"].tolist())) == ["1", "2"]
    assert sorted(set(data["eye"].tolist())) == ["left", "right"]
    assert data.images is not None
    source = place.opened(data.images.place)
    assert source.pixels(str(data["file"][0])).shape == (20, 30, 3)
    data.save(tmp_path / "kept.npz")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in ("kept.npz", "x.zip"):  # the data folder may be another one on the next machine
        os.rename(tmp_path / file, moved / file)
    again = Dataset.load(moved / "kept.npz")
    assert again.sha256() == data.sha256()
    assert again.schema().images
    assert again.images is not None
    assert place.opened(again.images.place).pixels(str(again["file"][0])).shape == (20, 30, 3)


def test_folders_of_parts_become_a_split(tmp_path: Path) -> None:
    members = {f"{part}/{c}/{k}.png": picture(k) for part in ("train", "val", "test") for c in "ab" for k in (1, 2)}
    data = collecting.from_zip(zipped(tmp_path / "x.zip", members), "x.zip")
    assert sorted(set(data["split"].tolist())) == ["test", "train", "val"]
    assert sorted(set(data["label"].tolist())) == ["a", "b"]


def test_a_table_beside_the_images_names_them(tmp_path: Path) -> None:
    """By their names with or without folder and ending; rows without an image are left out and told."""
    table = b"image,sex,patient\nimages\\p1.png,f,1\np2,m,2\np3.png,m,3\ngone.png,f,4\n"
    members = {"images/p1.png": picture(1), "images/p2.png": picture(2), "images/p3.png": picture(3), "m.csv": table}
    data = collecting.from_zip(zipped(tmp_path / "x.zip", members), "x.zip")
    assert data["file"].tolist() == ["images/p1.png", "images/p2.png", "images/p3.png"]
    assert data["sex"].tolist() == ["f", "m", "m"]
    assert any("gone.png" in note for note in data.notes)
    for name, content in members.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    by_folder = collecting.from_folder(tmp_path / "folder")
    assert by_folder["file"].tolist() == data["file"].tolist()
    assert by_folder.images is not None
    whole = place.opened(by_folder.images.place).pixels("images/p1.png")
    assert np.array_equal(whole, np.asarray(Image.open(io.BytesIO(picture(1)))))


def bomb(path: Path, claimed: int) -> Path:
    """A zip whose member says that it unpacks to `claimed` bytes, in the headers alone."""
    content = bytearray(zipped(path, {"a/x.png": b"\0" * 100_000}).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.find(mark)
        content[at + offset : at + offset + 4] = struct.pack("<I", claimed)
    path.write_bytes(content)
    return path


def test_hostile_zips_are_refused(tmp_path: Path) -> None:
    def refused(file: Path, code: str) -> None:
        with pytest.raises(Refused) as caught:
            collecting.from_zip(file, "x.zip")
        assert caught.value.problems[0].code == code

    for name in ("../a.png", "/etc/a.png", "a/../../b.png", "c:/a.png", "..\\a.png"):
        refused(zipped(tmp_path / "x.zip", {name: picture()}), "path-escapes")
    refused(bomb(tmp_path / "x.zip", 2_000_000_000), "zip-bomb")
    refused(zipped(tmp_path / "x.zip", {"a/x.png": b"\0" * 60_000_000}), "zip-bomb")
    refused(zipped(tmp_path / "x.zip", {"readme.md": b"no"}), "no-images")
    refused(zipped(tmp_path / "x.zip", {"x.png": picture(), "a/y.png": picture()}), "no-classes")
    escaping = {"a.png": picture(), "m.csv": b"file,label\n../a.png,x\na.png,y\n"}
    refused(zipped(tmp_path / "x.zip", escaping), "path-escapes")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 damaged")
    refused(tmp_path / "x.zip", "damaged-file")


def test_a_link_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(Refused, match="leads out of the folder"):
        collecting.from_folder(tmp_path / "set")
    with pytest.raises(reading.Unreadable, match="leads out"):
        place.Folder(tmp_path / "set").pixels("../secret.png")


def test_only_named_folders_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(folders.SETTING, str(tmp_path / "shared"))
    assert folders.allowed(str(tmp_path / "shared" / "x"), "folder") == tmp_path / "shared" / "x"
    assert folders.allowed("w.pth", "pretrained") == tmp_path / "data" / "files" / "w.pth"
    for outside in ("/etc/passwd", str(tmp_path / "shared" / ".." / "x"), "../../x", "~/x"):
        with pytest.raises(Refused, match="STATGROVE_FILES"):
            folders.allowed(outside, "folder")


def test_formats_give_bytes_in_three_channels() -> None:
    for kind in ("PNG", "JPEG", "TIFF"):
        assert reading.decoded(picture(kind=kind), "x").shape == (20, 30, 3)
    grey = reading.decoded(picture(mode="L"), "x")
    assert (grey[:, :, 0] == grey[:, :, 2]).all()
    for kind in ("PNG", "TIFF"):
        deep = reading.decoded(picture(3, "I;16", kind), "x")
        expected = np.random.default_rng(3).integers(0, 65536, (20, 30)) / 257  # 65,535 is white
        assert np.abs(deep[:, :, 0] - expected).max() <= 0.5 + 1e-9
    twelve = np.array([[0, 4095], [2048, 1024]], np.uint16)  # a camera of 12 bit
    out = io.BytesIO()
    Image.fromarray(twelve).save(out, "PNG")
    assert reading.decoded(out.getvalue(), "x")[:, :, 0].tolist() == [[0, 255], [128, 64]]
    seen = np.zeros((2, 2, 4), np.uint8)
    seen[0] = (200, 100, 50, 255)  # the second row is transparent
    out = io.BytesIO()
    Image.fromarray(seen).save(out, "PNG")
    assert reading.decoded(out.getvalue(), "x").tolist() == [[[200, 100, 50]] * 2, [[0, 0, 0]] * 2]


def test_what_is_no_image_says_so() -> None:
    good = picture(kind="JPEG", size=(300, 300))
    for content in (b"", b"no image", picture()[:60], good[:200]):
        with pytest.raises(reading.Unreadable):
            reading.decoded(content, "x.png")
    bomb_ = bytearray(picture())
    bomb_[16:24] = struct.pack(">II", 60_000, 60_000)
    with pytest.raises(reading.Unreadable):
        reading.decoded(bytes(bomb_), "x.png")


def test_the_mask_is_round_and_the_margin_goes() -> None:
    image = np.zeros((100, 160, 3), np.uint8)
    image[10:90, 40:120] = 200
    square = preparing.prepared(image, 80, 95)
    assert square.shape == (80, 80, 3)
    assert (square[preparing.disc(80, 95)] == 200).all()
    assert (square[~preparing.disc(80, 95)] == 0).all()
    share = preparing.disc(400, 95).mean()
    assert share == pytest.approx(np.pi / 4 * 0.95**2, abs=2e-3)
    plain = preparing.prepared(image, 80, 0)  # neither cropped nor masked
    assert plain[0, 0, 0] == 0
    assert plain[40, 40, 0] == 200


def test_quality_ranks_blurred_burnt_and_flat_images_low() -> None:
    """Each fault is the worst of its own measure, an image with all of them the worst of all."""
    design = Design(8, 96, seed=3)
    sharp = [Simulated(design.place().partition(":")[2]).pixels(str(f)) for f in fundus_images(design)["file"]]

    def blurred(image: Any) -> Any:
        return np.asarray(Image.fromarray(image).resize((12, 12)).resize((96, 96)))

    burnt = np.clip(sharp[1].astype(int) * 3, 0, 255).astype(np.uint8)
    flat = np.where(sharp[2] > 0, 90, 0).astype(np.uint8)
    half = sharp[3] * (np.arange(96) < 40)[None, :, None]
    faulty = [blurred(sharp[0]), flat, burnt, half.astype(np.uint8)]
    measures = np.array([preparing.quality(i) for i in [*sharp, *faulty]])
    n = len(sharp)
    for measure, fault in (("sharpness", 0), ("contrast", 1), ("exposed", 2), ("field", 3), ("evenness", 3)):
        column = measures[:, preparing.MEASURES.index(measure)]
        others = np.delete(column, [n + k for k in range(4)])
        assert column[n + fault] < others.min(), measure
    bad = preparing.quality(np.where(half > 0, 255, 0).astype(np.uint8))
    assert preparing.combined(np.vstack([measures[:n], bad])).argmin() == n
    assert (preparing.quality(np.zeros((9, 9, 3), np.uint8)) == 0).all()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_leaky_split_is_impossible(data: st.DataObject) -> None:
    """Whatever the subjects, labels, shares and seed, no subject is in two parts, and each label's shares are kept."""
    n = data.draw(st.integers(1, 60))
    subjects = np.array(data.draw(st.lists(st.integers(0, 25), min_size=n, max_size=n)))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    shares = data.draw(st.tuples(*[st.integers(1, 90)] * 3))
    parts = splitting.by_subject(subjects, labels, shares, data.draw(st.integers(0, 99)))
    assert splitting.leaking(parts, subjects) == []
    for s in np.unique(subjects):
        assert len(set(parts[subjects == s].tolist())) == 1


def test_shares_are_kept_within_each_class() -> None:
    rng = np.random.default_rng(7)
    labels = (rng.random(1000) < 0.3).astype(int)
    subjects = np.repeat(np.arange(1000), 2)
    parts = splitting.by_subject(subjects, np.repeat(labels, 2), (75, 10, 15), 1)
    for c in (0, 1):
        found = np.bincount(parts[::2][labels == c], minlength=3) / (labels == c).sum()
        assert np.abs(found - [0.75, 0.1, 0.15]).max() < 0.005
    assert (splitting.by_subject(subjects, np.repeat(labels, 2), (75, 10, 15), 1) == parts).all()
    assert (splitting.by_subject(subjects, np.repeat(labels, 2), (75, 10, 15), 2) != parts).any()
    assert splitting.apportioned(4, (75, 10, 15)).tolist() == [2, 1, 1]


def test_a_given_split_that_leaks_is_refused() -> None:
    words = ["train", "val", "test", "train"]
    subjects = np.array([0, 1, 2, 0])
    assert splitting.given(words, subjects, "abc", "split").tolist() == [0, 1, 2, 0]
    with pytest.raises(Refused, match=r"1 subject into two parts \(a\)"):
        splitting.given(["train", "val", "test", "test"], subjects, "abc", "split")
    with pytest.raises(Refused, match="says 'holdout' in row 2"):
        splitting.given(["train", "holdout", "test", "train"], subjects, "abc", "split")


def test_simulated_images_differ_between_classes_by_texture_alone() -> None:
    """The mean brightness of the whole image and of the disc does not tell the classes apart: over 100 subjects the
    standardised difference has SD 0.2 where there is none; beyond 0.8 (4 SD) something else differs. And the texture
    does: the variance inside the disc."""
    design = Design(100, 96, "disc", 1.0, 9)
    data, drawn = fundus_images(design), Simulated(design.place().partition(":")[2])
    images = [drawn.drawn(str(f)) for f in data["file"][::2]]
    second = data["label"][::2] == "B"

    def d(values: list[float]) -> float:
        v = np.array(values)
        return float((v[second].mean() - v[~second].mean()) / np.sqrt((v[second].var() + v[~second].var()) / 2))

    grey = [i.image.mean(axis=2) for i in images]
    assert abs(d([g.mean() for g in grey])) < 0.8
    assert abs(d([g[i.disc].mean() for g, i in zip(grey, images, strict=True)])) < 0.8
    assert abs(d([g[i.macula].mean() for g, i in zip(grey, images, strict=True)])) < 0.8
    assert abs(d([float(i.disc.sum()) for i in images])) < 0.8
    inner = [g[i.disc].std() for g, i in zip(grey, images, strict=True)]
    assert d([float(v) for v in inner]) > 0.8
    assert (drawn.pixels("s0001_left.png") == drawn.pixels("s0001_left.png")).all()
    with pytest.raises(KeyError):
        drawn.pixels("s9999_left.png")
    with pytest.raises(reading.Unreadable):
        place.opened(design.place()).pixels("s9999_left.png")
