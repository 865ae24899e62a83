"""The run of an imputer: chains of the joint model, their summary, correlations by level, completed datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data import Dataset
from templates_engine.imputation.complete import completed_sets, joint_model
from templates_engine.imputation.equations import algorithm
from templates_engine.imputation.matrices import as_list, as_matrix, correlations
from templates_engine.imputation.seen import Sets, compared, comparison, figure, patterns, slowest
from templates_engine.imputation.spec import Imputation, ImputerSpec
from templates_engine.outputs import VERDICTS, Draws, Result, Table
from templates_engine.problems import Problem
from templates_engine.running import lengths, summaries
from templates_engine.sampling import Live, Progress, Saved, joint, streams
from templates_engine.template import slug_of


@dataclass(frozen=True)
class _Chain:
    """A chain of the joint model as `lengths.sample` wants it: where it stands, and a number for each kept draw."""

    joint: joint.JointChain
    kept: npt.NDArray[np.float64]  # (draw, parameter) after the burn-in, thinned

    @property
    def saved(self) -> Saved:
        return self.joint.saved

    @property
    def deviance(self) -> npt.NDArray[np.float64]:
        return self.kept[:, 0]


def run(title: str, spec: ImputerSpec, data: Dataset, job: Any) -> Result:
    """Tables first, then pictures."""
    options = spec.mcmc
    step = f"Sample, {options.nchains} chain{'s' if options.nchains > 1 else ''}"
    job.steps((step, 4.0), ("Summarise", 0.5))
    job.text("algorithm.tex", algorithm(spec), title="One sweep of the sampler")

    job.step(step)
    model = joint_model(spec, data)
    names, variables = joint.parameter_names(model)
    chains = _sample(spec, model, names, job)

    job.step("Summarise")
    kept = min(len(chain.kept) for chain in chains)
    info = {"n": float(data.n_rows)}
    info |= {_groups(spec, c): float(each.n_units) for c, each in enumerate(model.classes, start=1)}
    if kept < 2:
        job.note(Problem("no-draws", "The run was stopped before the burn-in was over, so there are no draws."))
        return Result(info=info)
    first = options.burnin + options.thinning
    draws = Draws(names, variables, np.stack([chain.kept[:kept] for chain in chains]), first, options.thinning)
    table = summaries.summary(draws, title=title)
    for name in ("ModelResults", "ModelParameters"):
        job.table(name, table)
    words = tuple(summaries.verdicts(draws, table))
    job.table(VERDICTS, Table(("word", "sentence"), words, "What to think of these results"))
    job.draws(options.outdata, draws, title="Parameter chains")
    sets = completed_sets(spec, data, [chain.joint for chain in chains], spec.imputed_at)
    used = dict(list(sets.items())[: spec.n_imputed])
    for (chain, iteration), (full, uppers) in used.items():
        about = f"Completed data, chain {chain}, iteration {iteration}"
        job.dataset(full.name, full, title=about, listed=True)
        for upper in uppers:
            job.dataset(upper.name, upper, title=about, listed=True)
    show("", spec, model, data, draws, used, job)
    job.diagnostics("", draws)
    return Result(draws, {"ModelResults": table}, info)


def _groups(spec: ImputerSpec, c: int) -> str:
    return "groups" if len(spec.classes) == 1 else f"groups{c}"


def _sample(spec: ImputerSpec, model: joint.JointModel, names: Sequence[str], job: Any) -> list[_Chain]:
    options = spec.mcmc
    own = streams(options.seed, options.nchains)
    burnin, thin = options.burnin, options.thinning

    def task(k: int, iterations: int, resume: Saved | None, live: Live, progress: Progress) -> _Chain:
        chain = joint.run_chain(
            model, own[k], progress.cells, burnin + iterations, spec.imputed_at, "dispersed",
            resume=resume, live=live, shown_from=burnin, shown_every=thin,
        )  # fmt: skip
        return _Chain(chain, chain.values[burnin + thin - 1 :: thin])

    chains, _ = lengths.sample(job, options, names, names[-1], task)
    return chains


def show(
    prefix: str, spec: Imputation, model: joint.JointModel, data: Dataset, draws: Draws, sets: Sets, job: Any
) -> None:
    """Correlations by level, missing values by level, observed beside imputed ones, and what moves most slowly."""
    matrices = correlations(model, [each.column for each in spec.classes], draws)
    for of in matrices:
        job.table(f"{prefix}Correlations_{slug_of(of.where)}", as_matrix(of))
    if matrices:
        job.table(prefix + "Correlations", as_list(matrices))
    job.table(prefix + "Slowest", slowest(draws))
    if not any(data.missing(r.name).any() for r in spec.responses):
        return
    for where, table in patterns(spec, data):
        job.table(f"{prefix}Missing_{slug_of(where)}", table)
    found = compared(spec, data, sets)
    if found:
        job.table(prefix + "Observed_imputed", comparison(found))
    for each in found:
        title, svg = figure(each)
        job.figure(f"{prefix}observed_imputed_{slug_of(each.response.name)}.svg", svg, title=title)
