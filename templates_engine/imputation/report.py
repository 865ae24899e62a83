"""Tables and words of the imputation templates: pooled fits, verdicts, the paragraph for a paper's methods section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from templates_engine.data import Dataset
from templates_engine.imputation import pooling
from templates_engine.imputation.settled import chains_have_settled, fits_are_long_enough
from templates_engine.imputation.spec import WISHART, Spec
from templates_engine.outputs import Draws, Result, Table
from templates_engine.running import summaries

TITLE = "Rubin's rules over the fits to the completed datasets"


def is_variance(parameter: str) -> bool:
    """Parameters whose interval belongs on the log scale: variances, not covariances."""
    found = re.fullmatch(r"omega_u\d*_(\d+)", parameter)
    return int(found[1]) in _DIAGONAL if found else bool(re.fullmatch(r"sigma2(_u\d*)?", parameter))


# Packed lower triangles by rows: the diagonal elements are 0, 2, 5, 9, ...
_DIAGONAL = frozenset(k * (k + 3) // 2 for k in range(100))


def pool(fits: Sequence[Result]) -> tuple[tuple[str, ...], tuple[str, ...], list[pooling.Pooled]]:
    """(parameters, variables, pooled): Rubin's rules over the posterior means and sds of the fits."""
    draws = [fit.draws for fit in fits if fit.draws is not None]
    parameters, variables = draws[0].parameters, draws[0].variables
    flat = [d.values.reshape(-1, len(parameters)) for d in draws]
    estimates = np.stack([values.mean(axis=0) for values in flat])
    ses = np.stack([values.std(axis=0, ddof=1) for values in flat])
    complete_df = [_complete_df(p, dict(fits[0].info)) for p in parameters]
    return parameters, variables, pooling.rubin(estimates, ses, complete_df, [is_variance(p) for p in parameters])


def _complete_df(parameter: str, info: dict[str, float]) -> float | None:
    """Degrees of freedom with complete data: the fit's own for a coefficient; for a variance those of its units."""
    if f"df:{parameter}" in info:
        return info[f"df:{parameter}"]
    n = info.get("n")
    if n is None:
        return None
    if parameter == "sigma2":
        return n - (sum(_units(info)) or 1)
    which = re.match(r"(?:sigma2|omega)_u(\d*)", parameter)
    groups = info.get(f"groups{which[1]}") if which else None
    return groups - 1 if groups else None


def _units(info: Mapping[str, float]) -> list[float]:
    """Units of each classification of a fit."""
    return [value for name, value in info.items() if re.fullmatch(r"groups\d*", name)]


def pooled_table(
    parameters: Sequence[str], variables: Sequence[str], pooled: Sequence[pooling.Pooled], info: dict[str, float],
    warnings: Sequence[str] = (),
) -> Table:  # fmt: skip
    """`ResultsTable:Imputation`, with what a reader must know under it, warnings first."""
    notes = [
        *warnings,
        f"{pooled[0].m} completed datasets; {_sizes(info)}.",
        (
            "Rubin's rules; degrees of freedom of Barnard and Rubin (1999), complete-data degrees of freedom by the "
            "between-within rule. FMI is the fraction of missing information, RIV the relative increase in variance, "
            "MCSE the Monte Carlo error of the estimate due to the number of imputations."
        ),
        "Intervals, df, FMI and RIV of variances are made on the log scale.",
        pooling.fmi_sentence(parameters, pooled),
    ]
    return pooling.table(parameters, variables, pooled, TITLE, [n for n in notes if n])


def complete_cases_table(fit: Result) -> Table:
    """`ResultsTable:CompleteCases`, in the columns of the pooled table."""
    assert fit.draws is not None
    notes = (f"{_sizes(fit.info)}. Posterior mean, sd and 95% interval of the complete rows.",)
    return pooling.complete_cases_table(summaries.summary(fit.draws), "The same model on the complete rows", notes)


def _sizes(info: Mapping[str, float]) -> str:
    units = _units(info)
    groups = " and ".join(f"{value:,.0f}" for value in units)
    return f"N = {info['n']:,.0f}" + (f" in {groups} groups" if units else "")


def verdicts(
    imputation: Draws,
    fits: Sequence[Result],
    parameters: Sequence[str],
    pooled: Sequence[pooling.Pooled],
    first: int,
    gaps: bool = True,
) -> Table:
    """One line a judgement: the imputation chains from iteration `first` on, the fits, the number of imputations.

    gaps: whether any value was missing; without, the fits differ by their Monte Carlo error alone.
    """
    said = chains_have_settled(imputation, first) if gaps else []
    said += fits_are_long_enough([fit.draws for fit in fits if fit.draws is not None], parameters, pooled)
    if gaps:
        said += pooling.verdicts(parameters, pooled)
    else:
        text = (
            "No value is missing, so the completed datasets are the same and one is enough; the fits differ by their "
        )
        said.append(("Nothing imputed", text + "Monte Carlo error alone."))
    return Table(("word", "sentence"), tuple(said), "What to think of these results")


def methods(spec: Spec, data: Dataset, fits: Sequence[Result], complete: Result) -> str:
    """A paragraph with the numbers, for a paper; the reader edits it."""
    incomplete = [
        f"{r.name} ({int(data.missing(r.name).sum()):,})" for r in spec.responses if data.missing(r.name).any()
    ]
    kinds = ", ".join(f"{r.name} ({r.kind.lower()})" for r in spec.responses)
    levels = f"{data.n_rows:,} units"
    counts = [len(data.groups(each.column)[1]) for each in spec.classes]
    if spec.classes:
        levels += " in " + " and ".join(
            f"{count:,} groups ({each.column})" for each, count in zip(spec.classes, counts, strict=True)
        )
    kept = complete.info.get("n")
    of_complete = f" The complete cases ({kept:,.0f} units) were analysed for comparison." if kept else ""
    return (
        f"Missing values of {', '.join(incomplete) or 'no variable'} among {levels} were imputed "
        f"{len(fits)} times from a joint model of {kinds} with latent Normal variables for categorical responses "
        f"(Goldstein, Carpenter, Kenward and Levin, 2009), with flat priors for fixed effects and covariance matrices"
        f"{_other_priors(spec, counts)}. "
        f"{spec.chains_run} Markov chains gave datasets at iteration {spec.first:,}"
        + (f" and every {spec.every:,} iterations after it" if len(spec.imputed_at) > 1 else "")
        + f" (random seed {spec.seed}). The model of interest, a {spec.moi.distribution} model of {spec.moi.y} by "
        f"{spec.moi.template} ({spec.iterations:,} iterations after a burn-in of {spec.burnin:,}), was fitted to "
        "each completed dataset, and posterior means and standard deviations were combined by Rubin's rules "
        f"with the degrees of freedom of Barnard and Rubin (1999).{of_complete} Computed with StatGrove.\n"
    )


def _other_priors(spec: Spec, counts: Sequence[int]) -> str:
    """What is said of covariance matrices whose prior is not flat."""
    found = ["that of level 1 inverse Wishart"] if spec.prior1.kind == WISHART else []
    for each, count in zip(spec.classes, counts, strict=True):
        if each.diagonal(spec.level1, count):
            found.append(f"the matrix of {each.column} diagonal, with half-t priors of its standard deviations")
        elif each.prior.kind == WISHART:
            found.append(f"that of {each.column} inverse Wishart")
    return f" ({'; '.join(found)})" if found else ""
