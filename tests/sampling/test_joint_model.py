"""The joint model's statement and its chain: names, propriety, stopping, completed columns, failures said plainly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from joint_cases import Case, Variable, simulate
from test_joint_exact import response

from templates_engine.running import kept_chains
from templates_engine.sampling.joint import (
    Classification,
    InverseWishart,
    JointModel,
    Normal,
    NumericalFailure,
    Response,
    parameter_names,
    propriety,
    run_chain,
)
from templates_engine.sampling.joint.sweep import STEPS
from templates_engine.sampling.rng import streams
from templates_engine.sampling.saving import Live

ALL_KINDS = Case(
    (
        Variable("Normal", predictors=("cons", "x")),
        Variable("Unordered", 3),
        Variable("Ordered", 3),
        Variable("Binary"),
    ),
    (Variable("Normal"), Variable("Unordered", 4), Variable("Ordered", 3), Variable("Binary")),
    groups=12,
    rows=90,
    thresholds=Normal(1.0, 1.0),
)


def nothing() -> np.ndarray:
    return np.zeros(2, np.int64)


def test_names_and_places_of_parameters() -> None:
    """Protects the published names: packed lower triangles with u before v, fixed elements unmonitored but counted."""
    n, J = 12, 4
    one, two = np.ones((n, 1)), np.column_stack([np.ones(n), np.arange(n) % 3 == 1])
    group = np.arange(n) % J
    g, s = np.arange(n) % 2.0, np.array([0.0, 1.0, 2.0, np.nan])
    model = JointModel(
        (
            Response("y", "Normal", np.arange(n) * 1.0, 1, (two,), (("cons", "vrband_1"),)),
            Response("g", "Binary", g, 2, (one,), (("cons",),)),
        ),
        (Classification(group, (Response("s", "Unordered", s, 3, (np.ones((J, 1)),) * 2, (("cons",),) * 2),)),),
    )
    names = dict(zip(*parameter_names(model), strict=True))
    assert names == {
        "beta1imp_0": "y: cons",
        "beta1imp_1": "y: vrband_1",
        "beta1imp_2": "g: cons",
        "beta2imp_0": "s[0]: cons",
        "beta2imp_1": "s[1]: cons",
        "omega_u_0": "var(y)",
        "omega_u_1": "cov(y, g)",
        "omega_u_2": "var(g)",
        "omega_u_3": "cov(y, s[0])",
        "omega_u_4": "cov(g, s[0])",
        "omega_u_6": "cov(y, s[1])",
        "omega_u_7": "cov(g, s[1])",
        "omega_e_0": "var(y)",
        "omega_e_1": "cov(y, g)",
    }


def test_every_kind_at_both_levels_runs_and_completes() -> None:
    """Protects generality: four kinds at each level, missing everywhere; observed cells untouched, all codes legal."""
    model, truth = simulate(ALL_KINDS, np.random.default_rng(1))
    chain = run_chain(model, streams(1, 1)[0], nothing(), 60, impute_at=(20, 60))
    assert chain.values.shape == (60, truth.size)
    assert len(chain.parameters) == len(chain.variables) == truth.size == len(set(chain.parameters))
    assert np.isfinite(chain.values).all()
    assert set(chain.imputed) == {20, 60}
    for completed, responses in zip(chain.imputed[60], model.levels, strict=True):
        assert list(completed) == [r.name for r in responses]
        for r in responses:
            seen = ~np.isnan(r.values)
            np.testing.assert_array_equal(completed[r.name][seen], r.values[seen])
            assert np.isfinite(completed[r.name]).all()
            if r.kind != "Normal":
                assert np.isin(completed[r.name], np.arange(r.categories)).all()


def test_same_stream_same_chain_wherever_it_is_cut() -> None:
    """Protects reproducibility: imputing on the way, or the order of rows in memory, changes no draw."""
    model, _ = simulate(ALL_KINDS, np.random.default_rng(2))
    whole = run_chain(model, streams(3, 1)[0], nothing(), 30)
    cut = run_chain(model, streams(3, 1)[0], nothing(), 30, impute_at=(1, 7, 30))
    np.testing.assert_array_equal(whole.values, cut.values)
    other = run_chain(model, streams(3, 2)[1], nothing(), 30)
    assert not np.array_equal(whole.values, other.values)


@pytest.mark.parametrize("first", [1, 12, 20, 45])
@pytest.mark.parametrize("case", [ALL_KINDS, dataclasses.replace(ALL_KINDS, algorithm="marginal")])
def test_a_chain_that_goes_on_is_the_chain_in_one_go(case: Case, first: int, tmp_path: Path) -> None:
    """Protects "run longer": draws and completed data are the very ones, whatever lies between."""
    model, _ = simulate(case, np.random.default_rng(2))
    at, live = (5, 20, 33, 60), Live()
    whole = run_chain(model, streams(3, 1)[0], nothing(), 60, at, "dispersed")
    before = run_chain(model, streams(3, 1)[0], nothing(), first, [t for t in at if t <= first], "dispersed")
    (tmp_path / "state.npz").write_bytes(kept_chains.pack({}, {"chains": [before.saved]}))
    (stood,) = kept_chains.unpack(tmp_path / "state.npz")["chains"]
    after = run_chain(model, streams(8, 1)[0], nothing(), 60, at, resume=stood, live=live, shown_from=10)
    np.testing.assert_array_equal(whole.values, after.values)
    np.testing.assert_array_equal(live.draws(), whole.values[10:])
    assert list(after.imputed) == list(at)
    for t in at:
        for level, columns in enumerate(whole.imputed[t]):
            for name, column in columns.items():
                np.testing.assert_array_equal(after.imputed[t][level][name], column)


def test_progress_and_stop() -> None:
    """Protects the progress bar and Cancel: what is drawn is kept, images not reached are absent."""
    model, _ = simulate(ALL_KINDS, np.random.default_rng(2))
    progress = nothing()
    run_chain(model, streams(3, 1)[0], progress, 25)
    assert progress[0] == 25
    progress = np.array([0, 1])
    chain = run_chain(model, streams(3, 1)[0], progress, 25, impute_at=(10,))
    assert chain.values.shape[0] == 0
    assert chain.imputed == {}


def test_dispersed_starts_differ_and_agree_in_the_end() -> None:
    """Protects R-hat's meaning: chains start apart."""
    model, _ = simulate(ALL_KINDS, np.random.default_rng(2))
    a, b = (run_chain(model, g, nothing(), 5, start="dispersed") for g in streams(4, 2))
    assert not np.allclose(a.values[0], b.values[0])
    with pytest.raises(ValueError, match="dispersed"):
        run_chain(model, streams(4, 1)[0], nothing(), 5, start="elsewhere")


def test_units_of_a_response_only_change_its_units() -> None:
    """Protects the internal standardisation: metres or millimetres give the same draws, rescaled (flat priors)."""
    rng = np.random.default_rng(9)
    y = rng.standard_normal(40) * 2 + 7
    y[3] = np.nan
    g = (rng.random(40) < 0.4) * 1.0
    group = np.arange(40) % 8
    chains = []
    for unit in (1.0, 1000.0):
        model = JointModel((response("y", "Normal", unit * y), response("g", "Binary", g)), (Classification(group),))
        chains.append(run_chain(model, streams(6, 1)[0], nothing(), 50, impute_at=(50,)))
    a, b = chains
    np.testing.assert_allclose(1000 * a.values[:, 0], b.values[:, 0], rtol=1e-6)
    np.testing.assert_allclose(1000**2 * a.values[:, 2], b.values[:, 2], rtol=1e-6)
    np.testing.assert_allclose(1000 * a.imputed[50][0]["y"], b.imputed[50][0]["y"], rtol=1e-6)


def test_improper_posteriors_are_said_in_sentences() -> None:
    """Protects against numbers without a posterior: few groups, an unseen category, separation, dependence."""
    rng = np.random.default_rng(1)
    y = rng.standard_normal(12)
    y2 = rng.standard_normal(12)
    group = np.arange(12) % 4
    few = JointModel((response("y", "Normal", y), response("y2", "Normal", y2)), (Classification(group),))
    (sentence,) = propriety(few)
    assert "covariance matrix of 2 dimensions needs more than 5 groups; there are 4." in sentence
    with pytest.raises(ValueError, match="more than 5 groups"):
        run_chain(few, streams(1, 1)[0], nothing(), 5)
    helped = dataclasses.replace(few, classes=(Classification(group, prior=InverseWishart(3.0, np.eye(2))),))
    assert propriety(helped) == []
    assert np.isfinite(run_chain(helped, streams(1, 1)[0], nothing(), 50).values).all()

    dummy = np.column_stack([np.ones(12), np.arange(12) < 3])

    def faults(r: Response) -> str:
        return " ".join(propriety(JointModel((r,))))

    assert "category 1" in faults(response("g", "Binary", np.zeros(12)))
    assert "constant" in faults(response("y", "Normal", np.full(12, 3.0)))
    assert "no observed values" in faults(response("y", "Normal", np.full(12, np.nan)))
    assert "linearly dependent" in faults(response("y", "Normal", y, np.ones((12, 2))))
    assert "observed values" in faults(response("y", "Normal", np.array([1.0, 2.0, *[np.nan] * 10])))
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    assert "determine" in faults(response("g", "Binary", (x[:, 1] > 4.0) * 1.0, x))
    assert "determine" in faults(response("g", "Binary", np.array([1.0] * 3 + [0.0, 1.0] * 4 + [0.0]), dummy))
    assert faults(response("g", "Binary", (x[:, 1] % 3 == 1) * 1.0, x)) == ""
    assert propriety(JointModel((response("y", "Normal", y),))) == []
    pair = JointModel((response("a", "Normal", y), response("b", "Normal", 2 * y + 1), response("c", "Normal", y2)))
    assert "a and b determine one another" in " ".join(propriety(pair))


def test_wrong_statements_are_refused() -> None:
    """Protects the door: categories outside their codes, unfinished designs, wrong group codes."""
    y = np.arange(6.0)
    with pytest.raises(ValueError, match="coded 0 to 1"):
        response("g", "Binary", y)
    with pytest.raises(ValueError, match="complete"):
        response("y", "Normal", y, np.full((6, 1), np.nan))
    with pytest.raises(ValueError, match="groups must be coded"):
        JointModel((response("y", "Normal", y),), (Classification(np.array([0, 0, 2, 2, 3, 3])),))
    with pytest.raises(ValueError, match="one value a unit"):
        Classification(np.array([0, 0, 1, 1, 2, 2]), (response("z", "Normal", y),))


def test_a_lost_matrix_is_named_with_its_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against silent NaN: two responses equal but for one cell's rounding have no covariance matrix."""
    y = np.random.default_rng(1).standard_normal(30)
    model = JointModel((response("a", "Normal", y), response("b", "Normal", y * (1 + 1e-9 * np.arange(30)))))
    monkeypatch.setattr("templates_engine.sampling.joint.chain.propriety", lambda model: [])
    with pytest.raises(NumericalFailure, match=rf"Iteration \d+ .*{STEPS[5]}"):
        run_chain(model, streams(1, 1)[0], nothing(), 20)
