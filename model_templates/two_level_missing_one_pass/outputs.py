"""What 2LevelMissingOnePass says of its outputs: names, heads, the words for parameters."""

from __future__ import annotations

from templates_engine.outputs import VERDICTS, Head, Output

_PUBLISHED = {"published_name": Head("Published name", number=False, about="Its name in the published guide")}
OUTPUTS = (
    Output(
        "ModelResults",
        "Parameters of both models: posterior mean, sd, quantiles, effective sample sizes, Monte Carlo error, R-hat, "
        "and the name that the published guide gives them.",
        order=1,
        lead=1,
        heads=_PUBLISHED,
    ),
    Output("ModelParameters", "The same.", listed=False, heads=_PUBLISHED),
    Output(
        "Slopes",
        "For each interaction of two variables: the slope of one at values of the other, with its interval.",
        order=2,
        heads={
            "slope of": Head("Slope of", number=False),
            "at values of": Head("At values of", number=False),
            "value": Head("Value"),
            "away from zero": Head("Interval without zero", number=False),
        },
    ),
    Output(
        "Comparison",
        "With compare = Yes: complete cases, multiple imputation and one pass from one set of answers.",
        order=3,
        heads={
            "complete": Head("Complete cases"),
            "complete_se": Head("SE"),
            "imputed": Head("Imputed"),
            "imputed_se": Head("SE"),
            "fmi": Head("FMI", about="Fraction of missing information", places=2),
            "onepass": Head("One pass", about="Posterior mean"),
            "onepass_sd": Head("SD", about="Posterior standard deviation"),
            "complete_shift": Head("Complete, shift", about="From one pass, in its posterior sds", places=2),
            "imputed_shift": Head("Imputed, shift", about="From one pass, in its posterior sds", places=2),
        },
    ),
    Output("Comparison.svg", "The same with intervals, in one picture."),
    Output(
        "Sensitivity",
        "With a selection model or pattern mixture (mnar): the model of interest under each assumption on the missing "
        "values, and how far from missing at random.",
        order=3,
        heads={
            "assumed": Head("Assumed", number=False),
            "shift": Head("Change", about="From missing at random, in its posterior sds", places=2),
        },
    ),
    Output("Sensitivity.svg", "The same with intervals, in one picture."),
    Output(
        "Imputed",
        "Each variable with a model of its own: how many values were missing and how they were drawn.",
        order=3,
        heads={
            "level": Head("Level", places=0),
            "type": Head("Type", number=False),
            "missing": Head("Missing", places=0),
            "of": Head("Of", places=0),
            "drawn": Head("How drawn", number=False),
            "accepted": Head("Accepted", about="Share of Metropolis proposals that were accepted", places=2),
        },
    ),
    Output("ModelFit", "Deviance, rows, groups, rows left out.", order=4),
    Output(VERDICTS, "Whether the chains have settled."),
    Output("{outdata}", "The parameter chains, under the name that you give."),
    Output("equation.tex", "Both models with their priors."),
    Output("algorithm.tex", "One iteration of the sampler."),
    Output("Inputs", "The input string."),
    Output("script.py", "The call that repeats the run from Python."),
    Output("beta_1.svg", lead=2),
    Output("<parameter>.svg", "Six-part diagnostics of each parameter."),
    Output(
        "impute_datafile_chain<c>_iter<i>",
        "A completed dataset; there is one for each chain and iteration asked for.",
        part="Completed datasets",
        shown="chain{c} iter{i}",
    ),
    Output(
        "impute_L2Data_chain<c>_iter<i>",
        "Its groups, one row each, where variables of level 2 were incomplete.",
        part="Completed, level 2",
        shown="chain{c} iter{i}",
    ),
    Output("residuals", "With storeresid = Yes: group effects of both models, posterior mean and sd of each."),
    Output(
        "prediction",
        "With makepred = Yes: your data with the expected response of each row, its interval and the residual.",
    ),
)
PARAMETERS = {
    "sigma2": "Residual variance of the model of interest",
    "select<i>_<k>": "Being missing, {variable}",
    "alpha": "Dispersion of the counts",
    "omega_uint_<k>": "Between groups, {variable}",
    "beta1imp_<k>": "Covariate model, {variable}",
    "beta2imp_<k>": "Covariate model of level 2, {variable}",
    "omega_u_<k>": "Covariates between groups, {variable}",
    "omega_e_<k>": "Covariates within groups, {variable}",
}
