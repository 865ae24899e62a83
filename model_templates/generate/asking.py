"""What each kind of new column is made from."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine.asking import Ask, seed
from templates_engine.data import expressions

KINDS = ("Constant", "Sequence", "Random draws", "Group mean", "Expression")
DISTRIBUTIONS = ("Normal", "Uniform", "Binomial", "Poisson")


@dataclass(frozen=True)
class Constant:
    value: float


@dataclass(frozen=True)
class Sequence:
    start: float
    step: float
    by: str  # "" where the whole dataset is numbered through


@dataclass(frozen=True)
class Draws:
    distribution: str
    parameters: tuple[float, float]  # mean and SD; low and high; trials and probability; rate and 0
    by: str  # "" for a draw a row
    seed: int


@dataclass(frozen=True)
class GroupMean:
    of: str
    by: str


@dataclass(frozen=True)
class Expression:
    text: str


Parts = Constant | Sequence | Draws | GroupMean | Expression


@dataclass(frozen=True)
class Spec:
    name: str
    kind: str
    parts: Parts
    outdata: str


def ask_parts(ask: Ask, kind: str) -> Parts:
    if kind == "Constant":
        return Constant(ask.number("value", "Value on every row", default=1, help="1 gives a column for an intercept."))
    if kind == "Sequence":
        return Sequence(
            ask.number("start", "First value", default=1, help="The value on the first row."),
            ask.number("step", "Step", default=1, help="What is added from each row to the next."),
            ask.column(
                "by",
                "Groups",
                text_ok=True,
                optional=True,
                default="none",
                help="With an identifier, such as school, each group is numbered from the start in row order; or none.",
            ),
        )
    if kind == "Random draws":
        return _draws(ask)
    if kind == "Group mean":
        of = ask.column("of", "Column to average", help="Its mean over the values that are not missing in each group.")
        by = ask.column(
            "by", "Groups", text_ok=True, exclude=(of,), help="Each row gets the mean of its own group, such as school."
        )
        return GroupMean(of, by)
    return _expression(ask)


def _draws(ask: Ask) -> Draws:
    distribution = ask.choice(
        "D", "Distribution", DISTRIBUTIONS, default="Normal", help="Draws are independent of one another."
    )
    first, second = 0.0, 0.0
    if distribution == "Normal":
        first = ask.number("mean", "Mean", default=0, help="The centre of the distribution.")
        second = ask.number("sd", "Standard deviation", default=1, min=0, help="Not the variance.")
    elif distribution == "Uniform":
        first = ask.number("low", "Lower end", default=0, help="No draw is below it.")
        second = ask.number("high", "Upper end", default=1, help="Every draw is below it.")
        if first >= second:
            ask.fault("high", "The upper end must be above the lower end.", code="out-of-range")
    elif distribution == "Binomial":
        first = ask.integer("trials", "Number of trials", default=1, min=1, max=10**9, help="1 gives a 0/1 column.")
        second = ask.number("prob", "Probability", default=0.5, min=0, max=1, help="Of success in one trial.")
    else:
        first = ask.number("rate", "Mean count", default=1, min=0, max=1e9, help="Mean and variance of the counts.")
    by = ask.column(
        "by",
        "Groups",
        text_ok=True,
        optional=True,
        default="none",
        help="With an identifier, such as school, all rows of a group share one draw: a random effect; or none.",
    )
    return Draws(str(distribution), (first, second), by, seed(ask))


def _expression(ask: Ask) -> Expression:
    text = ask.text(
        "expression",
        "Expression",
        sample="1",
        help="Such as (standlrt - mean(standlrt)) / sd(standlrt), or if(missing(girlmiss), 0, 1). Operators: "
        "+ - * / ^, < <= > >= == !=, and, or, not. Functions: " + ", ".join(expressions.FUNCTIONS) + ".",
    )
    try:
        for fault in expressions.faults(expressions.read(text), ask.data):
            column = fault.word if fault.word in ask.data else ""
            ask.fault("expression", str(fault), code="expression", column=column, nearest="")
    except expressions.ExpressionError as fault:
        ask.fault("expression", str(fault), code="expression")
    return Expression(text)
