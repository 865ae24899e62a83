"""What the imputation templates share: questions, checks, completed data, pooling by Rubin's rules, report.

In: answers and a dataset with gaps. Out: completed datasets, the fits to them, one answer with its uncertainty.
Neighbours: running (calls the templates that fit), sampling.joint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.imputation import (
        imputer_questions as imputer_questions,
        pooling as pooling,
        questions as questions,
    )
    from templates_engine.imputation.complete import SETTLING as SETTLING, joint_model as joint_model
    from templates_engine.imputation.imputer import ImputerTemplate as ImputerTemplate, NormalImputer as NormalImputer
    from templates_engine.imputation.leads import COMPARE_LEAD as COMPARE_LEAD
    from templates_engine.imputation.more_questions import ask_more as ask_more
    from templates_engine.imputation.outputs import (
        LENGTHS as LENGTHS,
        MENDS as MENDS,
        OUTPUTS as OUTPUTS,
    )
    from templates_engine.imputation.settled import (
        chains_have_settled as chains_have_settled,
        fits_are_long_enough as fits_are_long_enough,
    )
    from templates_engine.imputation.spec import (
        Classification as Classification,
        ImputerSpec as ImputerSpec,
        ModelOfInterest as ModelOfInterest,
        Response as Response,
        Spec as Spec,
    )
    from templates_engine.imputation.template import ImputationTemplate as ImputationTemplate

__getattr__, __all__ = lazily(__name__, __file__)
