"""Simulation-based calibration of what the one-pass sampler has beyond Normal and categorical covariates, missing
at random: group means, counts, skewed and bounded covariates, selection models, shifted values. See test_onepass_sbc.

Changes made by hand and noticed by the short tests (corrected p-value): a selection model without the value itself
(8e-37), the latents of counts taken as known (1e-8). A group mean left out of the draw is noticed by
test_onepass_means_exact, and too small for 64 fits.
"""

from __future__ import annotations

import pytest
from joint_cases import Case, Variable
from onepass_cases import Study, Term, fitting
from ranking import FALSE_ALARM, ranks, worst

from templates_engine.sampling.onepass import Factor, Scale

X, G, MEAN = Factor("v10"), Factor("v11"), Factor("v10", mean=True)
PAIR = Case((Variable("Normal", predictors=("cons", "x")), Variable("Binary")))
STUDIES = {
    "group mean of an incomplete covariate": (
        Study(PAIR, (Term(), Term((X,)), Term((MEAN,)), Term((G,)), Term((MEAN,), "x")), random=(0,)),
        16,
    ),
    "group means in interactions with themselves": (
        Study(
            Case((Variable("Normal"), Variable("Binary")), (Variable("Normal"),), groups=14),
            (Term(), Term((X,)), Term((MEAN, X)), Term((Factor("v11", mean=True),)), Term((MEAN, Factor("v20")))),
            random=(0,), beta_precision=6.0,
        ),
        16,
    ),
    "group mean, Poisson response": (
        Study(PAIR, (Term(), Term((X,)), Term((MEAN,)), Term((Factor("v11", mean=True),))), random=(0,),
              beta_precision=8.0, beta_mean=0.1, link="log"),
        20,
    ),
    "skewed and bounded covariates": (
        Study(
            Case((Variable("Normal", predictors=("cons", "x")), Variable("Normal"), Variable("Binary"))),
            (Term(), Term((X,)), Term((G,)), Term((X, G)), Term((Factor("v12"),))),
            random=(0,), scales=(("v10", Scale("skewed", -1.0)), ("v11", Scale("bounded", -2.0, 3.0))),
            beta_precision=8.0,
        ),
        12,
    ),
    "counts of both levels": (
        Study(
            Case((Variable("Normal", predictors=("cons", "x")), Variable("Normal")), (Variable("Normal"),), groups=14),
            (Term(), Term((X,)), Term((Factor("v11"),)), Term((Factor("v20"),))),
            random=(0,), scales=(("v10", Scale("count")), ("v20", Scale("count"))), beta_precision=8.0,
        ),
        16,
    ),
    "bounded covariate of level 2, binomial response, group mean of a count": (
        Study(
            Case((Variable("Normal"),), (Variable("Normal"),), groups=14),
            (Term(), Term((X,)), Term((MEAN,)), Term((Factor("v20"),))), random=(0,), beta_precision=8.0,
            link="logit", scales=(("v10", Scale("count")), ("v20", Scale("bounded", 0.0, 2.0))),
        ),
        20,
    ),
    "missing by its own value": (
        Study(PAIR, (Term(), Term((X,)), Term((G,)), Term((X, G))), random=(0,), selected=("v10", "v11")),
        16,
    ),
    "missing by its own value, skewed with a group mean": (
        Study(PAIR, (Term(), Term((X,)), Term((MEAN,)), Term((G,))), random=(0,), selected=("v10",),
              scales=(("v10", Scale("skewed")),), beta_precision=8.0),
        16,
    ),
    "missing values shifted": (
        Study(
            Case((Variable("Normal"), Variable("Normal")), (Variable("Normal"),), groups=14),
            (Term(), Term((X,)), Term((G,)), Term((Factor("v20"),))), random=(0,),
            shifts=(("v10", 0.8), ("v20", -0.7)),
        ),
        16,
    ),
}  # fmt: skip


QUICK = (
    "group mean of an incomplete covariate",
    "skewed and bounded covariates",
    "counts of both levels",
    "missing by its own value",
    "missing values shifted",
)
FITS = 600  # of the long test


@pytest.mark.parametrize("name", QUICK)
def test_true_parameters_rank_uniformly(name: str) -> None:
    """Protects every conditional draw of the one-pass sampler, in cases that are quick. False alarm 1e-4 a case."""
    study, thin = STUDIES[name]
    p, what = worst(*ranks(fitting(study, thin), 64, 20260901))
    assert p > FALSE_ALARM, what


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_true_parameters_rank_uniformly_at_length(name: str) -> None:
    """Every case with more fits, and draws thinned twice as much. False alarm 1e-4 a case."""
    study, thin = STUDIES[name]
    p, what = worst(*ranks(fitting(study, 2 * thin), FITS, 20260902))
    assert p > FALSE_ALARM, what
