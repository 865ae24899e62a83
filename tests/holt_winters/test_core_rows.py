"""Every row that the recursions write, against the equations written out with Python numbers.

Classical: Winters (1960) with R's order of updates. Robust: Gelper, Fried and Croux (2010), section 2, in the form of
Crevits and Croux (2017). A missing value is replaced by its forecast.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from templates_engine.smoothing import Model, Start, fit

ALPHA, BETA, GAMMA, PHI, K, LAMBDA, SIGMA = 0.3, 0.2, 0.4, 0.9, 2.0, 0.1, 1.5
C = 2.5153  # E rho(Z) = 1 at k = 2, to the digits published
SEASON = {"additive": (3.0, -1.0, 0.5, -2.5), "multiplicative": (1.1, 0.95, 1.05, 0.9)}
KINDS = ["none", "additive", "multiplicative"]


def data(kind: str) -> np.ndarray:
    """Two outliers of different signs, three missing values; all positive."""
    rng = np.random.default_rng(12)
    t = np.arange(31)
    y = 50 + 0.4 * t + rng.standard_normal(31)
    if kind != "none":
        s = np.array(SEASON[kind])[t % 4]
        y = y * s if kind == "multiplicative" else y + s
    y[9] += 15.0
    y[17] -= 12.0
    y[[13, 22, 27]] = np.nan  # at the second, third and last position of the period
    return y


def start(kind: str, robust: bool) -> Start:
    seasons = () if kind == "none" else (np.array(SEASON[kind]),)
    scale = SIGMA / 50 if kind == "multiplicative" else SIGMA
    return Start("user", 49.0, 0.5, seasons, 0, scale if robust else None)


def written_out(y: np.ndarray, kind: str, robust: bool) -> dict[str, list[float]]:
    first = start(kind, robust)
    level, b, sigma = first.level, first.trend, first.sigma or math.nan
    s = list(first.seasons[0]) if kind != "none" else [0.0] * 4
    rows: dict[str, list[float]] = {
        name: [] for name in ("fitted", "levels", "trends", "season", "scale", "cleaned", "flags")
    }
    for t, value in enumerate(y):
        q, old = level + PHI * b, s[t % 4]
        x = q * old if kind == "multiplicative" else q + old
        rows["fitted"].append(x)
        rows["season"].append(old)
        clean, flag = float(value), False
        if math.isnan(value):
            clean = x
        elif robust:
            e = (value - x) / x if kind == "multiplicative" else value - x
            u = e / sigma
            rho = C if abs(u) > K else C * (1 - (1 - (u / K) ** 2) ** 3)
            sigma = math.sqrt(LAMBDA * rho * sigma**2 + (1 - LAMBDA) * sigma**2)
            psi = max(-K, min(K, e / sigma))
            clean = x * (1 + sigma * psi) if kind == "multiplicative" else x + sigma * psi
            flag = abs(e / sigma) > K
        if math.isnan(value):
            level, b = q, PHI * b
        else:
            new = ALPHA * (clean / old if kind == "multiplicative" else clean - old) + (1 - ALPHA) * q
            b = BETA * (new - level) + (1 - BETA) * PHI * b
            level = new
            if kind == "additive":
                s[t % 4] = GAMMA * (clean - level) + (1 - GAMMA) * old
            elif kind == "multiplicative" and robust:  # by q in place of the new level, at the rate gamma (1 - alpha)
                rate = GAMMA * (1 - ALPHA)
                s[t % 4] = rate * clean / q + (1 - rate) * old
            elif kind == "multiplicative":
                s[t % 4] = GAMMA * clean / level + (1 - GAMMA) * old
        for name, found in (("levels", level), ("trends", b), ("scale", sigma), ("cleaned", clean), ("flags", flag)):
            rows[name].append(found)
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_recursion(kind: str) -> None:
    """Protects fitted values, level, trend and season of every row, damped, a value missing (to 1e-12)."""
    y, model = data(kind), Model(True, True, kind, (4,) if kind != "none" else ())  # type: ignore[arg-type]
    gamma = GAMMA if kind != "none" else None
    done = fit(y, model, start=start(kind, False), alpha=ALPHA, beta=BETA, gamma=gamma, phi=PHI)
    rows = written_out(y, kind, False)
    for name in ("fitted", "levels", "trends"):
        np.testing.assert_allclose(getattr(done, name), rows[name], rtol=1e-12)
    if kind != "none":
        np.testing.assert_allclose(done.seasons[:, 0], rows["season"], rtol=1e-12)
    seen = ~np.isnan(y)
    e = (y - rows["fitted"])[seen]
    assert (done.n_used, done.sse) == (28, pytest.approx(float(e @ e), rel=1e-12))
    assert done.mae == pytest.approx(np.abs(e).mean(), rel=1e-12)
    assert done.mape == pytest.approx(100 * np.abs(e / y[seen]).mean(), rel=1e-12)
    assert done.sigma == pytest.approx(e.std(ddof=1), rel=1e-12)
    lag = 4 if kind != "none" else 1
    assert done.mase == pytest.approx(np.abs(e).mean() / np.nanmean(np.abs(y[lag:] - y[:-lag])), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_robust_recursion(kind: str) -> None:
    """Protects scale, cleaned values, flags and states of every row, outliers of both signs and a value missing, and
    the search's own pass, which writes no rows: its criterion is that of the rows.

    To 1e-4 of the size: the constant of rho is the published one, of five digits."""
    y, model = data(kind), Model(True, True, kind, (4,) if kind != "none" else ())  # type: ignore[arg-type]
    gamma = GAMMA if kind != "none" else None
    done = fit(
        y, model, start=start(kind, True), robust=True, alpha=ALPHA, beta=BETA, gamma=gamma, phi=PHI, k=K, lam=LAMBDA
    )
    rows = written_out(y, kind, True)
    assert done.robust is not None
    np.testing.assert_array_equal(done.robust.flags, rows["flags"])
    assert done.robust.flags[[9, 17]].all()
    for name, found in (
        ("fitted", done.fitted), ("levels", done.levels), ("trends", done.trends), ("scale", done.robust.scale),
        ("cleaned", done.robust.cleaned),
    ):  # fmt: skip
        np.testing.assert_allclose(found, rows[name], atol=1e-4 * np.abs(rows[name]).max())
    if kind != "none":
        np.testing.assert_allclose(done.seasons[:, 0], rows["season"], atol=1e-4 * np.abs(rows["season"]).max())
    seen = ~np.isnan(y)
    x = np.array(rows["fitted"])[seen]
    e = (y[seen] - x) / (x if kind == "multiplicative" else 1.0)
    size, n = 1.482602 * math.sqrt(np.median(e**2)), len(e)
    u = np.minimum(np.abs(e / size) / 3.0, 1.0)
    tau2 = size**2 * float(np.mean(4.1211 * (1 - (1 - u**2) ** 3)))
    objective = n * math.log(n * tau2) + (2 * n * math.log(np.median(np.abs(x))) if kind == "multiplicative" else 0.0)
    assert done.robust.tau2 == pytest.approx(tau2, rel=1e-3)
    assert done.robust.objective == pytest.approx(objective, abs=1e-3 * n)
