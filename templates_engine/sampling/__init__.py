"""Samplers and likelihoods on arrays; nothing of what stands above is imported.

In: arrays, priors, seeds. Out: draws, fits, diagnostics. Its rooms: normal, glm, sparse, cloning, joint. Neighbours:
none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling import criteria as criteria, diagnostics as diagnostics, saving as saving
    from templates_engine.sampling.chains import Progress as Progress, cores as cores, side_by_side as side_by_side
    from templates_engine.sampling.compiled import kernels_folder as kernels_folder, njit as njit
    from templates_engine.sampling.diagnostics import MEASURES as MEASURES, measures as measures
    from templates_engine.sampling.prior_names import GAMMA as GAMMA, UNIFORM as UNIFORM, WISHART as WISHART
    from templates_engine.sampling.rng import streams as streams
    from templates_engine.sampling.saving import Floats as Floats, Live as Live, Saved as Saved
    from templates_engine.sampling.starts import (
        FLOOR as FLOOR,
        at_least as at_least,
        raised as raised,
        scattered as scattered,
    )

__getattr__, __all__ = lazily(__name__, __file__)
