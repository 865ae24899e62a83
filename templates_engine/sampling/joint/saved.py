"""Where a chain of the joint model stands: the state of its sweep, its draws, and the cells that were imputed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint.layout import Layout
from templates_engine.sampling.joint.model import Response
from templates_engine.sampling.saving import Saved, saved

Array = npt.NDArray[np.float64]
Completed = tuple[dict[str, Array], ...]  # columns of level 1 (n,), then of each classification (J,)


def keep(
    layout: Layout, sweeps: int, generator: np.random.Generator, values: Array, imputed: dict[int, Completed]
) -> Saved:
    """Everything that the next sweep depends on; of completed columns the cells that were missing, and no others."""
    cells = {}
    for iteration, levels in imputed.items():
        for r, response, level in _responses(layout):
            cells[f"imputed-{iteration}-{r}"] = levels[level][response.name][np.isnan(response.values)]
    return saved(sweeps, generator, values=values, **_state(layout), **cells)


def restore(layout: Layout, before: Saved) -> dict[int, Completed]:
    """Put the layout where the chain stood; the completed columns that were kept until then, by iteration."""
    for name, array in _state(layout).items():
        rows = before.arrays[name]
        if rows.shape != array.shape:
            raise ValueError(f"{name}: {rows.shape} was saved, {array.shape} is wanted")
        array[...] = rows
    iterations = sorted({int(name.split("-")[1]) for name in before.arrays if name.startswith("imputed-")})
    imputed: dict[int, Completed] = {}
    for iteration in iterations:
        levels: Completed = tuple({} for _ in layout.model.levels)
        for r, response, level in _responses(layout):
            column = response.values.copy()
            column[np.isnan(column)] = before.arrays[f"imputed-{iteration}-{r}"]
            levels[level][response.name] = column
        imputed[iteration] = levels
    return imputed


def _responses(layout: Layout) -> list[tuple[int, Response, int]]:
    """(number, response, level: 0 for level 1, then the classifications)."""
    each = [(response, level) for level, responses in enumerate(layout.model.levels) for response in responses]
    return [(number, response, level) for number, (response, level) in enumerate(each)]


def _state(layout: Layout) -> dict[str, npt.NDArray[np.float64]]:
    """The arrays that a sweep changes, by name; those of classifications with their number."""
    found = {"y": layout.rows.y}
    for part in (layout.state, layout.sums):
        found |= {f"{type(part).__name__}.{name}": array for name, array in part._asdict().items()}
    for k, c in enumerate(layout.classes, start=1):
        for own in (c.effects, c.sums, c.basis):
            found |= {f"{type(own).__name__}{k}.{name}": array for name, array in own._asdict().items()}
    return found
