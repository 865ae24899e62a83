"""Whether coefficients of a binomial or Poisson model run off to infinity, told by a linear programme.

There is a direction d ≠ 0 of γ along which the likelihood never falls, and rises somewhere, exactly if x_i'd ≤ 0 where
y_i = 0, x_i'd ≥ 0 where all trials succeeded, x_i'd = 0 elsewhere, with some x_i'd ≠ 0 (Albert and Anderson 1984; Konis
2007, for counts Correia, Guimarães and Zylkin 2019).
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

from templates_engine.sampling.glm.data import Grouped


def separated(data: Grouped) -> bool:
    """Of a model without effects. Costs a linear programme in p variables and the distinct rows."""
    count = data.link == 3
    told = np.ones(data.n, bool) if count else data.trials > 0
    side = np.where(data.y == 0, -1.0, 0.0)
    if not count:
        side = np.where(told & (data.y == data.trials), 1.0, side)
    held = np.unique(np.round(data.q_matrix[told & (side == 0)], 12), axis=0)
    pushed = np.unique(np.round((data.q_matrix * side[:, None])[told & (side != 0)], 12), axis=0)
    if not len(pushed):
        return False
    found = optimize.linprog(
        -pushed.sum(axis=0) / len(pushed), A_ub=-pushed, b_ub=np.zeros(len(pushed)),
        A_eq=held if len(held) else None, b_eq=np.zeros(len(held)) if len(held) else None, bounds=(-1.0, 1.0),
        method="highs",
    )  # fmt: skip
    return bool(found.status != 0 or -found.fun > 1e-7)
