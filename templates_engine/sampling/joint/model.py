"""The joint imputation model as its user states it: responses, designs, priors; and whether it can be fitted.

    y*_ij = X_ij beta + u_j + e_ij,  e_ij ~ N(0, Ω1)        z*_j = W_j gamma + v_j,  (u_j, v_j) ~ N(0, Ω2)

Goldstein, Carpenter, Kenward and Levin (2009), Statistical Modelling 9(3), 173-197. Kinds of response, their latents:
    Normal      observed as it is
    Binary      1 if its latent is positive; residual variance 1 (probit)
    Ordered     codes 0..c-1 by c - 1 thresholds; variance 1. The first threshold is 0 where the design contains a
                constant; otherwise all thresholds are free
    Unordered   c - 1 latents: category k if the k-th is largest and positive, the last category if all are negative;
                their covariance fixed, by default [[1, 1/2], [1/2, 1]] (differences of independent utilities)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
KINDS = ("Normal", "Binary", "Ordered", "Unordered")
ALGORITHMS = ("conditional", "marginal")
LATENT_COVARIANCES = ("differences", "identity")


@dataclass(frozen=True)
class Response:
    """One incomplete (or complete) variable to be modelled."""

    name: str
    kind: str  # one of KINDS
    values: Array  # (n,) with NaN where missing; categories coded 0..c-1
    n_categories: int  # 2 for Binary; ignored for Normal
    designs: tuple[Array, ...]  # one (n, predictors) matrix a latent dimension
    names: tuple[tuple[str, ...], ...]  # predictor names of each design
    latent: bool = False  # Normal: the values are only near to it; who builds on the layout draws it in every row
    lower: Array | None = None  # (n,) bounds of a Normal response of level 1 where it is missing; NaN: none
    upper: Array | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if len(self.designs) != self.dimensions or len(self.names) != self.dimensions:
            raise ValueError(f"{self.name}: {self.dimensions} designs with names are needed, one a latent dimension")
        for design, names in zip(self.designs, self.names, strict=True):
            if design.shape != (self.values.size, len(names)):
                raise ValueError(f"{self.name}: a design is {design.shape}, not {(self.values.size, len(names))}")
            if not np.isfinite(design).all():
                raise ValueError(f"{self.name}: its predictors must be complete")
        seen = self.values[~np.isnan(self.values)]
        if not np.isfinite(seen).all():
            raise ValueError(f"{self.name}: an infinite value")
        if self.lower is not None or self.upper is not None:
            self._check_bounds()
        if self.kind != "Normal" and not np.isin(seen, np.arange(self.categories)).all():
            raise ValueError(f"{self.name}: categories must be coded 0 to {self.categories - 1}")

    def _check_bounds(self) -> None:
        low, high = self.bounds
        if self.kind != "Normal" or low.shape != self.values.shape or high.shape != self.values.shape:
            raise ValueError(f"{self.name}: bounds are for a Normal response, one a row")
        if not (low < high)[np.isnan(self.values)].all():
            raise ValueError(f"{self.name}: a lower bound must be below the upper one")

    @property
    def bounds(self) -> tuple[Array, Array]:
        """(n,) lower and upper bounds, infinite where there is none."""
        none = np.full(self.values.size, np.nan)
        low, high = (none if given is None else given for given in (self.lower, self.upper))
        return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)

    @property
    def bounded(self) -> npt.NDArray[np.bool_]:
        """(n,) where the value is missing and a bound is known."""
        low, high = self.bounds
        return np.isnan(self.values) & (np.isfinite(low) | np.isfinite(high))

    @property
    def categories(self) -> int:
        return {"Normal": 1, "Binary": 2}.get(self.kind, self.n_categories)

    @property
    def dimensions(self) -> int:
        """Latent dimensions: c - 1 for Unordered, otherwise 1."""
        return self.categories - 1 if self.kind == "Unordered" else 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its latent dimensions: normexam, or schgendmiss[0], schgendmiss[1]."""
        if self.kind != "Unordered":
            return (self.name,)
        return tuple(f"{self.name}[{k}]" for k in range(self.dimensions))


@dataclass(frozen=True)
class Uniform:
    """Flat on the free elements of the covariance matrix: an inverse Wishart with df = -(p + 1) and zero scale."""


@dataclass(frozen=True)
class InverseWishart:
    """For the whole matrix, conditioned on its fixed elements. Its unconditioned mean is scale / (df - p - 1)."""

    df: float
    scale: Array  # (p, p), in the users' units


@dataclass(frozen=True)
class Normal:
    """Independent Normal priors of this mean and precision, for each coefficient (or free threshold)."""

    mean: float = 0.0
    precision: float = 1.0


@dataclass(frozen=True)
class HalfT:
    """A diagonal matrix, its standard deviations with independent half-t priors (Gelman, 2006; Huang and Wand, 2013).

    The scale of a latent is `scale`; of a Normal response it is that many residual standard deviations of the response
    (from its least squares fit), so that the prior does not depend on units, unless `relative` is False.
    """

    df: float = 3.0
    scale: float = 2.5
    relative: bool = True


CovariancePrior = Uniform | InverseWishart | HalfT


@dataclass(frozen=True)
class Prior:
    """Priors of level 1 and of what all levels share; None means flat. Thresholds: that prior kept to their order."""

    level1: Uniform | InverseWishart = field(default_factory=Uniform)
    fixed: Normal | None = None
    thresholds: Normal | None = None


@dataclass(frozen=True)
class Classification:
    """One classification of the rows: its units, the responses that have one value a unit, and its covariances' prior.

    HalfT makes Ω diagonal: the effects of responses, and the classification's own responses, are independent at it.
    """

    units: npt.NDArray[np.int64]  # (n,) codes 0..J-1, rows in any order
    responses: tuple[Response, ...] = ()  # values and designs have one row a unit
    prior: CovariancePrior = field(default_factory=Uniform)
    effects: tuple[str, ...] | None = None  # names of the level 1 responses that vary between units; None: all

    def __post_init__(self) -> None:
        if not np.array_equal(np.unique(self.units), np.arange(self.n_units)):
            raise ValueError("groups must be coded 0 to J - 1, each with at least one row")
        if any(r.values.size != self.n_units for r in self.responses):
            raise ValueError("responses of a classification need one value a unit")

    @property
    def n_units(self) -> int:
        return int(self.units.max()) + 1

    @property
    def p2(self) -> int:
        """Latent dimensions of its own responses."""
        return sum(r.dimensions for r in self.responses)


@dataclass(frozen=True)
class JointModel:
    """Two levels are one classification; none is one level."""

    level1: tuple[Response, ...]
    classes: tuple[Classification, ...] = ()
    latent_covariance: str = "differences"
    prior: Prior = field(default_factory=Prior)
    algorithm: str = "conditional"  # "conditional" or "marginal": the same posterior, see joint.fixed_effects

    def __post_init__(self) -> None:
        if not self.responses:
            raise ValueError("at least one response is needed")
        if self.algorithm not in ALGORITHMS or self.latent_covariance not in LATENT_COVARIANCES:
            raise ValueError("algorithm or latent_covariance is not one of those offered")
        n = self.n_rows
        if any(r.values.size != n for r in self.level1) or any(c.units.size != n for c in self.classes):
            raise ValueError("level 1 responses and classifications must have the same number of rows")
        if any(r.lower is not None or r.upper is not None for c in self.classes for r in c.responses):
            raise ValueError("bounds are for responses of level 1")
        names = {r.name for r in self.level1}
        for c in self.classes:
            if c.effects is not None and not set(c.effects) <= names:
                raise ValueError("effects name level 1 responses")

    @property
    def n_rows(self) -> int:
        return int(self.level1[0].values.size if self.level1 else self.classes[0].units.size)

    @property
    def p1(self) -> int:
        return sum(r.dimensions for r in self.level1)

    @property
    def levels(self) -> tuple[tuple[Response, ...], ...]:
        """Responses of level 1, then those of each classification."""
        return (self.level1, *(c.responses for c in self.classes))

    @property
    def responses(self) -> tuple[Response, ...]:
        return tuple(r for level in self.levels for r in level)

    @property
    def level2(self) -> tuple[Response, ...]:
        """Responses of the first classification."""
        return self.classes[0].responses if self.classes else ()

    @property
    def groups(self) -> npt.NDArray[np.int64] | None:
        """(n,) units of the first classification; None with one level."""
        return self.classes[0].units if self.classes else None


def contains_constant(design: Array) -> bool:
    """Whether a constant is a linear combination of the design's columns."""
    if design.shape[1] == 0:
        return False
    ones = np.ones(design.shape[0])
    fit = design @ np.linalg.lstsq(design, ones, rcond=None)[0]
    return bool(np.abs(fit - 1.0).max() < 1e-8)


def parameter_names(model: JointModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(parameters, variables) of what is monitored, in the order of the sampler's columns.

    beta1imp_k, beta2imp_k, ...: by response, latent, predictor, of level 1 and of each classification. omega_u_k,
    omega_e_k: place k in the packed lower triangle (rows first); fixed elements keep their place and are not monitored.
    With several classifications omega_u1_k, omega_u2_k, ... tau_<column>_k: free thresholds, from 0.
    """
    names: list[tuple[str, str]] = []
    for level, responses in enumerate(model.levels, start=1):
        texts = [f"{label}: {x}" for r in responses for label, of in zip(r.labels, r.names, strict=True) for x in of]
        names += [(f"beta{level}imp_{k}", text) for k, text in enumerate(texts)]
    labels1 = [label for r in model.level1 for label in r.labels]
    matrices = [("e", labels1, free_elements(model, 0))]
    for c, each in enumerate(model.classes, start=1):
        own = [label for r in each.responses for label in r.labels]
        letter = "u" if len(model.classes) == 1 else f"u{c}"
        matrices.insert(c - 1, (letter, labels1 + own, free_elements(model, c)))
    for letter, labels, free in matrices:
        for a, b in free:
            what = f"var({labels[a]})" if a == b else f"cov({labels[b]}, {labels[a]})"
            names.append((f"omega_{letter}_{a * (a + 1) // 2 + b}", what))
    for response in model.responses:
        for k in free_threshold_places(response):
            names.append((f"tau_{response.name}_{k - 1}", f"{response.name}: threshold {k}"))
    return tuple(n for n, _ in names), tuple(v for _, v in names)


def free_threshold_places(response: Response) -> list[int]:
    """Which thresholds 1..c-1 of a response are free."""
    if response.kind != "Ordered":
        return []
    return list(range(2 if contains_constant(response.designs[0]) else 1, response.categories))


def fixed_blocks(model: JointModel, level: int) -> list[tuple[int, int]]:
    """(first dimension, width) of each fixed diagonal block of Ω1 (level 0) or of a classification's Ω (1, 2, ...)."""
    at = 0 if level == 0 else model.p1
    blocks = []
    for response in model.levels[level]:
        if response.kind != "Normal":
            blocks.append((at, response.dimensions))
        at += response.dimensions
    return blocks


def dimensions_within(model: JointModel, level: int) -> list[int]:
    """Dimensions of a matrix that have a variance: all, but for level 1 responses without effects at it."""
    if level == 0:
        return list(range(model.p1))
    each = model.classes[level - 1]
    names = [r.name for r in model.level1 for _ in range(r.dimensions)]
    present = [d for d, name in enumerate(names) if each.effects is None or name in each.effects]
    return present + list(range(model.p1, model.p1 + each.p2))


def free_elements(model: JointModel, level: int) -> list[tuple[int, int]]:
    """Free elements (a, b), b <= a, of Ω1 (level 0) or of a classification's Ω (1, 2, ...) in packed order."""
    within = dimensions_within(model, level)
    diagonal = level > 0 and isinstance(model.classes[level - 1].prior, HalfT)
    fixed = {
        (a, b)
        for first, width in fixed_blocks(model, level)
        for a in range(first, first + width)
        for b in range(first, a + 1)
    }
    return [(a, b) for a in within for b in within if b <= a and (a, b) not in fixed and (a == b or not diagonal)]
