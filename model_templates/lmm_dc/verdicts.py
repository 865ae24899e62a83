"""What the data can tell: a verdict on every parameter, in words, before any estimate is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from templates_engine import Cell, Table
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import (
    ESTIMABLE,
    FLAT,
    NOT_ESTIMABLE,
    STEEP,
    UNDECIDED,
    Decay,
    combination,
    decay,
    slope,
    word,
)
from templates_engine.sampling.normal import Floats

from .fitting import TOTAL, Fitted

BOUNDARY, UNSETTLED = "on the boundary", "the chains have not settled"
_APART = 1.1  # R-hat from which on chains do not agree (diagnostics.RHAT_MARK, by ranks)
_INSIDE = 3.0  # standard deviations above zero: about an edge the posterior's mean is one of them at most
_LOADING = 0.3  # of a unit vector: a parameter that takes part in a direction


@dataclass(frozen=True)
class Judged:
    """Verdicts by parameter, with the decay behind them."""

    decay: Decay
    words: dict[str, str]  # parameter -> verdict, the sum of the variances among them
    combinations: tuple[tuple[str, float, float], ...]  # estimable combinations: words, estimate, standard error
    table: Table
    held: tuple[str, ...] = ()  # estimable, but at these clone numbers the prior is still felt

    @property
    def estimable(self) -> bool:
        return NOT_ESTIMABLE not in self.words.values()

    @property
    def boundary(self) -> bool:
        return BOUNDARY in self.words.values()


def with_total(fitted: Fitted, values: Floats) -> Floats:
    """(chain, draw, p + 1) with the sum of the variances behind the parameters."""
    at = [fitted.names.index(name) for name in ("sigma2_u", "sigma2")]
    return np.concatenate([values, values[:, :, at].sum(axis=2, keepdims=True)], axis=2)


def judge(fitted: Fitted) -> Judged:
    clones = fitted.spec.clones
    draws = {k: fitted.values(k) for k in clones}
    found = decay(draws, fitted.names)
    words = {name: word(value) for name, value in zip(fitted.names, found.slopes, strict=True)}
    slopes = dict(zip(fitted.names, found.slopes, strict=True))
    if fitted.totals:
        sums = [float(with_total(fitted, draws[k])[:, :, -1].var(ddof=1)) for k in clones]
        slopes[TOTAL] = slope(clones, sums)
        words[TOTAL] = word(slopes[TOTAL])
    told = _told(fitted)
    words |= {name: ESTIMABLE for name in words if name in told and len(clones) > 1}
    edge = _edge(fitted)
    for name in edge:
        words[name] = BOUNDARY
    apart = _apart(fitted, draws)
    words |= dict.fromkeys(apart, UNSETTLED)
    if fitted.singles and fitted.totals:  # known without cloning
        words |= {"sigma2_u": NOT_ESTIMABLE, "sigma2": NOT_ESTIMABLE}
    combos = _combinations(fitted, found, words, draws)
    rows: list[tuple[Cell, ...]] = []
    for name, verdict in words.items():
        value = slopes[name]
        text = _sentence(fitted, name, verdict, value)
        if verdict == UNSETTLED:
            text = (
                f"{name}: {UNSETTLED} (R-hat {apart[name]:.2f}), so nothing can be said of it. Give more burnin and "
                "iterations."
            )
        rows.append((name, verdict, value if math.isfinite(value) else None, text))
    rows += [
        (text, ESTIMABLE, None, f"{text} is told by the data: {_number(at)}, standard error {_number(se)}.")
        for text, at, se in combos
        if text.replace(" ", "") != TOTAL
    ]
    notes = [_overall(fitted, found, words, combos)]
    notes.append(
        "slope: of log posterior variance on log K between the largest clone numbers; "
        f"−1 when the data tell the parameter (at {_fall(STEEP)} or less), "
        f"0 when only the prior does (at {_fall(FLAT)} or more)."
    )
    table = Table(("parameter", "verdict", "slope", "sentence"), tuple(rows), "What the data can tell", tuple(notes))
    held = tuple(name for name, verdict in words.items() if verdict == ESTIMABLE and slopes[name] > STEEP)
    return Judged(found, words, tuple(combos), table, held)


def _told(fitted: Fitted) -> set[str]:
    """Parameters with a standard error from the exact likelihood: it has a maximum inside, with a positive definite
    Hessian there."""
    exact = fitted.exact
    if not fitted.spec.smoothing or fitted.spec.copied:
        return set()
    names = [name for name in fitted.names if not name.startswith("u_")]
    errors = np.concatenate([exact.beta_se, exact.variances_se])
    return {name for name, error in zip(names, errors, strict=False) if math.isfinite(error) and error > 0}


def _apart(fitted: Fitted, draws: dict[int, Floats]) -> dict[str, float]:
    """Parameters whose chains do not agree at one of the two largest clone numbers, with the larger R-hat."""
    found: dict[str, float] = {}
    for clones in sorted(draws)[-2:]:
        if draws[clones].shape[0] < 2:
            continue
        for name, rhat in zip(
            fitted.names, diagnostics.measures(np.moveaxis(draws[clones], 2, 0))["rhat"], strict=True
        ):
            if math.isfinite(rhat) and rhat > max(_APART, found.get(name, 0.0)):
                found[name] = float(rhat)
    return found


def ruled(fitted: Fitted) -> list[str]:
    """Sentences on variances whose posterior at one clone leaves out the maximum of the likelihood."""
    said: list[str] = []
    told = _told(fitted)
    first = fitted.spec.clones[0]
    if first != 1:
        return said
    pooled = fitted.values(1).reshape(-1, len(fitted.names))
    p = len(fitted.exact.beta)
    for k, estimate in enumerate(fitted.exact.variances, start=p):
        name = fitted.names[k]
        if name not in told or not name.startswith("sigma2"):
            continue
        low, high = np.quantile(pooled[:, k], [0.025, 0.975])
        if not low <= estimate <= high:
            said.append(
                f"At one clone the prior rules {name}: its 95 % interval, {_number(float(low))} to "
                f"{_number(float(high))}, leaves out the maximum of the likelihood, {_number(float(estimate))}."
            )
    return said


def _edge(fitted: Fitted) -> list[str]:
    """Parameters whose maximum likelihood estimate lies on the edge of the parameter space."""
    ends = [f"u{c + 1}" if fitted.spec.several else "u" for c in fitted.exact.edges if not inside(fitted, c)]
    heads = tuple(head for end in ends for head in (f"sigma2_{end}", f"omega_{end}_"))
    return [name for name in fitted.names if name.startswith(heads) and not name.startswith("u_")] if heads else []


def inside(fitted: Fitted, c: int) -> bool:
    """Whether the copies put a variance well above zero that the Laplace approximation, which may err, puts at zero."""
    name = f"sigma2_u{c + 1}"
    if not fitted.spec.copied or name not in fitted.names:
        return False
    drawn = fitted.values(fitted.spec.clones[-1])[:, :, fitted.names.index(name)]
    return float(drawn.mean()) > _INSIDE * float(drawn.std())


def _combinations(
    fitted: Fitted, found: Decay, words: dict[str, str], draws: dict[int, Floats]
) -> list[tuple[str, float, float]]:
    """Sums and differences of two parameters that the data tell although they tell neither."""
    flat = [k for k, name in enumerate(fitted.names) if words[name] == NOT_ESTIMABLE]
    if len(flat) < 2:
        return []
    clones = fitted.spec.clones
    last = clones[-1]
    pooled = draws[last].reshape(-1, len(fitted.names))
    combos: list[tuple[str, float, float]] = []
    for a in range(len(flat)):
        for b in range(a + 1, len(flat)):
            i, j = flat[a], flat[b]
            _values, vectors = np.linalg.eigh(np.cov(pooled[:, [i, j]], rowvar=False))
            weights = vectors[:, 0] / vectors[np.argmax(np.abs(vectors[:, 0])), 0]
            weights = np.where(np.abs(np.abs(weights) - 1.0) < 0.05, np.sign(weights), np.round(weights, 2))
            text = combination(list(weights), [fitted.names[i], fitted.names[j]])
            series = [draws[k][:, :, [i, j]] @ weights for k in clones]
            if len(clones) > 1 and word(slope(clones, [float(s.var(ddof=1)) for s in series])) != ESTIMABLE:
                continue
            se = math.sqrt(last * float(series[-1].var(ddof=1)))
            combos.append((text, float(series[-1].mean()), se))
    return combos


def _sentence(fitted: Fitted, name: str, verdict: str, value: float) -> str:
    spec = fitted.spec
    if verdict == BOUNDARY:
        return (
            f"{name}: the likelihood is highest on the edge of the parameter space, with a variance of zero there. The "
            "cloned posterior is not Normal at any K, so its standard error means nothing."
        )
    if verdict == NOT_ESTIMABLE:
        fall = f" (slope {_fall(value)})" if math.isfinite(value) else ""
        reason = f"{name}: its variance does not fall as clones are added{fall}: the data alone do not determine it."
        if name in ("sigma2_u", "sigma2") and fitted.singles:
            reason += (
                " Each group has one observation, and the likelihood depends on the sum of the two variances only."
            )
        return reason
    if verdict == UNDECIDED:
        if not math.isfinite(value):
            return f"{name}: one clone number cannot tell; give at least two."
        return f"{name}: its variance falls, but not as 1/K (slope {_fall(value)}). Add larger clone numbers."
    if value > STEEP:
        return (
            f"{name}: the likelihood has its maximum inside the parameter space, but at these clone numbers the prior "
            f"is still felt (slope {_fall(value)}). Add larger clone numbers before the cloned estimate is used."
        )
    rate = "as 1/K" if value > -1.3 else "faster than 1/K, the prior being felt at the smallest clone number"
    text = f"{name}: its variance falls {rate} (slope {_fall(value)})."
    if not spec.smoothing and name == "sigma2":
        n, groups = fitted.rows.n, fitted.parts.groups
        share = (n - groups) / n
        text += (
            f" But it is not consistent: with a parameter for each of {groups:,} groups of {n / groups:.3g} on "
            f"average, the estimate tends to {share:.3g} of the true variance (Neyman and Scott 1948)."
        )
    return text


def _overall(fitted: Fitted, found: Decay, words: dict[str, str], combos: list[tuple[str, float, float]]) -> str:
    lost = [name for name, verdict in words.items() if verdict == NOT_ESTIMABLE]
    if lost:
        weights = [w if abs(w) >= _LOADING else 0.0 for w in found.direction]
        direction = combination(weights, found.parameters)
        text = f"Not estimable: {', '.join(lost)}. The data tell nothing along {direction}"
        if combos:
            text += f"; they tell {', '.join(c for c, _, _ in combos[:3])}"
        return text + "."
    if UNSETTLED in words.values():
        names = ", ".join(name for name, verdict in words.items() if verdict == UNSETTLED)
        return f"The chains have not settled: {names}. No verdict on these before they have."
    if BOUNDARY in words.values():
        return "The maximum lies on the edge of the parameter space: a variance is estimated as zero."
    if UNDECIDED in words.values():
        if len(fitted.spec.clones) == 1:
            return "One clone number: no verdict."
        return "Undecided: add larger clone numbers."
    text = f"All parameters are estimable: the largest eigenvalue falls with slope {_fall(found.lambda_slope)}"
    return text + f", and no direction falls more slowly than {_fall(found.direction_slope)}."


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _fall(value: float) -> str:
    """A slope in a sentence, with a true minus."""
    return f"{value:.2f}".replace("-", "−")
