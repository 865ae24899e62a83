"""What the regression templates share: questions, checks, fits, tables, predictions, equation, run.

In: a spec of response, predictors, classifications and priors; a dataset. Out: tables, draws, predictions. Neighbours:
running, asking, manual, data, sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.regression import (
        checks as checks,
        questions as questions,
        questions_classes as questions_classes,
    )
    from templates_engine.regression.checks import response_faults as response_faults
    from templates_engine.regression.data import Rows as Rows, prepare as prepare
    from templates_engine.regression.equation import LINKS as LINKS
    from templates_engine.regression.questions import (
        BINOMIAL as BINOMIAL,
        EVERY_FAMILY as EVERY_FAMILY,
        NEGATIVE_BINOMIAL as NEGATIVE_BINOMIAL,
        NORMAL as NORMAL,
        POISSON as POISSON,
        Model as Model,
        ask_family as ask_family,
    )
    from templates_engine.regression.questions_classes import NModel as NModel
    from templates_engine.regression.template import RegressionTemplate as RegressionTemplate
    from templates_engine.regression.words import PARAMETERS as PARAMETERS, words_of as words_of

__getattr__, __all__ = lazily(__name__, __file__)
