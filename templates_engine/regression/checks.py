"""What can be wrong with the data of a regression, seen in its rows. All faults are told at once."""

from __future__ import annotations

import numpy as np

from templates_engine.data import Dataset, Design, collinear, no_intercept, spans_ones
from templates_engine.problems import Problem, Refused
from templates_engine.regression import binary, checks_classes as mixed_classes
from templates_engine.regression.checks_classes import LONG_TAIL
from templates_engine.regression.data import Rows, prepare
from templates_engine.regression.questions import BINOMIAL, COUNTS, NEGATIVE_BINOMIAL, NORMAL, POISSON, Model
from templates_engine.sampling import UNIFORM


def check(model: Model, data: Dataset) -> list[Problem]:
    """Errors that stop the run, and notices that stand with its results."""
    try:
        complete = data.complete_cases(model.columns)
        if complete.n_rows == 0:
            return [_no_rows(model, data)]
        rows = prepare(model, data)
    except Refused as refused:
        return list(refused.problems)
    found = response_faults(model, rows)
    if model.group is not None:
        found += mixed_classes.groups(model, rows)
    found += _columns(model, rows)
    if not found and model.family == NORMAL:
        found += _fit(model, rows)
    if not found and model.family != NORMAL:
        found += _separation(model, rows)
    if not found:
        found += _starts(model, rows) + _priors(model, rows)
    if not any(p.level == "error" for p in found):
        found += _notices(model, data, rows)
    if model.numbered:
        found += mixed_classes.several(model, rows)
        if not any(p.level == "error" for p in found):
            found += [p for c in range(len(rows.factors)) for p in mixed_classes.variance(model, rows, c)]
    return found


def _no_rows(model: Model, data: Dataset) -> Problem:
    worst = max(model.columns, key=lambda name: int(data.missing(name).sum()))
    text = f"No row is complete in all of {', '.join(model.columns)}, so there is nothing to fit"
    gaps = int(data.missing(worst).sum())
    return Problem("no-complete-rows", f"{text} ({worst} is missing in {gaps:,} of {data.n_rows:,}).", column=worst)


def _where(rows: int, bad: np.ndarray) -> str:
    return f"{int(bad.sum()):,} of {rows:,} rows"


def response_faults(model: Model, rows: Rows) -> list[Problem]:
    """What is wrong with the values of the response, and of the trials."""
    y, n, name = rows.y, rows.n, model.y

    def wrong(code: str, text: str, key: str = "y", column: str = name) -> Problem:
        return Problem(code, text, key=key, column=column)

    if model.family == NORMAL:
        if float(np.ptp(y)) == 0.0:
            return [wrong("constant-response", f"{name} is {y[0]:g} in every row used: there is nothing to explain.")]
        return []
    found: list[Problem] = []
    whole, negative = y == np.rint(y), y < 0
    if model.family in COUNTS:
        if negative.any():
            found.append(wrong("negative-count", f"{name} is negative in {_where(n, negative)}; counts start at 0."))
        if not whole.all():
            text = f"{name} is not a whole number in {_where(n, ~whole)}; a {COUNT[model.family]} response is a count."
            found.append(wrong("not-a-count", text))
        if not found and not y.any():
            found.append(wrong("constant-response", f"{name} is 0 in every row used: the log of its mean is infinite."))
        return found
    trials, column = rows.trials, model.trials or ""
    bad = (trials < 0) | (trials != np.rint(trials))
    if bad.any():
        text = f"{column} must hold whole numbers of trials from 0; it does not in {_where(n, bad)}."
        found.append(wrong("not-a-count", text, "n", column))
    elif not trials.any():
        found.append(wrong("no-trials", f"{column} is 0 in every row, so there are no trials.", "n", column))
    if np.all(trials == 1) and not np.all((y == 0) | (y == 1)):
        values = np.unique(y)
        shown = ", ".join(f"{v:g}" for v in values[:5]) + (", …" if len(values) > 5 else "")
        text = f"With one trial a row {name} must have two values, such as 0 and 1; it holds {shown}."
        return [*found, wrong("not-binary", text)]
    if negative.any() or not whole.all():
        text = f"{name} must hold whole numbers of successes from 0; it does not in {_where(n, negative | ~whole)}."
        found.append(wrong("not-a-count", text))
    above = y > trials
    if above.any() and not found:
        at = int(np.argmax(above))
        text = f"{name} is above {column} in {_where(n, above)} (for example {y[at]:g} of {trials[at]:g})."
        found.append(wrong("more-successes-than-trials", text))
    if not found and (not y.any() or np.all(y == trials)):
        word = "0" if not y.any() else "all trials"
        text = f"{name} is {word} in every row used: its {model.link} has no finite value."
        found.append(wrong("constant-response", text))
    return found


def _columns(model: Model, rows: Rows) -> list[Problem]:
    found: list[Problem] = []
    p, n = rows.x.shape[1], rows.n
    infinite = [name for k, name in enumerate(rows.names) if not np.isfinite(rows.x[:, k]).all()]
    if infinite:
        return [Problem("not-finite", f"{', '.join(infinite)} holds values that are not finite.", key="x")]
    if p == 0:
        return [Problem("no-predictors", "Choose at least one explanatory variable, such as cons.", key="x")]
    if p >= n:
        text = f"{p} coefficients cannot be estimated from {n:,} rows; use fewer explanatory variables."
        return [Problem("more-parameters-than-rows", text, key="x")]
    random = [("x2", rows.factors[0].z, rows.z_names[0])] if model.x2 else []
    for key, matrix, names in (("x", rows.x, rows.names), *random):
        repeated = collinear(Design(matrix, names, names))
        if not repeated:
            continue
        before = names[: names.index(repeated[0])]
        zero = not np.any(matrix[:, names.index(repeated[0])])
        constant = all(np.ptp(matrix[:, names.index(r)]) == 0 for r in repeated)
        if zero:
            text = f"{repeated[0]} is 0 in every row used, so it has no coefficient: leave it out."
        elif constant and before:
            text = f"{', '.join(repeated)} is constant in the rows used, like the intercept: leave it out."
        else:
            text = (
                f"{', '.join(repeated)} can be written as a sum of {', '.join(before) or 'the others'}: leave it out"
                f"{', or leave out cons' if 'cons' in before else ''}."
            )
        found.append(Problem("collinear", text, key=key, column=repeated[0].partition(":")[0]))
    return found


def _fit(model: Model, rows: Rows) -> list[Problem]:
    """A residual variance must be there to be estimated."""
    x = rows.x
    scale = np.linalg.norm(x, axis=0)
    fitted = (x / scale) @ np.linalg.lstsq(x / scale, rows.y, rcond=None)[0]
    if np.linalg.norm(rows.y - fitted) <= 1e-10 * np.linalg.norm(rows.y):
        text = f"{model.y} is an exact sum of the explanatory variables, so there is no residual variance to estimate."
        return [Problem("perfect-fit", text, key="x", column=model.y)]
    if model.group is not None:
        from templates_engine.sampling.normal import statistics

        stats = statistics(rows.y, x, rows.codes, rows.z)
        if stats.within_rss <= 1e-20 * float(rows.y @ rows.y):
            text = (
                f"{model.y} does not vary within the groups of {model.group}: there is no level 1 variance to estimate."
            )
            return [Problem("no-level-1-variance", text, key="y", column=model.y)]
    return []


def _separation(model: Model, rows: Rows) -> list[Problem]:
    """With flat priors, coefficients that run off to infinity have no posterior (Albert and Anderson 1984)."""
    from templates_engine.sampling.glm import data as glm_data, quadrature_fit as glm_fit

    data = glm_data.grouped(model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset)
    fit = glm_fit.fixed_only(data)
    if fit.finite:
        return []
    reach = np.abs(fit.beta) * rows.x.std(axis=0)
    guilty = [name for k, name in enumerate(rows.names) if reach[k] > max(2.0, 0.2 * reach.max(initial=0.0))]
    text = (
        f"The explanatory variables predict {model.y} perfectly in part of the rows (separation): the coefficient of "
        f"{', '.join(guilty) or 'one of them'} has no finite estimate. Leave it out or merge categories."
    )
    return [Problem("separation", text, key="x")]


def _starts(model: Model, rows: Rows) -> list[Problem]:
    """Starting values that the model has coefficients for, at which the likelihood is a number."""
    given = model.mcmc.starts.beta if model.mcmc.starts is not None else []
    if not given:
        return []
    if len(given) > rows.x.shape[1]:
        text = f"{len(given)} starting values for {rows.x.shape[1]} coefficients ({', '.join(rows.names)})."
        return [Problem("too-many-starts", text, key="startbeta")]
    from templates_engine.sampling.glm import data as glm_data, quadrature_fit as glm_fit

    data = glm_data.grouped(model.link, rows.y, rows.x, trials=rows.trials, offset=rows.offset)
    beta = glm_fit.fixed_only(data).beta.copy()
    beta[: len(given)] = given
    with np.errstate(over="ignore"):
        far = np.abs(data.offset + data.q_matrix @ (data.coordinates.triangle @ beta)).max()
    if not far < FARTHEST:
        text = (
            f"From these starting values the linear predictor reaches {far:.3g}, where the likelihood cannot be told "
            f"from 0; keep it within {FARTHEST:g}."
        )
        return [Problem("start-too-far", text, key="startbeta")]
    return []


FARTHEST = 30.0  # of a linear predictor: further out a chain would take thousands of iterations to come back


def _priors(model: Model, rows: Rows) -> list[Problem]:
    """Is there enough to learn each variance from, so that its posterior exists and has a mean and an sd?"""
    found: list[Problem] = []
    uniform = model.prior == UNIFORM
    if model.group is not None:
        found += mixed_classes.variance(model, rows, 0)
    left = rows.n - rows.x.shape[1]
    if model.family == NORMAL and uniform and left <= 4:
        text = f"With {rows.n} rows the Uniform prior gives no proper posterior of the variance. Choose the other one."
        found.append(Problem("improper-posterior", text, key="priors"))
    elif model.family == NORMAL and left <= (6 if uniform else 4):
        found.append(Problem("long-tail", LONG_TAIL.format(f"{rows.n} rows", "sigma2"), key="x", level="notice"))
    elif model.family == NEGATIVE_BINOMIAL:
        found += _dispersion(model, rows, uniform)
    return found


def _dispersion(model: Model, rows: Rows, uniform: bool) -> list[Problem]:
    """Counts above 0 enough for alpha.

    For large alpha a count above 0 has likelihood of order 1 / alpha, one of 0 of order 1, over a range of the linear
    predictor that grows as alpha: with m counts above 0 and p coefficients of flat prior the tail of the likelihood in
    alpha is alpha^(p - m). A Uniform prior needs m - p > 1, the Gamma prior of 1 / alpha m - p > 0; the sd 2 more.
    """
    left = int(np.sum(rows.y > 0)) - rows.x.shape[1]
    many = f"{int(np.sum(rows.y > 0))} counts above 0"
    if left < (2 if uniform else 1):
        text = f"{many} for {rows.x.shape[1]} coefficients and alpha: nothing is left to learn alpha from."
        return [Problem("too-few-counts", text, key="D", column=model.y)]
    if left <= (3 if uniform else 2):
        return [Problem("long-tail", LONG_TAIL.format(many, "alpha"), key="D", column=model.y, level="notice")]
    return []


COUNT = {POISSON: "Poisson", NEGATIVE_BINOMIAL: "negative binomial"}


def _notices(model: Model, data: Dataset, rows: Rows) -> list[Problem]:
    found = []
    if rows.dropped:
        gaps = {name: int(data.missing(name).sum()) for name in model.columns}
        most = [f"{name} {count:,}" for name, count in sorted(gaps.items(), key=lambda g: -g[1]) if count][:4]
        text = (
            f"{rows.dropped:,} of {data.n_rows:,} rows have a missing value and are left out; {rows.n:,} are used "
            f"(missing: {', '.join(most)})."
        )
        found.append(Problem("rows-dropped", text, level="notice"))
    if model.family == BINOMIAL and (rows.trials == 0).any():
        text = f"{_where(rows.n, rows.trials == 0)} have no trials and say nothing."
        found.append(Problem("no-trials", text, key="n", column=model.trials or "", level="notice"))
    found += binary.told(model, data)
    if model.family == NORMAL and rows.n > 20 and bool(np.isin(rows.y, (0.0, 1.0)).all()):
        text = f"{model.y} holds 0 and 1 only; D = Binomial would respect that."
        found.append(Problem("binary-as-normal", text, key="D", column=model.y, level="notice"))
    if not spans_ones(rows.x):
        found.append(no_intercept(data, "the line or plane is forced through the origin", "x"))
    return found
