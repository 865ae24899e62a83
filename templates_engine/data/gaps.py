"""Which columns are missing together: the picture of a dataset's gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from templates_engine.data.dataset import Dataset


def missing_patterns(dataset: Dataset, columns: Sequence[str] | None = None) -> list[tuple[tuple[bool, ...], int]]:
    """[(which of the columns are missing, rows)], the commonest pattern first, equal ones with the fewest gaps first.

    Without `columns`, all columns of the dataset in their order.
    """
    names = list(columns) if columns is not None else list(dataset.names)
    if not names or not dataset.n_rows:
        return []
    gaps = np.stack([dataset.missing(name) for name in names], axis=1)
    packed = np.ascontiguousarray(np.packbits(gaps, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]  # one row of bits as one value to be sorted
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    found = [(tuple(bool(g) for g in gaps[i]), int(n)) for i, n in zip(first.tolist(), counts.tolist(), strict=True)]
    return sorted(found, key=lambda pattern: (-pattern[1], sum(pattern[0]), pattern[0]))
