"""Binomial, Poisson and negative binomial models with no, one or several classifications.

In: rows sorted by group, priors. Out: draws; maximum likelihood by quadrature or the Laplace approximation. Neighbours:
sampling, normal (priors), sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.sampling.glm import (
        data as data,
        families as families,
        laplace as laplace,
        negative_binomial as negative_binomial,
        quadrature_fit as quadrature_fit,
        sampler as sampler,
    )
    from templates_engine.sampling.glm.data import Grouped as Grouped, grouped as grouped
    from templates_engine.sampling.glm.families import (
        CODES as CODES,
        constant as constant,
        information as information,
        row as row,
    )
    from templates_engine.sampling.glm.laplace import Criterion as Criterion, LaplaceFit as LaplaceFit
    from templates_engine.sampling.glm.laplace_likelihood import (
        factor as factor,
        find_mode as find_mode,
        gather as gather,
        predict as predict,
        solve_back as solve_back,
        solve_forth as solve_forth,
        solve_with as solve_with,
    )
    from templates_engine.sampling.glm.marginal import (
        find_group_mode as find_group_mode,
        product_rule as product_rule,
    )
    from templates_engine.sampling.glm.negative_binomial import (
        one_row as one_row,
        rising as rising,
        weight_of as weight_of,
    )
    from templates_engine.sampling.glm.quadrature_fit import GRID as GRID, GlmFit as GlmFit, fixed_only as fixed_only

__getattr__, __all__ = lazily(__name__, __file__)
