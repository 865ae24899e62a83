"""LMM/DC: maximum likelihood for mixed models by data cloning, with a verdict on what the data can tell.

Lele, Dennis and Lutscher (2007), Ecology Letters 10, 551-563; Lele, Nadeem and Schmuland (2010), Journal of the
American Statistical Association 105, 1617-1625. Worked example: Solymos and Lele (2016), the animal breeding example
with two observations of each individual and with one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from templates_engine import VERDICTS, Output, Schema, Template, Term
from templates_engine.asking import ACCEPTED, RENAMED, Ask, Option, mcmc_options
from templates_engine.data import ExpressionError
from templates_engine.regression import questions as q, words_of

from .equations import latex
from .quantities import sentence, split
from .spec import DRAWN, FIRST, MOST_CLASSES, MOST_CLONES, PLUGIN, SECOND, TWICE, WEAK, Spec

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Problem, Result


class LmmDc(Template):
    name = "LMM/DC"
    slug = "lmm_dc"
    title = "Mixed models by data cloning: maximum likelihood, and a verdict on what the data can tell"
    heading = "Models"
    tags = ("model", "2 levels", "maximum likelihood", "data cloning", "Normal", "binomial", "Poisson")
    renamed = RENAMED
    accepted = ACCEPTED
    intercept = True
    equation = "<<model>>"
    outputs = (
        Output("Estimability", "For every parameter whether the data can tell it, or which combination; read it first"),
        Output(
            "Coefficients",
            "Maximum likelihood estimates by cloning: parameter, estimate, dcsd, lower, upper (Wald)",
            order=1,
        ),
        Output("CoefficientsLog", "The same for the variances on the log scale, and turned back"),
        Output("Covariance", "Asymptotic covariance matrix (K times that of the posterior) and correlations"),
        Output("DCTable", "Each parameter at each clone number: mean, sd, dcsd, quantiles, R-hat, ESS"),
        Output("DCDiag", "lambda.max, ms.error, r.squared and r.hat at each clone number"),
        Output("DCDiagSum", "The same for the coefficients and the sum of the variances (Normal, random intercept)"),
        Output("MLE", "Maximum likelihood without simulation, and REML, as a check"),
        Output("ModelFit", "Log likelihood, AIC, BIC, numbers of rows and groups", order=2),
        Output("Tests", "Likelihood-ratio tests of leaving out each coefficient, each random slope, and the groups"),
        Output("Profile", "Profile likelihood of the parameter asked for"),
        Output("ProfileInterval", "Its interval"),
        Output("Bayes", "The Bayesian answers (K = 1) under the priors of the documents, beside the estimates"),
        Output("RandomEffects", "Predicted effect of each group with its interval"),
        Output("PredictNew", "Intervals for a new group's effect and for new observations, where asked for"),
        Output("Derived", "Quantities of your own, at every clone number: estimate, dcsd, lower, upper"),
        Output("Coverage", "How many intervals hold the true effects, where a column has them"),
        Output("{outdata}", "The draws at the largest clone number, under the name that you give"),
        Output(VERDICTS, "The judgement in lines, over the results"),
        Output("density_beta_1.svg", lead=1),
        Output("K<k>_beta_1.svg", lead=2),
        Output("K<k>_<parameter>.svg", "Six-part diagnostics of each parameter at each clone number"),
        Output("<picture>.svg", "Decay, estimates, pairs, profile, predicted effects, densities"),
        Output("equation.tex", "The model"),
        Output("Inputs", "The input string"),
        Output("script.py", "The same run from Python"),
    )

    def questions(self, ask: Ask) -> Spec:
        y, classes = _data(ask)
        family, link, trials, offset = _family(ask)
        several = len(classes) > 1
        copied = several and family != q.NORMAL
        x = _terms(ask, "x", "Explanatory variables", _FIXED, y)
        smoothing = _smoothing(ask, family, several)
        random: tuple[tuple[Term, ...], ...] = ((Term(ask.intercept),),)
        if smoothing:
            random = tuple(
                _terms(ask, "x2_{c}", _label("Variables with random coefficients", c, several), _RANDOM, y, c=c)
                for c in range(1, len(classes) + 1)
            )
        clones, prior = _cloning(ask, family, len(random) == 1 and len(random[0]) == 1, copied)
        tests, profile = _likelihood(ask)
        predict, method, truth, new = _prediction(ask, smoothing, y)
        level = ask.number(
            "level",
            "Level of the intervals, per cent",
            min=50,
            max=99.9,
            default=95,
            help="Of Wald, profile and prediction intervals alike.",
        )
        derived = _derived(ask)
        mcmc = mcmc_options(ask, stopping=False)
        if mcmc.outdata in {"script", *(output.name for output in self.outputs)}:
            ask.fault("outdata", f"{mcmc.outdata} is the name of another output; choose another for the draws.")
        for c, name in enumerate(classes, start=1):
            if name in classes[: c - 1]:
                ask.fault(f"C{c}", f"{name} is a classification already; each can be chosen once.", column=name)
        if mcmc.kept < 100:
            ask.fault("iterations", "At least 100 draws of each chain are needed for the diagnostics.")
        return Spec(
            y, classes, str(family), str(link), trials, offset, x, random, smoothing, clones, str(prior), tests,
            profile, predict, method, truth, new, derived, float(level), mcmc, ask.intercept,
        )  # fmt: skip

    def words(
        self, table: str, parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        return words_of(parameters, answers, schema)

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return {"model": latex(spec, schema)}

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        from .checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .running import run

        return run(spec, data, job)

    def warm(self) -> None:
        from .warming import warm

        warm()


_FIXED = (
    "The fixed part, in the order of the coefficients beta_0, beta_1, … Nothing is added for you: choose cons, a "
    "column of ones, for the intercept; it is there also where the data have none. girl:cat enters categories as "
    "indicators, the last category being the reference."
)
_RANDOM = (
    "Each of these has its own coefficient in every group: cons for random intercepts, and beside it the variables "
    "whose slopes vary. With a binomial or Poisson response and one classification at most three coefficients."
)


def _label(text: str, c: int, several: bool) -> str:
    return f"{text}, classification {c}" if several else text


def _data(ask: Ask) -> tuple[tuple[str, ...], tuple[str, ...]]:
    y = ask.columns(
        "y",
        "Response",
        text_ok=True,
        where=q.is_response,
        why="it has one value only, or texts of more than two values",
        help="One column when every row is an observation (long form). Several columns when every row is an individual "
        "and its observations stand side by side (wide form). Missing responses are left out.",
    )
    names = tuple(term.name for term in y)
    count = ask.integer(
        "numclass",
        "Number of classifications",
        default=1,
        min=1,
        max=MOST_CLASSES,
        help="In how many ways the rows are grouped: 1 for pupils in schools, 2 for casks within batches (nested) or "
        "for pupils by primary and by secondary school (crossed). More than one with a binomial or Poisson response "
        "takes time in proportion to the clones.",
    )
    several = count > 1
    first = _first(ask, names, several)
    others = tuple(
        ask.column(
            "C{c}",
            _label("Groups", c, True),
            groups=True,
            c=c,
            text_ok=True,
            exclude=names,
            where=lambda column: column.n_levels > 1,
            why="it has one value only, and a classification needs at least two units",
            help="Another grouping of the rows, nested in the others or crossed with them, in any order. Codes must be "
            "unique: cask a of batch 1 and cask a of batch 2 need two codes.",
        )
        for c in range(2, count + 1)
    )
    return names, (first, *others)


def _first(ask: Ask, names: tuple[str, ...], several: bool) -> str:
    """C1. In wide form none is the row itself."""
    if len(names) == 1:
        group = ask.column(
            "C{c}",
            _label("Groups", 1, several),
            groups=True,
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
            _label("Groups", 1, several),
            groups=True,
            c=1,
            text_ok=True,
            optional=True,
            default="none",
            exclude=names,
            help="In wide form each row is an individual, so none is right; a column with names may be given instead.",
        )
    return group


def _family(ask: Ask) -> tuple[str, str, str, str]:
    family, link, trials, offset = q.ask_family(ask)
    return family, link, trials or "", offset or ""


def _terms(ask: Ask, key: str, label: str, help_: str, y: tuple[str, ...], **fields: Any) -> tuple[Term, ...]:
    return ask.columns(
        key,
        label,
        categorical=True,
        default=ask.intercept,
        exclude=y,
        where=lambda column: column.kind != "empty",
        why="it is empty",
        help=help_,
        **fields,
    )


def _smoothing(ask: Ask, family: str, several: bool) -> bool:
    fits = family == q.NORMAL and not several
    answer = ask.choice(
        "smoothing",
        "Smoothing of the group effects",
        (
            Option("Yes", "Yes: effects are random, from a Normal distribution"),
            Option(
                "No",
                "No: every effect is a parameter (Neyman and Scott)",
                fits,
                "" if fits else "it is for a Normal response with one classification",
            ),
        ),
        default="Yes",
        help="No shows what Neyman and Scott (1948) found: with one parameter for each individual the estimate of the "
        "variance tends to a wrong value, and the means cannot be told from the effects.",
    )
    return answer == "Yes"


def _cloning(ask: Ask, family: str, plain: bool, copied: bool) -> tuple[tuple[int, ...], str]:
    with ask.section("Cloning"):
        text = ask.text(
            "clones",
            "Clone numbers",
            default="1,10,25,50",
            pattern=r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*",
            form="increasing whole numbers with commas between them, such as 1,10,25,50",
            help="The data are repeated this many times, as if so many observers had seen the same. The largest number "
            "gives the estimates; all together show whether variances fall as 1/K. Two numbers at least are "
            "needed for a verdict. They cost no time, but for a binomial or Poisson response with several "
            "classifications, where an iteration takes time in proportion to rows and clones.",
        )
        numbers = [int(word) for word in text.split(",")]
        if any(b <= a for a, b in itertools.pairwise(numbers)):
            ask.fault("clones", f"The clone numbers {text} do not increase. Write each once, the smallest first.")
        elif numbers[0] < 1:
            ask.fault("clones", "A clone number of 0 leaves no data. The smallest is 1.")
        elif numbers[-1] > MOST_CLONES:
            ask.fault("clones", f"{numbers[-1]:,} clones are too many; at most {MOST_CLONES:,}.")
        second = family == q.NORMAL and plain
        prior = ask.choice(
            "priors",
            "Prior",
            (
                Option(WEAK, "Weak: as Documents 1, wider for coefficients that it would pull"),
                Option(
                    FIRST,
                    "Documents 1: coefficients N(0, 10), log standard deviations N(0, 1000)",
                    not copied,
                    "with several classifications it is for a Normal response" if copied else "",
                ),
                Option(
                    SECOND,
                    "Documents 2: coefficients N(10, 1), σ² uniform on 0.001 to 5, σ²_u Gamma(0.01, 0.01)",
                    second,
                    "" if second else "it is for a Normal response with one random coefficient",
                ),
            ),
            default=WEAK,
            help="Its influence goes as 1/K and is nothing in the estimates if the largest clone number is large; "
            "compare clone numbers to see it. Second numbers are variances. Of a binomial or Poisson response with "
            "several classifications the variances have Gamma(0.001, 0.001) on their inverses, and covariance matrices "
            "an inverse Wishart prior around the estimate, of the weight of as many units as it has rows.",
        )
    clones = tuple(sorted({min(max(k, 1), MOST_CLONES) for k in numbers}))
    return clones, prior


def _likelihood(ask: Ask) -> tuple[bool, str]:
    with ask.section("Likelihood"):
        tests = ask.yes_no(
            "tests",
            "Likelihood-ratio tests?",
            default="Yes",
            help="Of leaving out each coefficient, each random slope with its covariances, and the differences between "
            "groups, by the exact likelihood or by quadrature; by the Laplace approximation for a binomial or Poisson "
            "response with several classifications.",
        )
        profile = ask.text(
            "profile",
            "Parameter to profile",
            optional=True,
            default="none",
            pattern=r"\s*(none|beta_\d{1,3}|sigma2(_u\d?)?|(omega|rho)_u\d?_\d{1,2})?\s*",
            form="none, beta_0, beta_1, …, sigma2, sigma2_u (or sigma2_u1, …), omega_u_0 (or omega_u1_0, …) or rho_u_1",
            help="The likelihood maximised over all other parameters, with the interval of values that a "
            "likelihood-ratio test would not reject: better than Wald's for variances. rho_u_1 is the correlation of "
            "the covariance omega_u_1. By the Laplace approximation, whose error is told, for a binomial or Poisson "
            "response with several classifications.",
        ).strip()
    return tests, "" if profile == "none" else profile


def _derived(ask: Ask) -> str:
    text = ask.text(
        "derived",
        "Quantities of your own",
        optional=True,
        default="none",
        help="Made of the parameters by the names they have in the tables, with semicolons between: h2 = sigma2_u / "
        "(sigma2_u + sigma2); sd = sqrt(sigma2). One may be made of those before it. Operators are + - * / ^, and "
        "functions log, exp, sqrt, abs, min, max, round and if. The table Derived gives estimates, standard errors and "
        "intervals.",
    ).strip()
    if text == "none":
        return ""
    try:
        split(text)
    except ExpressionError as fault:
        ask.fault("derived", sentence(fault))
    return text


def _prediction(ask: Ask, smoothing: bool, y: tuple[str, ...]) -> tuple[bool, str, str, bool]:
    if not smoothing:
        return False, DRAWN, "", False
    method, truth, new = DRAWN, "", False
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
            new = bool(
                ask.yes_no(
                    "prednew",
                    "Predict new groups and observations?",
                    default="No",
                    help="Intervals for the effect of a group that was not seen, and for a new observation: for each "
                    "pattern of the explanatory variables in the data, or at their means where the patterns are many, "
                    "and then for each group that was seen too.",
                )
            )
    return bool(predict), method, truth, new
