"""The priors of `moreimp`: what is asked arrives in the sampler as its label says.

Exact answers with 8 groups, where a prior shows: rows of a group differ so little (1e-3 of the groups' deviation) that
the group effects are known, and their covariance matrix has a posterior in closed form, or of one dimension. Tolerance:
5 Monte Carlo standard errors, 6e-7 a comparison. Twice the scale, or one degree of freedom more, is noticed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from running import run

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.data.dataset import Dataset
from templates_engine.manual import equation
from templates_engine.problems import Refused

LENGTH = {"nchains": "2", "seed": "3", "burnin": "100", "iterations": "4000"}
GROUPS, EACH = 8, 6
ERRORS = 5.0


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(GROUPS), EACH)
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.7], [0.7, 2.0]], GROUPS)
    y = effects[codes] + 1e-3 * rng.standard_normal((len(codes), 2))
    y[:, 0] += 3.0
    return Dataset("d", {"cons": np.ones(len(codes)), "g": codes.astype(float), "a": y[:, 0], "b": 2 * y[:, 1]})


def between(data: Dataset) -> np.ndarray:
    """Cross-products of the group means about their own mean, (2, 2)."""
    means = np.array([[data[name][data["g"] == g].mean() for name in "ab"] for g in range(GROUPS)])
    return np.asarray((means - means.mean(0)).T @ (means - means.mean(0)))


def answers(**more: str) -> dict[str, str]:
    return {"L2ID": "g", "y": "a,b", "x": "cons", "moreimp": "Yes", **LENGTH, **more}


@pytest.mark.parametrize(("df", "scale"), [("", ""), ("6", "0.5")])
def test_an_inverse_wishart_between_eight_groups(data: Dataset, df: str, scale: str, tmp_path: Path) -> None:
    """Ω | u is inverse Wishart(J - 1 + df, S + df scale diag(variances)): the intercepts are flat."""
    given = {"df2": df, "scale2": scale} if df else {}
    ran = run("2LevelMVNormal", data, answers(cov1="Unstructured", priors2="Inverse Wishart", **given), tmp_path)
    prior, share = float(df or 2), float(scale or 0.2)
    total = between(data) + prior * share * np.diag([data["a"].var(), data["b"].var()])
    table = ran.table("ModelResults").set_index("parameter")
    draws = {k: table.loc[f"omega_u_{k}"] for k in range(3)}
    for k, (a, b) in enumerate([(0, 0), (1, 0), (1, 1)]):
        expected = total[a, b] / (GROUPS - 1 + prior - 2 - 1)
        assert abs(draws[k]["mean"] - expected) < ERRORS * draws[k]["mcse"], (k, draws[k]["mean"], expected)


@pytest.mark.parametrize(("df", "scale"), [("", ""), ("1", "0.3")])
def test_half_t_standard_deviations_of_eight_groups(data: Dataset, df: str, scale: str, tmp_path: Path) -> None:
    """The scale counts in residual deviations of the variable about its predictors, all groups together."""
    given = {"df2": df, "scale2": scale} if df else {}
    ran = run("2LevelMVNormal", data, answers(cov1="Diagonal", **given), tmp_path)
    table = ran.table("ModelResults").set_index("parameter")
    for k, name in ((0, "a"), (2, "b")):
        S = float(np.diag(between(data))[k // 2])
        spread = float(scale or 2.5) * data[name].std()

        def density(sd: float, S: float = S, spread: float = spread) -> float:
            prior = scipy.stats.t(float(df or 3)).pdf(sd / spread)
            return float(np.exp(-(GROUPS - 1) * np.log(sd) - 0.5 * S / sd**2) * prior)

        top = 60 * data[name].std()
        one = scipy.integrate.quad(density, 1e-3, top, limit=400)[0]
        expected = scipy.integrate.quad(lambda sd: np.log(sd) * density(sd), 1e-3, top, limit=400)[0] / one
        draws = np.log(np.sqrt(np.load(tmp_path / "out.npz")["values"][:, :, table.index.get_loc(f"omega_u_{k}")]))
        error = draws.std() / np.sqrt(0.5 * table.loc[f"omega_u_{k}", "ess_bulk"])
        assert abs(draws.mean() - expected) < ERRORS * error, (name, draws.mean(), expected, error)


def test_an_inverse_wishart_at_level_1(data: Dataset, tmp_path: Path) -> None:
    """One level: Ω | Y is inverse Wishart(n - k + df, S + df scale diag(variances))."""
    given = {"priors1": "Inverse Wishart", "df1": "9", "scale1": "2"}
    ran = run("1LevelMVNormal", data, {"y": "a,b", "x": "cons", "moreimp": "Yes", **given, **LENGTH}, tmp_path)
    Y = np.column_stack([data["a"], data["b"]])
    total = (Y - Y.mean(0)).T @ (Y - Y.mean(0)) + 9 * 2 * np.diag(Y.var(0))
    table = ran.table("ModelResults").set_index("parameter")
    for k, (a, b) in enumerate([(0, 0), (1, 0), (1, 1)]):
        expected = total[a, b] / (len(Y) - 1 + 9 - 2 - 1)
        assert abs(table.loc[f"omega_e_{k}", "mean"] - expected) < ERRORS * table.loc[f"omega_e_{k}", "mcse"]


def test_priors_stand_in_the_equation(data: Dataset) -> None:
    template = registry.get("2LevelMVNormal")
    given = answers(priors1="Inverse Wishart", df1="9", scale1="2", cov1="Diagonal", df2="1", scale2="0.3")
    text = equation.render(template, walk(template, given, data.schema()).require(), data.schema())
    assert r"\mathrm{IW}(9, 9\,\mathrm{diag}(2\,s_k^2))" in text
    assert r"\mathrm{t}^{+}_{1}(0, 0.3\,s_k)" in text
    plain = equation.render(
        template, walk(template, {**given, "moreimp": "No"}, data.schema()).require(), data.schema()
    )
    assert plain.count(r"\propto 1") == 2


def test_too_few_degrees_of_freedom_are_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        run("2LevelMVNormal", data, answers(cov1="Unstructured", priors2="Inverse Wishart", df2="1"), tmp_path)
    assert [p.key for p in caught.value.problems] == ["df2"]
