"""The questions of the regression templates, asked in one place, and the frozen answers they end in.

Imports no numerics: asking stays light.
"""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine.asking import (
    ACCEPTED,
    ACCEPTED_ALGORITHM,
    Ask,
    Chosen,
    McmcOptions,
    Option,
    Starts,
    Term,
    mcmc_options,
)
from templates_engine.data import Column
from templates_engine.outputs import VERDICTS, Output
from templates_engine.sampling import GAMMA, UNIFORM, WISHART

NORMAL, BINOMIAL, POISSON, NEGATIVE_BINOMIAL = "Normal", "Binomial", "Poisson", "Negative binomial"
FAMILIES = (NORMAL, BINOMIAL, POISSON)
EVERY_FAMILY = (*FAMILIES, NEGATIVE_BINOMIAL)
COUNTS = (POISSON, NEGATIVE_BINOMIAL)
LINKS = ("logit", "probit", "cloglog")

_MODEL_FIT = "DIC, WAIC, PSIS-LOO and their effective numbers of parameters; N, groups, rows left out."
OUTPUTS = (
    Output(
        "ModelResults",
        "Parameters: posterior mean, sd, quantiles, effective sample sizes, Monte Carlo error, R-hat.",
        order=1,
    ),
    Output("ModelParameters", "The same, with the deviance and what is made of the parameters.", order=2),
    Output("ModelFit", _MODEL_FIT, order=3),
    Output(
        "MLE",
        "Estimates and standard errors by maximum likelihood (exact, or by the Laplace approximation) or REML, as a "
        "check, where that takes seconds.",
    ),
    Output(VERDICTS, "Whether the chains have settled."),
    Output("{outdata}", "The parameter chains, under the name that you give."),
    Output("equation.tex", "The model with its priors."),
    Output("algorithm.tex", "One iteration of the sampler."),
    Output("Inputs", "The input string."),
    Output("script.py", "The call that repeats the run from Python."),
    Output("beta_1.svg", lead=1),  # of the first slope, as a rule
    Output("<parameter>.svg", "Six-part diagnostics of each parameter."),
    Output(
        "prediction",
        "With makepred = Yes: your data with the expected response of each row, its interval and the residual.",
    ),
)
OUTPUTS_OF_GROUPS = (*OUTPUTS, Output("residuals", "Group effects: posterior mean and sd of each, as a dataset."))
ACCEPTED_ROWS = ACCEPTED_ALGORITHM  # templates that ask makepred and defaultsv
ACCEPTED_ROWS_NORMAL = {**ACCEPTED_ROWS, "D": NORMAL}
ACCEPTED_NORMAL = {**ACCEPTED, "D": NORMAL}  # templates without a question for the distribution


@dataclass(frozen=True)
class Classification:
    """One way in which the rows are grouped, and how it is spoken of."""

    name: str  # the column of identifiers
    terms: tuple[Term, ...]  # random coefficients; (): a random intercept
    end: str = ""  # of its parameters' names and of its questions' keys; "" for the one of a two-level model
    key: str = "L2ID"  # of the question for the column

    @property
    def variance(self) -> str:
        """What its variance, or the elements of its covariance matrix, are called."""
        return ("omega_u" if self.terms else "sigma2_u") + self.end

    @property
    def terms_key(self) -> str:
        """Of the question for the random coefficients."""
        return f"x2_{self.end}" if self.end else "x2"


@dataclass(frozen=True)
class Model:
    """One regression: the answers of any of these templates, complete."""

    y: str  # response
    x: tuple[Term, ...]  # fixed part, in the order of beta
    mcmc: McmcOptions
    group: str | None = None  # level 2 identifier; None: one level
    x2: tuple[Term, ...] = ()  # random coefficients; () with a group: a random intercept
    family: str = NORMAL
    link: str = "identity"
    trials: str | None = None  # Binomial only: trials a row
    offset: str | None = None  # counts only: added to the linear predictor
    prior: str = GAMMA

    def __post_init__(self) -> None:
        for name in ("family", "link", "prior"):
            value = getattr(self, name)
            if isinstance(value, Chosen):  # plain words: these are compared with those of other templates too
                object.__setattr__(self, name, str(value))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column used, each once: a row with a missing value in one of them is left out."""
        names = [self.y, *(t.name for t in self.x), *(t.name for t in self.x2)]
        names += [name for name in (self.trials, self.offset, self.group) if name]
        return tuple(dict.fromkeys(names))

    @property
    def classifications(self) -> tuple[Classification, ...]:
        """How the rows are grouped: not at all, in one way, or (NModel) in several."""
        return () if self.group is None else (Classification(self.group, self.x2),)

    @property
    def numbered(self) -> bool:
        """Whether the names of classifications and of their parameters bear numbers."""
        return any(each.end for each in self.classifications)


def is_response(column: Column) -> bool:
    """Numbers, or texts of two values such as Yes and No."""
    return column.kind in ("number", "whole", "binary") or (column.is_text and column.n_levels == 2)


def ask_response(ask: Ask, texts: bool = True) -> str:
    """texts: whether a text of two values may be chosen, as the response of a binomial model."""
    two = "; or two texts such as Yes and No, or codes such as 1 and 2, with D = Binomial" if texts else ""
    return ask.column(
        "y",
        "Response",
        text_ok=texts,
        where=is_response,
        why="it has one value only, or texts of more than two values" if texts else "it has one value only",
        help=f"The outcome to be explained, one value for each row{two}. Rows where it is missing are left out.",
    )


def ask_group(ask: Ask) -> str:
    return ask.column(
        "L2ID",
        "Level 2 ID",
        text_ok=True,
        groups=True,
        where=lambda column: column.n_levels > 1,
        why="it has one value only, and two levels need at least two groups",
        help="The column that says to which group (school, patient, area) each row belongs; codes or names.",
    )


def ask_family(ask: Ask, families: tuple[str, ...] = FAMILIES) -> tuple[str, str, str | None, str | None]:
    """(family, link, trials, offset). families: FAMILIES or EVERY_FAMILY."""
    text = _text_response(ask)
    no_numbers = "the response is text of two values"
    family = ask.choice(
        "D",
        "Distribution",
        [Option(name, name, not text or name == BINOMIAL, no_numbers if text else "") for name in families],
        default=BINOMIAL if text else NORMAL,
        help="Normal for a measurement; Binomial for yes/no, or successes out of a number of trials; "
        "Poisson for a count"
        + ("; Negative binomial for a count that varies more." if NEGATIVE_BINOMIAL in families else "."),
    )
    if family == "Binomial":
        trials = ask.column(
            "n",
            "Number of trials",
            where=lambda column: (column.minimum or 0.0) >= 0.0,
            why="a number of trials cannot be negative",
            help="Trials behind each row's successes. For a yes/no response choose a column of ones, such as cons.",
        )
        link = ask.choice(
            "link",
            "Link function",
            LINKS,
            default="logit",
            help="logit: coefficients are log odds ratios. probit: on the scale of a latent Normal with variance 1. "
            "cloglog: log(-log(1 - p)), for events in continuous time recorded by interval.",
        )
        return family, link, trials, None
    if family in [name for name in COUNTS if name in families]:
        offset = ask.columns(
            "offset",
            "Offset",
            minimum=0,
            default="",
            help="A column added to the linear predictor with coefficient 1, usually the LOG of the exposure (person "
            "years, area, population). Leave it empty when all rows have the same exposure.",
        )
        return family, "log", None, (offset[0].name if len(offset) else None)
    return family, "identity", None, None


def _text_response(ask: Ask) -> bool:
    """Whether the response that was chosen is text."""
    asked = ask.asked.get("y")
    if asked is None or not asked.answered:
        return False
    names = [asked.value] if isinstance(asked.value, str) else [term.name for term in asked.value]
    return any(name in ask.data and ask.data[name].is_text for name in names)


def ask_fixed(ask: Ask) -> tuple[Term, ...]:
    return ask.columns(
        "x",
        "Explanatory variables",
        categorical=True,
        default=ask.intercept,
        help="The fixed part, in the order of the coefficients. Nothing is added for you: choose cons, a column of "
        "ones, for the intercept; it is offered also where the data have none. girl:cat enters categories as "
        "indicators, the last category being the reference.",
    )


def ask_random(ask: Ask) -> tuple[Term, ...]:
    return ask.columns(
        "x2",
        "Variables with random coefficients",
        categorical=True,
        default=ask.intercept,
        help="Each of these has its own coefficient in every group. Choose cons for random intercepts and, beside it, "
        "the variables whose slopes vary. They normally are among the explanatory variables too.",
    )


def ask_variance_prior(ask: Ask, levels: int = 2) -> str:
    """Also of alpha, the dispersion of a negative binomial response."""
    return ask.choice(
        "priors",
        "Prior of the variances",
        (GAMMA, UNIFORM),
        default=GAMMA,
        help="Gamma(0.001, 0.001) on the precision (one over the variance), proper and weak; or Uniform on the "
        "variance itself"
        + (", which needs at least four groups." if levels == 2 else ".")
        + " With a negative binomial response the same holds for alpha.",
    )


def ask_covariance_prior(ask: Ask) -> str:
    return ask.choice(
        "priors",
        "Prior of the covariance matrix",
        (WISHART, UNIFORM),
        default=WISHART,
        help="Inverse Wishart with as few degrees of freedom as are proper, centred on the estimate by REML or maximum "
        "likelihood; or Uniform on the variances and covariances, which needs many groups.",
    )


NUMBER = r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?\s*"


def ask_mcmc(ask: Ask, variances: tuple[str, ...], family: str = NORMAL) -> McmcOptions:
    """The sampler's questions with makepred and defaultsv; variances: those that a starting value can be given to."""

    def starts() -> Starts:
        values = tuple((name, _start(ask, name)) for name in variances)
        if family == "Normal":
            return Starts(values)
        text = ask.text(
            "startbeta",
            "Starting values of the first coefficients",
            default="",
            optional=True,
            pattern=rf"{NUMBER}(,{NUMBER})*",
            form="numbers with commas between, such as 0.5,-1",
            sample="0",
            help="Numbers with commas between, in the order of the explanatory variables, as many as you like. The "
            "others start at their maximum likelihood estimates. From a poor start allow a longer burn-in.",
        )
        return Starts(values, text)

    return mcmc_options(ask, predictions=True, starts=starts)


def _start(ask: Ask, parameter: str) -> float:
    return ask.number(
        "start_{parameter}",
        "Starting value of {parameter}",
        min=1e-10,
        max=1e10,
        default=1,
        help="A variance, or alpha of a negative binomial response, above 0. Every chain starts within some ten or "
        "twenty per cent of it. With random slopes omega_u is the variance of each of them, and covariances start at "
        "0. The coefficients of a Normal response need no start, because they are drawn first.",
        parameter=parameter,
    )


def variances(family: str, group: str = "sigma2_u") -> tuple[str, ...]:
    """The variances that a starting value can be given to; group: what those of the groups are called, "" without."""
    own = {NORMAL: ("sigma2",), NEGATIVE_BINOMIAL: ("alpha",)}
    return ((group,) if group else ()) + own.get(str(family), ())


def finish(ask: Ask, model: Model) -> Model:
    """What can be said of the answers together; asked last, so that it holds nothing up."""
    if any(term.name == model.y for term in model.x):
        ask.fault("x", f"{model.y} is the response, so it cannot explain itself.", column=model.y)
    if model.offset == model.y:
        ask.fault("offset", f"{model.y} is the response, so it cannot be the offset.", column=model.y)
    name = model.mcmc.outdata
    if name in {output.name for output in OUTPUTS_OF_GROUPS}:
        ask.fault("outdata", f"{name} is the name of another output; choose another for the draws.")
    if model.trials == model.y:
        ask.fault("n", f"{model.y} is the response (successes); choose the column of trials.", column=model.y)
    return model
