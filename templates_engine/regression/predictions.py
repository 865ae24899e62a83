"""A fitted model taken back to its rows, draw by draw: pointwise log likelihoods, and predictions.

Both use the draws whose effects were kept (sampling.kept_effects), in blocks of rows, so that memory stays bounded.
For no classification of the rows, one or several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from templates_engine.asking import Term
from templates_engine.data import Dataset, design, levels_of
from templates_engine.regression.binary import response
from templates_engine.regression.data import Rows
from templates_engine.regression.questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL, Model
from templates_engine.sampling.glm import families as glm_families, negative_binomial as glm_negative_binomial
from templates_engine.sampling.normal import Chain, Floats, Ints, packed

CELLS = 2_000_000  # rows times draws in one block: 16 MB
EFFECTS = 16_000_000  # of all draws kept: 128 MB
SPREAD = (0.025, 0.975)


@dataclass(frozen=True)
class Sample:
    """Draws of all chains joined, S of them, with their effects; tuples are by classification."""

    beta: Floats  # (S, p)
    variance: Floats  # (S,) σ², or α of a negative binomial response; else not used
    omega: tuple[Floats, ...]  # (S, q, q)
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


def affordable(draws: int, effects: int) -> int:
    """How many of so many draws there is room for with all their effects; a hundred in any case."""
    return min(draws, max(100, EFFECTS // max(1, effects)))


def spread(model: Model, chain: Chain) -> Floats:
    """(draw,) σ², or α of a negative binomial response; NaN where there is neither."""
    return chain.dispersion if model.family == NEGATIVE_BINOMIAL else chain.sigma2


def sample_of(model: Model, chains: Sequence[Chain]) -> Sample:
    """The draws whose effects were kept."""
    values = np.concatenate([chain.omega[chain.kept_at] for chain in chains])
    omega, effects, at = [], [], 0
    for c in range(len(model.classifications)):
        effects.append(np.concatenate([chain.kept_effects[c] for chain in chains]))
        q = effects[-1].shape[2]
        one = np.zeros((len(values), q, q))
        for k, (i, j) in enumerate(packed(q)):
            one[:, i, j] = one[:, j, i] = values[:, at + k]
        omega.append(one)
        at += q * (q + 1) // 2
    return Sample(
        np.concatenate([chain.beta[chain.kept_at] for chain in chains]),
        np.concatenate([spread(model, chain)[chain.kept_at] for chain in chains]),
        tuple(omega), tuple(effects),
    )  # fmt: skip


def linear(
    x: Floats, z: Sequence[Floats], codes: Sequence[Ints], offset: Floats, beta: Floats, effects: Sequence[Floats]
) -> Floats:
    """The linear predictor (rows, S), effects and offset included; z, codes, effects: by classification."""
    eta: Floats = x @ beta.T + offset[:, None]
    for columns, code, u in zip(z, codes, effects, strict=True):
        for k in range(columns.shape[1]):
            eta += columns[:, k, None] * u[:, code, k].T
    return eta


def blocks(rows: int, draws: int) -> Iterator[slice]:
    step = max(1, CELLS // max(draws, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def log_likelihoods(model: Model, rows: Rows, sample: Sample) -> Iterator[Floats]:
    """log p(y_i | β, u, σ² or α) by blocks (rows, S), all constants kept, given the effects."""
    for part in blocks(rows.n, sample.size):
        y, trials = rows.y[part], rows.trials[part]
        z, codes = [f.z[part] for f in rows.factors], [f.codes[part] for f in rows.factors]
        eta = linear(rows.x[part], z, codes, rows.offset[part], sample.beta, sample.effects)
        if model.family == NORMAL:
            yield -0.5 * (np.log(2 * np.pi * sample.variance) + (y[:, None] - eta) ** 2 / sample.variance)
        elif model.family == NEGATIVE_BINOMIAL:
            glm_negative_binomial.pointwise(y, sample.variance, eta)
            yield eta
        else:
            link = glm_families.CODES[model.link]
            glm_families.pointwise(link, y, trials, eta)
            yield eta + glm_families.constants(link, y, trials)[:, None]


def usable_rows(model: Model, data: Dataset, terms: Sequence[Term]) -> tuple[np.ndarray, dict[str, list[float | str]]]:
    """Which rows have all that a prediction needs (n,), and the levels of the categories that were fitted; terms: all
    that enter by a design matrix.

    A row in a category that no fitted row is in has no prediction, as the category has no coefficient.
    """
    usable = np.ones(data.n_rows, dtype=bool)
    for name in model.columns:
        if name != model.y:
            usable &= ~data.missing(name)
    fitted = data.complete_cases(model.columns)
    levels = {term.name: levels_of(fitted[term.name]) for term in terms if term.categorical}
    for name, known in levels.items():
        usable &= np.isin(data[name], np.asarray(known))
    if model.trials:
        usable &= ~(data[model.trials] < 0)
    return usable, levels


def predictions(model: Model, data: Dataset, rows: Rows, sample: Sample, rng: np.random.Generator) -> Dataset:
    """The data with the posterior mean, sd and 95 % interval of each row's expected response, and the residual.

    Expected: the mean, or the expected number of successes or the expected count, given the effects of the row's
    units; one of a unit that was not fitted is drawn from N(0, Ω). Missing where a predictor is.
    """
    usable, levels = usable_rows(model, data, (*model.x, *(t for each in model.classifications for t in each.terms)))
    part = data.take(usable)
    x = design(part, model.x, levels).matrix
    n = part.n_rows
    named = list(zip(model.classifications, rows.factors, strict=True))
    sample = sample.thinned(
        affordable(sample.size, sum((f.groups + len(np.unique(part[each.name]))) * f.q for each, f in named))
    )
    z: list[Floats] = []
    codes: list[Ints] = []
    effects: list[Floats] = []
    for c, (each, _) in enumerate(named):
        z.append(design(part, each.terms, levels).matrix if each.terms else np.ones((n, 1)))
        code, grown = units_of(part[each.name], rows.units[c], sample.effects[c], sample.omega[c], rng)
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


def units_of(
    values: np.ndarray, known: np.ndarray, effects: Floats, omega: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Each row's unit, and effects (S, units, q) with those of units that were not fitted put at the end.

    values (rows,): the identifier; known: that of each fitted unit, ascending; effects (S, J, q), omega (S, q, q).
    """
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    new = known[place] != values
    codes = place.astype(np.int64)
    if not new.any():
        return codes, effects
    others, which = np.unique(values[new], return_inverse=True)
    codes[new] = len(known) + which.reshape(-1)
    vectors = np.linalg.eigh(omega)
    root = vectors.eigenvectors * np.sqrt(np.maximum(vectors.eigenvalues, 0.0))[:, None, :]
    noise = rng.standard_normal((len(effects), len(others), root.shape[1]))
    return codes, np.concatenate([effects, np.einsum("sab,sjb->sja", root, noise)], axis=1)


def with_predictions(model: Model, data: Dataset, columns: Floats) -> Dataset:
    """The original columns, then the predictions, numbered where the data have such a column already."""
    names = ("pred", "pred_sd", "pred_lower", "pred_upper", "residual")
    taken = {name.lower() for name in data.columns}
    ends = ("", *(f"_{k}" for k in range(2, len(taken) + 3)))
    end = next(end for end in ends if not any(f"{name}{end}" in taken for name in names))
    y = np.where(data.missing(model.y), np.nan, response(model, data, data))
    residual = y - columns[0]
    added = {f"{name}{end}": value for name, value in zip(names, (*columns, residual), strict=True)}
    of = f"expected {model.y}"
    titles = (f"{of}, posterior mean", f"{of}, posterior sd", f"{of}, 2.5 % quantile", f"{of}, 97.5 % quantile",
              f"{model.y} less its posterior expectation")  # fmt: skip
    full = data.with_columns(added).with_name("prediction")
    return replace(full, titles={**full.titles, **dict(zip(added, titles, strict=True))})
