"""Summaries of draws against independent calculations, and verdicts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from templates_engine.outputs import Draws
from templates_engine.running.summaries import COLUMNS, summary, verdicts


def ar1(rng: np.random.Generator, chains: int, n: int, phi: float) -> npt.NDArray[np.float64]:
    """Stationary AR(1) with variance 1: its autocorrelation time is (1 + phi) / (1 - phi)."""
    x = np.empty((chains, n))
    x[:, 0] = rng.normal(size=chains)
    noise = rng.normal(size=(chains, n)) * np.sqrt(1 - phi**2)
    for t in range(1, n):
        x[:, t] = phi * x[:, t - 1] + noise[:, t]
    return x


def one(values: npt.NDArray[np.float64], **kw: int) -> Draws:
    return Draws(("beta_0",), ("cons",), values[:, :, None], **kw)


def row(values: npt.NDArray[np.float64]) -> dict[str, float]:
    return summary(one(values)).records()[0]  # type: ignore[return-value]


def test_columns_are_those_that_others_read() -> None:
    table = summary(one(np.random.default_rng(1).normal(size=(2, 50))), title="T")
    assert ",".join(table.columns) == "parameter,variable,mean,sd,q025,median,q975,ess_bulk,ess_tail,mcse,rhat"
    assert table.title == "T"
    assert table.rows[0][:2] == ("beta_0", "cons")


def test_moments_and_quantiles_are_those_of_all_draws() -> None:
    x = np.random.default_rng(2).normal(size=(3, 101))
    r = row(x)
    assert r["mean"] == pytest.approx(float(np.mean(x)), rel=1e-12)
    assert r["sd"] == pytest.approx(float(np.sqrt(((x - x.mean()) ** 2).sum() / (x.size - 1))), rel=1e-12)
    assert r["median"] == pytest.approx(float(np.sort(x.ravel())[x.size // 2]), rel=1e-12)
    assert stats.percentileofscore(x.ravel(), r["q025"]) == pytest.approx(2.5, abs=0.4)
    assert stats.percentileofscore(x.ravel(), r["q975"]) == pytest.approx(97.5, abs=0.4)


def test_effective_sample_size_of_a_known_process() -> None:
    """AR(1) with phi 0.6: ESS = N / 4. The estimate's sd is about 4 per cent here; 20 per cent is 5 sd (6e-7)."""
    x = ar1(np.random.default_rng(3), 4, 5000, 0.6)
    r = row(x)
    assert r["ess_bulk"] == pytest.approx(x.size / 4, rel=0.2)
    assert r["mcse"] == pytest.approx(1 / np.sqrt(x.size / 4), rel=0.15)


def test_monte_carlo_error_is_the_spread_of_repeated_means() -> None:
    """300 repetitions: the sd of their means has a relative error of 4 per cent; 25 per cent is 6 sd (2e-9)."""
    rng = np.random.default_rng(4)
    x = ar1(rng, 600, 400, 0.5).reshape(300, 2, 400)
    errors = [row(v)["mcse"] for v in x[:60]]
    assert np.mean(errors) == pytest.approx(x.mean(axis=(1, 2)).std(ddof=1), rel=0.25)


def test_rhat_tells_agreeing_from_disagreeing_chains() -> None:
    """Independent draws: R-hat - 1 is of order 1/N, 1.01 some 10 sd off. A shift of one sd gives about 1.2."""
    x = np.random.default_rng(5).normal(size=(4, 1000))
    assert row(x)["rhat"] < 1.01
    assert row(x + np.array([0, 0, 0, 1.0])[:, None])["rhat"] > 1.1
    drifting = x[:1] + np.linspace(0, 2, 1000)
    assert row(x[:1])["rhat"] < 1.01  # one chain: its halves
    assert row(drifting)["rhat"] > 1.1


def test_rhat_of_one_chain_is_split_rhat() -> None:
    """Vehtari and others (2021), equations 1 to 4 and 14, written out here for the two halves of one chain."""
    x = ar1(np.random.default_rng(6), 1, 300, 0.8)

    def plain(h: npt.NDArray[np.float64]) -> float:
        z = stats.norm.ppf((stats.rankdata(h).reshape(h.shape) - 3 / 8) / (h.size + 1 / 4))
        n = z.shape[1]
        within = z.var(axis=1, ddof=1).mean()
        between = n * z.mean(axis=1).var(ddof=1)
        return float(np.sqrt(((n - 1) / n * within + between / n) / within))

    halves = x.reshape(2, 150)
    expected = max(plain(halves), plain(np.abs(halves - np.median(halves))))
    assert row(x)["rhat"] == pytest.approx(expected, rel=1e-9)


def test_units_change_nothing_but_the_scale() -> None:
    """Also for a tiny variance, which a fixed tolerance would take for a constant."""
    x = ar1(np.random.default_rng(7), 3, 200, 0.3)
    small, plain = row(1e-20 * x + 3e-19), row(x)
    for name in ("ess_bulk", "ess_tail", "rhat"):
        assert small[name] == pytest.approx(plain[name], rel=1e-3)  # rounding breaks ties in the folded ranks
    assert small["mcse"] == pytest.approx(1e-20 * plain["mcse"], rel=1e-6)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        (np.full((3, 50), 2.0), {"mean", "sd", "q025", "median", "q975"}),
        (np.zeros((3, 0)), set()),
        (np.ones((1, 1)), {"mean", "q025", "median", "q975"}),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), {"mean", "sd", "q025", "median", "q975"}),
        (np.array([[1.0, np.nan, 3.0, 4.0, 5.0]]), set()),
        (np.array([[1.0, np.inf, 3.0, 4.0, 5.0]]), set()),
    ],
)
def test_what_cannot_be_computed_is_empty(values: npt.NDArray[np.float64], known: set[str]) -> None:
    """None, never NaN and never an exception; a bad parameter does not spoil a good one."""
    good = np.random.default_rng(8).normal(size=values.shape)
    table = summary(Draws(("bad", "good"), ("", ""), np.stack([values, good], axis=2)))
    bad = table.records()[0]
    assert {name for name in COLUMNS[2:] if bad[name] is not None} == known
    for cell in [c for r in table.rows for c in r[2:]]:
        assert cell is None or (isinstance(cell, float) and np.isfinite(cell))
    if values.shape[1] >= 50:
        assert None not in table.rows[1]


def test_many_parameters_are_summarised_quickly(cost: Callable[..., float], steps: Callable[[int], None]) -> None:
    """60 parameters, 3 chains of 1,000: a tenth of a second, and less than 26 loops of a million steps."""
    draws = Draws(tuple(f"b{i}" for i in range(60)), ("",) * 60, np.random.default_rng(9).normal(size=(3, 1000, 60)))
    summary(draws)
    assert cost(lambda: summary(draws), beside=lambda: steps(1_000_000)) < 26


def test_verdict_fine_names_the_worst() -> None:
    x = np.random.default_rng(10).normal(size=(3, 1000))
    (word, sentence), *rest = verdicts(one(x), subject="The imputation chains")
    assert word == "Fine"
    assert rest == []
    assert sentence.startswith("The imputation chains agree: largest R-hat 1.00, smallest effective sample size")
    assert "beta_0" in sentence


def test_verdict_too_short_forecasts_what_is_needed() -> None:
    """A slowly mixing chain, run on for as long as the verdict says, has the effective sample size it promises."""
    x = ar1(np.random.default_rng(11), 4, 40_000, 0.97)
    (word, sentence), *_ = verdicts(one(x[:, :800]))
    assert word == "Too short"
    more = int(sentence.split("; ")[1].split(" ")[0].replace(",", ""))
    assert 500 <= more <= 30_000
    assert verdicts(one(x[:, : 800 + 2 * more]))[0][0] == "Fine"
    assert verdicts(one(x[:, :800], thin=5))[0][1].split("; ")[1] != sentence.split("; ")[1]  # iterations, not draws


def test_verdict_doubts_chains_that_disagree_and_draws_that_break() -> None:
    x = np.random.default_rng(12).normal(size=(3, 500))
    assert verdicts(one(x + 5 * np.arange(3)[:, None]))[0][0] == "Model in doubt"
    assert verdicts(one(np.where(x > 3, np.inf, x)))[0][0] == "Model in doubt"
    assert verdicts(one(np.ones((3, 500))))[0][0] == "Read with care"
    assert verdicts(one(x[:, :3]))[0][0] == "Too short"
    assert verdicts(one(x[:, :0])) == [("Too short", "There are no draws.")]
