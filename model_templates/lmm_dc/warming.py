"""Compiling the kernels before anyone waits for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from templates_engine.sampling import streams
from templates_engine.sampling.cloning import (
    copies as cloning_copies,
    general_crossed_effects,
    glm as cloning_glm,
    normal as cloning_normal,
    predict as cloning_predict,
    priors as cloning_priors,
)
from templates_engine.sampling.glm import data as glm_data, laplace as glm_laplace, quadrature_fit as glm_fit
from templates_engine.sampling.normal import Factor, statistics
from templates_engine.sampling.sparse import classes


def warm() -> None:
    """Compile the kernels by tiny fits."""
    rng = streams(0, 1)[0]
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    codes = np.repeat(np.arange(4), 3)
    y = rng.standard_normal(12) + codes
    cells_ = np.zeros(2, dtype=np.int64)
    for z in (x[:, :1], x):
        stats = statistics(y, x, codes, z)
        target = cloning_normal.target(stats, cloning_priors.first(2), 2)
        near = cloning_normal.approximate(target, np.eye(z.shape[1]), 1.0)
        cloning_normal.run_chain(target, near, rng, cells_, burnin=1, iterations=2)
    crossed = classes(y, x, [Factor(codes, x[:, :1]), Factor(np.arange(12) % 3, x[:, :1])])
    target = cloning_normal.target(crossed, cloning_priors.first(2), 2)
    near = cloning_normal.approximate(target, [np.eye(1), np.eye(1)], 1.0)
    cloning_normal.run_chain(target, near, rng, cells_, burnin=1, iterations=2)
    ones = np.ones((2, 1, 1))
    cloning_predict.crossed_effects(target, np.zeros((2, 2)), [ones, ones], np.ones(2), rng)
    for z in (x[:, :1], x):
        data = glm_data.grouped("log", np.arange(12.0), x, codes=codes, z=z)
        general = cloning_glm.target(data, cloning_priors.first(2), 2)
        first = glm_fit.fit(glm_data.grouped("log", np.arange(12.0), x, codes=codes, z=x[:, :1]))
        start = cloning_glm.approximate(general, first.gamma, first.gamma_covariance, np.eye(data.q))
        cloning_glm.run_chain(general, start, rng, cells_, burnin=1, iterations=2)
    counts, both = np.arange(12.0), [Factor(codes, x[:, :1]), Factor(np.arange(12) % 3, x[:, :1])]
    more: dict[str, Any] = {"trials": np.ones(12), "offset": np.zeros(12)}
    begin = cloning_copies.start(glm_laplace.fit("log", counts, x, both), "log", counts, x, both, **more)
    priors = cloning_copies.priors(cloning_priors.first(2), begin.omega)
    copies = cloning_copies.target("log", counts, x, both, priors, 2, **more)
    cloning_copies.run_chain(copies, begin, rng, cells_, burnin=1, iterations=2)
    general_crossed_effects("log", counts, x, both, np.zeros((2, 2)), [ones, ones], rng, **more)
