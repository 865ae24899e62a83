"""Covariance matrices of the joint model as correlations, level by level: from the draws of their free elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.outputs import Cell, Draws, Table
from templates_engine.sampling import joint

MOST = 4000  # draws that correlations are made of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Correlations:
    """Of one level, or one classification: draws of the correlations between its latent dimensions."""

    where: str  # "level 1", or the column of a classification
    labels: tuple[str, ...]
    values: Floats  # (draw, p, p), ones on the diagonal


def correlations(model: joint.JointModel, columns: Sequence[str], draws: Draws) -> list[Correlations]:
    """Of level 1, then of each classification (`columns`: their names); levels of one dimension are left out.

    Elements that the categories fix (a variance of 1, the block of an unordered variable) take part as they are.
    """
    flat = draws.values.reshape(-1, len(draws.parameters))
    flat = flat[:: -(-len(flat) // MOST)]
    places = {name: k for k, name in enumerate(draws.parameters)}
    labels1 = [label for r in model.level1 for label in r.labels]
    found = []
    for level in range(len(model.classes) + 1):
        own = [label for r in model.levels[level] for label in r.labels] if level else []
        names = labels1 + own
        letter = "e" if level == 0 else "u" if len(model.classes) == 1 else f"u{level}"
        omega = np.repeat(joint.start_covariance(model, level, len(names))[None], len(flat), axis=0)
        for a, b in joint.free_elements(model, level):
            omega[:, a, b] = omega[:, b, a] = flat[:, places[f"omega_{letter}_{a * (a + 1) // 2 + b}"]]
        within = joint.dimensions_within(model, level)
        if len(within) < 2:
            continue
        omega = omega[:, within][:, :, within]
        sd = np.sqrt(np.einsum("kii->ki", omega))
        rho = omega / (sd[:, :, None] * sd[:, None, :])
        where = "level 1" if level == 0 else columns[level - 1]
        found.append(Correlations(where, tuple(names[d] for d in within), rho))
    return found


def as_matrix(of: Correlations) -> Table:
    """The posterior means as a matrix; what is above the diagonal is what is below it."""
    mean = of.values.mean(axis=0)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (label, *(1.0 if a == b else float(mean[a, b]) for b in range(len(of.labels))))
        for a, label in enumerate(of.labels)
    )
    return Table(("variable", *of.labels), rows, f"Correlations, {of.where}", ("Posterior means.",))


def as_list(all_of: Sequence[Correlations]) -> Table:
    """Each pair once, with its standard deviation and 95% interval."""
    rows: list[tuple[Cell, ...]] = []
    for of in all_of:
        for a in range(len(of.labels)):
            for b in range(a):
                draws = of.values[:, a, b]
                low, high = np.quantile(draws, [0.025, 0.975])
                pair = (of.where, of.labels[b], of.labels[a])
                rows.append((*pair, float(draws.mean()), float(draws.std(ddof=1)), float(low), float(high)))
    head = ("where", "variable", "with", "mean", "sd", "lower", "upper")
    return Table(head, tuple(rows), "Correlations with 95% intervals", ("Fixed elements have a deviation of 0.",))
