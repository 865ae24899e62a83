"""The joint imputation model: responses of four types at any number of levels, sampled together.

In: a JointModel (responses, designs, priors). Out: a JointChain with draws and completed columns. Neighbours: sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.joint.chain import (
        JointChain as JointChain,
        NumericalFailure as NumericalFailure,
        run_chain as run_chain,
    )
    from templates_engine.sampling.joint.crossing import (
        components as components,
        holders as holders,
        parent_of as parent_of,
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
        parameter_names as parameter_names,
    )
    from templates_engine.sampling.joint.proper import propriety as propriety

__getattr__, __all__ = lazily(__name__, __file__)
