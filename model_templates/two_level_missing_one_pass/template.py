"""2LevelMissingOnePass: a two-level model and the model of its incomplete covariates, estimated in one pass.

Goldstein, Carpenter and Browne (2014), JRSS A 177(2), 553-564.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from templates_engine import Column, Lead, Schema, Template, Term
from templates_engine.asking import ACCEPTED_ALGORITHM, Ask, mcmc_options
from templates_engine.data import schema_with_intercept
from templates_engine.imputation import COMPARE_LEAD
from templates_engine.regression import EVERY_FAMILY, ask_family
from templates_engine.sampling import GAMMA, UNIFORM, WISHART

from .asking_covariates import ask_more, ask_response
from .equations import model_latex
from .outputs import OUTPUTS, PARAMETERS
from .spec import ROWS, UNORDERED, Built, Response, Spec
from .together import together

MOST_BUILT = 50
MOST_CATEGORIES = 50


def _measured(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


def _imputable(column: Column) -> bool:
    return _measured(column) or (column.is_text and 2 <= column.n_levels <= MOST_CATEGORIES)


def _usable(column: Column) -> bool:
    return _imputable(column) or column.kind == "constant"


class TwoLevelMissingOnePass(Template):
    name = "2LevelMissingOnePass"
    title = "A two-level model with incomplete covariates, estimated and imputed in one pass"
    heading = "Missing data"
    tags = ("imputation", "model", "1 level", "2 levels", "interactions", "powers", "random slopes", "MCMC")
    renamed = {"prior2": "priors2", "priorint": "priorsint", "defaulstv": "defaultsv"}
    accepted = {**ACCEPTED_ALGORITHM, "defaultsv": "Yes"}
    equation = "<<model>>"
    intercept = True
    outputs = OUTPUTS
    parameters = PARAMETERS

    def questions(self, ask: Ask) -> Spec:
        with ask.section("Model of interest"):
            y = ask.column(
                "y", "Response of the model of interest", where=_measured, why="it has one value only",
                help="The outcome. Rows in which it is missing are left out.",
            )  # fmt: skip
            family, link, trials, offset = ask_family(ask, EVERY_FAMILY)
            group = None
            if ask.yes_no(
                "L2int", "Does the model of interest have a higher level?",
                help="Yes where rows are in groups, such as pupils in schools, whose means or slopes differ.",
            ):  # fmt: skip
                group = _identifier(ask, "L2ID", "Level 2 identifier of the model of interest")
            built = _built(ask, y)
            x, x2 = _terms(ask, built, group is not None)
        with ask.section("Incomplete variables"):
            level1, upper, source, level2 = _covariates(ask, y, group)
        with ask.section("Priors"):
            prior = _prior_interest(ask, len(x2)) if group is not None else UNIFORM
            stored = ask.yes_no(
                "storeresid", "Store level 2 residuals?", default="No",
                help="Yes gives the dataset residuals: the group effects of both models, posterior mean and sd.",
            )  # fmt: skip
            prior2 = UNIFORM
            if upper is not None:
                prior2 = ask.choice(
                    "priors2", "Prior, level 2 of the variables with missing data", (UNIFORM, WISHART),
                    default=UNIFORM,
                    help="Uniform on the elements of their covariance matrix, which needs more groups than twice its "
                    "size; or an inverse Wishart with as few degrees of freedom as are proper.",
                )  # fmt: skip
            more = ask_more(ask, y, (*x, *x2), built, level1, level2, group or upper)
            compare = ask.yes_no(
                "compare", "Put complete cases and multiple imputation beside?", default="No",
                help="Yes gives the table and figure Comparison: the same model from the complete rows, from 20 "
                "datasets imputed jointly, and in one pass, with a sentence on why they differ where they do.",
            )  # fmt: skip
        mcmc = mcmc_options(ask, predictions=True)
        at = _impute_at(ask, mcmc.iterations)
        spec = Spec(
            y, str(family), str(link), trials, offset, group, built, x, x2,
            level1, upper, source, level2, str(prior), str(prior2), stored,
            more, at, compare, mcmc, _texts(ask, built, (*x, *x2), level2, source),
        )  # fmt: skip
        together(ask, spec)
        return spec

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return {"model": model_latex(spec, schema)}

    def leads(self, answers: Mapping[str, str]) -> Sequence[Lead]:
        return () if answers.get("compare") == "Yes" else (COMPARE_LEAD,)

    def carried(self, lead: str, answers: Mapping[str, str], spec: Spec, data: Any) -> dict[str, str]:
        return {**answers, "compare": "Yes"}

    def check(self, spec: Spec, data: Any) -> list[Any]:
        from .checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Any, job: Any) -> Any:
        from .running import run

        return run(spec, data, job)

    def warm(self) -> None:
        from .running import warm

        warm()


def _texts(
    ask: Ask, built: tuple[Built, ...], terms: tuple[Term, ...], level2: tuple[Response, ...], source: str
) -> tuple[str, ...]:
    """The variables of the model of interest that are text; those of a level 2 dataset by their type."""
    names = {t.name for t in terms} | {v.name for b in built for v, _ in b.factors}
    found = {n for n in names if n in ask.data and ask.data[n].is_text}
    if source != ROWS:
        found |= {r.name for r in level2 if r.kind == UNORDERED and r.name in names and r.name not in ask.data}
    return tuple(sorted(found))


def _identifier(ask: Ask, key: str, label: str, default: str | None = None) -> str:
    return ask.column(
        key, label, text_ok=True, where=lambda c: c.complete and c.n_levels > 1, default=default,
        why="it has gaps or one value only, and every row needs a group",
        help="The variable that says to which group each row belongs.",
    )  # fmt: skip


def _built(ask: Ask, y: str) -> tuple[Built, ...]:
    """The powers and interactions that the user builds; none is added for them."""
    found: list[Built] = []
    powers = ask.integer(
        "numpoly",
        "Number of polynomial terms in the model of interest",
        min=0,
        max=MOST_BUILT,
        default=0,
        help="Each is one power of one variable. Lower powers are not added for you.",
    )
    for i in range(powers):
        name = ask.column(
            "xpoly{i}", "Variable A of polynomial term {k}", where=lambda c: _measured(c) and c.name != y, i=i, k=i + 1,
            help="The variable that is raised to a power.",
        )  # fmt: skip
        power = ask.integer(
            "power{i}", "Power of variable A of polynomial term {k}", min=2, max=9, default=2, i=i, k=i + 1,
            help="A whole number from 2 to 9.",
        )  # fmt: skip
        found.append(Built(f"{name}^{power}", ((Term(name), power),)))
    several = sum(_imputable(c) and c.name != y for c in ask.data.columns) > 1
    products = ask.integer(
        "numinter",
        "Number of interaction terms in the model of interest",
        min=0,
        max=MOST_BUILT if several else 0,
        default=0,
        help="Each is the product of two or more variables. Those of lower order are not added for you.",
    )
    for i in range(products):
        chosen = ask.columns(
            "xinter{i}", "Variables in interaction term {k}", where=lambda c: _imputable(c) and c.name != y, minimum=2,
            categorical=True, text_ok=True, i=i, k=i + 1,
            why=f"Constants, texts of more than {MOST_CATEGORIES} values, the response and wholly missing variables "
            "cannot be in an interaction.",
            help="Two or more different variables; complete, incomplete, of either level. girl:cat stands for the "
            "indicators of its categories, the last being the reference.",
        )  # fmt: skip
        names = [f"{t.name}[cat]" if t.categorical or ask.data[t.name].is_text else t.name for t in chosen]
        found.append(Built("*".join(names), tuple((term, 1) for term in chosen)))
    names = [built.name for built in found]
    repeated = [name for k, name in enumerate(names) if name in names[:k]]
    if repeated:
        key = "numinter" if "*" in repeated[0] else "numpoly"
        ask.fault(key, f"{repeated[0]} is built twice: once is enough.")
    return tuple(found)


def _terms(ask: Ask, built: tuple[Built, ...], grouped: bool) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """The fixed part and the random coefficients."""
    extra = tuple(dict.fromkeys(each.name for each in built))
    default = ",".join([ask.intercept, *extra]) if ask.intercept else None
    x = ask.columns(
        "xvars", "Explanatory variables of the model of interest", categorical=True, where=_usable, extra=extra,
        text_ok=True, default=default,
        why=f"Wholly missing variables, and texts of more than {MOST_CATEGORIES} values, cannot be explanatory.",
        help="In the order of the coefficients; the terms built above are offered too. Nothing is added for you: "
        "choose cons, a column of ones, for the intercept, and the variables behind a power or an interaction.",
    )  # fmt: skip
    x2: tuple[Term, ...] = ()
    if grouped:
        x2 = ask.columns(
            "x2vars", "Random coefficients in the model of interest, the intercept included",
            where=lambda c: _measured(c) or c.kind == "constant", extra=extra, default=ask.intercept or None,
            why="Text and wholly missing variables cannot have a random coefficient.",
            help="The intercept varies over the groups only if you choose cons. A variable with missing values may "
            "have a random coefficient.",
        )  # fmt: skip
    return x, x2


def _covariates(
    ask: Ask, y: str, group: str | None
) -> tuple[tuple[Response, ...], str | None, str, tuple[Response, ...]]:
    """(level 1 responses, level 2 identifier, level 2 dataset, level 2 responses) of the missing-data model."""
    lower: tuple[Term, ...] = ()
    if ask.yes_no(
        "L1resp", "Lower level responses in the missing-data model?", default="Yes",
        help="Yes where a variable that differs within groups has missing values.",
    ):  # fmt: skip
        lower = ask.columns(
            "yimp", "Lower level responses with missing data", where=lambda c: _imputable(c) and c.name != y,
            text_ok=True,
            why=f"Constant and wholly missing variables, texts of more than {MOST_CATEGORIES} values, and the response "
            "of the model of interest, cannot be "
            "chosen; the response is part of the model already.",
            help="Every incomplete variable of the model of interest, and others that help to predict a missing value "
            "(auxiliary variables). Powers and interactions are made of what is drawn, and are not offered.",
        )  # fmt: skip
    upper, source, table = None, "", ask.data
    above: tuple[Term, ...] = ()
    if ask.yes_no(
        "L2imp", "Does the missing-data model have a higher level?", default="Yes" if group is not None else "No",
        help="Yes lets the incomplete variables have group effects, correlated with one another.",
    ):  # fmt: skip
        upper = _identifier(ask, "L2IDimp", "Level 2 identifier of the missing-data model", group)
        if ask.yes_no(
            "L2resp", "Higher level responses in the missing-data model?", default="No",
            help="Yes where a variable with one value for each group has missing values.",
        ):  # fmt: skip
            table = ask.dataset(
                "L2Data", "Level 2 dataset", own=ROWS,
                help="A dataset with one row for each group and the group's identifier; or rows, where these variables "
                "stand on every row of the present dataset.",
            )  # fmt: skip
            source = table.name
            table = schema_with_intercept(table)
            used = (*(term.name for term in lower), y)
            if any(_imputable(c) and c.name not in used for c in table.columns):
                above = _upper_responses(ask, table, used)
            else:
                ask.fault("L2Data", f"{table.name} has no variable that could be a higher level response.")
    level1 = tuple(ask_response(ask, "bin{k}", "ximp{k}", k, t, ask.data, 1) for k, t in enumerate(lower, 1))
    level2 = tuple(ask_response(ask, "bin2_{k}", "ximp2_{k}", k, t, table, 2) for k, t in enumerate(above, 1))
    return level1, upper, source, level2


def _upper_responses(ask: Ask, table: Schema, used: tuple[str, ...]) -> tuple[Term, ...]:
    return ask.columns(
        "yimp2",
        "Higher level responses with missing data",
        where=_imputable,
        of=table,
        exclude=used,
        text_ok=True,
        why=f"Constant and wholly missing variables, texts of more than {MOST_CATEGORIES} values, and those of the "
        "lower level cannot be chosen.",
        help="Variables with one value for each group.",
    )


def _prior_interest(ask: Ask, q: int) -> str:
    one = q == 1
    return ask.choice(
        "priorsint",
        "Prior, level 2 random effects of the model of interest",
        (UNIFORM, GAMMA if one else WISHART),
        default=UNIFORM,
        help="Uniform on the variance (variances and covariances); or "
        + (
            "Gamma(0.001, 0.001) on the precision, one over the variance."
            if one
            else "an inverse Wishart with as few degrees of freedom as are proper, centred on the estimate from the "
            "complete rows."
        ),
    )


def _impute_at(ask: Ask, iterations: int) -> tuple[int, ...]:
    text = ask.text(
        "imputeiters", "Iterations at which to write completed data", default="0", pattern=r"\s*\d+\s*(,\s*\d+\s*)*",
        form="whole numbers with commas between, such as 500,1000; 0 for none", sample="0",
        help="Counted after the burn-in; every chain gives a completed dataset at each. 0 writes none.",
    )  # fmt: skip
    at = tuple(sorted({int(part) for part in str(text).split(",")} - {0}))
    if at and at[-1] > iterations:
        ask.fault("imputeiters", f"Iteration {at[-1]:,} is after the last, {iterations:,}.")
    return at
