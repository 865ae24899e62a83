"""Normal mixed models: two levels, and N classifications, on sufficient statistics.

In: sufficient statistics and priors. Out: draws, maximum likelihood and REML fits. Neighbours: sampling, sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.normal import (
        classified as classified,
        classified_stats as classified_stats,
        priors as priors,
        two_level as two_level,
        two_level_ml as two_level_ml,
    )
    from templates_engine.sampling.normal.classified import (
        Chain as Chain,
        Priors as Priors,
        prior_arrays as prior_arrays,
    )
    from templates_engine.sampling.normal.classified_moves import Prior as Prior, shift_nested as shift_nested
    from templates_engine.sampling.normal.classified_stats import (
        Factor as Factor,
        nested_in as nested_in,
        nesting as nesting,
    )
    from templates_engine.sampling.normal.priors import InverseWishart as InverseWishart
    from templates_engine.sampling.normal.two_level import packed as packed, slice_scale as slice_scale
    from templates_engine.sampling.normal.two_level_stats import (
        CollinearError as CollinearError,
        Coordinates as Coordinates,
        Floats as Floats,
        Ints as Ints,
        Statistics as Statistics,
        orthonormal as orthonormal,
        starts_of as starts_of,
        statistics as statistics,
    )

__getattr__, __all__ = lazily(__name__, __file__)
