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
from templates_engine.sampling.joint.layout import build
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


def test_recentring_nested_effects_leaves_their_prior_as_it_is() -> None:
    """Protects the step by itself: calibration of the whole does not notice a wrong sign in it.

    Moments of inner and outer effects with each other and with the classifications' own responses, before and after, on
    draws from the prior. False alarm 6e-7 a moment. Noticed when turned by hand: the sign of the outer units' own part.
    """
    from templates_engine.sampling.joint.nesting import recentre_nested

    case = Case(
        (Variable("Normal"), Variable("Normal")),
        (Variable("Normal"),),
        groups=12,
        rows=40,
        further=(Further((Variable("Normal"),), units=5, nested=True),),
    )
    rng = np.random.default_rng(3)
    layout = build(simulate(case, rng)[0])
    inner, outer = layout.classes
    assert (inner.groups.holder, outer.groups.holder) == (1, -1)
    omegas = [np.array([[1.0, 0.3, 0.5], [0.3, 0.7, -0.4], [0.5, -0.4, 1.1]]), np.eye(3) * 0.8 + 0.6]
    inner.effects.omega[:], outer.effects.omega[:] = omegas
    generator = streams(5, 1)[0]

    def moments() -> np.ndarray:
        v, w = (np.column_stack([c.effects.u, c.effects.z - c.groups.design @ own(c)]) for c in layout.classes)
        return np.concatenate(
            [(x.T @ x)[np.tril_indices(3)] for x in (v, w)] + [(v.T @ w[inner.groups.parent]).ravel()]
        )

    def own(c: object) -> np.ndarray:
        d = c.groups.base  # type: ignore[attr-defined]
        return layout.state.theta[layout.dims.offset[d] : layout.dims.offset[d + 1]][:, None]

    changes = []
    for _ in range(4000):
        layout.state.theta[:] = rng.standard_normal(layout.state.theta.size)
        for c, omega in zip(layout.classes, omegas, strict=True):
            drawn = rng.multivariate_normal(np.zeros(3), omega, len(c.effects.u), method="cholesky")
            c.effects.u[:] = drawn[:, :2]
            c.effects.z[:] = c.groups.design @ own(c) + drawn[:, 2:]
        sums, before = inner.effects.u + outer.effects.u[inner.groups.parent], moments()
        assert recentre_nested(generator, layout.dims, layout.classes, layout.state)
        np.testing.assert_allclose(inner.effects.u + outer.effects.u[inner.groups.parent], sums, atol=1e-12)
        changes.append(moments() - before)
    d = np.array(changes)
    moving = d.std(0) > 1e-9  # products of own responses stay
    assert moving.sum() >= 15
    errors = d.mean(0)[moving] / (d.std(0)[moving] / np.sqrt(len(d)))
    assert (np.abs(errors) < 5).all(), errors


def test_collapsed_coefficients_are_those_of_the_marginal_draw() -> None:
    """Protects the collapsed step's signs and sums: where every predictor is constant within units it is the marginal
    one, written in another way, so that the same random stream gives the same coefficients."""
    from templates_engine.sampling.joint import chain as module
    from templates_engine.sampling.joint.basis import diagonalise
    from templates_engine.sampling.joint.fixed_effects import collapsed_effects, marginal_effects, subtract_effects
    from templates_engine.sampling.joint.group_effects import group_residuals
    from templates_engine.sampling.joint.sweep import others_removed

    case = Case(
        (Variable("Normal", predictors=("cons", "w")), Variable("Binary")),
        (Variable("Normal", predictors=("cons", "w")), Variable("Binary")),
        groups=12,
        rows=80,
        further=(Further((Variable("Normal"),), units=9),),
    )
    kept: list = []
    original = module.build
    try:
        module.build = lambda m: kept.append(original(m)) or kept[-1]  # type: ignore[func-returns-value]
        run_chain(simulate(case, np.random.default_rng(6))[0], streams(1, 1)[0], nothing(), 30)
    finally:
        module.build = original
    (layout,) = kept
    c, other = layout.classes
    others_removed(layout.classes, layout.crossings, 0, 2)
    group_residuals(layout.dims, c, layout.state.theta)
    assert diagonalise(layout.state.omega1, c.effects.omega, c.basis)
    T = layout.sums.by_design.copy()
    subtract_effects(T, other)
    before = layout.state.theta.copy()
    assert collapsed_effects(streams(2, 1)[0], layout.dims, c, layout.priors, layout.state)
    collapsed = layout.state.theta.copy()
    layout.state.theta[:] = before
    assert marginal_effects(streams(2, 1)[0], layout.dims, layout.base.cross, T, c, layout.priors, layout.state)
    np.testing.assert_allclose(collapsed, layout.state.theta, rtol=1e-8, atol=1e-10)
    own = layout.dims.offset[other.groups.base]  # of another classification: not drawn
    np.testing.assert_array_equal(collapsed[own:], before[own:])
    assert (collapsed[:own] != before[:own]).all()
