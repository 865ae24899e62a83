"""The six-part picture: its curves against other programs, its SVG, and every kind of bad draws."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from statsmodels.tsa.stattools import acf, pacf

from templates_engine.figures import curves, style
from templates_engine.figures.describe import describe, description_of
from templates_engine.figures.sixway import sixway

RNG = np.random.default_rng(20)
GOOD = RNG.normal(0.5, 0.01, size=(3, 400))
ROOT = Path(__file__).resolve().parents[2]


# Curves


@pytest.mark.parametrize("n", [30, 1000])
def test_autocorrelations_are_those_of_statsmodels(n: int) -> None:
    """Same divisor at every lag ("ldb": Durbin-Levinson on the biased autocovariance), to rounding."""
    x = np.random.default_rng(n).normal(size=n).cumsum() * 0.1 + np.random.default_rng(n + 1).normal(size=n)
    lags = min(100, n - 1)
    np.testing.assert_allclose(curves.autocorrelation(x), acf(x, nlags=lags, fft=False), atol=1e-12)
    np.testing.assert_allclose(curves.partial_autocorrelation(x), pacf(x, nlags=10, method="ldb")[1:], atol=1e-10)


def test_autocorrelation_of_short_and_constant_series() -> None:
    assert len(curves.autocorrelation(np.array([1.0, 2.0]))) == 2
    assert np.isnan(curves.autocorrelation(np.ones(50))).all()
    assert np.isnan(curves.partial_autocorrelation(np.ones(50))).all()


def test_density_is_the_gaussian_kernel_estimate() -> None:
    """Against SciPy's exact sum with the same bandwidth; the grid costs less than half a per cent of the peak."""
    x = np.random.default_rng(21).normal(3, 2, size=800) - 10
    at, found = curves.density(x, x.min() - 2, x.max() + 2)
    spread = min(x.std(ddof=1), np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.349)
    exact = stats.gaussian_kde(x, bw_method=0.9 * spread * len(x) ** -0.2 / x.std(ddof=1))(at)
    np.testing.assert_allclose(found, exact, atol=0.005 * exact.max())


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e9])
def test_density_of_a_variance_stays_above_zero_and_is_a_density(scale: float) -> None:
    x = scale * np.random.default_rng(22).exponential(size=3000)
    at, found = curves.density(x, 0.0, float(x.max()) * 1.2, 4000)
    assert np.trapezoid(found, at) == pytest.approx(1, abs=0.01)
    at, found = curves.density(x, -float(x.max()), float(x.max()), 400)
    assert (found[at < 0] == 0).all()


def test_density_of_odd_draws_is_finite() -> None:
    for x in (np.ones(10), np.array([1.0, 1, 1, 1, 9]), np.array([0.0, 1e12, 1, 2]), np.array([5.0])):
        _, found = curves.density(x, float(x.min()) - 1, float(x.max()) + 1)
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def test_brooks_gelman_rubin_by_hand() -> None:
    """Two chains of 20 at fixed places: the widths of 80% intervals of the later ten draws, worked out directly."""
    a, b = np.arange(20.0), np.arange(20.0) + 3
    found = curves.brooks_gelman_rubin(np.array([a, b]))
    assert found is not None
    assert found.length.tolist() == [20]
    within = 0.8 * 9  # ten equally spaced draws: the 10 and 90 per cent points are 0.9 and 8.1 steps in
    together = np.sort(np.concatenate([a[10:], b[10:]]))
    low, high = 0.1 * 19, 0.9 * 19
    at = np.interp([low, high], np.arange(20), together)
    assert found.ratio[0] == pytest.approx((at[1] - at[0]) / within, rel=1e-12)
    assert max(found.between.max(), found.within.max()) == 1.0


def test_brooks_gelman_rubin_is_near_one_when_chains_agree_and_not_otherwise() -> None:
    """Independent draws, 3 x 4,000: the ratio's sd is about 0.01 at the end, 0.05 is 5 sd (6e-7)."""
    x = np.random.default_rng(23).normal(size=(3, 4000))
    agree = curves.brooks_gelman_rubin(x)
    apart = curves.brooks_gelman_rubin(x + 3 * np.arange(3)[:, None])
    assert agree is not None
    assert apart is not None
    assert agree.ratio[-1] == pytest.approx(1, abs=0.05)
    assert apart.ratio[-1] > 2
    assert curves.brooks_gelman_rubin(x[:1]) is None
    assert curves.brooks_gelman_rubin(np.ones((3, 100))) is None


def test_thinning_keeps_every_extreme() -> None:
    """A drawn trace of a long chain shows the same peaks; short ones are untouched."""
    x = np.random.default_rng(24).normal(size=20_003)
    x[[7, 15_000, 20_002]] = 9, -9, 8
    at, seen = curves.thinned(x)
    assert len(at) <= 1502
    assert (np.diff(at) > 0).all()
    np.testing.assert_array_equal(x[at.astype(int)], seen)
    assert {9.0, -9.0, 8.0} <= set(seen)
    assert len(curves.thinned(x[:1500])[0]) == 1500


# Numbers on axes


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1000, ["0", "250", "500", "750", "1,000"]),
        (-0.4, 0.6, ["−0.4", "−0.2", "0.0", "0.2", "0.4", "0.6"]),
        (0, 0.0016, ["0", "0.0005", "0.0010", "0.0015"]),
    ],
)
def test_ticks_are_round_and_written_alike(low: float, high: float, expected: list[str]) -> None:
    """Equal decimals, a true minus, thousands commas."""
    assert style.labels(style.ticks(low, high)) == expected


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e5, 1e15])
@pytest.mark.parametrize("offset", [0.0, -0.3, 40.0])
def test_ticks_are_few_and_differ(scale: float, offset: float) -> None:
    places = style.ticks(scale * offset, scale * (offset + 1.7))
    written = style.labels(places)
    assert 2 <= len(places) <= 9
    assert len(set(written)) == len(written)
    assert all(len(w) <= 12 for w in written)


# The picture

DEGENERATE: dict[str, npt.NDArray[np.float64]] = {
    "constant": np.full((3, 100), 2.0),
    "one chain": GOOD[:1],
    "two draws": GOOD[:, :2],
    "one draw": GOOD[:1, :1],
    "no draws": np.zeros((3, 0)),
    "no chains": np.zeros((0, 0)),
    "a chain stuck": np.vstack([GOOD[:2], np.full((1, 400), 0.5)]),
    "some missing": np.where(RNG.random((3, 400)) < 0.1, np.nan, GOOD),
    "all missing": np.full((2, 30), np.nan),
    "infinite": np.where(RNG.random((3, 400)) < 0.01, np.inf, GOOD),
    "one infinite draw": np.full((1, 1), np.inf),
    "huge": GOOD * 1e300,
    "tiny": GOOD * 1e-300,
    "a hair's breadth": 1.0 + GOOD * 1e-14,
    "an outlier": np.where(np.arange(400) == 7, 1e9, GOOD),
    "two values": (GOOD > 0.5) * 1.0,
    "many chains": RNG.normal(size=(12, 50)),
    "alternating": np.tile([0.0, 1.0], (2, 50)),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_any_draws_give_a_picture(case: str) -> None:
    """Never an exception or a warning, always the six titles, a title and words, and no NaN in any path."""
    svg = sixway(DEGENERATE[case], f"beta_0 {case}", 1, 1)
    root = ET.fromstring(svg)
    text = "".join(root.itertext())
    for title in ("Trace", "Density", "Autocorrelation", "Partial", "Monte Carlo", "Brooks–Gelman–Rubin"):
        assert title in text
    assert b"nan" not in svg.split(b"</desc>")[1]
    assert description_of(svg)


def test_the_picture_says_what_it_shows() -> None:
    """Title and words for screen readers, R-hat and effective sample size as in the table, names escaped."""
    svg = sixway(GOOD, "Model: beta_1 <a&b$c$>", 1001, 1)
    root = ET.fromstring(svg)
    space = {"s": "http://www.w3.org/2000/svg"}
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "Model: beta_1 <a&b$c$>"
    assert root.findtext("s:title", namespaces=space) == "Model: beta_1 <a&b$c$>"
    words = description_of(svg)
    assert words.startswith(describe(GOOD))
    assert "R-hat 1.0" in words
    assert "effective sample size 1," in words or "effective sample size 9" in words
    assert "3 chains of 400 draws" in words
    assert (root.attrib["width"], root.attrib["viewBox"].split()[2]) == ("932", "932")


def test_colour_is_never_the_only_cue() -> None:
    """Chains differ by dash and have a key; the Brooks-Gelman-Rubin lines by dash and a label at their end."""
    svg = sixway(GOOD, "beta_0")
    assert svg.count(b"stroke-dasharray") >= 6
    for label in (b">ratio<", b">between<", b">within<", b">Chain<", b">3<"):
        assert label in svg
    looks = [style.look(k) for k in range(16)]
    assert len(set(looks)) == 16
    assert [style.look(k)[0] for k in range(4)] == ["#0b4f8a", "#d0661c", "#1f9c86", "#772236"]


def test_the_same_draws_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """No clock and no chance in the file: checksums in the manifest can be compared between machines and runs."""
    np.save(tmp_path / "x.npy", GOOD)
    code = (
        "import sys, numpy as np; from templates_engine.figures.sixway import sixway; "
        "sys.stdout.buffer.write(sixway(np.load(sys.argv[1]), 'beta_0', 1, 1))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.npy")], capture_output=True, env=env, check=True
    )
    sixway(GOOD[:1], "another before it", 5, 5)
    assert other.stdout == sixway(GOOD, "beta_0", 1, 1)


def test_a_picture_is_quick_and_small(cost: Callable[..., float], steps: Callable[[int], None]) -> None:
    """Some 0.05 CPU seconds, where 0.30 is the promise: less than 13 loops of a million steps."""
    x = np.random.default_rng(25).normal(size=(3, 2000))
    assert len(sixway(x, "beta_0")) < 250_000
    assert cost(lambda: sixway(x, "beta_0"), beside=lambda: steps(1_000_000)) < 13


def test_drawers_end_with_a_killed_run(tmp_path: Path) -> None:
    """kill -9 of a worker leaves no drawer behind."""
    code = (
        "import time; from templates_engine.figures.drawers import Drawers; d = Drawers(2); "
        "print(*[p.pid for p in d._processes], flush=True); time.sleep(60)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) as run:
        assert run.stdout is not None
        pids = [int(p) for p in run.stdout.readline().split()]
        assert len(pids) == 2
        run.send_signal(signal.SIGKILL)
    until = time.monotonic() + 120
    while time.monotonic() < until and any(_alive(pid) for pid in pids):
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
