"""moreimp, and what it opens: covariance matrices, their priors, the latents of unordered variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from templates_engine.asking import Ask
from templates_engine.imputation.questions import imputable
from templates_engine.imputation.spec import (
    DIAGONAL,
    DIFFERENCES,
    FLAT,
    HALFT,
    IDENTITY,
    SHARES,
    UNIFORM,
    UNSTRUCTURED,
    WISHART,
    Bound,
    Classification,
    Prior,
    Response,
)

KINDS = (UNIFORM, WISHART)
LARGEST = 1e6
NONE = "none"


@dataclass(frozen=True)
class More:
    """The choices; as they stand here where none is made."""

    classes: tuple[Classification, ...]
    level1: tuple[Response, ...]  # with their bounds
    unordered: str = DIFFERENCES
    prior1: Prior = FLAT

    @property
    def shared(self) -> dict[str, Any]:
        """What is no classification's, under the names of the spec's fields."""
        return {"level1": self.level1, "unordered": self.unordered, "prior1": self.prior1}


def ask_more(ask: Ask, classes: Sequence[Classification], level1: Sequence[Response]) -> More:
    """moreimp; then the prior of level 1, effects, structure and prior of each classification, unordered blocks."""
    if not ask.yes_no(
        "moreimp",
        "More choices for the imputation model?",
        default="No",
        help="Which variables vary between units, covariance structures and priors, the latents of unordered "
        "variables. If No, every variable varies at every classification, with all correlations and flat priors.",
    ):
        return More(tuple(classes), tuple(level1))
    level1 = _ask_bounds(ask, level1)
    prior1 = _ask_prior(ask, 1, "the residuals of level 1", level1, SHARES[0])
    found = [_ask_classification(ask, c, each, level1) for c, each in enumerate(classes, start=1)]
    unordered = ask.choice(
        "unordcov",
        "Latents of unordered variables",
        (DIFFERENCES, IDENTITY),
        default=DIFFERENCES,
        help="Differences of independent utilities, with correlations of one half, treat all categories alike; "
        "Identity has none. They are different models.",
    )
    return More(tuple(found), tuple(level1), unordered, prior1)


def _ask_bounds(ask: Ask, level1: Sequence[Response]) -> list[Response]:
    """bounded, then lower_VAR and upper_VAR of each Normal variable whose missing values have known bounds."""
    normal = {r.name for r in level1 if r.kind == "Normal"}
    chosen = ask.columns(
        "bounded",
        "Normal variables with known bounds where they are missing",
        minimum=0,
        default="",
        exclude=tuple(name for name in ask.data.names if name not in normal),
        help="Where a value is missing but known to be below a detection limit, above another variable, or rounded to "
        "an interval. The values are then drawn between the bounds.",
    )
    names = {term.name for term in chosen}
    found = []
    for r in level1:
        if r.name in names:
            bounds = _ask_bound(ask, "lower", r.name), _ask_bound(ask, "upper", r.name)
            if bounds == (None, None):
                ask.fault(f"lower_{r.name}", f"{r.name} is given no bound: give one, or leave it out of bounded.")
            found.append(replace(r, lower=bounds[0], upper=bounds[1]))
        else:
            found.append(r)
    return found


def _ask_bound(ask: Ask, which: str, name: str) -> Bound:
    text = ask.text(
        which + "_{column}",
        f"{which.capitalize()} bound of {{column}}",
        default=NONE,
        help="none, a number, or the name of a column of numbers; where the column is missing there is no bound. A "
        f"missing value of the variable is never imputed {'below' if which == 'lower' else 'above'} it.",
        column=name,
    )
    said = text.strip()
    if said.casefold() == NONE:
        return None
    if said in ask.data.names:
        if said == name or ask.data[said].is_text:
            ask.fault(f"{which}_{name}", f"{said} cannot be a bound: choose another column, of numbers.", column=said)
        return str(said)
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        ask.fault(f"{which}_{name}", f"{said} is no number and no column: give none, a number, or a column's name.")
        return None
    return number


def _ask_classification(ask: Ask, c: int, each: Classification, level1: Sequence[Response]) -> Classification:
    at: dict[str, Any] = {"c": c, "column": each.column}
    varying = ask.columns(
        "re{c}",
        "Level 1 variables that vary between units of {column}",
        text_ok=True,
        where=imputable,
        default=",".join(r.name for r in level1),
        exclude=tuple(name for name in ask.data.names if name not in {r.name for r in level1}),
        help="Leave out a variable whose mean does not differ between these units.",
        **at,
    )
    structure = ask.choice(
        "cov{c}",
        "Covariances between units of {column}",
        (UNSTRUCTURED, DIAGONAL),
        default=UNSTRUCTURED,
        help="Unstructured estimates every correlation, and needs about twice as many units as there are "
        "variables. Diagonal has none, and half-t priors of the standard deviations.",
        **at,
    )
    names = {term.name for term in varying}
    chosen = [r for r in level1 if r.name in names]
    if structure == UNSTRUCTURED:
        prior = _ask_prior(ask, c + 1, f"the units of {each.column}", [*chosen, *each.responses], SHARES[1])
    else:
        prior = _ask_half_t(ask, c + 1, each.column)
    effects = None if len(chosen) == len(level1) else tuple(term.name for term in varying)
    return replace(each, effects=effects, structure=structure, prior=prior)


def _ask_prior(ask: Ask, level: int, of: str, responses: Sequence[Response], share: float) -> Prior:
    """priors1, df1, scale1, and so on."""
    at: dict[str, Any] = {"level": level, "column": of}
    kind = ask.choice(
        "priors{level}",
        "Prior of the covariance matrix of {column}",
        KINDS,
        default=UNIFORM,
        help="Uniform is flat on variances and covariances. An inverse Wishart prior expects variables without "
        "correlation, and suits few units.",
        **at,
    )
    if kind == UNIFORM:
        return FLAT
    p = sum(r.dimensions for r in responses)
    df = ask.number(
        "df{level}",
        "Degrees of freedom of the prior of {column}",
        min=p,
        max=LARGEST,
        default=p,
        help="The prior weighs about as much as so many units. The number of variables (an unordered one counts as "
        "often as it has categories less one) is the least that is offered, and weighs least.",
        **at,
    )
    scale = ask.number(
        "scale{level}",
        "Variances that the prior of {column} expects, as a share of each variable's",
        min=1e-6,
        max=LARGEST,
        default=share,
        help="The scale matrix is diagonal: degrees of freedom times this share of the variance of each variable of "
        "level 1 (times 1 for a latent Normal); variables of the units themselves count with their whole variance.",
        **at,
    )
    return Prior(kind, df, scale)


def _ask_half_t(ask: Ask, level: int, column: str) -> Prior:
    """df2, scale2, ... of the standard deviations of a diagonal matrix."""
    at: dict[str, Any] = {"level": level, "column": f"the units of {column}"}
    df = ask.number(
        "df{level}",
        "Degrees of freedom of the prior of {column}",
        min=1,
        max=LARGEST,
        default=HALFT[0],
        help="Of half-t priors of the standard deviations: 1 is half-Cauchy, 3 has a lighter tail.",
        **at,
    )
    scale = ask.number(
        "scale{level}",
        "Scale of the standard deviations in the prior of {column}",
        min=1e-6,
        max=LARGEST,
        default=HALFT[1],
        help="Of a measurement in its residual standard deviations, of a latent Normal as it is. 2.5 says little.",
        **at,
    )
    return Prior(UNIFORM, df, scale)
