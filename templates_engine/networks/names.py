"""The networks that can be asked for, by name. Imports no PyTorch: the questions use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """q: pixels that a cell sees, 0 where there is no local evidence. smallest: pixels a side."""

    name: str
    q: int
    smallest: int
    small: bool = False
    about: str = ""


_KINDS = (
    Kind("BagNet33", 33, 33, about="patches of 33 x 33 pixels"),
    Kind("BagNet17", 17, 17, about="patches of 17 x 17 pixels"),
    Kind("BagNet9", 9, 9, about="patches of 9 x 9 pixels"),
    Kind("InceptionV3", 0, 75, about="the whole image at once; no local evidence"),
    Kind(
        "SmallBagNet33", 33, 33, True, "patches of 33 x 33 pixels, 128,000 weights: for small images and quick trials"
    ),
    Kind("SmallBagNet17", 17, 17, True, "the same with 17 x 17 pixels"),
    Kind("SmallBagNet9", 9, 9, True, "the same with 9 x 9 pixels"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
