"""Responses of one level in internal units, and latents and thresholds that agree with the observed categories."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint.arrays import BOUNDED, INTERVAL, MAXIMUM, NORMAL, Dims
from templates_engine.sampling.joint.model import Array, Response, contains_constant


def standardise(responses: tuple[Response, ...]) -> tuple[Array, Array, list[Array], Array]:
    """(y, fit, b, scale): internal values (NaN where missing or latent), X b, its coefficients, units."""
    n = responses[0].values.size if responses else 0
    dimensions = [(r, k) for r in responses for k in range(r.dimensions)]
    y = np.full((n, len(dimensions)), np.nan)
    fit = np.zeros((n, len(dimensions)))
    scale = np.ones(len(dimensions))
    coefficients: list[Array] = []
    for d, (r, k) in enumerate(dimensions):
        X = r.designs[k]
        b: Array = np.zeros(X.shape[1])
        if r.kind == "Normal":
            seen = ~np.isnan(r.values)
            if X.shape[1]:
                b = np.asarray(np.linalg.lstsq(X[seen], r.values[seen], rcond=None)[0])
            fit[:, d] = X @ b
            residual = r.values[seen] - fit[seen, d]
            # a response that its predictors fit exactly keeps its own unit
            scale[d] = float(np.sqrt(np.mean(residual**2))) or float(np.abs(r.values[seen]).max()) or 1.0
            y[:, d] = (r.values - fit[:, d]) / scale[d]
        coefficients.append(b)
    return y, fit, coefficients, scale


def codes(responses: tuple[Response, ...]) -> npt.NDArray[np.int16]:
    """Observed category of every dimension; of a Normal 0, or BOUNDED between bounds; -1 where missing or latent."""
    columns = []
    for r in responses:
        code = np.where(np.isnan(r.values) | r.latent, -1, 0 if r.kind == "Normal" else np.nan_to_num(r.values))
        if r.lower is not None or r.upper is not None:
            code[r.bounded] = BOUNDED
        columns += [code.astype(np.int16)] * r.dimensions
    n = responses[0].values.size if responses else 0
    return np.ascontiguousarray(np.array(columns, np.int16).reshape(-1, n).T)


def internal_bounds(responses: tuple[Response, ...], fit: Array, scale: Array) -> tuple[Array, Array]:
    """(n, p) lower and upper bounds in internal units; (0, p) where no response has any."""
    if all(r.lower is None and r.upper is None for r in responses):
        return np.zeros((0, fit.shape[1])), np.zeros((0, fit.shape[1]))
    low, high = np.full(fit.shape, -np.inf), np.full(fit.shape, np.inf)
    d = 0
    for r in responses:
        if r.kind == "Normal":
            for given, out in zip(r.bounds, (low, high), strict=True):
                out[:, d] = (given - fit[:, d]) / scale[d]
        d += r.dimensions
    return low, high


def fill_bounded(y: Array, coded: npt.NDArray[np.int16], dims: Dims, low: Array, high: Array) -> None:
    """A starting value between the bounds, half a residual sd from a single one."""
    for d in range(y.shape[1]):
        if dims.kind[d] == NORMAL and low.size:
            a, b = low[:, d], high[:, d]
            with np.errstate(invalid="ignore"):
                middle = np.where(np.isinf(a), b - 0.5, np.where(np.isinf(b), a + 0.5, 0.5 * (a + b)))
            y[:, d] = np.where(coded[:, d] == BOUNDED, middle, y[:, d])


def start_thresholds(responses: tuple[Response, ...], width: int) -> Array:
    """Starting thresholds (p, width): Normal quantiles of the observed shares, -inf and inf at the ends."""
    out = np.full((sum(r.dimensions for r in responses), width), np.inf)
    d = 0
    for r in responses:
        out[d : d + r.dimensions, 0] = -np.inf
        if r.kind == "Binary":
            out[d, 1] = 0.0
        if r.kind == "Ordered":
            seen = r.values[~np.isnan(r.values)].astype(np.int64)
            counts = np.bincount(seen, minlength=r.categories) + 0.5
            cuts = np.array([NormalDist().inv_cdf(x) for x in np.cumsum(counts)[:-1] / counts.sum()])
            out[d, 1 : r.categories] = cuts - (cuts[0] if contains_constant(r.designs[0]) else 0.0)
        d += r.dimensions
    return out


def fill_latents(y: Array, coded: npt.NDArray[np.int16], dims: Dims, first: int, tau: Array) -> None:
    """Put a starting value that agrees with the category into every latent, 0 into every missing cell."""
    for d in range(y.shape[1]):
        of = first + d
        code = coded[:, d]
        if dims.kind[of] == INTERVAL:
            low, high = tau[of][np.maximum(code, 0)], tau[of][np.maximum(code, 0) + 1]
            with np.errstate(invalid="ignore"):
                middle = np.where(np.isinf(low), high - 0.8, np.where(np.isinf(high), low + 0.8, 0.5 * (low + high)))
            y[:, d] = middle
        elif dims.kind[of] == MAXIMUM:
            member = of - dims.block[of]
            y[:, d] = np.where(code == member, 0.8, np.where(code == dims.width[of], -0.6, -0.4))
        y[code < 0, d] = 0.0
