"""The answers of 2LevelMissingOnePass, complete and frozen."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine import Term
from templates_engine.asking import McmcOptions

NORMAL, BINARY, ORDERED, UNORDERED = "Normal", "Binary", "Ordered", "Unordered"
COUNT, SKEWED, BOUNDED = "Count", "Skewed", "Bounded"
MEASURED = (NORMAL, COUNT, SKEWED, BOUNDED)
NOT_RANDOM = NO, SELECTION, PATTERN = "No", "Selection model", "Pattern mixture"
CATEGORICAL = (BINARY, ORDERED, UNORDERED)
ROWS = "rows"  # instead of a level 2 dataset


@dataclass(frozen=True)
class Built:
    """A term that the user built: the product of whole powers of variables, or of their category indicators."""

    name: str
    factors: tuple[tuple[Term, int], ...]  # (variable, power)


@dataclass(frozen=True)
class Response:
    """One variable with a model of its own."""

    name: str
    kind: str
    n_categories: int  # 2 for Binary, 0 for measurements
    predictors: tuple[Term, ...]
    low: float = 0.0  # end of the range of a Skewed or Bounded one
    high: float = 1.0  # of a Bounded one


@dataclass(frozen=True)
class Selected:
    """A variable whose being missing is modelled by a probit."""

    name: str
    x: tuple[Term, ...]  # what it depends on beside its own value: columns, the response, other incomplete variables


@dataclass(frozen=True)
class NotRandom:
    """What is assumed of the missing values beside their being missing at random."""

    kind: str = NO
    selected: tuple[Selected, ...] = ()
    shifted: tuple[str, ...] = ()  # pattern mixture: the variables
    shifts: tuple[float, ...] = ()  # in their sds; 0 is missing at random


@dataclass(frozen=True)
class More:
    """The further choices for the missing-data model."""

    correlated: bool = True
    keep_missing_y: bool = False
    means: tuple[tuple[str, str], ...] = ()  # (a variable of level 2, the incomplete one whose group mean it is)
    not_random: NotRandom = NotRandom()


@dataclass(frozen=True)
class Spec:
    """i a row, j its group: the model of interest, then the models of the incomplete variables."""

    y: str
    family: str  # Normal, Binomial, Poisson, Negative binomial
    link: str  # identity, logit, probit, cloglog, log
    trials: str | None
    offset: str | None
    group: str | None  # of the model of interest
    built: tuple[Built, ...]
    x: tuple[Term, ...]  # columns and names of built terms
    x2: tuple[Term, ...]
    level1: tuple[Response, ...]
    upper: str | None  # the covariates' level 2 identifier
    level2_data: str  # name of the level 2 dataset, ROWS, or "" without level 2 variables
    level2: tuple[Response, ...]
    prior_interest: str
    prior_covariates: str
    residuals: bool
    more: More
    impute_at: tuple[int, ...]  # iterations after the burn-in
    compare: bool  # with complete cases and multiple imputation
    mcmc: McmcOptions
    texts: tuple[str, ...] = ()  # the chosen variables that are text

    def by_category(self, term: Term) -> bool:
        """Whether a variable enters by the indicators of its categories: asked for, or text."""
        return term.categorical or term.name in self.texts

    @property
    def responses(self) -> tuple[Response, ...]:
        return self.level1 + self.level2

    def factors(self, term: Term) -> tuple[tuple[Term, int], ...]:
        """What a chosen term is made of: (variable, power)."""
        for built in self.built:
            if built.name == term.name:
                return built.factors
        return ((term, 1),)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables behind the terms of the model of interest, each once."""
        names = [variable.name for term in (*self.x, *self.x2) for variable, _ in self.factors(term)]
        return tuple(dict.fromkeys(names))
