"""The answers of LMM/DC, frozen, and the words they are made of. Imports no numerics."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine.options import McmcOptions
from templates_engine.questions import Term
from templates_engine.sampling.mixed_questions import BINOMIAL, NORMAL, POISSON, Model

__all__ = ["BINOMIAL", "NORMAL", "POISSON", "PRIORS", "Spec"]

WEAK, FIRST, SECOND = "Weak", "Documents 1", "Documents 2"
PRIORS = (WEAK, FIRST, SECOND)
DRAWN, PLUGIN, TWICE = "Drawn", "Plug-in", "Data twice"
CONS = "cons"
MOST_CLONES = 10_000
EFFECT_VARIANCE = 1000.0  # prior variance of effects that are parameters (no smoothing)


@dataclass(frozen=True)
class Spec:
    """One model and the clone numbers it is fitted at."""

    y: tuple[str, ...]  # one response in long form, several in wide form
    group: str  # C1; "" in wide form where each row is an individual
    family: str
    link: str
    trials: str
    offset: str
    x: tuple[Term, ...]
    x2: tuple[Term, ...]
    smoothing: bool
    clones: tuple[int, ...]  # increasing
    prior: str
    tests: bool
    profile: str  # "" or a parameter
    predict: bool
    method: str  # of prediction
    truth: str
    level: float  # of all intervals, per cent
    mcmc: McmcOptions

    @property
    def wide(self) -> bool:
        return len(self.y) > 1

    @property
    def response(self) -> str:
        """The response's name in long form."""
        return self.y[0]

    @property
    def unit(self) -> str:
        """The grouping column's name in long form."""
        if self.group:
            return self.group
        taken = {t.name for t in (*self.x, *self.x2)} | {*self.y, self.trials, self.offset, self.truth}
        return next(name for name in ("row", "row_number", "row_number_") if name not in taken)

    @property
    def slopes(self) -> bool:
        """Whether the random part is more than an intercept."""
        return tuple(str(t) for t in self.x2) != (CONS,)

    @property
    def model(self) -> Model:
        """As the regression templates have it, on the long data."""
        return Model(
            self.response, self.x, self.mcmc, self.unit, self.x2 if self.slopes else (), self.family, self.link,
            self.trials or None, self.offset or None,
        )  # fmt: skip
