"""A fitted model with several classifications taken back to its rows, draw by draw: pointwise log likelihoods, and
predictions. As mixed_rows, whose parts it uses: from the draws whose effects were kept, in blocks of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from templates_engine.data.dataset import Dataset
from templates_engine.data.design import design
from templates_engine.sampling import glm_families, glm_negative_binomial
from templates_engine.sampling.mixed_normal import packed
from templates_engine.sampling.mixed_questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL
from templates_engine.sampling.mixed_rows import (
    SPREAD,
    affordable,
    blocks,
    units_of,
    usable_rows,
    with_predictions,
)
from templates_engine.sampling.mixed_stats import Floats, Ints
from templates_engine.sampling.nlevel_data import NRows
from templates_engine.sampling.nlevel_normal import Chain
from templates_engine.sampling.nlevel_questions import NModel


@dataclass(frozen=True)
class Sample:
    """Draws of all chains joined, S of them, with the effects of all classifications."""

    beta: Floats  # (S, p)
    variance: Floats  # (S,) σ², or α of a negative binomial response; else not used
    omega: tuple[Floats, ...]  # (S, q, q) by classification
    effects: tuple[Floats, ...]  # (S, J, q)

    @property
    def size(self) -> int:
        return len(self.beta)

    def thinned(self, most: int) -> Sample:
        """At most `most` of them, evenly spaced."""
        if self.size <= most:
            return self
        at = np.linspace(0, self.size - 1, most).astype(np.int64)
        return Sample(
            self.beta[at], self.variance[at], tuple(w[at] for w in self.omega), tuple(u[at] for u in self.effects)
        )


def sample_of(model: NModel, chains: Sequence[Chain]) -> Sample:
    """The draws whose effects were kept."""
    values = np.concatenate([chain.omega[chain.kept_at] for chain in chains])
    spread = [chain.dispersion if model.family == NEGATIVE_BINOMIAL else chain.sigma2 for chain in chains]
    omega, effects, at = [], [], 0
    for c in range(len(model.classes)):
        effects.append(np.concatenate([chain.kept_effects[c] for chain in chains]))
        q = effects[-1].shape[2]
        one = np.zeros((len(values), q, q))
        for k, (i, j) in enumerate(packed(q)):
            one[:, i, j] = one[:, j, i] = values[:, at + k]
        omega.append(one)
        at += q * (q + 1) // 2
    return Sample(
        np.concatenate([chain.beta[chain.kept_at] for chain in chains]),
        np.concatenate([each[chain.kept_at] for each, chain in zip(spread, chains, strict=True)]),
        tuple(omega), tuple(effects),
    )  # fmt: skip


def linear(
    x: Floats, z: Sequence[Floats], codes: Sequence[Ints], offset: Floats, beta: Floats, effects: Sequence[Floats]
) -> Floats:
    """The linear predictor (rows, S), effects and offset included."""
    eta: Floats = x @ beta.T + offset[:, None]
    for columns, code, u in zip(z, codes, effects, strict=True):
        for k in range(columns.shape[1]):
            eta += columns[:, k, None] * u[:, code, k].T
    return eta


def log_likelihoods(model: NModel, rows: NRows, sample: Sample) -> Iterator[Floats]:
    """log p(y_i | β, u, σ² or α) by blocks (rows, S), all constants kept, given the effects of all classifications."""
    r = rows.rows
    for part in blocks(r.n, sample.size):
        y, trials = r.y[part], r.trials[part]
        z, codes = [f.z[part] for f in rows.factors], [f.codes[part] for f in rows.factors]
        eta = linear(r.x[part], z, codes, r.offset[part], sample.beta, sample.effects)
        if model.family == NORMAL:
            yield -0.5 * (np.log(2 * np.pi * sample.variance) + (y[:, None] - eta) ** 2 / sample.variance)
        elif model.family == NEGATIVE_BINOMIAL:
            glm_negative_binomial.pointwise(y, sample.variance, eta)
            yield eta
        else:
            link = glm_families.CODES[model.link]
            glm_families.pointwise(link, y, trials, eta)
            yield eta + glm_families.constants(link, y, trials)[:, None]


def predictions(model: NModel, data: Dataset, rows: NRows, sample: Sample, rng: np.random.Generator) -> Dataset:
    """The data with the posterior mean, sd and 95 % interval of each row's expected response, and the residual.

    Expected: the mean, or the expected number of successes or the expected count, given the effects of the row's
    units; one of a unit that was not fitted is drawn from N(0, Ω). Missing where a predictor is.
    """
    terms = (*model.x, *(term for each in model.slopes for term in each))
    usable, levels = usable_rows(model, data, terms)
    part = data.take(usable)
    x = design(part, model.x, levels).matrix
    n = part.n_rows
    each = zip(rows.factors, model.classes, strict=True)
    many = sum((f.groups + len(np.unique(part[name]))) * f.q for f, name in each)
    sample = sample.thinned(affordable(sample.size, many, 1))
    z: list[Floats] = []
    codes: list[Ints] = []
    effects: list[Floats] = []
    for c, name in enumerate(model.classes):
        z.append(design(part, model.slopes[c], levels).matrix if model.slopes else np.ones((n, 1)))
        code, grown = units_of(part[name], rows.units[c], sample.effects[c], sample.omega[c], rng)
        codes.append(code)
        effects.append(grown)
    trials = np.asarray(part[model.trials], dtype=float) if model.trials else np.ones(n)
    offset = np.asarray(part[model.offset], dtype=float) if model.offset else np.zeros(n)
    found = np.empty((4, n))
    for at in blocks(n, sample.size):
        value = linear(x[at], [m[at] for m in z], [code[at] for code in codes], offset[at], sample.beta, effects)
        if model.family != NORMAL:
            with np.errstate(over="ignore"):
                value = glm_families.mean(glm_families.CODES[model.link], value)
        if model.family == BINOMIAL:
            value *= trials[at, None]
        found[0, at], found[1, at] = value.mean(axis=1), value.std(axis=1, ddof=1)
        found[2:, at] = np.quantile(value, SPREAD, axis=1)
    columns = np.full((4, data.n_rows), np.nan)
    columns[:, usable] = found
    return with_predictions(model, data, columns)
