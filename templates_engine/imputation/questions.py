"""What the imputation templates ask alike: the model of interest, the variables to impute, the run. No numerics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from templates_engine.asking import Ask, Option, Term
from templates_engine.data import Column
from templates_engine.imputation.spec import ModelOfInterest, Response

KINDS = ("Normal", "Binary", "Ordered", "Unordered")
MOST_CATEGORIES = 50


def imputable(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary") or (column.is_text and 2 <= column.n_levels <= MOST_CATEGORIES)


def _explanatory(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary", "constant") or (column.is_text and column.n_levels >= 2)


def _response(family: str) -> Callable[[Column], bool]:
    """What the response of the model of interest may be: a text of two values where it is binomial."""
    return lambda c: c.kind in ("number", "whole", "binary") or (family == "Binomial" and c.is_text and c.n_levels == 2)


def predictor(column: Column) -> bool:
    return column.complete and (not column.is_text or column.n_levels >= 2)


def type_of(column: Column) -> str:
    """The kind that the data suggest."""
    if column.n_levels == 2:
        return "Binary"
    if column.is_text:
        return "Unordered"
    few = column.kind == "whole" and 3 <= column.n_levels <= 7
    return "Ordered" if few and len(column.labels) >= column.n_levels else "Normal"


def ask_family(ask: Ask) -> Any:
    return ask.choice(
        "MOIdist",
        "Distribution of the response in the model of interest",
        ("Normal", "Binomial", "Poisson"),
        default="Normal",
        help="Binomial takes a 0/1 variable or a number of successes, Poisson a count; both must be complete.",
    )


def ask_sloped(ask: Ask) -> Any:
    return ask.yes_no(
        "MOIslope",
        "Random slopes in the model of interest?",
        default="No",
        help="If Yes, make the response and the variables with random slopes imputation responses too. The variance of "
        "a slope of an incomplete variable comes out too small, by half at 40% missing; of a complete one it does not.",
    )


def ask_interest(ask: Ask, family: Any) -> ModelOfInterest:
    """y, x and, for a binomial model, link and n. Its classifications and slopes are still empty."""
    y = ask.column(
        "y",
        "Response of the model of interest",
        text_ok=True,
        where=_response(str(family) if isinstance(family, str) else ""),
        why="It has one value only, or is text; a text of two values is for a binomial model.",
        help="The outcome of your model. Impute it too when it has missing values.",
    )
    x = ask.columns(
        "x",
        "Explanatory variables of the model of interest",
        categorical=True,
        where=_explanatory,
        why="Wholly missing variables, and texts of one value, cannot be explanatory.",
        default=ask.intercept,
        help="Nothing is added for you: choose cons, a column of ones, for the intercept; it is offered also where "
        "the data have none. Categorical variables enter as dummies; their last category is the reference.",
    )
    link = trials = None
    if family == "Binomial":
        link = ask.choice(
            "link",
            "Link function",
            ("logit", "probit"),
            default="logit",
            help="logit gives log odds ratios; probit the scale of a latent Normal.",
        )
        trials = ask.column(
            "n",
            "Number of trials",
            where=lambda c: c.complete and not c.is_text,
            help="For a yes/no response choose a column of ones, such as cons.",
        )
    return ModelOfInterest((), y, x, family, link, trials)


def ask_slopes(ask: Ask, key: str, label: str, **fields: Any) -> tuple[Term, ...]:
    return ask.columns(
        key,
        label,
        where=lambda c: c.kind in ("number", "whole", "binary", "constant"),
        why="Text and wholly missing variables cannot have a random coefficient.",
        help="Choose cons for a random intercept; it is not added for you.",
        **fields,
    )


def ask_level1(ask: Ask) -> tuple[Response, ...]:
    """yimp1, and types and predictors of each."""
    lower = ask.columns(
        "yimp1",
        "Level 1 variables to impute",
        text_ok=True,
        where=imputable,
        why=f"Constant and wholly missing variables, and texts of more than {MOST_CATEGORIES} values, cannot "
        "be imputed.",
        help="The incomplete variables of your model, and its response. A complete variable of the model "
        "belongs either here or among the predictors.",
    )
    return ask_types(ask, 1, lower)


def ask_level(ask: Ask, level: int, taken: Sequence[str], of: str = "") -> tuple[Response, ...]:
    """want2, yimp2, ...: the variables with one value for each unit of a classification. of: its name, if told."""
    if not ask.yes_no(
        "want{level}",
        "Are there variables of {column} to impute?" if of else "Are there level {level} variables to impute?",
        help="Variables with one value for each group, stored on every row.",
        level=level,
        column=of,
    ):
        return ()
    upper = ask.columns(
        "yimp{level}",
        "Variables of {column} to impute" if of else "Level {level} variables to impute",
        exclude=tuple(taken),
        text_ok=True,
        where=imputable,
        why=f"A variable is imputed at one level; constants, and texts of more than {MOST_CATEGORIES} "
        "values, cannot be.",
        help="The first value in each group is used; you are told when values differ within a group.",
        level=level,
        column=of,
    )
    return ask_types(ask, level, upper)


def _kinds(column: Column) -> list[Option]:
    """The types that suit a variable."""
    if not column.is_text:
        return [Option(kind, kind) for kind in KINDS]
    barred = {
        "Normal": "it holds text",
        "Ordered": "" if column.n_levels == 2 else "texts have no order: number its categories from low to high",
    }
    return [Option(kind, kind, not barred.get(kind), barred.get(kind, "")) for kind in KINDS]


_PLAIN = {"bin": "bin{level}_{k}", "ximp": "ximp{level}_{i}"}  # keys of types and predictors


def ask_types(ask: Ask, level: int, chosen: tuple[Term, ...], keys: Mapping[str, str] = _PLAIN) -> tuple[Response, ...]:
    """Every type at a level is asked before the predictors at that level, as in the original."""
    types = []
    for k, term in enumerate(chosen, start=1):
        at: dict[str, Any] = {"level": level, "k": k, "column": term.name}
        column = ask.data[term.name]
        kind = ask.choice(
            keys["bin"],
            "Type of {column}",
            _kinds(column),
            default=type_of(column),
            help="Normal for a measurement; Binary for two values; Ordered and Unordered for categories, numbered from "
            "any number or, if unordered, named. The completed datasets have the codes of your data.",
            **at,
        )
        n = 0
        if kind in ("Ordered", "Unordered"):
            n = ask.integer(
                "ncats{column}",
                "Number of categories of {column}",
                min=3,
                max=50,
                default=max(3, column.n_levels),
                help="As many as the data have.",
                column=term.name,
            )
        elif kind == "Binary":
            n = 2
        types.append((term.name, kind, n))
    found = []
    for i, (name, kind, n) in enumerate(types):
        options: dict[str, Any] = {
            "where": predictor,
            "why": "Predictors must be complete, so variables with missing values cannot be added here.",
            "categorical": True,
            "default": ask.intercept,
            "exclude": tuple(other for other, _, _ in types),
            "help": "Complete variables that help to predict a missing value. Keep cons for the intercept."
            if level == 1
            else "Complete variables with one value for each group. Keep cons for the intercept.",
        }
        where: dict[str, Any] = {"level": level, "i": i, "column": name}
        if kind == "Unordered":
            key, label = keys["ximp"] + "_{c}", "Predictors of {column}, category {c}"
            x = tuple(ask.columns(key, label, c=c, **where, **options) for c in range(n - 1))
        else:
            x = (ask.columns(keys["ximp"], "Predictors of {column}", **where, **options),)
        found.append(Response(name, kind, n, x))
    return tuple(found)


def ask_estimation(ask: Ask) -> dict[str, Any]:
    most = 1_000_000
    return {
        "conditional": ask.yes_no(
            "condmarg",
            "Use the conditional (faster) algorithm?",
            default="Yes",
            help="Yes draws the fixed effects given the group effects, No with the group effects integrated out. "
            "Both give the same posterior.",
        ),
        "n_imputed": ask.integer(
            "numimpute",
            "Number of imputed datasets",
            default=20,
            min=2,
            max=1000,
            help="About as many as the per cent of information that is missing (White, Royston and Wood 2011). The "
            "results say whether there were enough.",
        ),
        "first": ask.integer(
            "imputefirst",
            "Iterations before the first imputation",
            default=1000,
            min=1,
            max=most,
            help="In effect the burn-in of the imputation model; its draws are shown in the diagnostics all the same.",
        ),
        "every": ask.integer(
            "imputeevery",
            "Iterations between later imputations",
            default=50,
            min=1,
            max=most,
            help="Enough for successive datasets of one chain to be nearly independent.",
        ),
        "burnin": ask.integer(
            "burnin",
            "Burn-in for the model of interest",
            default=100,
            min=0,
            max=most,
            help="Iterations left out at the start of each fit.",
        ),
        "iterations": ask.integer(
            "iterations",
            "Iterations for the model of interest",
            default=1000,
            min=10,
            max=most,
            help="Iterations kept from each fit.",
        ),
        "n_chains": ask.integer(
            "nchains",
            "Chains of the imputation model",
            default=3,
            min=1,
            max=64,
            help="Each chain gives a dataset in turn. Results depend on this number and the seed, never on the "
            "machine.",
        ),
        "seed": ask.integer(
            "seed",
            "Random seed",
            default=1,
            min=0,
            max=2**31 - 1,
            help="The same answers and seed give the same tables.",
        ),
    }
