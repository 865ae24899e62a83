"""The questions of NLevelMod and NLevelRS, and the frozen answers they end in. Imports no numerics."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine.asking import Ask, Term
from templates_engine.outputs import Output
from templates_engine.regression.questions import (
    OUTPUTS as COMMON,
    Classification,
    Model,
    finish,
    variances,
)
from templates_engine.sampling import GAMMA, UNIFORM, WISHART

MOST_CLASSES = 8
RESIDUALS = "residuals_u"

OUTPUTS = (
    *COMMON,
    Output("residuals_u<k>", "Effects of the units of each classification: posterior means and sds, as datasets."),
)


@dataclass(frozen=True)
class NModel(Model):
    """One regression with several classifications: the answers, complete. `group` and `x2` of Model stay empty."""

    classes: tuple[str, ...] = ()
    slopes: tuple[tuple[Term, ...], ...] = ()  # by classification; () when all have random intercepts alone

    @property
    def classifications(self) -> tuple[Classification, ...]:
        each = self.slopes or ((),) * len(self.classes)
        named = zip(self.classes, each, strict=True)
        return tuple(Classification(name, terms, str(c), f"C{c}") for c, (name, terms) in enumerate(named, start=1))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column used, each once."""
        more = [*self.classes, *(term.name for terms in self.slopes for term in terms)]
        return tuple(dict.fromkeys([*super().columns, *more]))


def ask_classes(ask: Ask) -> tuple[str, ...]:
    """numclass, then C1, C2, ..."""
    count = ask.integer(
        "numclass",
        "Number of classifications",
        default=2,
        min=1,
        max=MOST_CLASSES,
        help="In how many ways the rows are grouped, not counting the rows themselves: 2 for pupils by primary and by "
        "secondary school, or for pupils in classes in schools.",
    )
    return tuple(
        ask.column(
            "C{k}",
            "Classification {k}",
            text_ok=True,
            groups=True,
            where=lambda column: column.n_levels > 1,
            why="it has one value only, and a classification needs at least two units",
            help="The column that says to which unit each row belongs; codes or names. Classifications may be nested "
            "(classes in schools) or crossed (primary and secondary schools), in any order. Codes must be unique: "
            "class 1 of school 1 and class 1 of school 2 need two codes.",
            k=k,
        )
        for k in range(1, count + 1)
    )


def ask_slopes(ask: Ask, classes: tuple[str, ...]) -> tuple[tuple[Term, ...], ...]:
    """x2_1, x2_2, ..."""
    return tuple(
        ask.columns(
            "x2_{k}",
            "Variables with random coefficients, classification {k}",
            categorical=True,
            default=ask.intercept,
            help="Each of these has its own coefficient in every unit of the classification. Choose cons for random "
            "intercepts and, beside it, the variables whose slopes vary. They normally are among the explanatory "
            "variables too.",
            k=k,
        )
        for k in range(1, len(classes) + 1)
    )


def ask_variance_prior(ask: Ask) -> str:
    return ask.choice(
        "priors",
        "Prior of the variances",
        (GAMMA, UNIFORM),
        default=GAMMA,
        help="Gamma(0.001, 0.001) on the precision (one over the variance) of each classification, proper and weak; or "
        "Uniform on each variance itself, which needs at least four units in every classification.",
    )


def ask_covariance_prior(ask: Ask) -> str:
    return ask.choice(
        "priors",
        "Prior of the covariance matrices",
        (WISHART, UNIFORM),
        default=WISHART,
        help="Inverse Wishart with as few degrees of freedom as are proper, each centred on the estimate by REML or "
        "maximum likelihood; or Uniform on the variances and covariances, which needs many units in every "
        "classification.",
    )


def started(family: str, count: int, group: str = "sigma2_u") -> tuple[str, ...]:
    """The variances that a starting value can be given to, of so many classifications."""
    return (*(f"{group}{k}" for k in range(1, count + 1)), *variances(family, ""))


def finish_classes(ask: Ask, model: NModel) -> NModel:
    """What can be said of the answers together; asked last, so that it holds nothing up."""
    finish(ask, model)
    for k, name in enumerate(model.classes, start=1):
        first = model.classes.index(name) + 1
        if first < k:
            ask.fault(f"C{k}", f"{name} is classification {first} already; each can be chosen once.", column=name)
        if name == model.y:
            ask.fault(f"C{k}", f"{name} is the response, so it cannot be a classification.", column=name)
        if model.mcmc.outdata == f"{RESIDUALS}{k}":
            text = f"{model.mcmc.outdata} is the name of another output; choose another for the draws."
            ask.fault("outdata", text)
    for k, terms in enumerate(model.slopes, start=1):
        if any(term.name == model.y for term in terms):
            ask.fault(f"x2_{k}", f"{model.y} is the response, so it cannot have random coefficients.", column=model.y)
    return model
