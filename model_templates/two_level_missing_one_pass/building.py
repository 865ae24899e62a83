"""From answers and data to the sampler's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from templates_engine import Dataset, Problem, Refused, Term
from templates_engine.data import design, first_in_group, with_intercept
from templates_engine.regression import NEGATIVE_BINOMIAL
from templates_engine.sampling import FLOOR, UNIFORM, WISHART, joint, raised
from templates_engine.sampling.glm import laplace
from templates_engine.sampling.normal import Factor as NormalFactor, priors as normal_priors, statistics, two_level_ml
from templates_engine.sampling.onepass import Factor, Interest, InterestPrior, OnePass, Product, with_means

from .codes import Coding, coding
from .not_random import selections
from .scaling import scale_of
from .spec import CATEGORICAL, COUNT, NORMAL, ROWS, Response, Spec


@dataclass(frozen=True)
class Prepared:
    """The rows that are used and what is made of them."""

    model: OnePass
    data: Dataset  # the rows used
    rows: np.ndarray  # (all rows,) True where used
    upper: Dataset | None  # one row a group, in the order of the codes
    codes: np.ndarray | None
    labels: tuple[str, ...]
    units: np.ndarray  # the identifier's own values
    codings: Mapping[str, Coding]  # of each variable with a model of its own

    @property
    def dropped(self) -> int:
        return int((~self.rows).sum())


def prepare(spec: Spec, data: Dataset, others: Dataset | None) -> Prepared:
    """Raises Refused. others: the level 2 dataset, where the answers name one."""
    rows = np.ones(data.n_rows, bool) if spec.more.keep_missing_y else ~data.missing(spec.y)
    used = data.take(rows)
    if used.n_rows == 0:
        raise Refused(Problem("no-complete-rows", f"{spec.y} is missing in every row.", key="y", column=spec.y))
    codes: np.ndarray | None = None
    labels: tuple[str, ...] = ()
    units = np.zeros(0)
    name = spec.group or spec.upper
    if name is not None:
        codes, found = used.groups(name)
        labels, units = tuple(found), np.unique(used[name])
    upper = None
    if spec.level2 and codes is not None:
        upper = _level2(spec, used, others, codes, units)
    codings = {r.name: coding(r, used) for r in spec.level1}
    codings |= {r.name: coding(r, upper) for r in spec.level2} if upper is not None else {}
    covariates = _covariates(spec, used, upper, codes, codings)
    interest = _interest(spec, used, upper, codes, covariates, codings)
    scales = {r.name: scale for r in spec.responses if (scale := scale_of(r)) is not None}
    chosen = selections(spec, used, covariates, scales, interest)
    model = OnePass(interest, covariates, spec.more.correlated, scales, chosen)
    model = replace(model, interest=replace(interest, prior=_prior(spec, model)))
    return Prepared(model, used, rows, upper, codes, labels, units, codings)


def _level2(spec: Spec, used: Dataset, others: Dataset | None, codes: np.ndarray, units: np.ndarray) -> Dataset:
    """One row a group, in the order of the codes."""
    assert spec.upper is not None
    names = [*dict.fromkeys([*(r.name for r in spec.level2), *(t.name for r in spec.level2 for t in r.predictors)])]
    if others is None:
        return Dataset(ROWS, {n: first_in_group(codes, used[n], len(units)) for n in (spec.upper, *names)})
    if spec.upper not in others:
        text = f"{others.name} has no column {spec.upper}, by which its rows belong to the groups."
        raise Refused(Problem("no-identifier", text, key="L2Data", column=spec.upper))
    others = with_intercept(others)
    theirs = others[spec.upper]
    if others.is_text(spec.upper) != used.is_text(spec.upper):
        text = f"{spec.upper} holds text in one dataset and numbers in the other, so no group is found."
        raise Refused(Problem("no-identifier", text, key="L2Data", column=spec.upper))
    order = np.argsort(theirs, kind="stable")
    twice = np.flatnonzero(theirs[order][1:] == theirs[order][:-1])
    if len(twice):
        which = theirs[order][twice[0]]
        text = f"{others.name} has {spec.upper} {_word(which)} more than once; one row for each group is needed."
        raise Refused(Problem("unit-twice", text, key="L2Data", column=spec.upper))
    place = np.minimum(np.searchsorted(theirs[order], units), len(theirs) - 1)
    absent = theirs[order][place] != units
    if absent.any():
        text = (
            f"{int(absent.sum()):,} groups of {spec.upper} have no row in {others.name} (the first is "
            f"{_word(units[absent][0])}); every group needs one."
        )
        raise Refused(Problem("unit-missing", text, key="L2Data", column=spec.upper))
    return others.select(list(dict.fromkeys([spec.upper, *names]))).take(order[place])


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _covariates(
    spec: Spec, used: Dataset, upper: Dataset | None, codes: np.ndarray | None, codings: Mapping[str, Coding]
) -> joint.JointModel:
    def response(r: Response, table: Dataset) -> joint.Response:
        part = design(table, r.predictors)
        d = r.n_categories - 1 if r.kind == "Unordered" else 1
        values, scale = codings[r.name].numbered(table[r.name]), scale_of(r)
        designs, names = (part.matrix,) * d, (part.names,) * d
        if r.kind in CATEGORICAL:
            return joint.Response(r.name, r.kind, values, r.n_categories, designs, names)
        if scale is not None:
            values = scale.inverse(values)
        return joint.Response(r.name, NORMAL, values, 1, designs, names, latent=r.kind == COUNT)

    lower = tuple(response(r, used) for r in spec.level1)
    above = tuple(response(r, upper) for r in spec.level2) if upper is not None else ()
    prior: joint.Uniform | joint.InverseWishart = joint.Uniform()
    if spec.upper is not None and spec.prior_covariates != UNIFORM:
        sizes = [
            0.2 * float(np.nanvar(r.values)) if r.kind == NORMAL and level == 1
            else float(np.nanvar(r.values)) if r.kind == NORMAL else 1.0
            for level, responses in ((1, lower), (2, above)) for r in responses for _ in range(r.dimensions)
        ]  # fmt: skip
        prior = joint.InverseWishart(float(len(sizes)), len(sizes) * np.diag(sizes))
    if spec.upper is None or codes is None:
        return joint.JointModel(lower)
    return joint.JointModel(lower, (joint.Classification(codes, above, prior),))


def _interest(
    spec: Spec, used: Dataset, upper: Dataset | None, codes: np.ndarray | None, covariates: joint.JointModel,
    codings: Mapping[str, Coding],
) -> Interest:  # fmt: skip
    incomplete = {r.name: r for r in (*covariates.level1, *covariates.level2) if np.isnan(r.values).any()}
    terms: list[Product] = []
    places: dict[str, int] = {}

    def placed(term: Term) -> list[int]:
        """The numbers of a chosen term's columns among the terms."""
        found = []
        for each in _expanded(spec, term, used, upper, codes, incomplete, codings):
            if each.name not in places:
                places[each.name] = len(terms)
                terms.append(each)
            found.append(places[each.name])
        return found

    fixed = tuple(k for term in spec.x for k in placed(term))
    random = tuple(k for term in spec.x2 for k in placed(term))
    return Interest(
        np.asarray(used[spec.y], float), tuple(terms), fixed, random, codes if spec.group is not None else None,
        spec.link, spec.family == NEGATIVE_BINOMIAL,
        None if spec.trials is None else np.asarray(used[spec.trials], float),
        None if spec.offset is None else np.asarray(used[spec.offset], float),
    )  # fmt: skip


def _expanded(
    spec: Spec, term: Term, used: Dataset, upper: Dataset | None, codes: np.ndarray | None,
    incomplete: Mapping[str, joint.Response], codings: Mapping[str, Coding],
) -> list[Product]:  # fmt: skip
    """The columns of a chosen term: one, or one for each combination of categories but the last."""
    n = used.n_rows
    choices: list[list[tuple[str, np.ndarray | None, Factor | None]]] = []
    for variable, power in spec.factors(term):
        name = variable.name
        label = f"{name}^{power}" if power > 1 else name
        if (of := dict(spec.more.means).get(name)) is not None:
            origin = _origin(of, codings[of])
            choices.append([(label, None, Factor(of, power, origin=origin, mean=True))])
            continue
        if name in incomplete:
            known = codings[name]
            if spec.by_category(variable):
                texts = list(enumerate(known.texts))[:-1]
                choices.append(
                    [(f"{name}_{t}", None, Factor(name, category=c, origin=known.origin or 0)) for c, t in texts]
                )
            else:
                choices.append([(label, None, Factor(name, power, origin=_origin(name, known)))])
            continue
        above = upper is not None and name in {r.name for r in spec.level2}
        table = upper if above and upper is not None else used
        part = design(table, (replace(variable, categorical=spec.by_category(variable)),))
        matrix = part.matrix[codes] if above and codes is not None else part.matrix
        labels = part.names if spec.by_category(variable) else (label,)
        choices.append([(labels[k], matrix[:, k] ** power, None) for k in range(matrix.shape[1])])
    found = []
    for combination in product(*choices):
        column = np.ones(n)
        for _, values, _ in combination:
            column = column if values is None else column * values
        factors = tuple(factor for _, _, factor in combination if factor is not None)
        found.append(Product("*".join(label for label, _, _ in combination), column, factors))
    return found


def _origin(name: str, known: Coding) -> int:
    """The code from which the categories of a variable that enters as a number are counted. Raises Refused."""
    if known.origin is not None:
        return known.origin
    text = (
        f"{name} has the codes {', '.join(known.texts)}, and is drawn as a category: its codes cannot enter the model "
        f"as numbers unless they go up in steps of one. Choose {name}:cat, or recode it."
    )
    raise Refused(Problem("codes-not-numbers", text, key="xvars", column=name, nearest=f"{name}:cat"))


def _prior(spec: Spec, model: OnePass) -> InterestPrior:
    """The prior behind the answer; an inverse Wishart is centred on the estimate from the complete rows
    (REML, or the Laplace approximation)."""
    interest = model.interest
    q = len(interest.random)
    guess = None
    if spec.prior_interest == WISHART and spec.link != "identity":
        guess = _general_guess(spec, model)
    elif spec.prior_interest == WISHART:
        matrix, kept = complete_design(model)
        assert interest.groups is not None
        _, again = np.unique(interest.groups[kept], return_inverse=True)
        x, z = matrix[:, list(interest.fixed)], matrix[:, list(interest.random)]
        fit = two_level_ml.fit(statistics(interest.y[kept], x, again.reshape(-1), z))
        size = np.sqrt(np.maximum(np.mean(z**2, axis=0), 1e-300))
        guess = fit.omega + np.diag(0.01 * fit.sigma2 / size**2)
    named = normal_priors.named(spec.prior_interest, q, guess)
    return InterestPrior(df=named.omega.df, scale=named.scale(q), shape=named.sigma2.shape, rate=named.sigma2.scale)


def _general_guess(spec: Spec, model: OnePass) -> np.ndarray:
    """The random effects' covariance matrix by the Laplace approximation on the complete rows."""
    interest = model.interest
    matrix, kept = complete_design(model)
    assert interest.groups is not None
    _, again = np.unique(interest.groups[kept], return_inverse=True)
    z = matrix[:, list(interest.random)]
    fit = laplace.fit(
        spec.link, interest.y[kept], matrix[:, list(interest.fixed)], [NormalFactor(again.reshape(-1), z)],
        trials=None if interest.trials is None else interest.trials[kept],
        offset=None if interest.offset is None else interest.offset[kept],
        negative_binomial=interest.negative_binomial,
    )  # fmt: skip
    return np.asarray(raised(fit.omega[0], z, FLOOR))


def complete_design(model: OnePass) -> tuple[np.ndarray, np.ndarray]:
    """(columns of all terms on the complete rows, which rows these are). Group means are those of what is seen."""
    interest, covariates = model.interest, model.covariates
    values = {r.name: model.values(r) for r in covariates.level1}
    values |= {r.name: model.values(r)[covariates.groups] for r in covariates.level2}
    values = dict(with_means(model, list(values.items())))
    columns = []
    for term in interest.terms:
        column = term.column.copy()
        for factor in term.factors:
            x = values[factor.key]
            column = column * np.where(np.isnan(x), np.nan, factor.of(x))
        columns.append(column)
    matrix = np.column_stack(columns)
    kept = ~np.isnan(matrix).any(axis=1) & ~np.isnan(interest.y)
    return matrix[kept], kept
