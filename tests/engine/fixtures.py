"""Two templates and a few schemas for the engine's tests: small copies of the real ones' shape."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from beside import REFERENCE, SHARED

from templates_engine.asking import Ask
from templates_engine.asking.mcmc_questions import ACCEPTED, RENAMED, McmcOptions, mcmc_options, nchains, seed
from templates_engine.asking.questions import Term
from templates_engine.data.schema import Column, Schema
from templates_engine.template import Example, Template

STRINGS = REFERENCE / "data" / "strings"
KINDS = ("Normal", "Binary", "Ordered", "Unordered")

PUBLISHED = {
    "numlevs": "Yes",
    "L2ID": "school",
    "MOIlevel": "2 levels",
    "MOIdist": "Normal",
    "y": "normexam",
    "x": "cons,standlrtmiss,girlmiss,schgendmiss:cat",
    "yimp1": "normexam,standlrtmiss,girlmiss",
    "bin1_1": "Normal",
    "bin1_2": "Normal",
    "bin1_3": "Binary",
    "ximp1_0": "cons",
    "ximp1_1": "cons,vrband:cat",
    "ximp1_2": "cons",
    "want2": "Yes",
    "yimp2": "schgendmiss",
    "bin2_1": "Unordered",
    "ncatsschgendmiss": "3",
    "ximp2_0_0": "cons",
    "ximp2_0_1": "cons",
    "condmarg": "Yes",
    "numimpute": "4",
    "imputefirst": "1000",
    "imputeevery": "50",
    "burnin": "100",
    "iterations": "250",
    "nchains": "3",
    "seed": "1",
}


@dataclass(frozen=True)
class ModSpec:
    y: str
    L2ID: str
    family: str
    link: str
    n: str | None
    x: tuple[Term, ...]
    mcmc: McmcOptions


class TwoLevelMod(Template):
    name = "2LevelMod"
    title = "Units nested in groups, one random intercept per group"
    heading = "Models"
    accepted = ACCEPTED
    renamed = RENAMED
    equation = r"""
        << y | var >>_{ij} &\sim \mathrm{<<family>>}(\mu_{ij}) \\
        \mathrm{<<link>>}(\mu_{ij}) &= << x | linear("beta", "ij") >> + u_j \\
        u_j &\sim \mathrm{N}(0, \sigma^2_u)"""

    def questions(self, ask: Ask) -> ModSpec:
        y = ask.column("y", "Response", help="One value per unit.")
        group = ask.column("L2ID", "Level 2 ID", text_ok=True, help="Says which group a unit is in.")
        family = ask.choice("D", "Distribution", ("Normal", "Binomial", "Poisson"), default="Normal", help="Of y.")
        link, n = "identity", None
        if family == "Binomial":
            link = ask.choice("link", "Link function", ("logit", "probit", "cloglog"), default="logit", help="Link.")
            n = ask.column("n", "Denominator", help="Number of trials.")
        x = ask.columns("x", "Explanatory variables", categorical=True, help="girl:cat for categories.")
        return ModSpec(y, group, family, link, n, x, mcmc_options(ask))


@dataclass(frozen=True)
class Response:
    column: str
    kind: str
    n: int | None
    x: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True)
class ImputeSpec:
    group: str | None
    family: str
    y: str
    x: tuple[Term, ...]
    level1: tuple[Response, ...]
    level2: tuple[Response, ...]
    conditional: bool
    numbers: tuple[int, ...]


class TwoLevelImpute(Template):
    name = "2LevelImpute"
    title = "Multiple imputation of two-level data"
    heading = "Missing data"
    renamed: ClassVar = {"MOOldist": "MOIdist"}
    accepted: ClassVar = {"MOIslope": "No"}
    equation = r"\bar{Q} &= \frac{1}{<<numbers[0]>>} \sum_{i=1}^{<<numbers[0]>>} Q_i"

    def questions(self, ask: Ask) -> ImputeSpec:
        group, levels = None, "1 level"
        two = ask.yes_no("numlevs", "Does the model of interest or the imputation have two levels?", help="Levels.")
        if two:
            group = ask.column("L2ID", "Level 2 identifier", text_ok=True, help="Groups.")
            levels = ask.choice("MOIlevel", "Levels in the model of interest", ("1 level", "2 levels"), help="Levels.")
        family = ask.choice("MOIdist", "Distribution of the response", ("Normal", "Binomial", "Poisson"), help="Of y.")
        y = ask.column("y", "Response of the model of interest", help="y.")
        x = ask.columns("x", "Its explanatory variables", categorical=True, help="x.")
        if levels == "1 level":
            pass
        lower = ask.columns("yimp1", "Level 1 variables to impute", help="With missing values.")
        with ask.section("Imputation, level 1"):
            level1 = _responses(ask, 1, lower)
        level2: tuple[Response, ...] = ()
        if two and ask.yes_no("want2", "Are there level 2 variables to impute?", help="Constant in groups."):
            taken = {term.name for term in lower}
            free = ask.columns(
                "yimp2",
                "Level 2 variables to impute",
                where=lambda c: c.name not in taken,
                why="it is already imputed at level 1",
                help="Constant in groups.",
            )
            level2 = _responses(ask, 2, free)
        conditional = ask.yes_no("condmarg", "Use the conditional algorithm?", default="Yes", help="Faster.")
        numbers = (
            ask.integer("numimpute", "Number of imputed datasets", default=10, min=2, max=1000, help="M."),
            ask.integer("imputefirst", "Iterations before the first", default=1000, min=1, help="Burn-in."),
            ask.integer("imputeevery", "Iterations between later ones", default=50, min=1, help="Spacing."),
            ask.integer("burnin", "Burn-in of the model of interest", default=500, min=0, help="Burn-in."),
            ask.integer("iterations", "Iterations of the model of interest", default=2000, min=1, help="Length."),
            nchains(ask),
            seed(ask),
        )
        return ImputeSpec(group, family, y, x, level1, level2, conditional, numbers)


def _responses(ask: Ask, level: int, chosen: tuple[Term, ...]) -> tuple[Response, ...]:
    types: list[tuple[str, str, int | None]] = []
    for k, term in enumerate(chosen, start=1):
        at: dict[str, Any] = {"level": level, "k": k, "column": term.name}
        kind, n = ask.choice("bin{level}_{k}", "Type of {column}", KINDS, help="Type.", **at), None
        if kind in ("Ordered", "Unordered"):
            n = ask.integer(
                "ncats{column}",
                "Number of categories of {column}",
                min=3,
                max=30,
                default=ask.data[term.name].n_levels,
                help="Codes run 0, 1, 2, ...",
                **at,
            )
        types.append((term.name, kind, n))
    found = []
    for i, (column, kind, n) in enumerate(types):
        at = {"level": level, "i": i, "column": column, "where": lambda c: c.complete, "why": "it has missing values"}
        if kind == "Unordered":
            x = tuple(
                ask.columns(
                    "ximp{level}_{i}_{c}",
                    "Predictors of {column}, category {c}",
                    categorical=True,
                    c=c,
                    default="cons",
                    help="Complete columns.",
                    **at,
                )
                for c in range((n or 1) - 1)
            )
        else:
            x = (
                ask.columns(
                    "ximp{level}_{i}",
                    "Predictors of {column}",
                    categorical=True,
                    default="cons",
                    help="Complete columns.",
                    **at,
                ),
            )
        found.append(Response(column, kind, n, x))
    return tuple(found)


@cache
def tutmiss() -> Schema:
    """The schema of the tutorial data, from the shared file where there is one, else of the published shape."""
    file = SHARED / "data" / "tutmiss.csv"
    if not file.exists():
        return made("tutmiss", 4059, _TUTMISS)
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = []
    for name in rows[0]:
        values = [float(r[name]) for r in rows if r[name] not in ("", "NA")]
        columns.append(_column(name, len(rows), len(rows) - len(values), sorted(set(values))))
    return Schema("tutmiss", len(rows), tuple(columns))


_TUTMISS = {
    "school": (65, 0),
    "student": (198, 0),
    "normexam": (4059, 0),
    "cons": (1, 0),
    "standlrt": (4059, 0),
    "girl": (2, 0),
    "schgend": (3, 0),
    "avslrt": (65, 0),
    "schav": (3, 0),
    "vrband": (3, 0),
    "schgendmiss": (3, 400),
    "avslrtmiss": (55, 300),
    "standlrtmiss": (3000, 500),
    "girlmiss": (2, 600),
    "nonmixedmiss": (2, 400),
}


def made(name: str, n: int, shape: dict[str, tuple[int, int]]) -> Schema:
    """A schema from levels and missing counts."""
    columns = tuple(_column(c, n, missing, [float(v) for v in range(levels)]) for c, (levels, missing) in shape.items())
    return Schema(name, n, columns)


def _column(name: str, n: int, missing: int, values: list[float]) -> Column:
    whole = all(v == int(v) for v in values)
    kind = {0: "empty", 1: "constant", 2: "binary"}.get(len(values), "whole" if whole else "number")
    levels = tuple(values) if len(values) <= 100 else ()
    return Column(name, kind, n, missing, n_levels=len(values), levels=levels)


def schemas() -> dict[str, Schema]:
    """Datasets of different shapes, for random conversations."""
    text = Schema(
        "words",
        20,
        (
            Column("region", "text", 20, 0, n_levels=4),
            Column("y", "number", 20, 3, n_levels=17),
            Column("k", "whole", 20, 0, n_levels=5, levels=(0.0, 1.0, 2.0, 3.0, 4.0)),
        ),
    )
    return {
        "tutmiss": tutmiss(),
        "small": made("small", 30, {"cons": (1, 0), "id": (10, 0), "a": (30, 2), "b": (2, 0), "c": (4, 1)}),
        "words": text,
    }


def fixtures() -> list[Template]:
    """The two templates with an example each."""
    mod, impute = TwoLevelMod(), TwoLevelImpute()
    string = "{'y': 'normexam', 'L2ID': 'school', 'x': 'cons,standlrt,vrband:cat'}"
    mod.examples = (
        Example("worked", "A random intercept", "tutmiss", string),
        Example(
            "binomial",
            "Trials",
            "tutmiss",
            "{'y': 'girl', 'L2ID': 'school', 'D': 'Binomial', 'n': 'cons', 'x': 'cons'}",
        ),
    )
    impute.examples = (Example("published", "The published example", "tutmiss", str(PUBLISHED)),)
    return [mod, impute]
