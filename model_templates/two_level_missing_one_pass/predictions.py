"""The expected response of every row used, over states of the chains in which all covariates are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from templates_engine import Dataset
from templates_engine.sampling.glm import families
from templates_engine.sampling.onepass import Product, Snapshot, evaluate, with_means

from .building import Prepared
from .spec import Spec

SHOTS = 400  # states, over all chains
ROOM = 4e7  # numbers that their completed columns may take together
BLOCK = 4096  # rows at a time


def shots_at(spec: Spec, prepared: Prepared) -> list[int]:
    """The iterations after the burn-in whose states are kept for predictions, evenly spaced."""
    if not spec.mcmc.makepred:
        return []
    size = prepared.data.n_rows * max(len(spec.responses), 1)
    each = max(10, min(SHOTS, int(ROOM / size)) // spec.mcmc.nchains)
    step = max(1, spec.mcmc.iterations // each)
    return list(range(step, spec.mcmc.iterations + 1, step))


def with_predictions(spec: Spec, prepared: Prepared, data: Dataset, shots: Sequence[Snapshot]) -> Dataset:
    """The data with mean, sd and 95 % interval of each row's expected response, given its group's effects."""
    n = prepared.data.n_rows
    found = np.empty((4, n))
    for first in range(0, n, BLOCK):
        part = slice(first, min(first + BLOCK, n))
        value = np.stack([_expected(prepared, shot, part) for shot in shots], axis=1)
        found[0, part], found[1, part] = value.mean(axis=1), value.std(axis=1, ddof=1)
        found[2:, part] = np.quantile(value, (0.025, 0.975), axis=1)
    columns = np.full((4, data.n_rows), np.nan)
    columns[:, prepared.rows] = found
    names = ("pred", "pred_sd", "pred_lower", "pred_upper", "residual")
    taken = {name.lower() for name in data.columns}
    ends = ("", *(f"_{k}" for k in range(2, len(taken) + 3)))
    end = next(end for end in ends if not any(f"{name}{end}" in taken for name in names))
    residual = np.asarray(data[spec.y], float) - columns[0]
    added = {f"{name}{end}": value for name, value in zip(names, (*columns, residual), strict=True)}
    of = f"expected {spec.y}"
    titles = (f"{of}, posterior mean", f"{of}, posterior sd", f"{of}, 2.5 % quantile", f"{of}, 97.5 % quantile",
              f"{spec.y} less its posterior expectation")  # fmt: skip
    full = data.with_columns(added).with_name("prediction")
    return replace(full, titles={**full.titles, **dict(zip(added, titles, strict=True))})


def _expected(prepared: Prepared, shot: Snapshot, part: slice) -> np.ndarray:
    """(rows,) the mean response, or expected count, of these rows in one state."""
    interest = prepared.model.interest
    level1, level2 = shot.columns
    every = with_means(prepared.model, list(level1.items()))
    values = [(name, column[part]) for name, column in every]
    if prepared.codes is not None:
        values += [(name, column[prepared.codes[part]]) for name, column in level2.items()]
    terms = [evaluate(Product(t.name, t.column[part], t.factors), values) for t in interest.terms]
    total = sum(shot.beta[k] * terms[t] for k, t in enumerate(interest.fixed))
    for r, t in enumerate(interest.random):
        assert prepared.codes is not None
        total = total + shot.u[prepared.codes[part], r] * terms[t]
    if interest.offset is not None:
        total = total + interest.offset[part]
    if interest.link != "identity":
        with np.errstate(over="ignore"):
            total = families.mean(families.CODES[interest.link], np.asarray(total))
    return np.asarray(total if interest.trials is None else total * interest.trials[part])
