"""Simulated data from the joint model with its prior, in plain NumPy and written apart from the sampler.

A Case names the responses, the sizes and the priors; `simulate` draws parameters from the prior, data from the
parameters, deletes cells, and returns the model to be fitted with the parameters in the sampler's order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.stats

from templates_engine.sampling.joint import Classification, HalfT, InverseWishart, JointModel, Normal, Prior, Response
from templates_engine.sampling.joint.model import free_elements, free_threshold_places


@dataclass(frozen=True)
class Variable:
    kind: str
    categories: int = 2
    predictors: tuple[str, ...] = ("cons",)  # of "cons", "x" (varies within groups), "w" (constant within groups)
    coarse: bool = False  # Normal: of a value below 0 this alone is known, from 0 to 1 these bounds

    @property
    def dimensions(self) -> int:
        return self.categories - 1 if self.kind == "Unordered" else 1


@dataclass(frozen=True)
class Further:
    """A classification beside the first. nested: its units hold those of the first; otherwise they cross."""

    responses: tuple[Variable, ...] = ()
    units: int = 8
    nested: bool = False
    halft: HalfT | None = None
    effects: tuple[int, ...] | None = None  # which level 1 responses vary between its units


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
    further: tuple[Further, ...] = ()

    @property
    def p1(self) -> int:
        return sum(v.dimensions for v in self.level1)

    @property
    def p2(self) -> int:
        return sum(v.dimensions for v in self.level2)

    def priors(self) -> tuple[InverseWishart, InverseWishart]:
        """Inverse Wishart priors of both levels with correlated scales, so that a lost off-diagonal element shows."""
        return self.prior_of(self.p1, 4), self.prior_of(self.p1 + self.p2, 6)

    def prior_of(self, p: int, more: int) -> InverseWishart:
        signs = (-1.0) ** np.arange(p)
        return InverseWishart(p + more, more * (0.6 * np.eye(p) + 0.3 * np.outer(signs, signs)))

    def place(self, effects: tuple[int, ...] | None) -> list[int]:
        """Dimensions of the level 1 responses that vary between the units of a further classification."""
        owner = [k for k, v in enumerate(self.level1) for _ in range(v.dimensions)]
        return [d for d, k in enumerate(owner) if effects is None or k in effects]


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


def coarsened(v: Variable, y: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Bounds (n,) of a coarse variable, whose values below 1 are taken out of y; None for others."""
    if not v.coarse:
        return None, None
    low = np.where((y >= 0) & (y < 1), 0.0, np.nan)
    high = np.where(y < 0, 0.0, np.where(y < 1, 1.0, np.nan))
    y[y < 1] = np.nan
    return low, high


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
    prior1, prior2 = case.priors()
    p1, p = case.p1, case.p1 + case.p2
    J, n = max(case.groups, 1), case.rows
    share = 0.5 if case.covariance == "differences" else 0.0
    omega1 = conditioned_inverse_wishart(rng, prior1.df, prior1.scale, blocks(case.level1, 0), share, _CACHE)
    omega2 = conditioned_inverse_wishart(rng, prior2.df, prior2.scale, blocks(case.level2, p1), share, _CACHE)
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

    noise1 = effects[group, :p1] + e
    levels = [
        [case.level1, columns1, noise1],
        [case.level2, columns2, effects[:, p1:]],
    ]
    classes = [(group, prior2, None)] if case.groups else []
    matrices = [omega2] if case.groups else []
    for f in case.further:
        codes, given, matrix, own, names = _further(case, f, rng, group, share)
        noise1 += own[codes, :p1]
        x = rng.standard_normal(f.units)
        levels.append([f.responses, {"cons": np.ones(f.units), "w": x}, own[:, p1:]])
        classes.append((codes, given, names))
        matrices.append(matrix)

    truth_beta, truth_cuts = [], []
    responses: list[list[Response]] = [[] for _ in levels]
    for level, (variables, columns, noise) in enumerate(levels):
        at = 0
        for k, v in enumerate(variables):
            X = np.column_stack([columns[x] for x in v.predictors])
            latent = np.empty((len(X), v.dimensions))
            for m in range(v.dimensions):
                beta = case.fixed.mean + rng.standard_normal(X.shape[1]) / np.sqrt(case.fixed.precision)
                truth_beta.append(beta)
                latent[:, m] = X @ beta + noise[:, at + m]
            cuts = draw_cuts(rng, v, case.thresholds)
            y = categories(v, latent, cuts)
            gone = rng.random(len(y)) < case.missing
            gone[0] = gone[1] = False
            y[gone] = np.nan
            low, high = coarsened(v, y)
            shape = v.dimensions
            response = Response(
                f"v{level + 1}{k}",
                v.kind,
                y,
                v.categories,
                (X,) * shape,
                (v.predictors,) * shape,
                lower=low,
                upper=high,
            )
            truth_cuts += [cuts[i - 1] for i in free_threshold_places(response)]
            responses[level].append(response)
            at += v.dimensions
    made = tuple(
        Classification(codes.astype(np.int64), tuple(own), given, names)
        for (codes, given, names), own in zip(classes, responses[1:] if case.groups else [], strict=True)
    )
    prior = Prior(prior1, case.fixed, case.thresholds)
    model = JointModel(tuple(responses[0]), made, case.covariance, prior, case.algorithm)
    truth = [
        *np.concatenate(truth_beta),
        *(m[a, b] for level, m in enumerate(matrices, start=1) for a, b in free_elements(model, level)),
        *(omega1[a, b] for a, b in free_elements(model, 0)),
        *truth_cuts,
    ]
    return model, np.array(truth)


def _further(
    case: Case, f: Further, rng: np.random.Generator, group: np.ndarray, share: float
) -> tuple[np.ndarray, InverseWishart | HalfT, np.ndarray, np.ndarray, tuple[str, ...] | None]:
    """(codes, prior, covariance, effects with the own responses' residuals, names of what varies)."""
    p1, p2 = case.p1, sum(v.dimensions for v in f.responses)
    if f.nested:
        codes = (np.arange(case.groups) % f.units)[group]
    else:
        codes = rng.permutation(np.concatenate([np.arange(f.units), rng.integers(0, f.units, len(group) - f.units)]))
    within = [*case.place(f.effects), *range(p1, p1 + p2)]
    fixed = blocks(f.responses, len(within) - p2)
    given: InverseWishart | HalfT = case.prior_of(len(within), 6)
    if f.halft is not None:
        given = f.halft
        small = np.diag((given.scale * np.abs(rng.standard_t(given.df, len(within)))) ** 2)
        for first, width in fixed:
            at = slice(first, first + width)
            small[at, at] = share + (1 - share) * np.eye(width)
    else:
        small = conditioned_inverse_wishart(rng, given.df, given.scale, fixed, share, _CACHE)
    matrix = np.zeros((p1 + p2, p1 + p2))
    matrix[np.ix_(within, within)] = small
    own = np.zeros((f.units, p1 + p2))
    own[:, within] = rng.multivariate_normal(np.zeros(len(within)), small, f.units, method="cholesky")
    names = None if f.effects is None else tuple(f"v1{k}" for k in f.effects)
    return codes, given, matrix, own, names
