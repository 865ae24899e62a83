"""Images as data: where they lie, how they are read, prepared, judged and split.

In: an image dataset, which is a table with a row for each image and the place where they lie (`Dataset.images`).
Out: arrays (n, size, size, 3) of bytes, and the part (training, validation, test) of each row. Neighbours: data; Pillow
is loaded when an image is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.data.images import (
        place as place,
        preparing as preparing,
        reading as reading,
        splitting as splitting,
    )
    from templates_engine.data.images.collecting import EYES as EYES, from_folder as from_folder, from_zip as from_zip

__getattr__, __all__ = lazily(__name__, __file__)
