"""One-pass estimation: a model of interest and the model of its incomplete covariates, sampled together.

In: a OnePass model (terms, covariates, priors). Out: a Chain with draws and completed columns. Neighbours: joint,
normal, glm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.onepass.chain import (
        Chain as Chain,
        Snapshot as Snapshot,
        run_chain as run_chain,
    )
    from templates_engine.sampling.onepass.model import (
        Factor as Factor,
        Interest as Interest,
        InterestPrior as InterestPrior,
        OnePass as OnePass,
        Product as Product,
        Selection as Selection,
        evaluate as evaluate,
        names as names,
        with_means as with_means,
    )
    from templates_engine.sampling.onepass.scales import Scale as Scale

__getattr__, __all__ = lazily(__name__, __file__)
