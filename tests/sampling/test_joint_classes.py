"""Several classifications in the joint model: who holds whom, shared rows, and that crossed intercepts mix.

The posterior itself is proved by test_joint_sbc (crossed, nested, both at once, diagonal matrices).
"""

from __future__ import annotations

import numpy as np
import pytest
from joint_cases import Case, Further, Variable, simulate
from test_joint_exact import response

from templates_engine.sampling.joint import (
    Classification,
    HalfT,
    JointModel,
    Normal,
    components,
    parameter_names,
    propriety,
    run_chain,
)
from templates_engine.sampling.joint.crossing import crossing, holders, parent_of
from templates_engine.sampling.rng import streams

CROSSED = Case(
    (Variable("Normal", predictors=("cons", "x")), Variable("Unordered", 3), Variable("Ordered", 3)),
    (Variable("Binary"), Variable("Normal")),
    groups=12,
    rows=90,
    further=(Further((Variable("Ordered", 3),), units=14), Further(units=6, nested=True, effects=(0, 2))),
    thresholds=Normal(1.0, 1.0),
)


def nothing() -> np.ndarray:
    return np.zeros(2, np.int64)


def test_shared_rows_are_counted() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 7, 60), rng.integers(0, 5, 60)
    found = crossing(one, other)
    table = np.zeros((7, 5))
    for j in range(7):
        at = slice(found.start[j], found.start[j + 1])
        table[j, found.unit[at]] = found.shared[at]
    wanted = np.zeros((7, 5))
    np.add.at(wanted, (one, other), 1)
    np.testing.assert_array_equal(table, wanted)


def test_nesting_is_found_from_the_data() -> None:
    """Each classification is held by the finest that holds it; crossed ones by none; equal ones do not hold."""
    rows = np.arange(24)
    pupil, school, area, wave = rows // 2, rows // 6, rows // 12, rows % 2
    assert parent_of(wave, school) is None
    found = holders([pupil, area, wave, school, school])
    assert [None if h is None else h[0] for h in found] == [3, None, None, 1, 1]
    assert found[0] is not None
    np.testing.assert_array_equal(found[0][1], np.arange(12) // 3)


def test_unconnected_designs_are_counted() -> None:
    assert components(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])) == 2
    assert components(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])) == 1


def test_sums_of_a_crossed_design_are_those_of_its_rows() -> None:
    """Protects the sums by unit, the bounds' bookkeeping and the stored shifts: recomputed from rows after a chain."""
    from templates_engine.sampling.joint import chain as module

    model, _ = simulate(CROSSED, np.random.default_rng(4))
    kept = []
    original = module.build
    try:
        module.build = lambda m: kept.append(original(m)) or kept[-1]  # type: ignore[func-returns-value]
        run_chain(model, streams(1, 1)[0], nothing(), 25)
    finally:
        module.build = original
    (layout,) = kept
    # the last sweep's sums were taken before its shifts, and are of all rows (all have something to draw here)
    y = layout.rows.y
    assert layout.drawn.size == model.n_rows
    for k, c in enumerate(layout.classes):
        wanted = np.zeros(c.sums.by_group.shape)
        np.add.at(wanted, layout.units[:, k] - c.groups.first, y)
        np.testing.assert_allclose(c.sums.by_group, wanted, atol=1e-9)
    # categories agree with latents after the shifts of the last sweep
    now = y + sum(layout.state.shift[layout.units[:, k]] for k in range(3))
    d = 3  # the Ordered response's dimension
    code = layout.rows.code[:, d]
    low, high = layout.state.tau[d][np.maximum(code, 0)], layout.state.tau[d][np.maximum(code, 0) + 1]
    assert ((code < 0) | ((now[:, d] > low) & (now[:, d] <= high))).all()
    assert (layout.classes[2].effects.u[:, 1:3] == 0).all()  # no effect of the Unordered response there


def test_a_crossed_chain_that_goes_on_is_the_chain_in_one_go() -> None:
    model, _ = simulate(CROSSED, np.random.default_rng(2))
    at = (5, 20, 40)
    whole = run_chain(model, streams(3, 1)[0], nothing(), 40, at, "dispersed")
    before = run_chain(model, streams(3, 1)[0], nothing(), 13, (5,), "dispersed")
    after = run_chain(model, streams(8, 1)[0], nothing(), 40, at, resume=before.saved)
    np.testing.assert_array_equal(whole.values, after.values)
    assert len(whole.imputed[40]) == 4
    for one, two in zip(whole.imputed[40], after.imputed[40], strict=True):
        for name, column in one.items():
            np.testing.assert_array_equal(column, two[name])
            assert np.isfinite(column).all()


def test_names_with_several_classifications() -> None:
    """Numbered matrices as in NLevelMod; responses without effects and diagonal matrices lack their elements."""
    n = 24
    y, g = np.arange(n) * 1.0, np.arange(n) % 2.0
    model = JointModel(
        (response("y", "Normal", y), response("g", "Binary", g)),
        (
            Classification(np.arange(n) % 6, (response("z", "Normal", np.arange(6) * 1.0),), effects=("g",)),
            Classification(np.arange(n) % 4, prior=HalfT()),
        ),
    )
    names = dict(zip(*parameter_names(model), strict=True))
    assert names == {
        "beta1imp_0": "y: x0",
        "beta1imp_1": "g: x0",
        "beta2imp_0": "z: x0",
        "omega_u1_2": "var(g)",
        "omega_u1_4": "cov(g, z)",
        "omega_u1_5": "var(z)",
        "omega_u2_0": "var(y)",
        "omega_u2_2": "var(g)",
        "omega_e_0": "var(y)",
        "omega_e_1": "cov(y, g)",
    }


def test_few_units_are_refused_a_flat_prior_and_take_half_t() -> None:
    rng = np.random.default_rng(1)
    y = rng.standard_normal((3, 60))
    level1 = tuple(response(f"y{k}", "Normal", v) for k, v in enumerate(y))
    units = np.arange(60) % 5
    (sentence,) = propriety(JointModel(level1, (Classification(np.arange(60) % 15), Classification(units))))
    assert "the level 3 covariance matrix of 3 dimensions needs more than 7 groups; there are 5" in sentence
    model = JointModel(level1, (Classification(np.arange(60) % 15), Classification(units, prior=HalfT())))
    assert propriety(model) == []
    assert np.isfinite(run_chain(model, streams(1, 1)[0], nothing(), 50).values).all()


def lag1(x: np.ndarray) -> float:
    x = x - x.mean()
    return float((x[1:] * x[:-1]).mean() / (x * x).mean())


@pytest.mark.parametrize("nested", [False, True])
def test_intercepts_of_crossed_and_nested_designs_mix(nested: bool) -> None:
    """Protects the collapsed and the recentred steps: lag-1 correlation of intercepts under 0.2, of 0.97 without.

    Its Monte Carlo error is about 0.02 on 2,500 sweeps; false alarm nil for a correlation under 0.1.
    """
    rng = np.random.default_rng(5)
    n, J, M = 3000, 60, 20
    a = rng.permutation(np.arange(n) % J)
    b = a % M if nested else rng.permutation(np.arange(n) % M)
    effects = rng.standard_normal((J, 2)), rng.standard_normal((M, 2))
    y = effects[0][a] + effects[1][b] + rng.standard_normal((n, 2)) + 5
    y[rng.random((n, 2)) < 0.1] = np.nan
    level1 = tuple(response(f"y{k}", "Normal", v) for k, v in enumerate(y.T))
    chain = run_chain(JointModel(level1, (Classification(a), Classification(b))), streams(2, 1)[0], nothing(), 3000)
    assert lag1(chain.values[500:, 0]) < 0.2
    assert lag1(chain.values[500:, 1]) < 0.2
