"""The answers of LMM/DC, frozen, and the words they are made of. Imports no numerics."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine import Term
from templates_engine.asking import McmcOptions
from templates_engine.regression import BINOMIAL, NORMAL, POISSON, Model, NModel

__all__ = ["BINOMIAL", "NORMAL", "POISSON", "PRIORS", "Spec"]

WEAK, FIRST, SECOND = "Weak", "Documents 1", "Documents 2"
PRIORS = (WEAK, FIRST, SECOND)
DRAWN, PLUGIN, TWICE = "Drawn", "Plug-in", "Data twice"
CONS = "cons"
MOST_CLONES = 10_000
MOST_CLASSES = 6
MOST_COPIED, MANY_COPIED = 1_000_000, 50_000  # rows of the copies that are written out
EFFECT_VARIANCE = 1000.0  # prior variance of effects that are parameters (no smoothing)


@dataclass(frozen=True)
class Spec:
    """One model and the clone numbers it is fitted at."""

    y: tuple[str, ...]  # one response in long form, several in wide form
    classes: tuple[str, ...]  # C1, C2, …; C1 is "" in wide form where each row is an individual
    family: str
    link: str
    trials: str
    offset: str
    x: tuple[Term, ...]
    random: tuple[tuple[Term, ...], ...]  # x2_1, x2_2, …, one for each classification
    smoothing: bool
    clones: tuple[int, ...]  # increasing
    prior: str
    tests: bool
    profile: str  # "" or a parameter
    predict: bool
    method: str  # of prediction
    truth: str
    new: bool  # predict new groups and observations
    derived: str  # "" or quantities of the parameters
    level: float  # of all intervals, per cent
    mcmc: McmcOptions
    ones: str = CONS  # the column of ones: alone in the random part it is a random intercept

    @property
    def wide(self) -> bool:
        return len(self.y) > 1

    @property
    def response(self) -> str:
        """The response's name in long form."""
        return self.y[0]

    @property
    def group(self) -> str:
        """C1."""
        return self.classes[0]

    @property
    def several(self) -> bool:
        """More than one classification."""
        return len(self.classes) > 1

    @property
    def copied(self) -> bool:
        """Whether the copies of the data are written out: no other way for binomial and Poisson responses here."""
        return self.several and self.family != NORMAL

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms of the fixed and the random part."""
        return (*self.x, *(term for terms in self.random for term in terms))

    @property
    def units(self) -> tuple[str, ...]:
        """The grouping columns' names in long form."""
        taken = {t.name for t in self.terms} | {*self.y, *self.classes, self.trials, self.offset, self.truth}
        row = next(name for name in ("row", "row_number", "row_number_") if name not in taken)
        return tuple(name or row for name in self.classes)

    @property
    def unit(self) -> str:
        """The first grouping column's name in long form."""
        return self.units[0]

    @property
    def slopes(self) -> bool:
        """Whether the random part is more than intercepts."""
        return any(tuple(str(t) for t in terms) != (self.ones,) for terms in self.random)

    @property
    def model(self) -> Model:
        """As the regression templates have it, on the long data."""
        end = (self.family, self.link, self.trials or None, self.offset or None)
        if self.several:
            more = self.random if self.slopes else ()
            return NModel(self.response, self.x, self.mcmc, None, (), *end, classes=self.units, slopes=more)
        return Model(self.response, self.x, self.mcmc, self.unit, self.random[0] if self.slopes else (), *end)
