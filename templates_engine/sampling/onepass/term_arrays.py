"""The terms of a model as the kernels' arrays: forms, group means, selection models."""

from __future__ import annotations

import numpy as np

from templates_engine.sampling.joint import Layout as JointLayout
from templates_engine.sampling.onepass.arrays import Cells, Means, Selected, Terms
from templates_engine.sampling.onepass.model import Array, Factor, OnePass, Product, Whole, origins


def terms_of(model: OnePass) -> tuple[Terms, list[Product]]:
    """The terms' factors by level, and the distinct shapes."""
    lower = [r.name for r in model.covariates.level1]
    upper = [r.name for r in model.covariates.level2]
    columns: list[Product] = []
    place: list[int] = []
    above: list[tuple[Factor, ...]] = []
    for term in model.interest.terms:
        inside = (f for f in term.factors if f.variable in lower and not f.mean)
        own = tuple(sorted(inside, key=lambda f: (f.variable, f.category)))
        above.append(tuple(f for f in term.factors if f.variable in upper or f.mean))
        for k, known in enumerate(columns):
            if known.factors == own and np.array_equal(known.column, term.column):
                place.append(k)
                break
        else:
            place.append(len(columns))
            columns.append(Product(term.name, term.column, own))
    interest = model.interest
    form = _forms([c.factors for c in columns], lower, origins(interest, lower))
    form2 = _forms(above, [*upper, *(f"mean of {name}" for name in model.means)], _above(model))
    terms = Terms(
        np.array(place, np.int64), np.array(interest.fixed, np.int64), np.array(interest.random, np.int64), form, form2,
        form.max(axis=0, initial=0), form2.max(axis=0, initial=0), (form != 0).any(axis=0).astype(np.int8),
        (form2 != 0).any(axis=0).astype(np.int8),
    )  # fmt: skip
    return terms, columns


def _above(model: OnePass) -> Whole:
    """(R2 + G,) codes of category 0 of the level 2 variables and, without a meaning, of the means."""
    upper = origins(model.interest, [r.name for r in model.covariates.level2])
    return np.concatenate([upper, np.zeros(len(model.means), np.int64)])


def means_of(model: OnePass, below: JointLayout, terms: Terms, group: Whole, J: int) -> Means:
    """The group means that are drawn with their values."""
    lower = [r.name for r in model.covariates.level1]
    of = np.array([lower.index(name) for name in model.means], np.int64)
    at = np.full(len(lower), -1)
    at[of] = np.arange(of.size)
    still = np.ones(group.size, bool)
    still[below.drawn] = False
    sums = np.zeros((J, of.size))
    first = origins(model.interest, lower)
    for m, r in enumerate(of):
        x = model.values(model.covariates.level1[r])[still] + first[r]
        sums[:, m] = np.bincount(group[still], x, J)
    straight = np.zeros(len(lower), np.int8)
    for m, r in enumerate(of):
        with_it = np.array([terms.form[terms.shape[t], r] != 0 for t in range(terms.shape.size)])
        averaged = terms.form2[:, len(model.covariates.level2) + m] != 0
        once = terms.degree[r] <= 1 and terms.degree2[len(model.covariates.level2) + m] <= 1
        straight[r] = int(once and not (with_it & averaged).any())
    return Means(of, at, sums, np.bincount(group, minlength=J).astype(float), straight)


def selected_of(model: OnePass, below: JointLayout, cells: Cells) -> Selected:
    """The selection models at their starting point: coefficients 0 but for their priors' means."""
    lower = [r.name for r in model.covariates.level1]
    n, S = model.interest.y.size, len(model.selections)
    complete: dict[tuple[str, bytes], Array] = {}
    for each in model.selections:
        for name, column in zip(each.names, each.design.T, strict=True):
            complete[name, column.tobytes()] = column
    keys, C = list(complete), len(complete)
    design = np.zeros((n if S else 0, C + len(lower)))
    row = below.drawn.astype(np.int64) if S else np.zeros(0, np.int64)
    if S:
        for c, key in enumerate(keys):
            design[:, c] = complete[key]
        for k, response in enumerate(model.covariates.level1):
            if response.kind != "Unordered":
                design[:, C + k] = model.values(response) + cells.origin[k]
                design[row, C + k] = cells.value[:, k]
    shape = (S, C + len(lower))
    on, mean, precision = np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape)
    mark = np.zeros((S, n), np.int8)
    for s, each in enumerate(model.selections):
        places = [keys.index((name, x.tobytes())) for name, x in zip(each.names, each.design.T, strict=True)]
        places += [C + lower.index(name) for name in each.incomplete]
        on[s, places], mean[s, places], precision[s, places] = 1, each.mean, each.precision
        mark[s] = np.isnan(model.covariates.level1[lower.index(each.variable)].values)
    latent = np.where(mark == 1, 0.7, -0.7)
    return Selected(mark, latent, design, on, mean.copy(), mean, precision, row, np.array([C], np.int64))


def _forms(products: list[tuple[Factor, ...]], names: list[str], first: Whole) -> Whole:
    """(products, variables): what each variable does in each product, see arrays.Terms."""
    out = np.zeros((len(products), len(names)), np.int64)
    for line, factors in zip(out, products, strict=True):
        for factor in factors:
            k = names.index(factor.key)
            line[k] = factor.power if factor.category < 0 else -(factor.category + first[k]) - 1
    return out
