"""What an imputation template gives: its own tables, the imputation model's, the fits', and the completed datasets."""

from __future__ import annotations

from templates_engine.outputs import VERDICTS, Beside, Head, Mend, Output

HEADS = {
    "fmi": Head("FMI", about="Fraction of missing information", places=2),
    "riv": Head("RIV", about="Relative increase in variance due to missing values", places=2),
}
POOLED, COMPLETE = "ResultsTable:Imputation", "ResultsTable:CompleteCases"
_CHAIN = "chain<c>_iter<i>"
_BESIDE = Beside(
    COMPLETE,
    ("Imputed", "Complete cases"),
    ("Imputed", "Complete"),
    more=("fmi",),
    counted=(r"([\d,]+) completed datasets", "Imputed, {} datasets"),
    group="L2ID",
)

OUTPUTS = (
    Output(
        POOLED,
        "The model fitted to each completed dataset, combined by Rubin's rules: estimate, standard error, degrees of "
        "freedom, interval, fraction of missing information, relative increase in variance, Monte Carlo error.",
        order=1,
        lead=1,
        heads=HEADS,
        beside=_BESIDE,
    ),
    Output(COMPLETE, "The same model on the complete rows alone.", order=2, lead=2, heads=HEADS),
    Output("CombinedResults", "The fits as chains side by side, a diagnostic.", order=3, lead=3),
    Output(VERDICTS, "Whether chains and fits have settled, and whether there are imputations enough."),
    Output("Methods", "A paragraph for a paper."),
    Output("Inputs", "The input string."),
    Output("script.py", "The call that repeats the run from Python."),
    Output("equation.tex", "The model of interest and the imputation model."),
    Output("CombinedResults_beta_1.svg", part="Combined results", shown="beta_1", lead=1),
    Output("CombinedResults_<parameter>.svg", part="Combined results", shown="{parameter}", lead=2),
    Output(
        f"impute_datafile_{_CHAIN}",
        "A completed dataset; there is one for each chain and iteration asked for.",
        part="Completed datasets",
        shown="chain{c} iter{i}",
    ),
    Output(
        f"impute_L2Data_{_CHAIN}",
        "Its groups, one row each, where variables of level 2 were imputed.",
        part="Completed, level 2",
        shown="chain{c} iter{i}",
    ),
    Output(f"Imputation_Model_impute_datafile_{_CHAIN}", listed=False),
    Output(f"Imputation_Model_impute_L2Data_{_CHAIN}", listed=False),
    Output(
        "Imputation_Model_<output>",
        "The imputation model: parameters, their draws and pictures, equation, one sweep of the sampler.",
        part="Imputation model",
        shown="{output}",
    ),
    Output("CompleteCasesModel_<output>", "The fit to the complete rows.", part="Complete cases", shown="{output}"),
    Output("Model<k>_<output>", "The fit to the k-th completed dataset.", part="Single fits", shown="{k}: {output}"),
)

LENGTHS = {"numimpute": "imputed datasets"}
MENDS = (
    Mend(r"About ([\d,]+) imputations", "numimpute", "Ask for {} imputations", word="Too few imputations"),
    Mend(r"^Fit .*?([\d,]+) more iterations", "iterations", "Ask for {} iterations", word="Too short", adds=True),
    Mend(r"Set imputefirst to ([\d,]+)", "imputefirst", "Ask for {} iterations", word="Too short"),
    Mend(r"([\d,]+) more iterations", "imputefirst", "Ask for {} iterations", word="Too short", adds=True),
)
