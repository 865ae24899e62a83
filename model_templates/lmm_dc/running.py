"""The run of LMM/DC: likelihood, chains at every clone number, verdict, tables, prediction, pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from templates_engine import Problem, Result, Table
from templates_engine.running import CHAINS
from templates_engine.sampling import diagnostics
from templates_engine.sampling.cloning import ESTIMABLE, RHAT_MARK, measures

from . import derived, figures, forecast, predicting, profiling, ratios, tables
from .fitting import Fitted, gather, prepare, tasks
from .rows import rows_of, truths
from .spec import Spec
from .verdicts import BOUNDARY, UNSETTLED, Judged, judge, ruled

if TYPE_CHECKING:
    from templates_engine import Dataset, Job

FIT, SAMPLE, JUDGE, PREDICT = "Exact likelihood", "Chains at every clone number", "Verdict and tables", "Predict"


def run(spec: Spec, data: Dataset, job: Job) -> Result:
    """Everything: the verdict first, then the estimates."""
    job.steps((FIT, 1.0), (SAMPLE, 3.0), (JUDGE, 1.0), (PREDICT, 1.0))
    job.step(FIT)
    fitted = prepare(spec, rows_of(spec, data))

    job.step(SAMPLE)
    chains = job.resumable(CHAINS, tasks(fitted), spec.mcmc.burnin + spec.mcmc.iterations)
    job.keep(CHAINS, [chain.saved for chain in chains if chain.saved], "iterations", spec.mcmc.iterations)
    if min(len(chain.theta) for chain in chains) < 20:
        job.note(Problem("no-draws", "The run was stopped before there were draws to judge."))
        return Result()
    gather(fitted, chains)

    job.step(JUDGE)
    judged = judge(fitted)
    found = _tables(fitted, judged)
    for name, table in found.items():
        job.table(name, table)
    if "Estimability" in found:
        job.table("Verdicts", _verdicts(judged, dict(zip(*tables.named(fitted), strict=True)), ruled(fitted)))
    for problem in _notices(fitted, judged):
        job.note(problem)
    largest = fitted.draws(spec.clones[-1])
    job.draws(spec.mcmc.outdata, largest, title=f"Draws at {tables.many(spec.clones[-1])}")

    job.step(PREDICT)
    if spec.profile:
        found |= profiling.profile(fitted, job)
    if spec.predict:
        found |= _predict(fitted, judged, data, job)
    _pictures(fitted, judged, job)
    return Result(largest, found, {"n": fitted.rows.n, "groups": fitted.parts.groups, "dropped": fitted.rows.dropped})


def _verdicts(judged: Judged, variables: Mapping[str, str], ruled: Sequence[str]) -> Table:
    """The judgement in lines for the head of the page: what is estimable in one, each of the others by itself.

    variables: of each coefficient, beside which it stands, because the page's table names it by its variable.
    """
    rows = judged.table.records()
    names = [str(r["parameter"]) for r in rows if r["verdict"] == ESTIMABLE and r["parameter"] not in judged.held]
    fine = [f"{name} ({variables[name]})" if variables.get(name) else name for name in names]
    lines: list[tuple[str, str]] = []
    if fine:
        lines.append(("Fine", f"The data can tell {', '.join(fine)}: the variance falls as one over the clones."))
    words = {UNSETTLED: "Too short", BOUNDARY: "Read with care"}
    for row in rows:
        if row["verdict"] != ESTIMABLE:
            lines.append((words.get(str(row["verdict"]), "Model in doubt"), str(row["sentence"])))
        elif row["parameter"] in judged.held:
            lines.append(("Too short", str(row["sentence"])))
    lines += [("Read with care", sentence) for sentence in ruled]
    return Table(("word", "sentence"), tuple(lines), "What the data can tell")


def _tables(fitted: Fitted, judged: Judged) -> dict[str, Table]:
    found: dict[str, Table | None] = {
        "Estimability": judged.table,
        "Coefficients": tables.coefficients(fitted, judged),
        "CoefficientsLog": tables.coefficients_log(fitted, judged),
        "DCTable": tables.dctable(fitted),
        "DCDiag": tables.dcdiag(fitted, fitted.names, "Diagnostics by clone number"),
    }
    if fitted.totals:
        p = len(fitted.exact.beta)
        names = [*fitted.names[:p], tables.named(fitted)[0][-1]]
        found["DCDiagSum"] = tables.dcdiag(fitted, names, "Diagnostics of the coefficients and the sum of variances")
    found["Derived"] = derived.table(fitted, judged)
    found |= {
        "Covariance": tables.covariance(fitted) if judged.estimable and not judged.boundary else None,
        "MLE": tables.mle(fitted),
        "ModelFit": tables.model_fit(fitted),
        "Tests": ratios.table(fitted) if fitted.spec.tests else None,
        "Bayes": tables.bayes(fitted),
    }
    return {name: table for name, table in found.items() if table is not None}


def _notices(fitted: Fitted, judged: Judged) -> list[Problem]:
    found = []
    if not judged.estimable or judged.boundary:
        found.append(Problem("estimability", judged.table.notes[0], level="notice"))
    last = fitted.spec.clones[-1]
    rhat = measures(fitted.values(last), last).r_hat
    if math.isfinite(rhat) and rhat >= RHAT_MARK:
        text = f"The chains at {last} clones do not agree (R-hat {rhat:.2f}): a longer run is needed."
        found.append(Problem("r-hat", text, level="notice"))
    at = fitted.values(last)
    worst = float(np.nanmin(diagnostics.measures(np.moveaxis(at, 2, 0))["ess_bulk"]))
    if worst < 400:
        text = f"The smallest effective sample size at {last} clones is {worst:,.0f}: more iterations would be better."
        found.append(Problem("few-draws", text, level="notice"))
    return found


def _predict(fitted: Fitted, judged: Judged, data: Dataset, job: Job) -> dict[str, Table]:
    truth = truths(fitted.spec, data, fitted.parts.units[0])
    result, problems = predicting.predict(fitted, judged, truth)
    for problem in problems:
        job.note(problem)
    if result is None:
        return {}
    found = {"RandomEffects": predicting.table(fitted, result)}
    counted = predicting.coverage(fitted, result)
    if counted is not None:
        found["Coverage"] = counted
    if fitted.spec.new:
        found["PredictNew"] = forecast.table(fitted, result)
    for name, table in found.items():
        job.table(name, table)
    for c, unit in enumerate(fitted.spec.units):
        name = f"caterpillar_{c + 1}.svg" if c else "caterpillar.svg"
        job.figure(name, figures.caterpillar(fitted, result, c), f"Predicted effects of {unit}")
    return found


def _pictures(fitted: Fitted, judged: Judged, job: Job) -> None:
    spec = fitted.spec
    if len(spec.clones) > 1:
        job.figure("decay.svg", figures.decay(fitted, judged), "Decay of the scaled variance")
    job.figure("estimates.svg", figures.estimates(fitted), "Estimates by clone number")
    if len(fitted.names) > 1:
        job.figure("pairs.svg", figures.pairs(fitted), f"Pairs at {tables.many(spec.clones[-1])}")
    for name in tables.named(fitted)[0][: figures.MOST]:
        job.figure(f"density_{name.replace('+', '_')}.svg", figures.trace_density(fitted, name), f"Density of {name}")
    for clones in spec.clones:
        job.diagnostics(f"K{clones}_", fitted.draws(clones), title=tables.many(clones))
