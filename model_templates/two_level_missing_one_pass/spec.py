"""The answers of 2LevelMissingOnePass, complete and frozen."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine import Term
from templates_engine.asking import McmcOptions

NORMAL, BINARY, ORDERED, UNORDERED = "Normal", "Binary", "Ordered", "Unordered"
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
    n_categories: int  # 2 for Binary, 0 for Normal
    predictors: tuple[Term, ...]


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
    correlated: bool
    keep_missing_y: bool
    impute_at: tuple[int, ...]  # iterations after the burn-in
    compare: bool  # with complete cases and multiple imputation
    mcmc: McmcOptions

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
