"""What every imputer is: the joint model by itself, useful alone, with completed datasets on request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from templates_engine.data import Schema
from templates_engine.imputation.equations import imputation_model
from templates_engine.imputation.spec import ImputerSpec
from templates_engine.outputs import VERDICTS, Head, Output
from templates_engine.problems import Problem
from templates_engine.template import Template

SEEN = (
    Output("Correlations_<level>", "Correlations between the responses, a matrix for each level.", part="Correlations"),
    Output("Correlations", "Each correlation with its 95% interval.", part="Correlations"),
    Output("Missing_<level>", "Which variables are missing together, a table for each level.", part="Missing values"),
    Output("Observed_imputed", "Observed beside imputed values, chain by chain.", part="Missing values"),
    Output(
        "observed_imputed_<variable>.svg",
        "Observed beside imputed values of one variable.",
        part="Missing values",
        shown="{variable}",
    ),
    Output("Slowest", "The parameters that move most slowly first."),
)
SEEN_HEADS: Mapping[str, Head] = {
    "lower": Head("Lower"),
    "upper": Head("Upper"),
    "with": Head("With", number=False),
    "where": Head("Between", number=False),
}


class ImputerTemplate(Template):
    """Base class: a subclass has names and `questions`, which end in an ImputerSpec."""

    heading = "Several responses"
    intercept = True
    classes: ClassVar[int] = 1  # classifications whose kernels are compiled beforehand
    equation = "<<imputation>>"
    keys: ClassVar[Mapping[str, str]] = {}  # pattern of a key in the checks -> this template's key, as re.sub
    outputs: ClassVar[Sequence[Output]] = (
        Output("ModelResults", "Coefficients, covariances and thresholds with their standard deviations.", order=1),
        Output("ModelParameters", "The same, under the name that super-templates use.", order=9),
        Output(VERDICTS, "Whether the chains have settled."),
        *(replace(output, heads=SEEN_HEADS) for output in SEEN),
        Output("{outdata}", "The draws, under the name that you give."),
        Output("equation.tex", "The model."),
        Output("algorithm.tex", "One sweep of the sampler."),
        Output(
            "impute_datafile_chain<c>_iter<i>",
            "A completed dataset; there is one for each chain and iteration asked for.",
            part="Completed datasets",
            shown="chain{c} iter{i}",
        ),
        Output(
            "impute_L<n>Data_chain<c>_iter<i>",
            "The units of a classification, one row each, where variables of it were imputed.",
            part="Completed, higher levels",
            shown="level {n}, chain{c} iter{i}",
        ),
        Output("<parameter>.svg", part="Diagnostics", shown="{parameter}"),
    )

    def equation_values(self, spec: ImputerSpec, schema: Schema) -> dict[str, Any]:
        return {"imputation": imputation_model(spec, schema)}

    def check(self, spec: ImputerSpec, data: Any) -> list[Problem]:
        from templates_engine.imputation.checks import check

        found = check(spec, data)
        if not spec.n_imputed:  # then nothing need be missing
            found = [problem for problem in found if problem.code != "nothing-missing"]
        return [replace(problem, key=self.key_of(problem.key, spec)) for problem in found]

    def key_of(self, key: str, spec: ImputerSpec) -> str:
        """The key of this template's question for a key of the checks, which speak of yimp1, bin1_2 and ximp1_0."""
        for pattern, own in self.keys.items():
            if re.fullmatch(pattern, key):
                return re.sub(pattern, own, key)
        return key

    def run(self, spec: ImputerSpec, data: Any, job: Any) -> Any:
        from templates_engine.imputation.imputer_run import run

        return run(self.title, spec, data, job)

    def warm(self) -> None:
        from templates_engine.imputation.run import warm

        warm(self.classes)


class NormalImputer(ImputerTemplate):
    """An imputer of Normal responses only, with the keys y, x and x_VAR."""

    def key_of(self, key: str, spec: ImputerSpec) -> str:
        found = re.fullmatch(r"ximp1_(\d+)", key)
        if found:
            return f"x_{spec.level1[int(found[1])].name}"
        return "y" if re.fullmatch(r"yimp1|bin1_\d+", key) else key
