"""The pictures of a run: decay of variances, estimates by clone number, pairs, profile, caterpillar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from templates_engine.figures import PlotPanel, picture, style
from templates_engine.sampling.cloning import RHAT_MARK, Profile, gelman_one
from templates_engine.sampling.normal import Floats

from .fitting import Fitted
from .predicting import Predicted
from .tables import many, named, valued
from .verdicts import Judged

MOST = 12  # panels
Make = Callable[[str], PlotPanel]
LINE, EXPECTED, TRUE = style.SERIES[0], style.SERIES[1], style.INK


def _range(values: Floats, room: float = 0.08) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = room * (high - low) or max(abs(low), 1.0) * 0.1
    return low - pad, high + pad


def decay(fitted: Fitted, judged: Judged) -> bytes:
    """Each parameter's variance relative to the first clone number, on logarithmic axes, with the line of 1/K."""
    names, _ = named(fitted)
    clones = np.array(fitted.spec.clones, dtype=float)
    variances = np.array([valued(fitted, k).reshape(-1, len(names)).var(axis=0, ddof=1) for k in fitted.spec.clones])
    tops = [
        float(
            np.linalg.eigvalsh(np.atleast_2d(np.cov(fitted.values(k).reshape(-1, len(fitted.names)), rowvar=False)))[-1]
        )
        for k in fitted.spec.clones
    ]
    series = [("lambda.max", np.array(tops)), *((n, variances[:, j]) for j, n in enumerate(names))][:MOST]
    x = np.log10(clones)
    expected = -(x - x[0])
    every = np.concatenate([np.log10(np.maximum(v / v[0], 1e-300)) for _, v in series] + [expected])

    def paint(k: int, make: Make) -> None:
        name, values = series[k]
        panel = make(name)
        powers = [float(p) for p in range(math.floor(every.min()), math.ceil(every.max()) + 1)]
        panel.scales(
            _range(x, 0.05), _range(every), list(x), [p for p in powers if _range(every)[0] <= p <= _range(every)[1]],
            [f"{int(c)}" for c in clones],
        )  # fmt: skip
        panel.line(x, expected, EXPECTED, 1.5, (6, 3))
        panel.line(x, np.log10(np.maximum(values / values[0], 1e-300)), LINE, 1.8)
        panel.points(x, np.log10(np.maximum(values / values[0], 1e-300)), LINE)
        panel.under("clones, K")
        if k == 0:  # at the lower left, where neither line comes: both begin at the upper left
            for up, label, colour, dashes in ((26, "scaled variance", LINE, ()), (10, "1/K", EXPECTED, (6, 3))):
                panel.sample(panel.left + 8, panel.left + 34, panel.bottom + up, colour, dashes)
                panel.text(panel.left + 40, panel.bottom + up, label)

    words = (
        "log10 of the variance relative to the first clone number; along the dashed line the data tell the parameter"
    )
    return picture("Decay of the scaled variance", words, len(series), paint)


def estimates(fitted: Fitted) -> bytes:
    """Estimate, quartiles and 95 % marks of the posterior at each clone number."""
    names, _ = named(fitted)
    values = {k: valued(fitted, k) for k in fitted.spec.clones}
    x = np.arange(len(fitted.spec.clones), dtype=float)

    def paint(k: int, make: Make) -> None:
        panel = make(names[k])
        cuts = np.array([np.quantile(values[c][:, :, k], [0.025, 0.25, 0.5, 0.75, 0.975]) for c in fitted.spec.clones])
        panel.scales((-0.5, len(x) - 0.5), _range(cuts), list(x), None, [str(c) for c in fitted.spec.clones])
        for i, clones in enumerate(fitted.spec.clones):
            panel.line(np.array([x[i], x[i]]), cuts[i, [0, 4]], LINE, 1.2)
            panel.line(np.array([x[i], x[i]]), cuts[i, [1, 3]], LINE, 6)
            bad = gelman_one(values[clones][:, :, k]) > RHAT_MARK
            panel.points(x[i : i + 1], np.array([values[clones][:, :, k].mean()]), style.RATIO if bad else EXPECTED)
        panel.under("clones, K")

    words = "Mean (dot, red where R-hat is above 1.1), quartiles (thick) and 95 % of the posterior (thin)"
    return picture("Estimates by clone number", words, min(len(names), MOST), paint)


def pairs(fitted: Fitted) -> bytes:
    """Draws of two parameters at a time at the largest clone number."""
    clones = fitted.spec.clones[-1]
    pooled = fitted.values(clones).reshape(-1, len(fitted.names))
    # Random but the same every time: every so-manieth draw.
    shown = pooled[:: max(1, len(pooled) // 1500)]
    couples = list(combinations(range(len(fitted.names)), 2))
    last = [c for c in couples if fitted.names[c[0]].startswith(("sigma", "omega"))]
    chosen = (last + [c for c in couples if c not in last])[:MOST]

    def paint(k: int, make: Make) -> None:
        i, j = chosen[k]
        correlation = np.corrcoef(pooled[:, i], pooled[:, j])[0, 1]
        panel = make(f"{fitted.names[j]} against {fitted.names[i]}, correlation {correlation:.2f}".replace("-", "−"))
        panel.scales(_range(shown[:, i]), _range(shown[:, j]))
        panel.dots(shown[:, i], shown[:, j], LINE, 1.4)
        panel.under(fitted.names[i])

    return picture(f"Pairs of parameters at {many(clones)}", f"{len(shown):,} draws", len(chosen), paint)


def trace_density(fitted: Fitted, parameter: str) -> bytes:
    """Density of one parameter at every clone number, on one scale."""
    from templates_engine.figures import density

    names, _ = named(fitted)
    at = names.index(parameter)
    values = {k: valued(fitted, k)[:, :, at].ravel() for k in fitted.spec.clones}
    widest = values[fitted.spec.clones[0]]
    low, high = np.quantile(widest, [0.002, 0.998])
    curves = {k: density(v, float(low), float(high)) for k, v in values.items()}

    def paint(k: int, make: Make) -> None:
        panel = make("")
        top = max(float(y.max()) for _, y in curves.values())
        panel.scales((float(low), float(high)), (0.0, 1.05 * top if top > 0 else 1.0))
        looks = []
        for i, (clones, (x, y)) in enumerate(curves.items()):
            colour, dashes = style.look(i)
            panel.line(x, y, colour, 1.8, dashes)
            looks.append((str(clones), colour, dashes))
        panel.key("clones", looks[:8])
        panel.under(parameter)

    return picture(
        f"Density of {parameter} by clone number", "Narrower as clones are added, where the data tell it", 1, paint
    )


def profile(found: Profile, parameter: str, level: float, limit: float) -> bytes:
    def paint(k: int, make: Make) -> None:
        panel = make("2 (log likelihood at the maximum − profile)")
        top = min(float(found.drops.max()), 3 * limit)
        panel.scales((float(found.values[0]), float(found.values[-1])), (0.0, max(top, 1.2 * limit)))
        panel.line(found.values, found.drops, LINE, 1.8)
        panel.level(limit, (6, 3))
        for end in (found.lower, found.upper):
            if math.isfinite(end) and found.values[0] <= end <= found.values[-1]:
                panel.line(np.array([end, end]), np.array([0.0, limit]), EXPECTED, 1.2, (3, 3))
        panel.under(parameter)

    words = f"{level:g} % interval from {style.number(found.lower, 4)} to {style.number(found.upper, 4)}"
    return picture(f"Profile likelihood of {parameter}", words, 1, paint)


def caterpillar(fitted: Fitted, predicted: Predicted, c: int) -> bytes:
    """Effects of classification c with intervals, ordered by the truth where it is given, else by the estimate."""
    ordered: Sequence[int]
    found = predicted.effects[c]
    truth = found.truth
    if truth is not None and np.isfinite(truth).any():
        ordered = [int(j) for j in np.argsort(truth, kind="stable") if math.isfinite(truth[j])]
        words = f"Line: {fitted.spec.truth}, by which the groups are ordered"
    else:
        truth = None
        ordered = [int(j) for j in np.argsort(found.estimate[:, 0], kind="stable")]
        words = "Ordered by the estimate"
    at = np.array(ordered[:: max(1, len(ordered) // 400)])
    if len(at) < len(ordered):
        words += f"; {len(at):,} of {len(ordered):,} groups"
    x = np.arange(1.0, len(at) + 1)

    def paint(k: int, make: Make) -> None:
        panel = make("")
        shown = [found.lower[at, 0], found.upper[at, 0]]
        if found.bayes is not None:
            shown += [found.bayes[1][at, 0], found.bayes[2][at, 0]]
        if truth is not None:
            shown.append(truth[at])
        panel.scales((0.0, len(at) + 1.0), _range(np.concatenate(shown), 0.12))
        gap = 0.2 if found.bayes is not None else 0.0
        sets = [(found.estimate[at, 0], found.lower[at, 0], found.upper[at, 0], LINE, gap)]
        looks = [(f"cloning, {predicted.method.lower()}", LINE, ())]
        if found.bayes is not None:
            means, low, high = (a[at, 0] for a in found.bayes)
            sets.append((means, low, high, EXPECTED, -gap))
            looks.append(("Bayes", EXPECTED, ()))
        for means, low, high, colour, shift in sets:
            gaps = np.full(len(at), np.nan)
            across = np.stack([x + shift, x + shift, x + shift], axis=1).ravel()
            panel.line(across, np.stack([low, high, gaps], axis=1).ravel(), colour, 1.1)
            panel.dots(x + shift, means, colour, 2.0)
        if truth is not None:
            panel.line(x, truth[at], TRUE, 1.6)
        panel.under(f"groups of {fitted.spec.units[c]}, in order")
        y = panel.bottom + panel.height + 14
        for i, (label, colour, dashes) in enumerate(looks):
            panel.sample(panel.left + 200 * i, panel.left + 200 * i + 24, y, colour, dashes)
            panel.text(panel.left + 200 * i + 32, y, label)

    return picture(f"Predicted effects with {fitted.spec.level:g} % intervals", words, 1, paint)
