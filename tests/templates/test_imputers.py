"""The imputers by themselves: agreement with exact answers, with one another and with the super-templates.

Exact answers: a multivariate regression with flat priors has a matrix t and an inverse Wishart posterior; two binary
responses have a posterior of three parameters that a grid integrates. Tolerance: 5 Monte Carlo standard errors, so that
a false alarm has probability 6e-7 a comparison. A sign of a covariance turned round in `matrices.correlations` is
noticed by the first two tests.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from running import Ran, run

from templates_engine.data.dataset import Dataset
from templates_engine.data.simulate import SUPPLIED
from templates_engine.problems import Refused

LENGTH = {"nchains": "2", "seed": "3", "burnin": "100", "iterations": "1000", "thinning": "1", "outdata": "out"}
ERRORS = 5.0


def draws(ran: Ran, prefix: str = "") -> pd.DataFrame:
    return pd.read_stata(ran.folder / f"{prefix}out.dta")


def close(table: pd.DataFrame, parameter: str, expected: float) -> None:
    (row,) = table[table.parameter == parameter].to_dict("records")
    assert abs(row["mean"] - expected) < ERRORS * row["mcse"], (parameter, row["mean"], expected, row["mcse"])


def test_a_multivariate_regression_has_its_exact_posterior(tmp_path: Path) -> None:
    """p(Ω) flat: Ω | Y is inverse Wishart with n - k - p - 1 degrees of freedom, mean S / (n - k - 2p - 2)."""
    rng = np.random.default_rng(11)
    n, p = 60, 3
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    L = np.array([[1.0, 0, 0], [-0.8, 0.7, 0], [0.3, 0.5, 1.2]])
    Y = X @ np.array([[1.0, -2.0, 0.5], [0.3, 0.0, -0.7]]) + rng.standard_normal((n, p)) @ L.T
    columns = {"cons": X[:, 0], "x": X[:, 1], **{f"y{k}": Y[:, k] for k in range(p)}}
    ran = run("1LevelMVNormal", Dataset("d", columns), {"y": "y0,y1,y2", "x": "cons,x", **LENGTH}, tmp_path)
    B = np.linalg.lstsq(X, Y, rcond=None)[0]
    S = (Y - X @ B).T @ (Y - X @ B)
    table = ran.table("ModelResults")
    for k in range(p):
        for a in range(2):
            close(table, f"beta1imp_{2 * k + a}", B[a, k])
    for a in range(p):
        for b in range(a + 1):
            close(table, f"omega_e_{a * (a + 1) // 2 + b}", S[a, b] / (n - 2 - 2 * p - 2))
    matrix = ran.table("Correlations_level_1").set_index("variable").to_numpy()
    sample = S / np.sqrt(np.outer(np.diag(S), np.diag(S)))
    rho = ran.table("Correlations").set_index(["variable", "with"])
    for a in range(p):
        for b in range(a):
            sd = rho.loc[(f"y{b}", f"y{a}"), "sd"]
            assert matrix[a, b] == matrix[b, a] == pytest.approx(rho.loc[(f"y{b}", f"y{a}"), "mean"])
            assert abs(matrix[a, b] - sample[a, b]) < sd  # the posterior mean is not the sample's, but near


def test_two_binary_responses_have_their_exact_posterior(tmp_path: Path) -> None:
    """Flat on both intercepts and on the correlation: the four cells' multinomial likelihood over a grid."""
    cells = {(1, 1): 26, (1, 0): 12, (0, 1): 9, (0, 0): 23}
    rows = [key for key, count in cells.items() for _ in range(count)]
    values = np.array(rows, dtype=float)
    data = Dataset("d", {"cons": np.ones(len(rows)), "a": values[:, 0], "b": values[:, 1]})
    answers = {"y": "a,b", "bin1": "Binary", "bin2": "Binary", "ximp0": "cons", "ximp1": "cons"}
    ran = run("1LevelMVMixedResponsecc", data, {**answers, **LENGTH, "iterations": "4000"}, tmp_path)
    at, rhos = np.linspace(-0.9, 1.1, 41), np.linspace(-0.4, 0.985, 61)
    logs = np.empty((len(at), len(at), len(rhos)))
    one = scipy.stats.norm.cdf(at)
    grid = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1)
    for k, rho in enumerate(rhos):
        both = scipy.stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf(grid)
        p = {(1, 1): both, (1, 0): one[:, None] - both, (0, 1): one[None] - both}
        p[0, 0] = 1 - both - p[1, 0] - p[0, 1]
        logs[:, :, k] = sum(count * np.log(np.maximum(p[key], 1e-300)) for key, count in cells.items())
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    table = ran.table("ModelResults")
    close(table, "beta1imp_0", float((weight.sum(axis=(1, 2)) * at).sum()))
    close(table, "beta1imp_1", float((weight.sum(axis=(0, 2)) * at).sum()))
    close(table, "omega_e_1", float((weight.sum(axis=(0, 1)) * rhos).sum()))


SHORT = {"nchains": "2", "seed": "5", "burnin": "100", "iterations": "80"}
MIXED = {
    "yimp1": "normexam,standlrtmiss,girlmiss", "bin1_1": "Normal", "bin1_2": "Normal", "bin1_3": "Binary",
    "ximp1_0": "cons", "ximp1_1": "cons", "ximp1_2": "cons", "want2": "Yes", "yimp2": "schgendmiss",
    "bin2_1": "Unordered", "ncatsschgendmiss": "3", "ximp2_0_0": "cons", "ximp2_0_1": "cons",
}  # fmt: skip


def test_the_imputer_is_the_imputation_model_of_the_super_template(tmp_path: Path) -> None:
    """The same answers and seed: the super-template's 100 uncounted sweeps are the imputer's burn-in here."""
    data = SUPPLIED["tutmiss"]()
    moi = {"numlevs": "Yes", "L2ID": "school", "MOIdist": "Normal", "y": "normexam", "x": "cons,standlrtmiss"}
    length = {"numimpute": "2", "imputefirst": "80", "imputeevery": "1", "burnin": "10", "iterations": "20"}
    length |= {"nchains": "2", "seed": "5"}
    whole = run("2LevelImpute", data, {**moi, **MIXED, **length}, tmp_path / "whole")
    alone_answers = {"L2ID": "school", **MIXED, **SHORT, "numimpute": "2", "imputeevery": "80"}
    alone = run("Resp2LevelMVMixedResponsemvu", data, alone_answers, tmp_path / "alone")
    a, b = draws(whole, "Imputation_Model_"), draws(alone)
    names = [n for n in b.columns if n.startswith(("beta", "omega", "tau"))]
    assert len(names) == 22
    assert np.array_equal(a[names].to_numpy(), b[names].to_numpy())
    for chain in (0, 1):
        mine = pd.read_stata(alone.folder / f"impute_datafile_chain{chain}_iter180.dta", convert_categoricals=False)
        theirs = pd.read_stata(whole.folder / f"impute_datafile_chain{chain}_iter80.dta", convert_categoricals=False)
        assert mine.equals(theirs)


def test_the_family_agrees_where_it_overlaps(tmp_path: Path) -> None:
    """Normal responses by the Normal and the mixed template, by the two-level and the N-level one: the same draws."""
    data = SUPPLIED["tutmiss"]().take(np.arange(4059) < 900)
    normal = {"y": "normexam,standlrtmiss", "x": "cons"}
    mixed = {"bin1_1": "Normal", "bin1_2": "Normal", "ximp1_0": "cons", "ximp1_1": "cons", "want2": "No"}
    one = {"numclass": "1", "C1": "school"}
    answers = {
        "2LevelMVNormal": {"L2ID": "school", **normal},
        "NLevelMVNormal": {**one, **normal},
        "Resp2LevelMVMixedResponsemvu": {"L2ID": "school", "yimp1": normal["y"], **mixed},
        "RespNLevelMVMixedResponsemvu": {**one, "yimp1": normal["y"], **mixed},
    }
    found = [draws(run(name, data, {**given, **SHORT}, tmp_path / name)) for name, given in answers.items()]
    assert all(np.array_equal(found[0].to_numpy(), other.to_numpy()) for other in found[1:])


def test_completed_datasets_differ_in_the_missing_cells_alone(tmp_path: Path) -> None:
    data = SUPPLIED["tutmiss"]().take(np.arange(4059) < 900)
    answers = {"L2ID": "school", "y": "normexam,standlrtmiss", "x": "cons", "numimpute": "3", "imputeevery": "20"}
    ran = run("2LevelMVNormal", data, {**answers, **SHORT}, tmp_path, pictures=True)
    files = sorted(file.name for file in tmp_path.glob("impute_datafile_*.dta"))
    assert files == [f"impute_datafile_chain{c}_iter{i}.dta" for c, i in ((0, 120), (0, 140), (1, 120))]
    gaps = data.missing("standlrtmiss")
    filled = [pd.read_stata(tmp_path / file)["standlrtmiss"].to_numpy(float) for file in files]
    assert all(np.array_equal(values[~gaps], data["standlrtmiss"][~gaps]) for values in filled)
    assert not np.array_equal(filled[0][gaps], filled[1][gaps])
    table = ran.table("Observed_imputed").set_index(["variable", "measure"])
    assert table.loc[("standlrtmiss", "mean"), "observed"] == pytest.approx(data["standlrtmiss"][~gaps].mean())
    pooled = np.concatenate([values[gaps] for values in filled])
    assert table.loc[("standlrtmiss", "mean"), "imputed"] == pytest.approx(pooled.mean(), abs=1e-6)
    patterns = ran.table("Missing_level_1")
    assert patterns.rows.tolist() == [int((~gaps).sum()), int(gaps.sum())]
    slowest = ran.table("Slowest").ess_bulk
    assert (slowest.diff().dropna() >= 0).all()
    assert b"observed" in (tmp_path / "observed_imputed_standlrtmiss.svg").read_bytes()


def refused(name: str, answers: dict[str, str], folder: Path, data: Dataset) -> str:
    with pytest.raises(Refused) as caught:
        run(name, data, {**answers, **SHORT}, folder)
    assert not list(folder.iterdir())
    return "\n".join(p.line() for p in caught.value.problems)


def test_faults_name_the_question_and_the_column(tmp_path: Path) -> None:
    data = SUPPLIED["tutmiss"]().take(np.arange(4059) < 900)
    twin = data.with_columns(twin=2 * data["standlrt"], three=data["normexam"] + data["standlrt"])
    normal = {"L2ID": "school", "y": "normexam,standlrt", "x": "cons"}
    said = refused("2LevelMVNormal", {**normal, "x_standlrt": "cons,girl,standlrtmiss"}, tmp_path, data)
    assert re.match("x_standlrt: .*standlrtmiss", said)
    said = refused("2LevelMVNormal", {**normal, "y": "normexam,girl", "x_girl": "cons,standlrt,twin"}, tmp_path, twin)
    assert re.match("x_girl: .*can be written as a sum of the other predictors", said)
    said = refused("2LevelMVNormal", {**normal, "y": "normexam,standlrt,three"}, tmp_path, twin)
    assert "determine one another" in said
    said = refused("2LevelMVNormal", {**normal, "numimpute": "10", "imputeevery": "50"}, tmp_path, data)
    assert said.startswith("imputeevery: The last dataset would come after 350 iterations")
    mixed = {"y": "normexam,vrband", "bin1": "Normal", "bin2": "Ordered", "ncatsvrband": "4"}
    said = refused("1LevelMVMixedResponsecc", mixed, tmp_path, data)
    assert said.startswith("bin2: vrband is Ordered with 4 categories; the data hold 3")


def test_fewer_groups_than_a_flat_prior_needs(tmp_path: Path) -> None:
    """Five schools and two responses: uncorrelated effects with half-t priors, and this is told."""
    data = SUPPLIED["tutmiss"]()
    codes, _ = data.groups("school")
    few = data.take(codes < 5)
    ran = run("2LevelMVNormal", few, {"L2ID": "school", "y": "normexam,standlrt", "x": "cons", **SHORT}, tmp_path)
    assert any("half-t priors" in note.message for note in ran.notes)
    parameters = set(ran.table("ModelResults").parameter)
    assert parameters & {"omega_u_0", "omega_u_1", "omega_u_2"} == {"omega_u_0", "omega_u_2"}
    assert ran.table("Correlations_school").set_index("variable").loc["normexam", "standlrt"] == 0
