"""What every imputation template is: shared outputs, words, checks, equations and run; each asks its own questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from templates_engine.data import Schema
from templates_engine.imputation.equations import both_models
from templates_engine.imputation.leads import COMPARE_LEAD, ONE_PASS_LEAD
from templates_engine.imputation.outputs import LENGTHS, MENDS, OUTPUTS
from templates_engine.imputation.spec import Spec
from templates_engine.outputs import Output
from templates_engine.template import Lead, Template


class ImputationTemplate(Template):
    """Base class: a subclass has names and `questions`, which end in a Spec."""

    heading = "Missing data"
    renamed = {"MOOldist": "MOIdist"}
    intercept = True
    classes: ClassVar[int] = 1  # classifications whose kernels are compiled beforehand
    equation = (
        r"\begin{array}{l}\textbf{Model of interest}\\[6pt]"
        "\n<<moi>>"
        r"\\"
        "\n"
        r"{}\\"  # an empty row: space after a row counts from its middle, and this one is tall
        "\n"
        r"\textbf{Imputation model}\\[6pt]"
        "\n<<imputation>>\n"
        r"\end{array}"
    )
    outputs: ClassVar[Sequence[Output]] = OUTPUTS
    lengths = LENGTHS
    mends = MENDS

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return both_models(spec, schema)

    def leads(self, answers: Mapping[str, str]) -> Sequence[Lead]:
        several = len(answers.get("MOIclass", answers.get("C2", "")).split(",")) > 1 if "numclass" in answers else False
        return () if several else (ONE_PASS_LEAD, COMPARE_LEAD)

    def carried(self, lead: str, answers: Mapping[str, str], spec: Spec, data: Any) -> dict[str, str]:
        from templates_engine.imputation.carried import carried

        return carried(spec, data, lead == COMPARE_LEAD.name)

    def check(self, spec: Spec, data: Any) -> list[Any]:
        from templates_engine.imputation.checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Any, job: Any) -> Any:
        from templates_engine.imputation.run import run

        return run(spec, data, job)

    def warm(self) -> None:
        from templates_engine.imputation.run import warm

        warm(self.classes)
