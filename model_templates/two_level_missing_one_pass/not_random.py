"""Values that are not missing at random: selection models, shifts, and how the answers change with what is assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from templates_engine import Dataset, Draws, Table
from templates_engine.data import design
from templates_engine.figures import PlotPanel, picture, style
from templates_engine.outputs import Cell
from templates_engine.sampling import joint, streams
from templates_engine.sampling.onepass import Interest, OnePass, Scale, Selection, run_chain

from .spec import PATTERN, SELECTION, Spec

RANDOM = "missing at random"


@dataclass(frozen=True)
class Answer:
    """The model of interest under one assumption; arrays (parameters,)."""

    assumed: str
    shift: float
    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


def selections(
    spec: Spec, used: Dataset, covariates: joint.JointModel, scales: Mapping[str, Scale], interest: Interest
) -> tuple[Selection, ...]:
    """The probits of being missing. Priors: the intercept flat, others Normal with mean 0 and sd 1 for each sd."""
    level1 = {r.name: r for r in covariates.level1}
    found = []
    for each in spec.more.not_random.selected:
        terms = [t for t in each.x if t.name not in level1]
        part = design(used, [t for t in terms if t.name != spec.y])
        columns, names = list(part.matrix.T), list(part.names)
        if any(t.name == spec.y for t in terms):
            columns.append(interest.y)
            names.append(spec.y)
        incomplete = [each.name, *(t.name for t in each.x if t.name in level1)]
        sizes = [float(np.std(column)) for column in columns]
        for name in incomplete:
            scale = scales.get(name)
            x = level1[name].values
            sizes.append(float(np.nanstd(x if scale is None else scale.of(x))))
        precision = np.array(sizes) ** 2  # 0 of a column of ones: flat
        matrix = np.column_stack(columns) if columns else np.zeros((used.n_rows, 0))
        found.append(Selection(each.name, matrix, tuple(names), tuple(incomplete), np.zeros(len(sizes)), precision))
    return tuple(found)


def shifted(spec: Spec, model: OnePass, shift: float) -> OnePass:
    """The model with the missing values of the chosen variables shifted by so many sds of those seen."""
    level1 = {r.name: r for r in model.covariates.level1}
    return replace(
        model, shifts={name: shift * float(np.nanstd(level1[name].values)) for name in spec.more.not_random.shifted}
    )


def sensitivity(spec: Spec, model: OnePass, draws: Draws, count: int, ended: Callable[[], bool]) -> list[Answer] | None:
    """The first `count` parameters under each assumption: the run's own, and one more chain for every other.

    None where the run was stopped meanwhile.
    """
    apart = spec.more.not_random
    flat = draws.values.reshape(-1, len(draws.parameters))[:, :count]
    if apart.kind == SELECTION:
        others = [(RANDOM, 0.0, replace(model, selections=()))]
        found = [_answer("selection model", 1.0, flat)]
    else:
        others = [(f"shifted by {v:+g} sd", v, shifted(spec, model, v)) for v in apart.shifts if v != 0.0]
        found = [_answer(RANDOM, 0.0, flat)]
    generators = streams(spec.mcmc.seed, spec.mcmc.nchains + 1 + len(others))[spec.mcmc.nchains + 1 :]
    for (assumed, shift, other), generator in zip(others, generators, strict=True):
        if ended():
            return None
        chain = run_chain(
            other, generator, np.zeros(2, np.int64), burnin=spec.mcmc.burnin, iterations=spec.mcmc.iterations,
            thin=spec.mcmc.thinning,
        )  # fmt: skip
        found.append(_answer(assumed, shift, chain.values[:, :count]))
    return sorted(found, key=lambda a: a.shift)


def _answer(assumed: str, shift: float, flat: np.ndarray) -> Answer:
    low, high = np.quantile(flat, (0.025, 0.975), axis=0)
    return Answer(assumed, shift, flat.mean(axis=0), flat.std(axis=0, ddof=1), low, high)


def table(spec: Spec, answers: list[Answer], parameters: tuple[str, ...], variables: tuple[str, ...]) -> Table:
    """A line for each parameter and assumption, with its distance from missing at random in posterior sds."""
    base = next(a for a in answers if a.assumed == RANDOM)
    rows: list[tuple[Cell, ...]] = []
    for k, parameter in enumerate(parameters):
        for a in answers:
            away = float((a.mean[k] - base.mean[k]) / base.sd[k])
            values = (float(a.mean[k]), float(a.sd[k]), float(a.low[k]), float(a.high[k]), away)
            rows.append((parameter, variables[k], a.assumed, *values))
    columns = ("parameter", "variable", "assumed", "mean", "sd", "q025", "q975", "shift")
    return Table(columns, tuple(rows), "What is assumed of the missing values", tuple(_notes(spec, answers)))


def _notes(spec: Spec, answers: list[Answer]) -> list[str]:
    base = next(a for a in answers if a.assumed == RANDOM)
    most = max(float(np.abs((a.mean - base.mean) / base.sd).max()) for a in answers)
    said = [
        (
            f"The largest change from missing at random is {most:.1f} posterior sds. The data cannot tell which "
            "assumption is right, as what is not seen decides. Look whether your conclusion holds under all that are "
            "plausible."
        )
    ]
    if spec.more.not_random.kind == PATTERN:
        names = ", ".join(spec.more.not_random.shifted)
        said.append(
            f"Shifts are of the missing values of {names}, in sds of those seen (of a Count, Skewed or Bounded one, on "
            "the scale of its latent Normal), given all else. One chain each but for the run's own assumption."
        )
    else:
        said.append(
            "Selection model: select coefficients are a probit of being missing; priors Normal with mean 0 and sd 1 "
            "for each sd of what it depends on, the intercept flat. It rests on the Normal form of the value's own law."
        )
    return said


def figure(spec: Spec, answers: list[Answer], parameters: tuple[str, ...]) -> bytes:
    """Each parameter's interval under each assumption, about missing at random and in its posterior sds. SVG."""
    base = next(a for a in answers if a.assumed == RANDOM)
    middle = np.array([(a.mean - base.mean) / base.sd for a in answers])
    low = np.array([(a.low - base.mean) / base.sd for a in answers])
    high = np.array([(a.high - base.mean) / base.sd for a in answers])
    reach = float(max(np.abs(low).max(), np.abs(high).max())) * 1.05
    dashes = ((), (6, 2), (2, 2), (8, 3, 2, 3))

    def paint(_: int, panel: Callable[[str], PlotPanel]) -> None:
        plot = panel("distance from missing at random, in posterior sds")
        places = np.arange(len(parameters), dtype=float)
        plot.scales((-0.6, len(places) - 0.4), (-reach, 1.5 * reach), list(places), None, list(parameters))
        plot.level(0.0, (4, 3))
        looks = []
        for k, a in enumerate(answers):
            colour, dash = style.SERIES[k % len(style.SERIES)], dashes[k % len(dashes)]
            at = places + 0.6 * (k - (len(answers) - 1) / 2) / len(answers)
            for x, m, h in zip(at, low[k], high[k], strict=True):
                plot.line(np.array([x, x]), np.array([m, h]), colour, 2, dash)
            plot.points(at, middle[k], colour)
            looks.append((a.assumed, colour, dash))
        plot.key("", looks)

    words = "Estimates and 95 % intervals under each assumption on the missing values."
    return picture(f"{spec.y}: what is assumed of the missing values", words, 1, paint)
