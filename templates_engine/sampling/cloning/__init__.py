"""Data cloning: maximum likelihood from posteriors of K copies of the data.

In: statistics or rows, priors, clone numbers. Out: draws at each clone number, profiles, predictions, likelihood fits.
Neighbours: sampling, glm, normal, sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.cloning import (
        copies as copies,
        glm as glm,
        glm_ml as glm_ml,
        laplace_profile as laplace_profile,
        normal as normal,
        normal_ml as normal_ml,
        predict as predict,
        priors as priors,
    )
    from templates_engine.sampling.cloning.crossed_draws import (
        Centre as Centre,
        general_crossed_effects as general_crossed_effects,
    )
    from templates_engine.sampling.cloning.diagnostics import (
        ESTIMABLE as ESTIMABLE,
        FLAT as FLAT,
        NOT_ESTIMABLE as NOT_ESTIMABLE,
        RHAT_MARK as RHAT_MARK,
        STEEP as STEEP,
        UNDECIDED as UNDECIDED,
        Decay as Decay,
        combination as combination,
        decay as decay,
        gelman_one as gelman_one,
        measures as measures,
        slope as slope,
        word as word,
    )
    from templates_engine.sampling.cloning.fixed_variance import Pinned as Pinned, lower_root as lower_root
    from templates_engine.sampling.cloning.glm import target as target
    from templates_engine.sampling.cloning.joined_groups import cells as cells
    from templates_engine.sampling.cloning.normal import Cloned as Cloned
    from templates_engine.sampling.cloning.normal_ml import profiled as profiled
    from templates_engine.sampling.cloning.predict import (
        around as around,
        crossed_effects as crossed_effects,
        general_effects as general_effects,
        normal_effects as normal_effects,
        reweighted as reweighted,
    )
    from templates_engine.sampling.cloning.priors import Prior as Prior
    from templates_engine.sampling.cloning.profile import (
        NormalLikelihood as NormalLikelihood,
        Profile as Profile,
        correlation_profile as correlation_profile,
        found_profile as found_profile,
        normal_profile as normal_profile,
    )
    from templates_engine.sampling.cloning.quadrature import MOST_COEFFICIENTS as MOST_COEFFICIENTS, NODES as NODES

__getattr__, __all__ = lazily(__name__, __file__)
