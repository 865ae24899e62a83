"""Simulated data from the joint model with its prior, in plain NumPy and written apart from the sampler.

A Case names the responses, the sizes and the priors; `simulate` draws parameters from the prior, data from the
parameters, deletes cells, and returns the model to be fitted with the parameters in the sampler's order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.stats

from templates_engine.sampling.joint import InverseWishart, JointModel, Normal, Prior, Response
from templates_engine.sampling.joint.model import free_elements, free_threshold_places


@dataclass(frozen=True)
class Variable:
    kind: str
    categories: int = 2
    predictors: tuple[str, ...] = ("cons",)  # of "cons", "x" (varies within groups), "w" (constant within groups)

    @property
    def dimensions(self) -> int:
        return self.categories - 1 if self.kind == "Unordered" else 1


@dataclass(frozen=True)
class Case:
    level1: tuple[Variable, ...]
    level2: tuple[Variable, ...] = ()
    groups: int = 10  # 0: one level
    rows: int = 60
    missing: float = 0.15
    algorithm: str = "conditional"
    covariance: str = "differences"
    thresholds: Normal | None = None
    fixed: Normal = field(default_factory=lambda: Normal(0.2, 2.0))

    @property
    def p1(self) -> int:
        return sum(v.dimensions for v in self.level1)

    @property
    def p2(self) -> int:
        return sum(v.dimensions for v in self.level2)

    def prior(self) -> Prior:
        """Inverse Wishart priors with correlated scales, so that a lost off-diagonal element shows."""
        scales = []
        for p, more in ((self.p1, 4), (self.p1 + self.p2, 6)):
            signs = (-1.0) ** np.arange(p)
            scales.append(InverseWishart(p + more, more * (0.6 * np.eye(p) + 0.3 * np.outer(signs, signs))))
        return Prior(scales[0], scales[1], self.fixed, self.thresholds)


def blocks(variables: tuple[Variable, ...], first: int) -> list[tuple[int, int]]:
    out = []
    for v in variables:
        if v.kind != "Normal":
            out.append((first, v.dimensions))
        first += v.dimensions
    return out


def conditioned_inverse_wishart(
    rng: np.random.Generator, df: float, scale: np.ndarray, fixed: list[tuple[int, int]], share: float, cache: dict
) -> np.ndarray:
    """A draw from the inverse Wishart given its fixed diagonal blocks (variance 1, covariance `share`).

    Partition theorem (Eaton, 1983, chapter 8; df as in scipy.stats.invwishart): with c the fixed part, Ω_cc is inverse
    Wishart(df - q, S_cc), and independently Ω_o.c ~ inverse Wishart(df, S_o.c), B | Ω_o.c matrix Normal. The
    covariances between several fixed blocks are drawn by importance resampling from a uniform proposal: 40,000 points
    for at most three of them.
    """
    p = scale.shape[0]
    c = [i for first, width in fixed for i in range(first, first + width)]
    o = [i for i in range(p) if i not in c]
    m, q = len(c), len(o)
    Ccc = np.zeros((m, m))
    at = 0
    for _, width in fixed:
        Ccc[at : at + width, at : at + width] = share + (1 - share) * np.eye(width)
        at += width
    owner = np.repeat(np.arange(len(fixed)), [w for _, w in fixed])
    free = [(a, b) for a in range(m) for b in range(a) if owner[a] != owner[b]]
    if free:
        key = (df, scale.tobytes(), tuple(fixed), share)
        if key not in cache:
            own = np.random.default_rng(5)
            points = own.uniform(-1, 1, (40000, len(free)))
            matrices = np.repeat(Ccc[None], len(points), 0)
            for k, (a, b) in enumerate(free):
                matrices[:, a, b] = matrices[:, b, a] = points[:, k]
            matrices = matrices[np.linalg.eigvalsh(matrices).min(1) > 1e-9]
            logs = scipy.stats.invwishart(df - q, scale[np.ix_(c, c)]).logpdf(np.moveaxis(matrices, 0, -1))
            weights = np.exp(logs - logs.max())
            cache[key] = matrices, weights / weights.sum()
        matrices, weights = cache[key]
        Ccc = matrices[rng.choice(len(matrices), p=weights)]
    out = np.zeros((p, p))
    out[np.ix_(c, c)] = Ccc
    if q == 0:
        return out
    if m == 0:
        return np.atleast_2d(scipy.stats.invwishart.rvs(df, scale, random_state=rng))
    Soc, Scc = scale[np.ix_(o, c)], scale[np.ix_(c, c)]
    inv = np.linalg.inv(Scc)
    Sigma = np.atleast_2d(scipy.stats.invwishart.rvs(df, scale[np.ix_(o, o)] - Soc @ inv @ Soc.T, random_state=rng))
    B = Soc @ inv + np.linalg.cholesky(Sigma) @ rng.standard_normal((q, m)) @ np.linalg.cholesky(inv).T
    out[np.ix_(o, c)] = B @ Ccc
    out[np.ix_(c, o)] = out[np.ix_(o, c)].T
    out[np.ix_(o, o)] = Sigma + B @ Ccc @ B.T
    return out


def categories(v: Variable, latent: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Observed values from latents (rows, dimensions)."""
    if v.kind == "Normal":
        return latent[:, 0].copy()
    if v.kind == "Unordered":
        return np.where(latent.max(1) > 0, latent.argmax(1), v.dimensions).astype(float)
    return (latent[:, [0]] > cuts[None, :]).sum(1).astype(float)


def draw_cuts(rng: np.random.Generator, v: Variable, prior: Normal | None) -> np.ndarray:
    """Thresholds from independent Normals kept in order (rejection); the first is 0 with a constant."""
    if v.kind != "Ordered":
        return np.zeros(1)
    anchored = "cons" in v.predictors
    assert prior is not None
    while True:
        cuts = prior.mean + rng.standard_normal(v.categories - 1) / np.sqrt(prior.precision)
        if anchored:
            cuts[0] = 0.0
        if (np.diff(cuts) > 0).all():
            return cuts


_CACHE: dict = {}


def simulate(case: Case, rng: np.random.Generator) -> tuple[JointModel, np.ndarray]:
    """(model with data, true parameters in the order of parameter_names)."""
    prior = case.prior()
    p1, p = case.p1, case.p1 + case.p2
    J, n = max(case.groups, 1), case.rows
    share = 0.5 if case.covariance == "differences" else 0.0
    omega1 = conditioned_inverse_wishart(
        rng, prior.level1.df, prior.level1.scale, blocks(case.level1, 0), share, _CACHE
    )
    omega2 = conditioned_inverse_wishart(
        rng, prior.level2.df, prior.level2.scale, blocks(case.level2, p1), share, _CACHE
    )
    group = rng.permutation(
        np.concatenate([np.arange(J), rng.integers(0, J, n - J)])
    )  # unequal sizes, rows in any order
    w = rng.standard_normal(J)
    columns1 = {"cons": np.ones(n), "x": rng.standard_normal(n) + 1.0, "w": w[group]}
    columns2 = {"cons": np.ones(J), "w": w}
    effects = rng.multivariate_normal(np.zeros(p), omega2, J, method="cholesky")
    if not case.groups:
        effects[:] = 0.0
    e = rng.multivariate_normal(np.zeros(p1), omega1, n, method="cholesky")

    truth_beta, truth_cuts = [], []
    responses: list[list[Response]] = [[], []]
    d = 0
    for level, variables, columns, noise in (
        (0, case.level1, columns1, effects[group, :p1] + e),
        (1, case.level2, columns2, effects[:, p1:]),
    ):
        for k, v in enumerate(variables):
            X = np.column_stack([columns[x] for x in v.predictors])
            base = d - (p1 if level else 0)
            latent = np.empty((len(X), v.dimensions))
            for m in range(v.dimensions):
                beta = case.fixed.mean + rng.standard_normal(X.shape[1]) / np.sqrt(case.fixed.precision)
                truth_beta.append(beta)
                latent[:, m] = X @ beta + noise[:, base + m]
            cuts = draw_cuts(rng, v, case.thresholds)
            y = categories(v, latent, cuts)
            gone = rng.random(len(y)) < case.missing
            gone[0] = gone[1] = False
            y[gone] = np.nan
            response = Response(
                f"v{level + 1}{k}", v.kind, y, v.categories, (X,) * v.dimensions, (v.predictors,) * v.dimensions
            )
            truth_cuts += [cuts[i - 1] for i in free_threshold_places(response)]
            responses[level].append(response)
            d += v.dimensions
    model = JointModel(
        tuple(responses[0]), tuple(responses[1]), group.astype(np.int64) if case.groups else None,
        case.covariance, prior, case.algorithm,
    )  # fmt: skip
    truth = [
        *np.concatenate(truth_beta),
        *(omega2[a, b] for a, b in free_elements(model, 2)),
        *(omega1[a, b] for a, b in free_elements(model, 1)),
        *truth_cuts,
    ]
    return model, np.array(truth)
