"""Fundus-like images, SIMULATED: no photograph of any eye, and no statement about any.

An orange field with an optic disc, a macula, vessels and a black surround. The two classes agree in the size, place and
mean brightness of every structure; they differ only in a local texture whose mean is zero:

    disc    class B: six radial ripples on the rim of the disc; class A: faint concentric ones
    macula  class A: a reflex of rings; class B: a faint one

`cue` says which of the two differs; the other is drawn in the same way for both classes. effect 0: nothing differs.
Images are drawn when they are asked for, from the number in their file's name, so they take no place on the disk.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cached_property
from urllib.parse import parse_qsl, urlencode

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset, Images

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
CUES = ("disc", "macula", "both")
DISC_TEXTURE, DISC_FAINT = 0.35, 0.3  # amplitude of the ripples, share of it that the other class has
MACULA_TEXTURE, MACULA_FAINT = 0.8, 0.2
NOTE = "Simulated data: fundus-like drawings, not photographs, of two eyes of each subject; "
TITLES = {
    "file": "File, drawn when it is asked for (simulated)",
    "label": "Class (simulated)",
    "subject": "Subject (simulated)",
    "eye": "Eye (simulated)",
    "camera": "Camera, with a tone of its own, in both classes (simulated)",
}


@dataclass(frozen=True)
class Design:
    """How many subjects, how large, what differs, and the seed."""

    subjects: int = 120
    size: int = 128
    cue: str = "disc"
    effect: float = 1.0
    seed: int = 1

    def place(self) -> str:
        """The dataset's place: from it alone the images can be drawn again."""
        return "simulated:fundus?" + urlencode({f.name: getattr(self, f.name) for f in fields(self)})


@dataclass(frozen=True)
class Drawn:
    """One image and where its structures are."""

    image: Pixels  # (size, size, 3)
    disc: npt.NDArray[np.bool_]  # (size, size)
    macula: npt.NDArray[np.bool_]
    vessels: npt.NDArray[np.bool_]


def fundus_images(design: Design, name: str = "fundus") -> Dataset:
    """The image dataset: a row for each eye with file, label, subject, eye and camera. Labels are dealt at random."""
    rng = np.random.default_rng([design.seed, 0])
    letters = np.array(["A", "B"])[rng.permutation(np.arange(design.subjects) % 2)]
    cameras = np.array(["one", "two"])[rng.integers(0, 2, design.subjects)]
    subject = np.repeat(np.arange(design.subjects), 2)
    eyes = np.tile(["right", "left"], design.subjects)
    columns = {
        "file": np.array([f"s{s + 1:04d}_{eye}.png" for s, eye in zip(subject, eyes, strict=True)]),
        "label": letters[subject],
        "subject": np.array([f"s{s + 1:04d}" for s in subject]),
        "eye": eyes,
        "camera": cameras[subject],
    }
    place = design.place()
    where = {"disc": "optic disc", "macula": "macula", "both": "optic disc and the macula"}[design.cue]
    tells = f"the classes A and B differ by a fine texture on the {where} and in nothing else."
    note = NOTE + (tells if design.effect else "nothing tells the classes A and B apart.")
    images = Images(place, hashlib.sha256(place.encode()).hexdigest())
    return Dataset(name, columns, titles=TITLES, notes=(note,), images=images)


class Simulated:
    """The place of simulated images: draws each from its file's name."""

    def __init__(self, text: str):
        given = dict(parse_qsl(text.partition("?")[2]))
        kinds = {"subjects": int, "size": int, "cue": str, "effect": float, "seed": int}
        self.design = Design(**{key: kinds[key](value) for key, value in given.items() if key in kinds})

    @cached_property
    def _table(self) -> dict[str, tuple[str, str]]:
        data = fundus_images(self.design)
        return {str(f): (str(c), str(m)) for f, c, m in zip(data["file"], data["label"], data["camera"], strict=True)}

    def pixels(self, name: str) -> Pixels:
        return self.drawn(name).image

    def drawn(self, name: str) -> Drawn:
        """The image of this file with its structures. KeyError: it is none of the simulated."""
        found = re.fullmatch(r"s(\d{4,})_(right|left)\.png", name)
        if not found or name not in self._table:
            raise KeyError(name)
        label, camera = self._table[name]
        return draw(self.design, int(found[1]), found[2] == "left", label == "B", camera == "two")


def draw(design: Design, subject: int, left: bool, second: bool, other_camera: bool) -> Drawn:
    """One eye. A subject's two eyes share colour, brightness and the size of disc and macula; the left is mirrored."""
    own = np.random.default_rng([design.seed, 1, subject])
    rng = np.random.default_rng([design.seed, 2, subject, int(left)])
    n = design.size
    at = (np.arange(n) - (n - 1) / 2) / (n / 2)
    y, x = at[:, None], at[None, :]
    tone = np.array([0.82, 0.42, 0.16]) * (1 + 0.04 * own.standard_normal(3))
    if other_camera:
        tone = tone * np.array([0.94, 1.04, 1.15])
    bright = 1 + 0.08 * own.standard_normal()
    radius, tall = 0.17 + 0.015 * own.standard_normal(), 1.1 + 0.05 * own.standard_normal()
    pit, depth = 0.2 + 0.02 * own.standard_normal(), 0.35 + 0.04 * own.standard_normal()
    dx, dy = 0.48 + 0.03 * rng.standard_normal(), 0.03 * rng.standard_normal()
    mx, my = -0.06 + 0.03 * rng.standard_normal(), 0.05 + 0.03 * rng.standard_normal()

    field = (1 - 0.25 * (x**2 + y**2))[:, :, None] * tone * bright
    field += 0.02 * rng.standard_normal((n, n, 1)) + 0.01 * rng.standard_normal((n, n, 3))
    vessels = _vessels(n, dx, dy, rng)
    field *= 1 - 0.45 * vessels[:, :, None] * np.array([0.6, 1.0, 0.9])
    r_mac = np.hypot(x - mx, y - my) / pit
    field *= (1 - depth * np.exp(-(r_mac**2)))[:, :, None]
    r_disc, angle = np.hypot(x - dx, (y - dy) / tall) / radius, np.arctan2((y - dy) / tall, x - dx)
    inside = 1 / (1 + np.exp(18 * (r_disc - 1)))
    disc_colour = (
        np.array([0.70, 0.60, 0.39]) * bright
    )  # the brightest ripple stays below white, so that no mean is cut
    field += inside[:, :, None] * (disc_colour - field) * (0.85 - 0.35 * vessels[:, :, None])
    field *= 1 + _textures(design, second, rng, r_disc, angle, r_mac)[:, :, None]
    field *= (np.hypot(x, y) <= 0.97)[:, :, None]
    masks = [r_disc <= 1.5, r_mac <= 1.5, vessels > 0.5]
    image = np.rint(np.clip(field, 0, 1) * 255).astype(np.uint8)
    if left:
        image, masks = image[:, ::-1].copy(), [m[:, ::-1] for m in masks]
    return Drawn(image, *masks)


def _textures(
    design: Design, second: bool, rng: np.random.Generator, r_disc: Floats, angle: Floats, r_mac: Floats
) -> Floats:
    """(size, size) relative changes of brightness with mean zero: the only trace of the class."""
    strength, phase = rng.uniform(0.6, 1.0, 2), rng.uniform(0, 2 * np.pi)
    rim = np.exp(-0.5 * ((r_disc - 0.85) / 0.3) ** 2)
    radial, concentric = np.cos(6 * angle + phase), np.cos(2 * np.pi * 1.5 * r_disc + phase)
    rings = np.cos(2 * np.pi * 2.2 * r_mac) * np.exp(-(r_mac**2))
    on_disc = design.cue in ("disc", "both") and design.effect > 0
    on_macula = design.cue in ("macula", "both") and design.effect > 0
    disc_now = DISC_TEXTURE * DISC_FAINT * concentric
    if on_disc and second:
        disc_now = DISC_TEXTURE * design.effect * radial
    share = MACULA_FAINT
    if on_macula and not second:
        share = MACULA_FAINT + (1 - MACULA_FAINT) * design.effect
    return strength[0] * disc_now * rim + strength[1] * MACULA_TEXTURE * share * 0.8 * rings


def _vessels(n: int, dx: float, dy: float, rng: np.random.Generator) -> Floats:
    """(n, n) from 0 to 1: seven arcs that leave the optic disc."""
    from PIL import Image, ImageDraw

    scale = 4
    canvas = Image.new("L", (n * scale, n * scale))
    pen = ImageDraw.Draw(canvas)
    t = np.linspace(0, 1, 24)
    for k in range(7):
        start = (k + 0.5) / 7 * 2 * np.pi + 0.25 * rng.standard_normal()
        bend, reach = 0.9 * rng.standard_normal(), rng.uniform(0.9, 1.6)
        direction = start + bend * t
        path_x = dx + np.cumsum(np.cos(direction)) * reach / len(t)
        path_y = dy + np.cumsum(np.sin(direction)) * reach / len(t)
        points = [((px + 1) / 2 * n * scale, (py + 1) / 2 * n * scale) for px, py in zip(path_x, path_y, strict=True)]
        wide = max(1, round(rng.uniform(0.014, 0.03) * n / 2 * scale))
        pen.line(points, fill=255, width=wide, joint="curve")
    return np.asarray(canvas.resize((n, n), Image.Resampling.BOX), np.float64) / 255


SIMULATED = Design(subjects=120, size=96, cue="disc", seed=20)
OTHER_CLINIC = Design(subjects=20, size=96, cue="disc", seed=22)


def fundus_discs() -> Dataset:
    """240 images of 120 subjects whose classes differ on the optic disc."""
    return fundus_images(SIMULATED)


def fundus_clinic() -> Dataset:
    """40 images of 20 other subjects, for use as an external set."""
    return fundus_images(OTHER_CLINIC, "fundus_clinic")
