"""Three answers from one set of questions: complete cases, multiple imputation, one pass.

Complete cases: REML (or, for successes and counts, maximum likelihood by the Laplace approximation) on the rows without
a gap. Multiple imputation: the response and the incomplete variables from one joint Normal model (Goldstein, Carpenter,
Kenward and Levin, 2009), powers and interactions made of what was imputed, the same fit to each completed dataset,
Rubin's rules. A yes/no response has its latent Normal there, a share of several trials its log odds, a count its
logarithm. It is what a careful user of joint imputation would do; it does not know
of powers, interactions and random slopes when it imputes, which is why it differs where these matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from templates_engine import Draws, Table
from templates_engine.figures import PlotPanel, picture, style
from templates_engine.imputation import pooling
from templates_engine.outputs import Cell
from templates_engine.sampling import joint, streams
from templates_engine.sampling.glm import laplace
from templates_engine.sampling.normal import Factor, statistics, two_level_ml
from templates_engine.sampling.onepass import Interest, evaluate, with_means

from .building import Prepared, complete_design
from .spec import Spec

IMPUTATIONS, FIRST, EVERY = 20, 500, 50
SHIFT = 0.5  # posterior sds from which a difference is spoken of


@dataclass(frozen=True)
class Answers:
    """Three answers to one model, parameter by parameter; arrays (parameters,)."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]
    estimates: np.ndarray  # (3, parameters): complete cases, imputation, one pass
    errors: np.ndarray
    fmi: np.ndarray
    complete: int  # rows without a gap
    rows: int


def three(spec: Spec, prepared: Prepared, draws: Draws, ended: Callable[[], bool]) -> Answers | None:
    """None where the run was stopped meanwhile, or too few rows are complete to be fitted."""
    interest = prepared.model.interest
    q = len(interest.random)
    spread = interest.link == "identity" or interest.negative_binomial
    count = len(interest.fixed) + q * (q + 1) // 2 + (1 if spread else 0)
    names, variables = draws.parameters[:count], draws.variables[:count]
    matrix, kept = complete_design(prepared.model)
    first = _fit(prepared, matrix, kept)
    fits = []
    for completed in _imputations(spec, prepared):
        if ended():
            return None
        fits.append(_fit(prepared, completed, ~np.isnan(interest.y)))
    estimates = np.stack([fit[0] for fit in fits])
    errors = np.stack([fit[1] for fit in fits])
    usable = np.isfinite(errors).all(axis=0)  # a variance at zero has no standard error
    pooled = pooling.rubin(estimates[:, usable], errors[:, usable])
    mean, error, fmi = estimates.mean(axis=0), np.full(count, np.nan), np.full(count, np.nan)
    error[usable], fmi[usable] = [p.se for p in pooled], [p.fmi for p in pooled]
    flat = draws.values.reshape(-1, len(draws.parameters))[:, :count]
    return Answers(
        names, variables, np.stack([first[0], mean, flat.mean(axis=0)]),
        np.stack([first[1], error, flat.std(axis=0, ddof=1)]), fmi, int(kept.sum()), int((~np.isnan(interest.y)).sum()),
    )  # fmt: skip


def _fit(prepared: Prepared, matrix: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(estimates, standard errors) of β, the packed covariance matrix and σ² (or α). matrix: of these rows."""
    interest = prepared.model.interest
    if interest.link != "identity":
        return _general_fit(prepared, matrix, rows)
    x, codes, z = matrix[:, list(interest.fixed)], None, None
    if interest.groups is not None:
        codes = np.unique(interest.groups[rows], return_inverse=True)[1].reshape(-1)
        z = matrix[:, list(interest.random)]
    fit = two_level_ml.fit(statistics(interest.y[rows], x, codes, z))
    packed = [fit.omega[i, j] for i in range(len(interest.random)) for j in range(i + 1)]
    errors = fit.omega_se[: len(packed)] if len(packed) else np.zeros(0)
    return np.array([*fit.beta, *packed, fit.sigma2]), np.array([*fit.beta_se, *errors, fit.sigma2_se])


def _general_fit(prepared: Prepared, matrix: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of a response that is not Normal: maximum likelihood by the Laplace approximation."""
    interest = prepared.model.interest
    factors = []
    if interest.groups is not None:
        codes = np.unique(interest.groups[rows], return_inverse=True)[1].reshape(-1)
        factors = [Factor(codes, matrix[:, list(interest.random)])]
    fit = laplace.fit(
        interest.link, interest.y[rows], matrix[:, list(interest.fixed)], factors,
        trials=None if interest.trials is None else interest.trials[rows],
        offset=None if interest.offset is None else interest.offset[rows],
        negative_binomial=interest.negative_binomial,
    )  # fmt: skip
    packed = [omega[i, j] for omega in fit.omega for i in range(len(omega)) for j in range(i + 1)]
    alpha = ([fit.alpha], [fit.alpha_se]) if interest.negative_binomial else ([], [])
    errors = [e for part in fit.omega_se for e in part]
    return np.array([*fit.beta, *packed, *alpha[0]]), np.array([*fit.beta_se, *errors, *alpha[1]])


def _as_imputed(spec: Spec, interest: Interest) -> tuple[str, np.ndarray]:
    """(kind, values) of the response in the imputation model."""
    y = interest.y
    if interest.link == "identity":
        return "Normal", y
    if interest.link == "log":
        return "Normal", np.log(y + 0.5) - (0.0 if interest.offset is None else interest.offset)
    trials = np.ones(y.size) if interest.trials is None else interest.trials
    if np.nanmax(trials) == 1.0:
        return "Binary", y
    return "Normal", np.log(y + 0.5) - np.log(trials - y + 0.5)


def _imputations(spec: Spec, prepared: Prepared) -> list[np.ndarray]:
    """Columns of all terms on the rows with a response, of each completed dataset."""
    interest, covariates = prepared.model.interest, prepared.model.covariates
    complete = [t.column for t in interest.terms if not t.factors and np.ptp(t.column) > 0]
    design = np.column_stack([np.ones(interest.y.size), *complete])
    names = ("cons", *(f"x{k}" for k in range(len(complete))))
    kind, values = _as_imputed(spec, interest)
    response = joint.Response(spec.y, kind, values, 2 if kind == "Binary" else 1, (design,), (names,))
    groups = covariates.groups if covariates.groups is not None else interest.groups
    lower, above = (tuple(replace(r, latent=False) for r in each) for each in (covariates.level1, covariates.level2))
    classes = () if groups is None else (joint.Classification(groups, above),)
    model = joint.JointModel((response, *lower), classes)
    at = [FIRST + EVERY * k for k in range(IMPUTATIONS)]
    generator = streams(spec.mcmc.seed, spec.mcmc.nchains + 1)[-1]
    chain = joint.run_chain(model, generator, np.zeros(2, np.int64), at[-1], at)
    rows = ~np.isnan(interest.y)
    found = []
    for iteration in at:
        level1, *levels = chain.imputed[iteration]
        known = list(level1.items())
        if groups is not None:
            known += [(name, column[groups]) for name, column in levels[0].items()]
        scales = prepared.model.scales
        known = with_means(prepared.model, [(n, scales[n].of(x) if n in scales else x) for n, x in known])
        found.append(np.column_stack([evaluate(term, known) for term in interest.terms])[rows])
    return found


def table(spec: Spec, answers: Answers) -> Table:
    """One line a parameter: estimate and standard error three times, FMI, how far apart in posterior sds."""
    rows: list[tuple[Cell, ...]] = []
    fitted = "REML" if spec.link == "identity" else "maximum likelihood (Laplace)"
    e, s = answers.estimates, answers.errors
    for k, parameter in enumerate(answers.parameters):
        cells = [e[0, k], s[0, k], e[1, k], s[1, k], answers.fmi[k], e[2, k], s[2, k]]
        away = [(e[0, k] - e[2, k]) / s[2, k], (e[1, k] - e[2, k]) / s[2, k]]
        rows.append((parameter, answers.variables[k], *(_cell(v) for v in (*cells, *away))))
    columns = (
        "parameter", "variable", "complete", "complete_se", "imputed", "imputed_se", "fmi", "onepass", "onepass_sd",
        "complete_shift", "imputed_shift",
    )  # fmt: skip
    notes = [
        (
            f"Complete cases: {fitted} on {answers.complete:,} of {answers.rows:,} rows. Imputed: {IMPUTATIONS} "
            f"datasets from a joint Normal model, Rubin's rules over {fitted} fits. One pass: posterior mean and sd. "
            "Shifts are from the one-pass answer, in its posterior sds. With few groups a posterior mean of a variance "
            f"under a uniform prior is some per cent above {fitted}."
        ),
        *reasons(spec, answers),
    ]
    return Table(columns, tuple(rows), "Three answers side by side", tuple(notes))


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def reasons(spec: Spec, answers: Answers) -> list[str]:
    """A sentence on why the answers differ where they do."""
    incomplete = {r.name for r in spec.responses}
    built = {b.name for b in spec.built if any(v.name in incomplete for v, _ in b.factors)}
    sloped = [t.name for t in spec.x2 if any(v.name in incomplete for v, _ in spec.factors(t))]
    shift = (answers.estimates - answers.estimates[2]) / answers.errors[2]
    said = []
    terms = [name for k, name in enumerate(answers.variables) if name in built and abs(shift[1, k]) > SHIFT]
    if terms:
        said.append(
            f"{', '.join(terms)}: joint imputation draws the missing values without knowing of powers and "
            "interactions, which pulls their coefficients toward zero; the one-pass answer does not have this fault."
        )
    variance = [
        name for k, name in enumerate(answers.parameters)
        if name.startswith("omega_uint_") and name != "omega_uint_0" and shift[1, k] < -SHIFT
    ]  # fmt: skip
    if sloped and variance:
        also = ", and sigma2 too large" if spec.link == "identity" else ""
        said.append(
            f"{', '.join(variance)}: joint imputation draws {', '.join(sloped)} as if its slope were the same in every "
            f"group, so that the slopes' variance is too small in what it completes{also}."
        )
    far = [name for k, name in enumerate(answers.parameters) if abs(shift[0, k]) > SHIFT]
    if far:
        said.append(
            f"{', '.join(far)}: the complete rows give another answer than all rows; they are fewer, and not a random "
            "part of them where what is missing depends on the response or the group."
        )
    if not said:
        said.append(f"No estimate differs by more than {SHIFT:g} posterior sds from the one-pass answer.")
    return said


def figure(spec: Spec, answers: Answers) -> bytes:
    """The three answers' intervals, about the one-pass estimate and in its posterior sds. SVG."""
    e, s = answers.estimates, answers.errors
    middle = (e - e[2]) / s[2]
    half = 1.96 * np.where(np.isfinite(s), s, 0.0) / s[2]
    reach = float(np.nanmax(np.abs(middle) + half)) * 1.05

    def paint(_: int, panel: Callable[[str], PlotPanel]) -> None:
        plot = panel("distance from the one-pass estimate, in its posterior sds")
        places = np.arange(len(answers.parameters), dtype=float)
        plot.scales((-0.6, len(places) - 0.4), (-reach, 1.5 * reach), list(places), None, list(answers.parameters))
        plot.level(0.0, (4, 3))
        looks = []
        for k, (label, dashes) in enumerate((("complete cases", (2, 2)), ("imputation", (6, 2)), ("one pass", ()))):
            at = places + 0.18 * (k - 1)
            for x, m, h in zip(at, middle[k], half[k], strict=True):
                plot.line(np.array([x, x]), np.array([m - h, m + h]), style.SERIES[k], 2, dashes)
            plot.points(at, middle[k], style.SERIES[k])
            looks.append((label, style.SERIES[k], dashes))
        plot.key("", looks)

    words = "Estimates and 95 % intervals: complete cases, multiple imputation, one pass."
    return picture(f"{spec.y}: three answers side by side", words, 1, paint)
