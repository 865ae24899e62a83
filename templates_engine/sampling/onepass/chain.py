"""The one-pass sampler: model in, chain, completed columns and states out.

chain = run_chain(model, streams(seed, 1)[0], progress, burnin=500, iterations=2000, keep_at=(1000,))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling.joint import Completed, NumericalFailure, Output, Uniform, disperse
from templates_engine.sampling.onepass.layout import Layout, build, completed
from templates_engine.sampling.onepass.model import Array, OnePass, names
from templates_engine.sampling.onepass.sweep import STEPS, sweeps
from templates_engine.sampling.saving import Live, Saved, saved

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """Where a chain was after an iteration: completed columns, coefficients, effects of the model of interest."""

    columns: Completed
    beta: Array  # (K,)
    u: Array  # (J, q)
    sigma2: float


@dataclass(frozen=True)
class Chain:
    """One chain; only complete draws, also when it was stopped early."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]
    values: Array  # (draw, parameters)
    deviance: Array  # (draw,) -2 log p(y | β, u, σ², covariates as drawn)
    effect_mean: Array  # (J, q) of the model of interest, over the draws
    effect_sd: Array
    covariate_effect_mean: Array  # (J, p1)
    covariate_effect_sd: Array
    kept: dict[int, Snapshot]  # by iteration, counted from the first after the burn-in
    tried: Whole  # (responses, 2) Metropolis proposals and acceptances of missing values
    proposed: Whole  # (3, 2) of β and of the effects, where the response is not Normal; of selection models
    saved: Saved


def run_chain(
    model: OnePass,
    generator: np.random.Generator,
    progress: Whole,
    *,
    burnin: int,
    iterations: int,
    thin: int = 1,
    keep_at: Sequence[int] = (),
    start: str = "dispersed",
    resume: Saved | None = None,
    live: Live | None = None,
) -> Chain:
    """`iterations` sweeps after `burnin`, every `thin`-th kept; snapshots after the iterations in keep_at.

    progress[0] becomes the number of sweeps done; progress[1] = 1 stops it. resume: go on from there, to `iterations`
    in all. Raises NumericalFailure.
    """
    layout = build(model, generator if start == "dispersed" else None)
    if start == "dispersed":
        disperse(layout.covariates, generator)
    parameters, variables = names(model)
    out = np.full((iterations // thin, len(parameters) + 1), np.nan)
    moments = np.zeros((2, *layout.interest.u.shape))
    moments_u = np.zeros((2, *layout.joint.state.u.shape))
    kept: dict[int, Snapshot] = {}
    done = 0
    if resume is not None:
        generator, done = resume.generator(), resume.sweeps
        resume.fill("out", out)
        for name, array in _state(layout, moments, moments_u).items():
            array[...] = resume.arrays[name]
        kept = _restored(layout, resume)
        progress[0] = done
    if live is not None:
        live.show(out, lambda rows: rows[:, :-1])
    flat = isinstance(model.covariates.prior.level1, Uniform)
    stops = sorted({burnin + int(t) for t in keep_at if done < burnin + t <= burnin + iterations})
    for stop in dict.fromkeys([*stops, burnin + iterations]):
        done, failed = sweeps(
            generator, progress, done, stop, burnin, thin, model.covariates.groups is not None, model.correlated, flat,
            layout.family, layout.seen, layout.origin, layout.joint, _output(layout), layout.cells, layout.terms,
            layout.outcome, layout.rest, layout.means, layout.selected, layout.interest, layout.priors, layout.sweep,
            layout.work, layout.tried, out, moments, moments_u,
        )  # fmt: skip
        if failed:
            raise NumericalFailure(
                f"Iteration {done + 1} failed while drawing the {STEPS[failed]}: a matrix is no longer positive"
                " definite. Variables that determine one another, or too few observed values, can cause this."
            )
        if done < stop:
            break
        if stop in stops:
            interest = layout.interest
            beta = interest.beta + layout.origin
            kept[stop - burnin] = Snapshot(completed(layout), beta, interest.u.copy(), float(interest.sigma2[0]))
    count = max(done - burnin, 0) // thin
    out = out[:count]
    now = saved(done, generator, out=out, **_state(layout, moments, moments_u), **_packed(layout, kept))
    spread = [np.sqrt(m[1] / max(count - 1, 1)) for m in (moments, moments_u)]
    return Chain(
        parameters, variables, out[:, :-1], out[:, -1], moments[0], spread[0], moments_u[0], spread[1], kept,
        layout.cells.tried, layout.tried, now,
    )  # fmt: skip


def _output(layout: Layout) -> Output:
    """Without the level 1 covariances where there are none."""
    output = layout.covariates.output
    if layout.model.correlated:
        return output
    own = output.free1[:, 0] == output.free1[:, 1]
    return output._replace(free1=np.ascontiguousarray(output.free1[own]))


def _state(layout: Layout, moments: Array, moments_u: Array) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays that a sweep changes, by name."""
    joint, cells = layout.joint, layout.cells
    found: dict[str, npt.NDArray[np.generic]] = {
        "y": joint.rows.y, "code": joint.rows.code, "code2": joint.upper.groups.code, "value": cells.value,
        "value2": cells.value2, "tried": cells.tried, "proposed": layout.tried, "moments": moments,
        "moments_u": moments_u, "cross": layout.outcome.cross, "shape": layout.rest.shape,
    }  # fmt: skip
    upper = joint.upper
    for part in (joint.state, joint.sums, upper.effects, upper.sums, upper.basis, layout.interest):
        found |= {f"{type(part).__name__}.{name}": array for name, array in part._asdict().items()}
    if layout.model.selections:
        chosen = layout.selected
        found |= {"latent": chosen.latent, "alpha": chosen.alpha, "selection": chosen.design}
    return found


def _packed(layout: Layout, kept: dict[int, Snapshot]) -> dict[str, Array]:
    """Of each snapshot the cells that were missing, and the coefficients."""
    found: dict[str, Array] = {}
    for iteration, shot in kept.items():
        for level, responses in enumerate((layout.model.covariates.level1, layout.model.covariates.level2)):
            for k, r in enumerate(responses):
                found[f"kept-{iteration}-{level}-{k}"] = shot.columns[level][r.name][np.isnan(r.values)]
        found[f"kept-{iteration}-beta"], found[f"kept-{iteration}-u"] = shot.beta, shot.u
        found[f"kept-{iteration}-sigma2"] = np.array([shot.sigma2])
    return found


def _restored(layout: Layout, before: Saved) -> dict[int, Snapshot]:
    """The snapshots that `_packed` made."""
    kept: dict[int, Snapshot] = {}
    names = [name.split("-")[1] for name in before.arrays if name.startswith("kept-") and name.endswith("-beta")]
    for iteration in sorted(int(n) for n in names):
        columns: Completed = ({}, {})
        for level, responses in enumerate((layout.model.covariates.level1, layout.model.covariates.level2)):
            for k, r in enumerate(responses):
                column = layout.model.values(r).copy()
                column[np.isnan(column)] = before.arrays[f"kept-{iteration}-{level}-{k}"]
                columns[level][r.name] = column
        part = {n: before.arrays[f"kept-{iteration}-{n}"] for n in ("beta", "u", "sigma2")}
        kept[iteration] = Snapshot(columns, part["beta"], part["u"], float(part["sigma2"][0]))
    return kept
