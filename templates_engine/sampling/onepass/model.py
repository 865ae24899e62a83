"""A model of interest whose covariates are incomplete, and the model of those covariates, as their user states them.

    y_i = Σ_k β_k T_k(i) + Σ_r u_{r,j} T_r(i) + e_i,   u_j ~ N(0, Ω_int),   e_i ~ N(0, σ²)      the model of interest
    (or the same as the linear predictor of a binomial, Poisson or negative binomial response)
    incomplete covariates: a joint model of latent Normals at two levels (sampling.joint), independent of u and e

A term T is a complete column times powers, or category indicators, of incomplete variables: whole powers, and
interactions of any order, across levels. Goldstein, Carpenter and Browne (2014), JRSS A 177(2), 553-564.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint import JointModel, Response, parameter_names as joint_names
from templates_engine.sampling.onepass.scales import Scale

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
    origin: int = 0  # the code of category 0, where a power of the codes is meant; they go up in steps of one
    mean: bool = False  # the mean of the variable, of level 1, over the rows of the group

    @property
    def key(self) -> str:
        """Under which name its values are given to `evaluate`."""
        return f"mean of {self.variable}" if self.mean else self.variable

    def of(self, values: Array) -> Array:
        """The factor's values where the variable has these (categories from 0)."""
        return (values + self.origin) ** self.power if self.category < 0 else (values == self.category).astype(float)


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
        if any(len({f.key for f in term.factors}) < len(term.factors) for term in self.terms):
            raise ValueError("a variable may stand in a term once, with its power")
        if any(f.origin < 0 for term in self.terms for f in term.factors):
            raise ValueError("codes begin at 0 or above")


@dataclass(frozen=True)
class Selection:
    """The probit of a level 1 variable's being missing, on complete columns and on incomplete variables."""

    variable: str
    design: Array  # (n, C) complete columns
    names: tuple[str, ...]  # of them
    incomplete: tuple[str, ...]  # level 1 responses whose values enter, as a rule the variable's own among them
    mean: Array  # (C + incomplete,) of the Normal prior of the coefficients
    precision: Array


@dataclass(frozen=True)
class OnePass:
    """Both models. correlated: whether the level 1 residuals of the covariates have a free covariance matrix.

    scales: how measurements come of their latent Normals, which are the values of the joint model's responses.
    Not missing at random: selections; shifts: what is added to a missing value's latent Normal (pattern mixture).
    """

    interest: Interest
    covariates: JointModel
    correlated: bool = True
    scales: Mapping[str, Scale] = field(default_factory=dict)
    selections: tuple[Selection, ...] = ()
    shifts: Mapping[str, float] = field(default_factory=dict)

    @property
    def units(self) -> bool:
        return self.interest.groups is not None or self.covariates.groups is not None

    @property
    def means(self) -> tuple[str, ...]:
        """The level 1 variables whose group means are in some term."""
        found = [f.variable for term in self.interest.terms for f in term.factors if f.mean]
        return tuple(dict.fromkeys(found))

    def values(self, response: Response) -> Array:
        """A response's observed values as they enter the model of interest (categories from 0)."""
        scale = self.scales.get(response.name)
        return response.values if scale is None else scale.of(response.values)

    def __post_init__(self) -> None:
        if self.interest.y.size != self.covariates.n_rows:
            raise ValueError("the response and the covariates must have the same number of rows")
        known = {r.name for r in (*self.covariates.level1, *self.covariates.level2)}
        upper = {r.name for r in self.covariates.level2}
        used = {f.variable for term in self.interest.terms for f in term.factors}
        if not used <= known:
            raise ValueError(f"no covariate model of {', '.join(sorted(used - known))}")
        lower = {r.name: r.kind for r in self.covariates.level1}
        if any(lower.get(name, "Unordered") == "Unordered" for name in self.means) or (self.means and not self.units):
            raise ValueError("a group mean is that of a level 1 variable with an order, over groups")
        entering = {name for s in self.selections for name in (s.variable, *s.incomplete)}
        if any(lower.get(name, "Unordered") == "Unordered" for name in entering):
            raise ValueError("a selection model is of level 1 variables with an order")
        if any(lower.get(r) in ("Binary", "Ordered", "Unordered") for r in self.shifts):
            raise ValueError("only a measurement can be shifted")
        if any(f.mean for k in self.interest.random for f in self.interest.terms[k].factors):
            raise ValueError("a group mean cannot have a random coefficient")
        sloped = {f.variable for k in self.interest.random for f in self.interest.terms[k].factors}
        if sloped & upper:
            raise ValueError(f"{', '.join(sorted(sloped & upper))} is of level 2 and cannot have a random coefficient")
        mine, theirs = self.interest.groups, self.covariates.groups
        if mine is not None and theirs is not None and not np.array_equal(mine, theirs):
            raise ValueError("both models must have the same groups")


def origins(interest: Interest, names: Sequence[str]) -> Whole:
    """(names,) the code of category 0 of each variable; 0 where no term says so. ValueError where they differ."""
    found = {name: {f.origin for t in interest.terms for f in t.factors if f.variable == name} for name in names}
    if any(len(codes) > 1 for codes in found.values()):
        raise ValueError("the factors of one variable have different origins")
    return np.array([next(iter(found[name]), 0) for name in names], np.int64)


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
    for s, selection in enumerate(model.selections, start=1):
        out += [(f"select{s}_{k}", name) for k, name in enumerate((*selection.names, *selection.incomplete))]
    return tuple(n for n, _ in out), tuple(v for _, v in out)


def evaluate(term: Product, values: Sequence[tuple[str, Array]]) -> Array:
    """(n,) the term where the incomplete variables have these values, one a row."""
    known = dict(values)
    out = term.column.copy()
    for factor in term.factors:
        out = out * factor.of(known[factor.key])
    return out


def with_means(model: OnePass, values: Sequence[tuple[str, Array]]) -> list[tuple[str, Array]]:
    """Full-length values by name, and the group means of those that need them (over what is there, NaN where nothing
    is), one a row. Categories from 0: the mean is that of these numbers, to which a factor's origin is added."""
    codes = model.interest.groups if model.interest.groups is not None else model.covariates.groups
    found = list(values)
    known = dict(values)
    for name in model.means:
        assert codes is not None
        there = ~np.isnan(known[name])
        with np.errstate(invalid="ignore"):
            mean = np.bincount(codes, np.where(there, known[name], 0.0)) / np.bincount(codes, there)
        found.append((f"mean of {name}", mean[codes]))
    return found
