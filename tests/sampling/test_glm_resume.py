"""The sampler of non-Normal responses goes on from where it stood: bit for bit the draws of one run."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from templates_engine.sampling import saving
from templates_engine.sampling.glm import sampler as glm_sampler
from templates_engine.sampling.normal.classified import Chain, Priors
from templates_engine.sampling.normal.classified_stats import Factor
from templates_engine.sampling.normal.priors import InverseGamma, InverseWishart
from templates_engine.sampling.rng import streams

BURNIN = 60
FIELDS = ("beta", "omega", "deviance", "dispersion", "acceptance", "kept_at")
PARTS = ("effect_mean", "effect_sd", "kept_effects")
CASES = ["none", "slopes", "nested"]


def model(case: str) -> tuple[glm_sampler.Rows, Priors]:
    """none: Poisson, one level; slopes: binomial; nested: negative binomial in units of units."""
    rng = np.random.default_rng(1)
    n = 60
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    inner = rng.permutation(n) % 12
    factors = {
        "none": [], "slopes": [Factor(inner, x)],
        "nested": [Factor(inner // 3, x[:, :1]), Factor(inner, x[:, :1])],
    }[case]  # fmt: skip
    y, trials = rng.integers(0, 4, n).astype(float), np.full(n, 4.0)
    rows = glm_sampler.prepare(
        "logit" if case == "slopes" else "log", y, x, factors, trials=trials, offset=0.1 * x[:, 1],
        negative_binomial=case == "nested",
    )  # fmt: skip
    return rows, Priors(InverseGamma(2, 1), tuple(InverseWishart(f.q + 2.0, np.eye(f.q)) for f in factors))


def chain(
    case: str,
    iterations: int,
    *,
    thin: int = 1,
    resume: saving.Saved | None = None,
    live: saving.Live | None = None,
    cells: np.ndarray | None = None,
) -> Chain:
    rows, priors = model(case)
    rng = streams(3, 1)[0] if resume is None else np.random.default_rng(99)  # a resumed chain brings its own stream
    return glm_sampler.run_chain(
        rows, priors, rng, np.zeros(2, np.int64) if cells is None else cells, burnin=BURNIN, iterations=iterations,
        thin=thin, room=16, resume=resume, live=live,
    )  # fmt: skip


def assert_same(one: Chain, other: Chain) -> None:
    for name in FIELDS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in PARTS:
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert np.array_equal(a, b), name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("thin", [1, 3])
def test_the_very_draws(case: str, thin: int) -> None:
    whole = chain(case, 400, thin=thin)
    assert len(whole.kept_at) >= 8
    first = chain(case, 100, thin=thin)
    second = chain(case, 250, thin=thin, resume=first.saved)
    assert_same(whole, chain(case, 400, thin=thin, resume=second.saved))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sweeps", [0, 1, 25, BURNIN])
def test_a_chain_that_was_stopped_anywhere_goes_on(case: str, sweeps: int) -> None:
    """Also while widths and weights are still being set. Where it stops depends on the machine, the draws do not."""
    cells = np.zeros(2, np.int64)
    ended: list[Chain] = []
    thread = threading.Thread(target=lambda: ended.append(chain(case, 400_000, cells=cells)))
    thread.start()
    while cells[0] < sweeps and thread.is_alive():
        pass
    cells[1] = 1
    thread.join()
    stopped = ended[0].saved
    assert stopped is not None
    wanted = max(stopped.sweeps - BURNIN, 0) + 100
    assert_same(chain(case, wanted), chain(case, wanted, resume=stopped))


@pytest.mark.parametrize("case", CASES)
def test_live_draws_are_the_draws(case: str) -> None:
    live = saving.Live()
    whole = chain(case, 120, thin=2, live=live)
    wanted = [whole.beta, whole.omega] + ([whole.dispersion[:, None]] if case == "nested" else [])
    np.testing.assert_array_equal(live.draws(), np.concatenate(wanted, axis=1))


def test_kept_effects_are_those_of_their_draws() -> None:
    """The deviance of a draw from its coefficients, its effects by classification and its alpha."""
    rows, _ = model("nested")
    found = chain("nested", 200)
    assert [part.shape[1:] for part in found.kept_effects] == [(4, 1), (12, 1)]
    for k, at in enumerate(found.kept_at):
        effects = [part[k] for part in found.kept_effects]
        deviance = glm_sampler.deviance_at(rows, found.beta[at], effects, found.dispersion[at])
        assert deviance == pytest.approx(found.deviance[at], rel=1e-10)
