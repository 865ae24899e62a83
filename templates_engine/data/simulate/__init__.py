"""The supplied datasets, each made by its own program and said to be simulated.

In: a seed. Out: Datasets. Neighbours: data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.data.simulate.fundus import (
        Design as Design,
        Drawn as Drawn,
        Simulated as Simulated,
        fundus_images as fundus_images,
    )
    from templates_engine.data.simulate.tutorial import (
        SUPPLIED as SUPPLIED,
        tutmiss as tutmiss,
        tutmiss_lev2 as tutmiss_lev2,
    )

__getattr__, __all__ = lazily(__name__, __file__)
