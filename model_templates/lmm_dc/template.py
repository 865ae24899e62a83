"""LMM/DC: maximum likelihood for mixed models by data cloning, with a verdict on what the data can tell.

Lele, Dennis and Lutscher (2007), Ecology Letters 10, 551-563; Lele, Nadeem and Schmuland (2010), Journal of the
American Statistical Association 105, 1617-1625. Worked example: Solymos and Lele (2016), the animal breeding example
with two observations of each individual and with one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from templates_engine.asking import Ask, Option
from templates_engine.data.schema import Column, Schema
from templates_engine.options import ACCEPTED, RENAMED, mcmc_options
from templates_engine.questions import Term
from templates_engine.sampling import mixed_questions as q
from templates_engine.template import Template

from .equations import latex
from .spec import CONS, DRAWN, FIRST, MOST_CLONES, PLUGIN, SECOND, TWICE, WEAK, Spec

if TYPE_CHECKING:
    from templates_engine.data.dataset import Dataset
    from templates_engine.job import Job
    from templates_engine.outputs import Result
    from templates_engine.problems import Problem


class LmmDc(Template):
    name = "LMM/DC"
    slug = "lmm_dc"
    title = "Mixed models by data cloning: maximum likelihood, and a verdict on what the data can tell"
    heading = "Models"
    tags = ("model", "2 levels", "maximum likelihood", "data cloning", "Normal", "binomial", "Poisson")
    renamed = RENAMED
    accepted = {**ACCEPTED, "numclass": "1"}
    equation = "<<model>>"
    outputs = {
        "Estimability": "For every parameter whether the data can tell it, or which combination; read it first",
        "Coefficients": "Maximum likelihood estimates by cloning: parameter, estimate, dcsd, lower, upper (Wald)",
        "CoefficientsLog": "The same for the variances on the log scale, and turned back",
        "Covariance": "Asymptotic covariance matrix (K times that of the posterior) and correlations",
        "DCTable": "Each parameter at each clone number: mean, sd, dcsd, quantiles, R-hat, ESS",
        "DCDiag": "lambda.max, ms.error, r.squared and r.hat at each clone number",
        "DCDiagSum": "The same for the coefficients and the sum of the variances (Normal, random intercept)",
        "MLE": "Maximum likelihood without simulation, and REML, as a check",
        "ModelFit": "Log likelihood, AIC, BIC, numbers of rows and groups",
        "Tests": "Likelihood-ratio tests of leaving out each coefficient, and the groups",
        "Profile": "Profile likelihood of the parameter asked for; ProfileInterval is its interval",
        "Bayes": "The Bayesian answers (K = 1) under the priors of the documents, beside the estimates",
        "RandomEffects": "Predicted effect of each group with its interval",
        "Coverage": "How many intervals hold the true effects, where a column has them",
        "out": "The draws at the largest clone number, under the name that you give",
        "decay.svg, estimates.svg, pairs.svg, profile.svg, caterpillar.svg": "pictures",
        "equation.tex, Inputs, script.py": "the model, the input string, the same run from Python",
    }

    def questions(self, ask: Ask) -> Spec:
        y, group = _data(ask)
        family, link, trials, offset = _family(ask)
        x = _terms(ask, "x", "Explanatory variables", _FIXED, y)
        smoothing = _smoothing(ask, family)
        x2 = (Term(CONS),)
        if smoothing:
            x2 = _terms(ask, "x2_{c}", "Variables with random coefficients", _RANDOM, y, c=1)
            if family != q.NORMAL and len(x2) > 1:
                ask.fault("x2_1", "With a binomial or Poisson response one random coefficient is fitted; choose cons.")
        clones, prior = _cloning(ask, family, x2)
        tests, profile = _likelihood(ask)
        predict, method, truth = _prediction(ask, smoothing, y)
        level = ask.number(
            "level",
            "Level of the intervals, per cent",
            min=50,
            max=99.9,
            default=95,
            help="Of Wald, profile and prediction intervals alike.",
        )
        mcmc = mcmc_options(ask)
        if mcmc.outdata != "out" and mcmc.outdata in (*self.outputs, "ProfileInterval", "Inputs", "script"):
            ask.fault("outdata", f"{mcmc.outdata} is the name of another output; choose another for the draws.")
        if mcmc.kept < 100:
            ask.fault("iterations", "At least 100 draws of each chain are needed for the diagnostics.")
        return Spec(
            y, group, str(family), str(link), trials, offset, x, x2, smoothing, clones, str(prior), tests, profile,
            predict, method, truth, float(level), mcmc,
        )  # fmt: skip

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return {"model": latex(spec, schema)}

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .running import run

        return run(self, spec, data, job)

    def warm(self) -> None:
        from .fitting import warm

        warm()


_FIXED = (
    "The fixed part, in the order of the coefficients beta_0, beta_1, … Nothing is added for you: choose cons, a "
    "column of ones, for the intercept; it is made where the data have none. girl:cat enters categories as indicators, "
    "the last category being the reference."
)
_RANDOM = (
    "Each of these has its own coefficient in every group: cons for random intercepts, and beside it the variables "
    "whose slopes vary (Normal responses)."
)


def _numeric(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


def _data(ask: Ask) -> tuple[tuple[str, ...], str]:
    y = ask.columns(
        "y",
        "Response",
        where=_numeric,
        why="it is text, or has one value only",
        help="One column when every row is an observation (long form). Several columns when every row is an individual "
        "and its observations stand side by side (wide form). Missing responses are left out.",
    )
    names = tuple(term.name for term in y)
    if len(names) == 1:
        group = ask.column(
            "C{c}",
            "Groups",
            c=1,
            text_ok=True,
            exclude=names,
            where=lambda column: column.n_levels > 1,
            why="it has one value only, and a mixed model needs at least two groups",
            help="The column that says to which individual or group each row belongs; codes or names.",
        )
    else:
        group = ask.column(
            "C{c}",
            "Groups",
            c=1,
            text_ok=True,
            optional=True,
            default="none",
            exclude=names,
            help="In wide form each row is an individual, so none is right; a column with names may be given instead.",
        )
    return names, group


def _family(ask: Ask) -> tuple[str, str, str, str]:
    family, link, trials, offset = q.ask_family(ask)
    return family, link, trials or "", offset or ""


def _terms(ask: Ask, key: str, label: str, help_: str, y: tuple[str, ...], **fields: object) -> tuple[Term, ...]:
    extra = () if CONS in ask.data else (CONS,)
    return ask.columns(
        key,
        label,
        categorical=True,
        default=CONS,
        exclude=y,
        extra=extra,
        where=lambda column: column.kind != "empty",
        why="it is empty",
        help=help_,
        **fields,
    )


def _smoothing(ask: Ask, family: str) -> bool:
    normal = family == q.NORMAL
    answer = ask.choice(
        "smoothing",
        "Smoothing of the group effects",
        (
            Option("Yes", "Yes: effects are random, from a Normal distribution"),
            Option(
                "No",
                "No: every effect is a parameter (Neyman and Scott)",
                normal,
                "" if normal else "it is for a Normal response",
            ),
        ),
        default="Yes",
        help="No shows what Neyman and Scott (1948) found: with one parameter for each individual the estimate of the "
        "variance tends to a wrong value, and the means cannot be told from the effects.",
    )
    return answer == "Yes"


def _cloning(ask: Ask, family: str, x2: tuple[Term, ...]) -> tuple[tuple[int, ...], str]:
    with ask.section("Cloning"):
        text = ask.text(
            "clones",
            "Clone numbers",
            default="1,10,25,50",
            pattern=r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*",
            form="increasing whole numbers with commas between them, such as 1,10,25,50",
            help="The data are repeated this many times, as if so many observers had seen the same. The largest number "
            "gives the estimates; all together show whether variances fall as 1/K. Two numbers at least are "
            "needed for a verdict.",
        )
        numbers = [int(word) for word in text.split(",")]
        if any(b <= a for a, b in itertools.pairwise(numbers)):
            ask.fault("clones", f"The clone numbers {text} do not increase. Write each once, the smallest first.")
        elif numbers[0] < 1:
            ask.fault("clones", "A clone number of 0 leaves no data. The smallest is 1.")
        elif numbers[-1] > MOST_CLONES:
            ask.fault("clones", f"{numbers[-1]:,} clones are too many; at most {MOST_CLONES:,}.")
        second = family == q.NORMAL and len(x2) == 1
        prior = ask.choice(
            "priors",
            "Prior",
            (
                Option(WEAK, "Weak: as Documents 1, wider for coefficients that it would pull"),
                Option(FIRST, "Documents 1: coefficients N(0, 10), log standard deviations N(0, 1000)"),
                Option(
                    SECOND,
                    "Documents 2: coefficients N(10, 1), σ² uniform on 0.001 to 5, σ²_u Gamma(0.01, 0.01)",
                    second,
                    "" if second else "it is for a Normal response with one random coefficient",
                ),
            ),
            default=WEAK,
            help="Its influence goes as 1/K and is nothing in the estimates if the largest clone number is large; "
            "compare clone numbers to see it. Second numbers are variances.",
        )
    clones = tuple(sorted({min(max(k, 1), MOST_CLONES) for k in numbers}))
    return clones, prior


def _likelihood(ask: Ask) -> tuple[bool, str]:
    with ask.section("Likelihood"):
        tests = ask.yes_no(
            "tests",
            "Likelihood-ratio tests?",
            default="Yes",
            help="Of leaving out each coefficient, and of no differences between groups, by the exact likelihood or by "
            "quadrature.",
        )
        profile = ask.text(
            "profile",
            "Parameter to profile",
            optional=True,
            default="none",
            pattern=r"\s*(none|beta_\d{1,3}|sigma2_u|sigma2)?\s*",
            form="none, beta_0, beta_1, …, sigma2_u or sigma2",
            help="The likelihood maximised over all other parameters, with the interval of values that a "
            "likelihood-ratio test would not reject: better than Wald's for variances.",
        ).strip()
    return tests, "" if profile == "none" else profile


def _prediction(ask: Ask, smoothing: bool, y: tuple[str, ...]) -> tuple[bool, str, str]:
    if not smoothing:
        return False, DRAWN, ""
    method, truth = DRAWN, ""
    with ask.section("Prediction"):
        predict = ask.yes_no(
            "predict",
            "Predict the group effects?",
            default="Yes",
            help="A separate run after the estimates, with intervals and a caterpillar plot.",
        )
        if predict:
            method = str(
                ask.choice(
                    "predmethod",
                    "How the estimates enter the prediction",
                    (
                        Option(DRAWN, "Drawn: parameters drawn around the estimate, the data used once"),
                        Option(PLUGIN, "Plug-in: parameters fixed at the estimate"),
                        Option(TWICE, "Data twice: as printed in the documents, for comparison only"),
                    ),
                    default=DRAWN,
                    help="Drawn counts the uncertainty of the parameters. Plug-in leaves it out. Data twice takes the "
                    "estimate as a prior and then the same data again, so that its intervals are too short.",
                )
            )
            truth = ask.column(
                "truth",
                "True effects",
                optional=True,
                default="none",
                where=lambda column: not column.is_text,
                why="it is text",
                exclude=y,
                help="In simulated data: the column with the true effect of each row's group. The caterpillar plot is "
                "ordered by it, and a table counts how many intervals hold it.",
            )
    return bool(predict), method, truth
