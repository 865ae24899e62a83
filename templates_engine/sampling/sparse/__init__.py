"""One sparse factorisation for models of several classifications.

In: codes of classifications and cross-products. Out: likelihood, REML, draws of effects. Neighbours: sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.sparse.effects import eliminate as eliminate
    from templates_engine.sampling.sparse.eliminated import (
        Eliminated as Eliminated,
        Factored as Factored,
    )
    from templates_engine.sampling.sparse.factor import (
        Pattern as Pattern,
        Work as Work,
        draw_effects as draw_effects,
        reduced_classes as reduced_classes,
    )
    from templates_engine.sampling.sparse.likelihood import Classes as Classes, TooDense as TooDense, classes as classes
    from templates_engine.sampling.sparse.reml import (
        RemlFit as RemlFit,
        Surface as Surface,
        affordable as affordable,
        fit_reml as fit_reml,
    )

__getattr__, __all__ = lazily(__name__, __file__)
