"""Priors in the kernels' internal units."""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.joint.arrays import ClassPrior, Dims, Priors
from templates_engine.sampling.joint.designs import Whole
from templates_engine.sampling.joint.model import (
    Array,
    CovariancePrior,
    HalfT,
    InverseWishart,
    JointModel,
    Uniform,
    dimensions_within,
    fixed_blocks,
)


def shared_priors(model: JointModel, back: list[Array], coefficients: list[Array], scale: Array, dims: Dims) -> Priors:
    """Of coefficients, thresholds and Ω1. back, coefficients: by dimension, beta = coefficients + scale back theta."""
    P = int(dims.offset[-1])
    precision, linear = np.zeros((P, P)), np.zeros(P)
    if model.prior.fixed is not None:
        mean, kappa = model.prior.fixed.mean, model.prior.fixed.precision
        for d in range(scale.size):
            own = scale[d] * back[d]
            at = slice(int(dims.offset[d]), int(dims.offset[d + 1]))
            precision[at, at] = kappa * own.T @ own
            linear[at] = kappa * own.T @ (mean - coefficients[d])
    t = model.prior.thresholds
    others, fixed, block = _parts(model, 0)
    return Priors(
        precision,
        linear,
        0.0 if t is None else t.mean,
        0.0 if t is None else t.precision,
        *_covariance_prior(model.prior.level1, scale[: model.p1], np.arange(model.p1)),
        others,
        fixed,
        block,
    )


def class_prior(model: JointModel, level: int, units: Array) -> ClassPrior:
    """Of classification `level` (1, 2, ...); units (p,): of each dimension of its matrix."""
    given = model.classes[level - 1].prior
    others, fixed, block = _parts(model, level)
    within = np.array(dimensions_within(model, level), np.int64)
    spread = np.zeros(0)
    if isinstance(given, HalfT):  # in internal units a Normal response has residual sd 1
        spread = given.scale / (np.ones(units.size) if given.relative else units)
    df, matrix = _covariance_prior(given, units, within)
    return ClassPrior(df, matrix, others, fixed, block, within, spread)


def _covariance_prior(given: CovariancePrior, units: Array, within: Whole) -> tuple[float, Array]:
    """(df, scale) in internal units; within: the dimensions that the prior is about, scale being zero elsewhere."""
    scale = np.zeros((units.size, units.size))
    if isinstance(given, InverseWishart):
        scale[np.ix_(within, within)] = given.scale / np.outer(units[within], units[within])
    if isinstance(given, Uniform):
        return -(within.size + 1.0), scale
    return float(given.df), scale


def _parts(model: JointModel, level: int) -> tuple[Whole, Whole, Whole]:
    """(free dimensions, those in fixed blocks, the first dimension of the block of each of these)."""
    blocks = fixed_blocks(model, level)
    fixed = [a for first, width in blocks for a in range(first, first + width)]
    owner = [first for first, width in blocks for _ in range(width)]
    others = [a for a in dimensions_within(model, level) if a not in fixed]
    return np.array(others, np.int64), np.array(fixed, np.int64), np.array(owner, np.int64)


def start_covariance(model: JointModel, level: int, size: int) -> Array:
    """Identity among the dimensions that have a variance, with the fixed blocks as they are to stay."""
    out = np.zeros((size, size))
    for d in dimensions_within(model, level):
        out[d, d] = 1.0
    share = 0.5 if model.latent_covariance == "differences" else 0.0
    for first, width in fixed_blocks(model, level):
        out[first : first + width, first : first + width] += share * (1.0 - np.eye(width))
    return out
