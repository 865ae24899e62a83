"""Rubin's rules: one answer from the fits to several imputed datasets.

    Rubin (1987)               Multiple Imputation for Nonresponse in Surveys, chapter 3
    Barnard and Rubin (1999)   Small-sample degrees of freedom with multiple imputation, Biometrika 86, 948-955
    von Hippel (2020)          How many imputations do you need? Sociological Methods & Research 49, 699-718

For each parameter, with estimates Q_i and squared standard errors U_i of m fits:

    Q = mean Q_i    U = mean U_i    B = var Q_i (divisor m - 1)    T = U + (1 + 1/m) B
    riv = (1 + 1/m) B / U                the relative increase in variance
    lambda = (1 + 1/m) B / T             the share of the variance that is due to the missing values
    fmi = (riv + 2 / (df + 3)) / (1 + riv)    Rubin (1987), equation 3.1.10, with the df that are printed

Variances are skewed, so their intervals are made on the log scale, where a Normal approximation is better: fits
are pooled as log Q_i with standard error se_i / Q_i (delta method), and `lower`, `upper`, `df`, `fmi` and `riv`
are those of the log; `estimate`, `se` and `mcse` stay on the natural scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.outputs import Cell, Table, table_from

COLUMNS = ("parameter", "variable", "estimate", "se", "df", "lower", "upper", "fmi", "riv", "mcse")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """One parameter's pooled answer. `df` is infinite when neither rows nor imputations limit it."""

    estimate: float
    se: float
    df: float
    lower: float
    upper: float
    fmi: float
    riv: float
    m: int  # imputed datasets
    mcse: float  # the error of `estimate` that a new set of m imputations would show: sqrt(B / m)


def rubin(
    estimates: npt.ArrayLike,
    ses: npt.ArrayLike,
    complete_df: Sequence[float | None] | None = None,
    positive: Sequence[bool] | None = None,
    level: float = 0.95,
) -> list[Pooled]:
    """Pool m fits of k parameters.

    estimates, ses: (m, k), m at least 2. complete_df: (k,), the degrees of freedom with complete data; None (for
    all, or for one) takes Rubin's of 1987, as if they were infinite. positive: (k,), True for variances, pooled
    on the log scale. level: of the interval. ValueError on fewer than two fits, shapes that differ, values that are
    not finite, standard errors that are not positive, or an estimate of a `positive` parameter that is not.
    """
    q, s = np.atleast_2d(np.asarray(estimates, dtype=float)), np.atleast_2d(np.asarray(ses, dtype=float))
    if q.shape != s.shape:
        raise ValueError(f"estimates {q.shape} and standard errors {s.shape} differ in shape")
    m, k = q.shape
    if m < 2:
        raise ValueError("Rubin's rules need at least two imputed datasets: one cannot show the spread between them")
    if not (np.isfinite(q).all() and np.isfinite(s).all()):
        raise ValueError("an estimate or a standard error is not a finite number")
    if (s <= 0).any():
        raise ValueError("a standard error is zero or negative")
    dfs = list(complete_df) if complete_df is not None else [None] * k
    logs = list(positive) if positive is not None else [False] * k
    if len(dfs) != k or len(logs) != k:
        raise ValueError(f"complete_df and positive need one value for each of the {k} parameters")
    pooled = []
    for j in range(k):
        natural = _pool(q[:, j], s[:, j], dfs[j], level)
        if logs[j]:
            if (q[:, j] <= 0).any():
                raise ValueError("a variance must be positive to be pooled on the log scale")
            log = _pool(np.log(q[:, j]), s[:, j] / q[:, j], dfs[j], level)
            natural = Pooled(
                natural.estimate, natural.se, log.df, float(np.exp(log.lower)), float(np.exp(log.upper)), log.fmi,
                log.riv, m, natural.mcse,
            )  # fmt: skip
        pooled.append(natural)
    return pooled


def _pool(q: Array, s: Array, complete_df: float | None, level: float) -> Pooled:
    from scipy.special import stdtrit

    m = len(q)
    # Centred on the first estimate, so that equal estimates give a between-variance of exactly zero.
    shifted = q - q[0]
    mean, between = float(q[0] + shifted.mean()), float(shifted.var(ddof=1))
    within = float((s**2).mean())
    total = within + (1 + 1 / m) * between
    riv = (1 + 1 / m) * between / within
    df = degrees_of_freedom(m, riv, complete_df)
    fmi = 0.0 if between == 0 else (riv + 2 / (df + 3)) / (1 + riv)
    half = float(stdtrit(min(df, 1e12), (1 + level) / 2)) * np.sqrt(total)
    return Pooled(mean, float(np.sqrt(total)), df, mean - half, mean + half, fmi, riv, m, float(np.sqrt(between / m)))


def degrees_of_freedom(m: int, riv: float, complete_df: float | None) -> float:
    """Barnard and Rubin (1999); with complete_df None or infinite, Rubin (1987, equation 3.1.6).

    With no between-variance only the complete-data part is left: (v + 1) / (v + 3) * v, or infinity.
    """
    share = riv / (1 + riv)  # lambda
    old = (m - 1) / share**2 if share > 1e-150 else np.inf  # its square would be zero
    if complete_df is None or not np.isfinite(complete_df):
        return float(old)
    observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
    return float(observed if not np.isfinite(old) else 1 / (1 / old + 1 / observed))


def fmi_interval(fmi: float, m: int, level: float = 0.95) -> tuple[float, float]:
    """How far an FMI from m imputations can be trusted: von Hippel (2020), on the logit scale.

    The estimate's logit has a standard error of about sqrt(2 / m). (0, 0) when the FMI is 0.
    """
    from scipy.special import expit, logit, ndtri

    if fmi <= 0:
        return 0.0, 0.0
    fmi = min(fmi, 1 - 1e-12)
    half = float(ndtri((1 + level) / 2)) * np.sqrt(2 / m)
    return float(expit(logit(fmi) - half)), float(expit(logit(fmi) + half))


def imputations_needed(pooled: Sequence[Pooled], target: float = 0.10) -> int:
    """Imputations after which every estimate's Monte Carlo error is under `target` of its standard error.

    With the B and U found now, B / m <= target^2 (U + (1 + 1/m) B) gives m >= B / (U + B) (1 / target^2 - 1).
    At least 2; from few imputations it is itself uncertain, as B is.
    """
    shares = [_between(p) / (p.se**2 - p.mcse**2) for p in pooled]
    return max(2, int(np.ceil(max(shares, default=0.0) * (1 / target**2 - 1) - 1e-9)))


def _between(p: Pooled) -> float:
    return p.mcse**2 * p.m


def table(
    parameters: Sequence[str],
    variables: Sequence[str],
    pooled: Sequence[Pooled],
    title: str = "",
    notes: Sequence[str] = (),
) -> Table:
    """The pooled table, COLUMNS. Infinite degrees of freedom are an empty cell."""
    rows: list[tuple[Cell, ...]] = [
        (name, variable, p.estimate, p.se, p.df if np.isfinite(p.df) else None, p.lower, p.upper, p.fmi, p.riv, p.mcse)
        for name, variable, p in zip(parameters, variables, pooled, strict=True)
    ]
    return Table(COLUMNS, tuple(rows), title, tuple(notes))


def complete_cases_table(summary: Table, title: str = "", notes: Sequence[str] = ()) -> Table:
    """A posterior summary in the same COLUMNS, to be read beside the pooled table.

    Estimate and SE are the posterior mean and sd, the interval its 2.5 and 97.5 per cent points; what belongs to
    imputation alone is empty.
    """
    same = {"estimate": "mean", "se": "sd", "lower": "q025", "upper": "q975"}
    records = [
        {**record, **{new: record[old] for new, old in same.items()}}
        for record in summary.records()  # keeps parameter, variable and mcse
    ]
    return table_from(COLUMNS, records, title=title, notes=tuple(notes))


def fmi_sentence(parameters: Sequence[str], pooled: Sequence[Pooled]) -> str:
    """How uncertain the printed FMIs are, by the largest of them; "" when nothing is missing."""
    k = max(range(len(pooled)), key=lambda j: pooled[j].fmi, default=None)
    if k is None or pooled[k].fmi <= 0:
        return ""
    low, high = fmi_interval(pooled[k].fmi, pooled[k].m)
    return (
        f"The fraction of missing information (FMI) is itself an estimate: from {pooled[k].m} imputations, the "
        f"{pooled[k].fmi:.2f} of {parameters[k]} may stand for anything from {low:.2f} to {high:.2f}."
    )


def verdicts(parameters: Sequence[str], pooled: Sequence[Pooled], target: float = 0.10) -> list[tuple[str, str]]:
    """Were there enough imputations, and do the results lean on them: (word, sentence) pairs.

    Enough: the Monte Carlo error of every estimate is at most a tenth of its standard error, as White, Royston and Wood
    (2011, Statistics in Medicine 30, 377-399, section 7.3) ask; about 100 imputations times the FMI.
    """
    if not pooled:
        return []
    errors = [p.mcse / p.se for p in pooled]
    worst = int(np.argmax(errors))
    needed, m = imputations_needed(pooled, target), pooled[0].m
    error, name = f"{100 * errors[worst]:.0f}%", parameters[worst]
    rule = f"{100 * target:.0f}%, the rule of White, Royston and Wood (2011)"
    if needed > m:
        about = needed if needed <= 10 else -(-needed // 10) * 10
        sentence = f"The Monte Carlo error of {name} is {error} of its SE. About {about} imputations would bring "
        said = [("Too few imputations", f"{sentence}every one under {rule}.")]
    else:
        text = f"the Monte Carlo error is at most {error} of the SE ({name}), under {rule}"
        said = [("Fine", f"{m} imputations are enough: {text}.")]
    most = int(np.argmax([p.fmi for p in pooled]))
    if pooled[most].fmi > 0.5:
        missing = f"More than half of the information on {parameters[most]} is missing (FMI {pooled[most].fmi:.2f})"
        said.append(("Read with care", f"{missing}: the answer leans on the imputation model."))
    return said
