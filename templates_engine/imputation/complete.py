"""From answers and data to the joint model, its chains and the completed datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from templates_engine.data import Dataset, design, first_in_group
from templates_engine.imputation.categories import as_written, numbered
from templates_engine.imputation.spec import (
    HALFT,
    IDENTITY,
    SHARES,
    UNIFORM,
    Bound,
    Classification,
    Imputation,
    Response,
    Spec,
)
from templates_engine.outputs import Draws
from templates_engine.sampling import Live, joint, streams

IMPUTATION_CHAINS = "imputation"
SETTLING = 100  # sweeps before iteration 1, as the original's adaptation: never counted, never shown


@dataclass(frozen=True)
class Imputed:
    """What the chains gave: draws of the imputation model, and the completed datasets in order of making."""

    draws: Draws
    sets: dict[tuple[int, int], tuple[Dataset, tuple[Dataset, ...]]]  # (chain, iteration): rows, higher levels
    model: joint.JointModel


@dataclass(frozen=True)
class _Units:
    """The units of one classification: (n,) codes and how many there are."""

    codes: np.ndarray
    count: int


def _units(spec: Imputation, data: Dataset) -> list[_Units]:
    found = []
    for each in spec.classes:
        codes, labels = data.groups(each.column)
        found.append(_Units(codes, len(labels)))
    return found


def bound(data: Dataset, given: Bound) -> np.ndarray | None:
    """(n,) a bound as numbers, NaN where there is none."""
    if given is None:
        return None
    return np.asarray(data[given], dtype=float) if isinstance(given, str) else np.full(data.n_rows, given)


def joint_model(spec: Imputation, data: Dataset) -> joint.JointModel:
    """The sampler's arrays. Responses and predictors of a classification are the first observed value in each unit."""

    def response(r: Response, units: _Units | None) -> joint.Response:
        values = data[r.name]
        parts = [design(data, terms) for terms in r.predictors]
        matrices = [part.matrix for part in parts]
        if units is not None:
            values = first_in_group(units.codes, values, units.count)
            matrices = [np.column_stack([first_in_group(units.codes, x, units.count) for x in m.T]) for m in matrices]
        return joint.Response(
            r.name,
            r.kind,
            numbered(data, r, values),
            r.n_categories,
            tuple(matrices),
            tuple(part.names for part in parts),
            lower=bound(data, r.lower),
            upper=bound(data, r.upper),
        )

    level1 = tuple(response(r, None) for r in spec.level1)
    classes = []
    for each, units in zip(spec.classes, _units(spec, data), strict=True):
        own = tuple(response(r, units) for r in each.responses)
        prior = _prior(spec, each, units.count, level1, own)
        classes.append(joint.Classification(units.codes, own, prior, each.effects))
    return joint.JointModel(
        level1=level1,
        classes=tuple(classes),
        latent_covariance="identity" if spec.unordered == IDENTITY else "differences",
        prior=_prior1(spec, level1),
        algorithm="conditional" if spec.conditional else "marginal",
    )


def _prior(
    spec: Imputation, each: Classification, count: int, level1: Sequence[joint.Response], own: Sequence[joint.Response]
) -> joint.Uniform | joint.InverseWishart | joint.HalfT:
    """Half-t where the matrix is diagonal; inverse Wishart: centred on a share of level 1's variance, and its own."""
    df, scale = each.prior.df, each.prior.scale
    if each.diagonal(spec.level1, count):
        return joint.HalfT(HALFT[0] if df is None else df, HALFT[1] if scale is None else scale)
    if each.prior.kind == UNIFORM:
        return joint.Uniform()
    varying = [r for r in level1 if each.effects is None or r.name in each.effects]
    return _wishart(df, _variances(varying, SHARES[1] if scale is None else scale) + _variances(own, 1.0))


def _variances(responses: Sequence[joint.Response], share: float) -> list[float]:
    """That share of the variance of each dimension, 1 being a latent's."""
    each = [(r, share * float(np.nanvar(r.values)) if r.kind == "Normal" else share) for r in responses]
    return [size for r, size in each for _ in range(r.dimensions)]


def _wishart(df: float | None, sizes: Sequence[float]) -> joint.InverseWishart:
    """Scale df times these variances; as few degrees of freedom as are proper where none are given."""
    given = float(len(sizes)) if df is None else df
    return joint.InverseWishart(given, given * np.diag(sizes))


def _prior1(spec: Imputation, level1: Sequence[joint.Response]) -> joint.Prior:
    given = spec.prior1
    if given.kind == UNIFORM:
        return joint.Prior()
    return joint.Prior(_wishart(given.df, _variances(level1, SHARES[0] if given.scale is None else given.scale)))


def impute(spec: Spec, data: Dataset, job: Any) -> Imputed:
    """Run the chains side by side, each with its own random stream; complete the data at the chosen iterations."""
    model = joint_model(spec, data)
    length = SETTLING + spec.imputed_at[-1]
    at = [SETTLING + iteration for iteration in spec.imputed_at]

    lives = [Live() for _ in range(spec.chains_run)]

    def chain(k: int, stream: np.random.Generator) -> Any:
        return lambda resume, progress: joint.run_chain(
            model, stream, progress.cells, length, at, "dispersed", resume=resume, live=lives[k], shown_from=SETTLING
        )

    names, _ = joint.parameter_names(model)
    job.watch(names[-1], names, lives)
    tasks = [chain(k, stream) for k, stream in enumerate(streams(spec.seed, spec.chains_run))]
    chains: list[joint.JointChain] = job.resumable(IMPUTATION_CHAINS, tasks, length)
    job.keep(IMPUTATION_CHAINS, [each.saved for each in chains], "numimpute", spec.n_imputed)
    return Imputed(_draws(chains), completed_sets(spec, data, chains, spec.imputed_at, SETTLING), model)


def _draws(chains: Sequence[joint.JointChain]) -> Draws:
    """(chain, draw, parameter) without the settling sweeps; a stopped run is as long as its shortest chain."""
    shortest = min(len(chain.values) for chain in chains)
    kept = max(0, shortest - SETTLING)
    values = np.stack([chain.values[shortest - kept : shortest] for chain in chains])
    return Draws(chains[0].parameters, chains[0].variables, values)


def completed_sets(
    spec: Imputation, data: Dataset, chains: Sequence[joint.JointChain], at: Sequence[int], settling: int = 0
) -> dict[tuple[int, int], tuple[Dataset, tuple[Dataset, ...]]]:
    """Completed data in the order iteration, then chain; only the missing cells differ from the original.

    at: the iterations, counted after `settling` sweeps.
    """
    units = _units(spec, data)
    own = {r.name: r for r in spec.responses}
    sets: dict[tuple[int, int], tuple[Dataset, tuple[Dataset, ...]]] = {}
    for iteration in at:
        for c, chain in enumerate(chains):
            if settling + iteration not in chain.imputed:
                continue  # stopped before
            levels = [
                {name: as_written(data, own[name], values) for name, values in part.items()}
                for part in chain.imputed[settling + iteration]
            ]
            columns = dict(levels[0])
            for of, part in zip(units, levels[1:], strict=False):
                for name, values in part.items():
                    # a unit's value goes back to all rows of it that lack one; observed cells stay
                    columns[name] = np.where(data.missing(name), values[of.codes], data[name])
            where = f"chain{c}_iter{iteration}"
            full = data.with_columns(columns).with_name(f"impute_datafile_{where}")
            uppers = []
            for level, (each, of) in enumerate(zip(spec.classes, units, strict=True), start=2):
                if each.responses:
                    names = [each.column, *_constant_columns(each)]
                    upper = data.select(names).take(_first_rows(of)).with_columns(levels[level - 1])
                    uppers.append(upper.with_name(f"impute_L{level}Data_{where}"))
            sets[c, iteration] = (full, tuple(uppers))
    return sets


def _constant_columns(each: Classification) -> list[str]:
    """The predictors of a classification's variables, each once, for its dataset."""
    names = [term.name for r in each.responses for terms in r.predictors for term in terms]
    return [n for n in dict.fromkeys(names) if n not in {r.name for r in each.responses}]


def _first_rows(units: _Units) -> np.ndarray:
    """(J,) the first row of each unit."""
    rows = np.full(units.count, len(units.codes))
    np.minimum.at(rows, units.codes, np.arange(len(units.codes)))
    return rows
