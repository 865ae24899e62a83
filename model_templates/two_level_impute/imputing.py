"""From answers and data to the joint model, its chains and the completed datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from templates_engine import Dataset, Draws
from templates_engine.data import design, first_in_group
from templates_engine.sampling import Live, Saved, joint, streams

from .categories import as_written, numbered
from .spec import Response, Spec

IMPUTATION_CHAINS = "imputation"
SETTLING = 100  # sweeps before iteration 1, as the original's adaptation: never counted, never shown


@dataclass(frozen=True)
class Imputed:
    """What the chains gave: draws of the imputation model, and the completed datasets in order of making."""

    draws: Draws
    sets: dict[tuple[int, int], tuple[Dataset, Dataset | None]]  # (chain, iteration): level 1, level 2


def joint_model(spec: Spec, data: Dataset) -> joint.JointModel:
    """The sampler's arrays. Level 2 responses and predictors are the first observed value in each group."""
    codes: np.ndarray | None = None
    n_groups = 0
    if spec.group is not None:
        codes, labels = data.groups(spec.group)
        n_groups = len(labels)

    def response(r: Response, level: int) -> joint.Response:
        values = data[r.name]
        parts = [design(data, terms) for terms in r.predictors]
        matrices = [part.matrix for part in parts]
        if level == 2:
            assert codes is not None
            values = first_in_group(codes, values, n_groups)
            matrices = [np.column_stack([first_in_group(codes, x, n_groups) for x in m.T]) for m in matrices]
        return joint.Response(
            r.name,
            r.kind,
            numbered(data, r, values),
            r.n_categories,
            tuple(matrices),
            tuple(part.names for part in parts),
        )

    return joint.JointModel(
        level1=tuple(response(r, 1) for r in spec.level1),
        level2=tuple(response(r, 2) for r in spec.level2),
        groups=codes,
        algorithm="conditional" if spec.conditional else "marginal",
    )


def impute(spec: Spec, data: Dataset, job: Any) -> Imputed:
    """Run the chains side by side, each with its own random stream; complete the data at the chosen iterations."""
    model = joint_model(spec, data)
    length = SETTLING + spec.imputed_at[-1]
    at = [SETTLING + iteration for iteration in spec.imputed_at]

    before: list[Saved | None] = list(job.saved(IMPUTATION_CHAINS) or [])[: spec.chains_run]
    before += [None] * (spec.chains_run - len(before))  # more datasets may need a chain that was not run before
    lives = [Live() for _ in before]

    def chain(k: int, stream: np.random.Generator) -> Any:
        return lambda progress: joint.run_chain(
            model, stream, progress.cells, length, at, "dispersed", resume=before[k], live=lives[k], shown_from=SETTLING
        )

    names, _ = joint.parameter_names(model)
    job.watch(names[-1], names, lives)
    tasks = [chain(k, stream) for k, stream in enumerate(streams(spec.seed, spec.chains_run))]
    chains: list[joint.JointChain] = job.chains(tasks, length)
    job.keep(IMPUTATION_CHAINS, [each.saved for each in chains], "numimpute", spec.n_imputed)
    return Imputed(_draws(chains), _completed(spec, data, chains))


def _draws(chains: Sequence[joint.JointChain]) -> Draws:
    """(chain, draw, parameter) without the settling sweeps; a stopped run is as long as its shortest chain."""
    shortest = min(len(chain.values) for chain in chains)
    kept = max(0, shortest - SETTLING)
    values = np.stack([chain.values[shortest - kept : shortest] for chain in chains])
    return Draws(chains[0].parameters, chains[0].variables, values)


def _completed(
    spec: Spec, data: Dataset, chains: Sequence[joint.JointChain]
) -> dict[tuple[int, int], tuple[Dataset, Dataset | None]]:
    """Completed data in the order iteration, then chain; only the missing cells differ from the original."""
    codes, n_groups = (None, 0)
    if spec.group is not None:
        codes, labels = data.groups(spec.group)
        n_groups = len(labels)
    sets: dict[tuple[int, int], tuple[Dataset, Dataset | None]] = {}
    for iteration in spec.imputed_at:
        for c, chain in enumerate(chains):
            if SETTLING + iteration not in chain.imputed:
                continue  # stopped before
            own = {r.name: r for r in spec.responses}
            level1, level2 = (
                {name: as_written(data, own[name], values) for name, values in part.items()}
                for part in chain.imputed[SETTLING + iteration]
            )
            columns = dict(level1)
            for name, values in level2.items():
                # a level 2 value goes back to all rows of its group that lack one; observed cells stay
                columns[name] = np.where(data.missing(name), values[codes], data[name])
            full = data.with_columns(columns).with_name(f"impute_datafile_chain{c}_iter{iteration}")
            upper = None
            if spec.level2 and codes is not None and spec.group is not None:
                names = [spec.group, *_constant_columns(spec)]
                upper = data.select(names).take(_first_rows(codes, n_groups)).with_columns(level2)
                upper = upper.with_name(f"impute_L2Data_chain{c}_iter{iteration}")
            sets[c, iteration] = (full, upper)
    return sets


def _constant_columns(spec: Spec) -> list[str]:
    """The level 2 predictors, each once, for the level 2 dataset."""
    names = [term.name for r in spec.level2 for terms in r.predictors for term in terms]
    return [n for n in dict.fromkeys(names) if n not in {r.name for r in spec.level2}]


def _first_rows(codes: np.ndarray, n_groups: int) -> np.ndarray:
    """(J,) the first row of each group."""
    rows = np.full(n_groups, len(codes))
    np.minimum.at(rows, codes, np.arange(len(codes)))
    return rows
