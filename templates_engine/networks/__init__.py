"""Networks for images: made, trained, asked for their evidence. PyTorch is imported in this room only.

In: arrays of images (bytes) and the class of each. Out: trained networks, probabilities, evidence maps, statistics,
weights as files. Neighbours: problems alone. `KINDS` and `missing` need no PyTorch; each other name loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.networks import (
        calibration as calibration,
        embedding as embedding,
        faithful as faithful,
        loaders as loaders,
        making as making,
        saliency as saliency,
        statistics as statistics,
        training as training,
        weights as weights,
    )
    from templates_engine.networks.availability import missing as missing
    from templates_engine.networks.bagnet import STRIDE as STRIDE, BagNet as BagNet
    from templates_engine.networks.making import Device as Device, Network as Network
    from templates_engine.networks.names import KINDS as KINDS, Kind as Kind

__getattr__, __all__ = lazily(__name__, __file__)
