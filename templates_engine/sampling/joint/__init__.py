"""The joint imputation model: responses of four types at any number of levels, sampled together.

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
        Class as Class,
        Dims as Dims,
        Groups as Groups,
        Priors as Priors,
        Rows as Rows,
        RowSums as RowSums,
        State as State,
    )
    from templates_engine.sampling.joint.basis import diagonalise as diagonalise
    from templates_engine.sampling.joint.chain import (
        JointChain as JointChain,
        NumericalFailure as NumericalFailure,
        disperse as disperse,
        run_chain as run_chain,
    )
    from templates_engine.sampling.joint.covariance import draw_covariance as draw_covariance
    from templates_engine.sampling.joint.crossing import (
        components as components,
        holders as holders,
        parent_of as parent_of,
    )
    from templates_engine.sampling.joint.fixed_effects import (
        centred_effects as centred_effects,
        conditional_effects as conditional_effects,
        subtract_effects as subtract_effects,
    )
    from templates_engine.sampling.joint.group_effects import (
        fixed_part as fixed_part,
        group_residuals as group_residuals,
    )
    from templates_engine.sampling.joint.latents import (
        finish_sums as finish_sums,
        fitted_values as fitted_values,
        maximum_bounds as maximum_bounds,
    )
    from templates_engine.sampling.joint.layout import Layout as Layout, build as build
    from templates_engine.sampling.joint.linalg import (
        draw_canonical as draw_canonical,
        inverse as inverse,
    )
    from templates_engine.sampling.joint.model import (
        Classification as Classification,
        HalfT as HalfT,
        InverseWishart as InverseWishart,
        JointModel as JointModel,
        Normal as Normal,
        Prior as Prior,
        Response as Response,
        Uniform as Uniform,
        dimensions_within as dimensions_within,
        free_elements as free_elements,
        parameter_names as parameter_names,
    )
    from templates_engine.sampling.joint.priors import start_covariance as start_covariance
    from templates_engine.sampling.joint.proper import propriety as propriety
    from templates_engine.sampling.joint.saved import Completed as Completed
    from templates_engine.sampling.joint.sweep import (
        Output as Output,
        class_step as class_step,
        less_effects as less_effects,
        record as record,
        residual_products as residual_products,
    )
    from templates_engine.sampling.joint.thresholds import (
        interval_probability as interval_probability,
        thresholds_level1 as thresholds_level1,
        thresholds_of_class as thresholds_of_class,
    )

__getattr__, __all__ = lazily(__name__, __file__)
