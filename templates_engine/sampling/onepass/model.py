"""A model of interest whose covariates are incomplete, and the model of those covariates, as their user states them.

    y_i = Σ_k β_k T_k(i) + Σ_r u_{r,j} T_r(i) + e_i,   u_j ~ N(0, Ω_int),   e_i ~ N(0, σ²)      the model of interest
    (or the same as the linear predictor of a binomial, Poisson or negative binomial response)
    incomplete covariates: a joint model of latent Normals at two levels (sampling.joint), independent of u and e

A term T is a complete column times powers, or category indicators, of incomplete variables: whole powers, and
interactions of any order, across levels. Goldstein, Carpenter and Browne (2014), JRSS A 177(2), 553-564.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint import JointModel, parameter_names as joint_names

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
MOST_POWER = 9
LINKS = ("identity", "logit", "probit", "cloglog", "log")


@dataclass(frozen=True)
class Factor:
    """One factor of a term: a whole power of an incomplete variable, or the indicator of one of its categories."""

    variable: str  # the name of a response of the joint model
    power: int = 1
    category: int = -1  # from 0: the indicator of that category

    def of(self, values: Array) -> Array:
        """The factor's values where the variable has these."""
        return values**self.power if self.category < 0 else (values == self.category).astype(float)


@dataclass(frozen=True)
class Product:
    """A term of the model of interest: a complete column times factors."""

    name: str
    column: Array  # (n,) the product of what is complete in it, ones where nothing is
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class InterestPrior:
    """β Normal (flat where the precision is 0), Ω_int inverse Wishart, σ² (or α) inverse gamma, as in sampling.normal.

    The defaults are flat on everything: df = -(q + 1), scale 0; shape -1, scale 0.
    """

    beta_mean: float = 0.0
    beta_precision: float = 0.0
    df: float | None = None
    scale: Array | None = None  # (q, q)
    shape: float = -1.0
    rate: float = 0.0


@dataclass(frozen=True)
class Interest:
    """The model of interest. y is NaN where the response is missing: such a row says nothing of this model."""

    y: Array  # (n,)
    terms: tuple[Product, ...]
    fixed: tuple[int, ...]  # terms with a coefficient, in the order of beta
    random: tuple[int, ...] = ()  # terms whose coefficient varies over the groups
    groups: Whole | None = None  # (n,) codes 0..J-1
    link: str = "identity"  # Normal; "logit", "probit", "cloglog": binomial; "log": Poisson
    negative_binomial: bool = False  # with "log": variance μ + α μ²
    trials: Array | None = None  # (n,) of a binomial response; None: ones
    offset: Array | None = None  # (n,) added to the predictor of a count
    prior: InterestPrior = field(default_factory=InterestPrior)

    def __post_init__(self) -> None:
        n = self.y.size
        if any(term.column.shape != (n,) for term in self.terms):
            raise ValueError("every term needs one value a row")
        if not all(np.isfinite(term.column).all() for term in self.terms):
            raise ValueError("the complete part of a term must be complete")
        if self.link not in LINKS or (self.negative_binomial and self.link != "log"):
            raise ValueError(f"link {self.link!r} is not one of {', '.join(LINKS)}")
        if self.random and self.groups is None:
            raise ValueError("random coefficients need groups")
        if any(not 1 <= f.power <= MOST_POWER for term in self.terms for f in term.factors):
            raise ValueError(f"powers are whole numbers from 1 to {MOST_POWER}")
        if any(len({f.variable for f in term.factors}) < len(term.factors) for term in self.terms):
            raise ValueError("a variable may stand in a term once, with its power")


@dataclass(frozen=True)
class OnePass:
    """Both models. correlated: whether the level 1 residuals of the covariates have a free covariance matrix."""

    interest: Interest
    covariates: JointModel
    correlated: bool = True

    def __post_init__(self) -> None:
        if self.interest.y.size != self.covariates.n_rows:
            raise ValueError("the response and the covariates must have the same number of rows")
        known = {r.name for r in (*self.covariates.level1, *self.covariates.level2)}
        upper = {r.name for r in self.covariates.level2}
        used = {f.variable for term in self.interest.terms for f in term.factors}
        if not used <= known:
            raise ValueError(f"no covariate model of {', '.join(sorted(used - known))}")
        sloped = {f.variable for k in self.interest.random for f in self.interest.terms[k].factors}
        if sloped & upper:
            raise ValueError(f"{', '.join(sorted(sloped & upper))} is of level 2 and cannot have a random coefficient")
        mine, theirs = self.interest.groups, self.covariates.groups
        if mine is not None and theirs is not None and not np.array_equal(mine, theirs):
            raise ValueError("both models must have the same groups")


def packed(q: int) -> list[tuple[int, int]]:
    """Rows and columns of a packed lower triangle."""
    return [(i, j) for i in range(q) for j in range(i + 1)]


def names(model: OnePass) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(parameters, variables) of a chain's columns: the model of interest's, then the covariates'."""
    interest = model.interest
    out = [(f"beta_{k}", interest.terms[t].name) for k, t in enumerate(interest.fixed)]
    labels = [interest.terms[t].name for t in interest.random]
    for at, (i, j) in enumerate(packed(len(labels))):
        out.append((f"omega_uint_{at}", f"var({labels[i]})" if i == j else f"cov({labels[j]}, {labels[i]})"))
    if interest.link == "identity":
        out.append(("sigma2", ""))
    elif interest.negative_binomial:
        out.append(("alpha", ""))
    theirs = list(zip(*joint_names(model.covariates), strict=True))
    if not model.correlated:
        theirs = [pair for pair in theirs if not (pair[0].startswith("omega_e_") and pair[1].startswith("cov("))]
    out += theirs
    return tuple(n for n, _ in out), tuple(v for _, v in out)


def evaluate(term: Product, values: Sequence[tuple[str, Array]]) -> Array:
    """(n,) the term where the incomplete variables have these values, one a row."""
    known = dict(values)
    out = term.column.copy()
    for factor in term.factors:
        out = out * factor.of(known[factor.variable])
    return out
