"""Independent random streams, one a chain, from one seed."""

from __future__ import annotations

import numpy as np


def streams(seed: int, n: int) -> list[np.random.Generator]:
    """`n` independent generators: stream k depends on the seed and on k only, never on n or on the machine."""
    children = np.random.SeedSequence(seed).spawn(n)
    return [np.random.Generator(np.random.PCG64DXSM(child)) for child in children]
