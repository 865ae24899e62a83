"""The profile likelihood of one parameter: its curve, its interval, and what either rests on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from templates_engine import Problem, Table
from templates_engine.sampling import streams
from templates_engine.sampling.cloning import (
    NormalLikelihood,
    Profile,
    cells,
    correlation_profile,
    found_profile,
    glm_ml as cloning_glm_ml,
    laplace_profile as glm_laplace_profile,
    normal_profile,
    profiled,
    target as glm_target,
)
from templates_engine.sampling.sparse import Surface

from . import figures
from .fitting import Fitted
from .names import correlations
from .parameters import centre_of

if TYPE_CHECKING:
    from templates_engine import Job

Place = tuple[str, int, int, int]


def profile(fitted: Fitted, job: Job) -> dict[str, Table]:
    """Makes Profile, ProfileInterval and the picture; a notice instead where the parameter has no estimate."""
    from scipy import stats

    spec = fitted.spec
    place = _place(fitted, spec.profile)
    estimate, se = _estimate(fitted, place)
    if not math.isfinite(estimate):
        why = "its profile is flat and is not shown" if place[0] != "rho" else "there is no profile"
        job.note(Problem("no-profile", f"{spec.profile} is not estimable, so {why}."))
        return {}
    limit = float(stats.chi2.ppf(spec.level / 100, 1))
    result, notes = _found(fitted, place, estimate, se)
    notes = [f"Values at which twice the log likelihood falls by less than {limit:.4f}.", *notes]
    rows = tuple(
        (float(v), float(d), -0.5 * (fitted.exact.deviance + float(d)))
        for v, d in zip(result.values, result.drops, strict=True)
    )
    more = tuple(notes[1:2])
    curve = Table((spec.profile, "drop", "logLik"), rows, f"Profile likelihood of {spec.profile}", more)
    upper = result.upper if math.isfinite(result.upper) else None
    lower = result.lower if math.isfinite(result.lower) else None
    interval = Table(
        ("parameter", "estimate", "lower", "upper", "level"),
        ((spec.profile, estimate, lower, upper, spec.level),),
        "Profile-likelihood interval",
        tuple(notes),
    )
    job.table("ProfileInterval", interval)
    job.table("Profile", curve)
    job.figure("profile.svg", figures.profile(result, spec.profile, spec.level, limit), f"Profile of {spec.profile}")
    return {"ProfileInterval": interval, "Profile": curve}


def _place(fitted: Fitted, name: str) -> Place:
    """Which parameter of the likelihood this is."""
    for c, a, b, rho in correlations(fitted.spec, fitted.parts):
        if name == rho:
            return "rho", c, a, b
    k = fitted.names.index(name)
    at = k - len(fitted.exact.beta)
    if at < 0:
        return "beta", k, 0, 0
    for c, factor in enumerate(fitted.parts.factors):
        rows, _ = np.tril_indices(factor.q)
        if at < len(rows):
            return "omega", c, int(rows[at]), 0
        at -= len(rows)
    return "sigma2", 0, 0, 0


def _estimate(fitted: Fitted, place: Place) -> tuple[float, float]:
    """(maximum likelihood estimate, standard error), NaN where there is none."""
    exact, (what, c, a, b) = fitted.exact, place
    if what == "rho":
        omega = fitted.omegas[c]
        size = float(omega[a, a] * omega[b, b])
        if not size > 0:
            return math.nan, math.nan
        rho = float(omega[a, b]) / math.sqrt(size)
        # of a correlation of as many pairs as there are units: it only sets the steps of the search
        return rho, (1.0 - rho * rho) / math.sqrt(fitted.parts.factors[c].groups)
    k = fitted.names.index(fitted.spec.profile)
    values, errors = np.concatenate([exact.beta, exact.variances]), np.concatenate([exact.beta_se, exact.variances_se])
    return float(values[k]), float(errors[k])


def _found(fitted: Fitted, place: Place, estimate: float, se: float) -> tuple[Profile, list[str]]:
    """The profile, and notes on its likelihood."""
    spec, exact = fitted.spec, fitted.exact
    if spec.copied:
        return _approximate(fitted, place, se)
    if fitted.data is not None:
        assert fitted.fit is not None
        target, fit = glm_target(fitted.data, fitted.prior, 1), fitted.fit
        return cloning_glm_ml.profile(target, place, fit.gamma, fit.gamma_covariance, fit.omega, se, spec.level), []
    if fitted.totals:
        assert fitted.stats is not None
        likelihood = NormalLikelihood(cells(fitted.stats), fitted.stats.coordinates)
        return normal_profile(likelihood, spec.profile, estimate, se, exact.deviance, spec.level), []
    surface = Surface(fitted.normal(fitted.prior, 1))
    best = profiled(surface, fitted.omegas, float(exact.variances[-1]), place)

    def drop(value: float) -> float:
        return best(value) - exact.deviance

    if place[0] == "rho":
        return correlation_profile(drop, estimate, se, spec.level), []
    return found_profile(drop, estimate, se, place[0] != "beta", spec.level), []


def _approximate(fitted: Fitted, place: Place, se: float) -> tuple[Profile, list[str]]:
    """By the Laplace approximation, with what it errs by at the ends of the interval."""
    spec, rows = fitted.spec, fitted.rows
    assert fitted.near is not None
    more = {"trials": rows.trials, "offset": rows.offset}
    curve = glm_laplace_profile.Curve(spec.link, rows.y, rows.x, fitted.parts.factors, fitted.near, place, **more)
    result = glm_laplace_profile.profile(curve, se, spec.level)
    notes = ["By the Laplace approximation of the likelihood, as glmer of lme4 has it, and not by cloning."]
    ends = [("lower", result.lower), ("upper", result.upper)]
    inside = [(name, end) for name, end in ends if math.isfinite(end) and abs(curve(end)) > 0.01]
    rng = streams(spec.mcmc.seed + 4, 1)[0]
    for (name, end), (fall, error) in zip(
        inside, glm_laplace_profile.errors(curve, centre_of(fitted), [end for _, end in inside], rng), strict=True
    ):
        if math.isfinite(fall):
            notes.append(
                f"At the {name} end the approximation falls by {curve(end):.3f}; the likelihood itself by {fall:.3f} "
                f"(by simulation, with a standard error of {error:.3f})."
            )
    return result, notes
