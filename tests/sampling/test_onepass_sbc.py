"""Simulation-based calibration of the one-pass sampler (Talts, Betancourt, Simpson, Vehtari and Gelman, 2018).

As in test_joint_sbc: the rank of each true parameter among thinned draws is uniform if prior, likelihood and every
conditional draw agree. A chi-square over 8 bins a parameter; Bonferroni's threshold for a false alarm of 1e-4 a case.
"""

from __future__ import annotations

import pytest
from joint_cases import Case, Variable
from onepass_cases import Study, Term, fitting
from ranking import FALSE_ALARM, ranks, worst

from templates_engine.sampling.joint import Normal
from templates_engine.sampling.onepass import Factor

X, G = Factor("v10"), Factor("v11")
PAIR = Case((Variable("Normal", predictors=("cons", "x")), Variable("Binary")))
STUDIES = {
    "interaction of two incomplete covariates": (
        Study(PAIR, (Term(), Term((X,)), Term((G,)), Term((X, G)), Term((), "x")), random=(0,)),
        10,
    ),
    "squared incomplete covariate": (
        Study(PAIR, (Term(), Term((X,)), Term((Factor("v10", 2),)), Term((G,))), beta_precision=8.0),
        10,
    ),
    "level 2 covariates in cross-level interactions": (
        Study(
            Case((Variable("Normal"),), (Variable("Normal", predictors=("cons", "w")), Variable("Binary")), groups=14),
            (Term(), Term((X,)), Term((Factor("v20"),)), Term((X, Factor("v20"))), Term((Factor("v21"),)),
             Term((Factor("v20", 2),))),
            random=(0,),
            beta_precision=6.0,
        ),
        16,
    ),
    "random slope of an incomplete covariate": (
        Study(PAIR, (Term(), Term((X,)), Term((G,))), random=(0, 1)),
        10,
    ),
    "unordered and ordered covariates": (
        Study(
            Case(
                (Variable("Unordered", 3), Variable("Ordered", 3), Variable("Normal")),
                thresholds=Normal(0.7, 2.0),
                groups=8,
            ),
            (Term(), Term((Factor("v10", category=0),)), Term((Factor("v10", category=1),)), Term((Factor("v11"),)),
             Term((Factor("v12"), Factor("v10", category=1)))),
            random=(0,),
        ),
        16,
    ),
    "unordered and ordered covariates of level 2": (
        Study(
            Case(
                (Variable("Normal"),), (Variable("Unordered", 3), Variable("Ordered", 3)), groups=16, rows=64,
                thresholds=Normal(0.7, 2.0),
            ),
            (Term(), Term((Factor("v20", category=0),)), Term((Factor("v20", category=1),)),
             Term((X, Factor("v21")))),
            random=(0,),
        ),
        20,
    ),
    "binomial response, slope of an incomplete covariate": (
        Study(PAIR, (Term(), Term((X,)), Term((G,)), Term((X, G))), random=(0, 1), link="logit"),
        16,
    ),
    "probit response, level 2 covariate": (
        Study(
            Case((Variable("Binary"),), (Variable("Normal"),), groups=14),
            (Term(), Term((Factor("v10"),)), Term((Factor("v20"),))), random=(0,), link="probit",
        ),
        24,
    ),
    "Poisson response, squared covariate": (
        Study(PAIR, (Term(), Term((X,)), Term((Factor("v10", 2),)), Term((G,))), random=(0,), beta_mean=-0.1,
              beta_precision=10.0, link="log"),
        20,
    ),
    "negative binomial response": (
        Study(PAIR, (Term(), Term((X,)), Term((G,))), random=(0,), beta_precision=4.0, link="log",
              negative_binomial=True),
        24,
    ),
}  # fmt: skip


QUICK = (
    "interaction of two incomplete covariates",
    "squared incomplete covariate",
    "level 2 covariates in cross-level interactions",
    "unordered and ordered covariates",
    "Poisson response, squared covariate",
)
FITS = 1000  # of the long test


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
