"""What the imputers ask: responses with their predictors, the classifications, completed datasets, the chains."""

from __future__ import annotations

from collections.abc import Sequence

from templates_engine.asking import Ask, mcmc_options
from templates_engine.data import Column
from templates_engine.imputation.more_questions import ask_more
from templates_engine.imputation.questions import MOST_CATEGORIES, ask_types, imputable, predictor
from templates_engine.imputation.spec import Classification, ImputerSpec, Response

MOST_CLASSES = 8
MOST_DATASETS = 1000


def _number(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


def ask_normal(ask: Ask) -> tuple[Response, ...]:
    """y, x, and x_VAR for each response: Normal ones with the predictors of each."""
    chosen = ask.columns(
        "y",
        "Responses",
        where=_number,
        why="A Normal response is a variable of numbers with more than one value.",
        help="The measurements that are modelled together. Missing values are filled in by the model on the way.",
    )
    x = ask.columns(
        "x",
        "Explanatory variables",
        categorical=True,
        where=predictor,
        why="Explanatory variables must be complete: one with missing values belongs among the responses.",
        default=ask.intercept,
        exclude=tuple(term.name for term in chosen),
        help="Of all responses, unless a response is given others below. Nothing is added for you: choose cons for "
        "the intercept.",
    )
    usual = ",".join(str(term) for term in x)
    found = []
    for term in chosen:
        own = ask.columns(
            "x_{column}",
            "Explanatory variables of {column}",
            categorical=True,
            where=predictor,
            why="Explanatory variables must be complete: one with missing values belongs among the responses.",
            default=usual,
            exclude=tuple(other.name for other in chosen),
            help="Those of all responses, or others for this one.",
            column=term.name,
        )
        found.append(Response(term.name, "Normal", 0, (own,)))
    return tuple(found)


def ask_mixed(ask: Ask) -> tuple[Response, ...]:
    """y, then type and predictors of each: bin1, bin2, ...; ximp0, ximp1, ..., ximp0_0, ximp0_1 when Unordered."""
    chosen = ask.columns(
        "y",
        "Responses",
        text_ok=True,
        where=imputable,
        why=f"Constant and wholly missing variables, and texts of more than {MOST_CATEGORIES} values, cannot be.",
        help="The variables that are modelled together: measurements and categories, with or without missing values.",
    )
    return ask_types(ask, 1, chosen, {"bin": "bin{k}", "ximp": "ximp{i}"})


def ask_group(ask: Ask) -> tuple[str, str]:
    """(column, key) of the one classification."""
    name = ask.column(
        "L2ID",
        "Level 2 identifier",
        groups=True,
        text_ok=True,
        where=lambda c: c.n_levels > 1,
        why="it has one value only, and groups are at least two",
        help="The variable that says to which group each row belongs.",
    )
    return name, "L2ID"


def ask_groups(ask: Ask, least: int = 1, more: str = "") -> list[tuple[str, str]]:
    """(column, key) of each classification: numclass, at least so many, then C1, C2, ... more: ends numclass's help."""
    count = ask.integer(
        "numclass",
        "Number of classifications above the rows",
        default=2,
        min=least,
        max=MOST_CLASSES,
        help="In how many ways the rows are grouped, not counting the rows themselves: 2 for pupils by primary and by "
        f"secondary school, or for pupils in classes in schools.{more}",
    )
    found: list[tuple[str, str]] = []
    for c in range(1, count + 1):
        name = ask.column(
            "C{c}",
            "Classification {c}",
            groups=True,
            text_ok=True,
            where=lambda column: column.n_levels > 1,
            why="it has one value only, and a classification needs at least two units",
            help="The column that says to which unit each row belongs. Classifications may be nested or crossed, in "
            "any order: the data tell. Codes must be unique: class 1 of school 1 and class 1 of school 2 need two.",
            c=c,
        )
        found.append((name, f"C{c}"))
    return found


def ask_rest(ask: Ask, level1: tuple[Response, ...], classes: Sequence[Classification]) -> ImputerSpec:
    """moreimp and what it opens, numimpute, imputeevery, and the chains; faults of all that was asked before."""
    with ask.section("Covariance matrices"):
        more = ask_more(ask, classes, level1)
    every = 1
    with ask.section("Completed datasets"):
        wanted = ask.integer(
            "numimpute",
            "Number of completed datasets",
            default=0,
            min=0,
            max=MOST_DATASETS,
            help="Datasets with every missing value drawn from the model, as they stand at some iterations. 0 for "
            "none; 2LevelImpute and NLevelImpute also fit a model to each and combine the fits.",
        )
        if wanted > 0:
            every = ask.integer(
                "imputeevery",
                "Iterations between the datasets of a chain",
                default=50,
                min=1,
                max=1_000_000,
                help="Enough for two of them to be nearly independent. The first comes so many after the burn-in; "
                "chains take turns.",
            )
    mcmc = mcmc_options(ask, stopping=False)
    spec = ImputerSpec(more.classes, mcmc=mcmc, n_imputed=wanted, every=every, **more.shared)
    last = spec.imputed_at[-1] if spec.imputed_at else 0
    if last > mcmc.burnin + mcmc.iterations:
        text = f"The last dataset would come after {last:,} iterations, and there are {mcmc.burnin + mcmc.iterations:,}"
        ask.fault("imputeevery", f"{text} with the burn-in. Ask for fewer between datasets, or for more iterations.")
    _distinct(ask, spec)
    return spec


def _distinct(ask: Ask, spec: ImputerSpec) -> None:
    """Each classification once, and none that is itself a response."""
    taken = {r.name for r in spec.responses}
    for k, each in enumerate(spec.classes):
        if any(other.column == each.column for other in spec.classes[:k]):
            text = f"{each.column} is chosen already; each classification can be chosen once."
            ask.fault(each.key, text, column=each.column)
        if each.column in taken:
            ask.fault(each.key, f"{each.column} is a response, so it cannot group the rows.", column=each.column)
