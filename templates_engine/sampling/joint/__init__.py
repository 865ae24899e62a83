"""The joint imputation model: responses of four types at two levels, sampled together.

In: a JointModel (responses, designs, priors). Out: a JointChain with draws and completed columns. Neighbours: sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.joint.arrays import (
        INTERVAL as INTERVAL,
        MAXIMUM as MAXIMUM,
        NORMAL as NORMAL,
        Base as Base,
        Dims as Dims,
        Groups as Groups,
        Priors as Priors,
        Rows as Rows,
        State as State,
        Sums as Sums,
    )
    from templates_engine.sampling.joint.chain import (
        JointChain as JointChain,
        NumericalFailure as NumericalFailure,
        disperse as disperse,
        run_chain as run_chain,
    )
    from templates_engine.sampling.joint.covariance import draw_covariance as draw_covariance
    from templates_engine.sampling.joint.fixed_effects import (
        centred_effects as centred_effects,
        conditional_effects as conditional_effects,
    )
    from templates_engine.sampling.joint.group_effects import (
        Basis as Basis,
        diagonalise as diagonalise,
        fixed_level2 as fixed_level2,
        group_residuals as group_residuals,
        shift_latents as shift_latents,
    )
    from templates_engine.sampling.joint.latents import (
        finish_sums as finish_sums,
        fitted_values as fitted_values,
        maximum_bounds as maximum_bounds,
    )
    from templates_engine.sampling.joint.layout import Layout as Layout, build as build
    from templates_engine.sampling.joint.linalg import (
        copy_into as copy_into,
        draw_canonical as draw_canonical,
        inverse as inverse,
    )
    from templates_engine.sampling.joint.model import (
        InverseWishart as InverseWishart,
        JointModel as JointModel,
        Normal as Normal,
        Prior as Prior,
        Response as Response,
        Uniform as Uniform,
        parameter_names as parameter_names,
    )
    from templates_engine.sampling.joint.proper import propriety as propriety
    from templates_engine.sampling.joint.rescaling import scale_latents as scale_latents
    from templates_engine.sampling.joint.saved import Completed as Completed
    from templates_engine.sampling.joint.sweep import (
        Output as Output,
        level2_residuals as level2_residuals,
        record as record,
        residual_products as residual_products,
    )
    from templates_engine.sampling.joint.thresholds import (
        interval_probability as interval_probability,
        thresholds_level1 as thresholds_level1,
        thresholds_level2 as thresholds_level2,
    )

__getattr__, __all__ = lazily(__name__, __file__)
