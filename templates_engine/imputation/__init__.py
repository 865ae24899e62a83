"""What the imputation templates share: their outputs as the pages show them, and pooling by Rubin's rules.

In: estimates and variances of the fits to completed datasets. Out: one answer with its uncertainty. Neighbours: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.imputation import pooling as pooling
    from templates_engine.imputation.outputs import (
        LENGTHS as LENGTHS,
        MENDS as MENDS,
        OUTPUTS as OUTPUTS,
    )
    from templates_engine.imputation.settled import (
        chains_have_settled as chains_have_settled,
        fits_are_long_enough as fits_are_long_enough,
    )

__getattr__, __all__ = lazily(__name__, __file__)
