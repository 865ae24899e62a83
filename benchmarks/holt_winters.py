"""Fits per CPU second of exponential smoothing, one core, beside statsmodels, statsforecast, and R where installed.

    make bench BENCH=holt_winters ARGS="--series 10000 --peers 60"

Two panels: 1,000 monthly series of length 120 (../shared/data/ts/hw_panel_1000x120.csv.gz where it is) and a simulated
one. Like with like: R's HoltWinters keeps its start states fixed, and so does "fixed start"; statsmodels and
statsforecast estimate them, and so does "optimal start". Peers run on the first series of the panel; squared errors
are compared series by series. statsforecast's HoltWinters chooses between a damped trend and a plain one by AICc, and
so does "damped or plain", where squared errors are of the model that statsforecast chose; AutoETS with damped=False is
the plain trend alone. statsmodels moves multiplicative seasons by the old level, R and ours by the new: there the
squared errors are of two models, and only the times are like with like. Nothing here is a test: no time gates anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NIXTLA_NUMBA_CACHE"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import peers  # noqa: E402

from templates_engine.smoothing import Model, Panel, fit_many  # noqa: E402

PANEL = ROOT.parent / "shared/data/ts/hw_panel_1000x120.csv.gz"
ADDITIVE = Model(True, False, "additive", (12,))
DAMPED = Model(True, True, "additive", (12,))
MULTIPLICATIVE = Model(True, False, "multiplicative", (12,))
ROBETS = {"additive": 68.2, "multiplicative": 64.6}  # fits per CPU second of robets 1.4, same panel, measured apart


def simulated(series: int, n: int = 120, seed: int = 1) -> np.ndarray:
    """(series, n) monthly series of multiplicative seasons with relative errors of 5 %, all values above 1: factors of
    levels near or below zero mean nothing, and there programs differ in what they do."""
    rng = np.random.Generator(np.random.PCG64(seed))
    found = np.empty((0, n))
    while len(found) < series:
        batch = _batch(rng, series, n)
        found = np.concatenate([found, batch[batch.min(axis=1) > 1.0]])
    return found[:series]


def _batch(rng: np.random.Generator, series: int, n: int) -> np.ndarray:
    level, trend = rng.uniform(50, 500, series), rng.uniform(-0.1, 1.0, series)
    season = 1 + 0.25 * np.sin(2 * np.pi * (np.arange(12)[:, None] + rng.integers(0, 12, series)) / 12)
    found = np.empty((series, n))
    for t in range(n):
        e = 0.05 * rng.standard_normal(series)
        found[:, t] = (level + trend) * season[t % 12] * (1 + e)
        level, trend = (level + trend) * (1 + 0.3 * e), trend + 0.02 * (level + trend) * e
        season[t % 12] *= 1 + 0.1 * e
    return found


def machine() -> str:
    """Name of the processor, as far as the system tells it, and the number of cores this process may use."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'processor unknown'}, {len(os.sched_getaffinity(0))} cores"


def rate(work: Callable[[], Any], fits: int) -> tuple[Any, float]:
    """The result, and fits per CPU second of this process (all its threads)."""
    began = time.process_time()
    found = work()
    return found, fits / (time.process_time() - began)


def ours(title: str, panel: np.ndarray, model: Model, **options: Any) -> tuple[np.ndarray, float]:
    fit_many(panel[:2], model, threads=1, **options)  # compile, or load what is compiled
    found, speed = rate(lambda: fit_many(panel, model, threads=1, **options), len(panel))
    bad = sum(s != "" for s in found.status)
    print(f"  {title:<52} {speed:9,.0f} /s   failures {bad}   mean log SSE {np.nanmean(np.log(found.sse)):.5f}")
    return found.sse, speed


def chosen(panel: np.ndarray) -> tuple[Panel, Panel]:
    """The damped and the plain trend fitted to every series; the choice by AICc is one comparison of two arrays."""
    damped, plain = (fit_many(panel, model, threads=1, start="optimal") for model in (DAMPED, ADDITIVE))
    return damped, plain


def compare(title: str, speed: float, peer_speed: float, sse: np.ndarray, peer: np.ndarray, goal: float) -> None:
    ratio = sse[: len(peer)] / peer - 1
    near, better = 100 * np.mean(ratio <= 1e-6), 100 * np.mean(ratio < -1e-6)
    print(
        f"  {title}: ratio {speed / peer_speed:.0f} (goal {goal:g}); of {len(peer)} SSE within 1e-6 or better on "
        f"{near:.1f} %, better by more on {better:.1f} %, worst {100 * max(0.0, float(ratio.max())):.3f} %"
    )


def by_statsmodels(panel: np.ndarray, kind: str) -> tuple[np.ndarray, float] | None:
    try:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing
    except ImportError:
        print("  statsmodels is not installed: skipped")
        return None
    short = "add" if kind == "additive" else "mul"

    def work() -> np.ndarray:
        return np.array(
            [
                ExponentialSmoothing(
                    y, trend="add", seasonal=short, seasonal_periods=12, initialization_method="estimated"
                )
                .fit()
                .sse
                for y in panel
            ]
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, speed = rate(work, len(panel))
    print(f"  {'statsmodels ExponentialSmoothing, estimated, ' + kind:<52} {speed:9,.0f} /s")
    return found, speed


STATSFORECAST = """
import json, sys, time
import numpy as np
from statsforecast.models import AutoETS, HoltWinters
panel, found = np.load(sys.argv[1]), []
for title, make in (
    ("statsforecast HoltWinters A", lambda: HoltWinters(season_length=12, error_type="A")),
    ("statsforecast AutoETS AAA", lambda: AutoETS(season_length=12, model="AAA", damped=False)),
):
    make().fit(panel[0])  # compiles
    began = time.process_time()
    models = [make().fit(y).model_ for y in panel]
    speed = len(panel) / (time.process_time() - began)
    sse = [float(np.sum(np.asarray(model["residuals"]) ** 2)) for model in models]
    found.append([title, speed, sse, [float(m["aicc"]) for m in models], [m["components"][3] == "D" for m in models]])
json.dump(found, open(sys.argv[2], "w"))
"""


def by_statsforecast(panel: np.ndarray) -> list[tuple[str, float, np.ndarray, np.ndarray, np.ndarray]]:
    """Title, fits per CPU second, and of every series the squared error, AICc and whether the trend is damped."""
    python = peers.interpreter("statsforecast", peers.STATSFORECAST)
    if python is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "panel.npy"), Path(folder, "found.json")
        np.save(given, panel)
        subprocess.run([python, "-c", STATSFORECAST, str(given), str(found)], check=True)
        results = json.loads(found.read_text())
    for title, speed, *_ in results:
        print(f"  {title:<52} {speed:9,.0f} /s")
    return [(title, speed, *map(np.array, of_series)) for title, speed, *of_series in results]


def by_r(panel: np.ndarray, kind: str) -> tuple[np.ndarray, float] | None:
    if shutil.which("Rscript") is None:
        print("  R is not installed: skipped")
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder) / "panel.csv", panel, delimiter=",", fmt="%.17g")
        script = f"""
        y <- as.matrix(read.csv("{folder}/panel.csv", header = FALSE)); s <- rep(NA, nrow(y)); t0 <- proc.time()
        for (i in seq_len(nrow(y))) s[i] <- tryCatch(
            HoltWinters(ts(y[i, ], frequency = 12), seasonal = "{kind}")$SSE, error = function(e) NA)
        used <- proc.time() - t0
        writeLines(formatC(c(used[1] + used[2], s), digits = 17, format = "g"), "{folder}/out.txt")"""
        try:
            subprocess.run(["Rscript", "-e", script], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            print(f"  R failed: {error.stderr.decode()[-200:]}")
            return None
        lines = np.loadtxt(
            [line.replace("NA", "nan") for line in (Path(folder) / "out.txt").read_text().splitlines()], ndmin=1
        )
    speed = len(panel) / lines[0]
    print(f"  {'R HoltWinters, ' + kind:<52} {speed:9,.0f} /s   failures {int(np.isnan(lines[1:]).sum())}")
    return lines[1:], speed


def beside_statsforecast(
    panel: np.ndarray, few: int, optimal: tuple[np.ndarray, float], quick: tuple[np.ndarray, float]
) -> None:
    """HoltWinters, which makes two fits, beside two of ours; AutoETS of the plain trend beside one."""
    results = by_statsforecast(panel[:few])
    if not results:
        return
    title, speed, sse, aicc, damped = results[0]
    chosen(panel[:2])
    (ours_damped, ours_plain), ours_speed = rate(lambda: chosen(panel), len(panel))
    print(f"  {'optimal start, damped or plain':<52} {ours_speed:9,.0f} /s")
    same = np.where(damped, ours_damped.sse[: len(sse)], ours_plain.sse[: len(sse)])
    compare(f"optimal start, damped or plain, against {title}", ours_speed, speed, same, sse, 10)
    a, b = ours_damped.aicc[: len(sse)], ours_plain.aicc[: len(sse)]
    # both are n log SSE + 2 p n / (n - p - 1), p counting start states and the error variance
    print(
        f"    theirs damped on {100 * np.mean(damped):.1f} %, ours on {100 * np.mean(a < b):.1f} %; the same choice on "
        f"{100 * np.mean((a < b) == damped):.1f} %; our AICc at most theirs on "
        f"{100 * np.mean(np.minimum(a, b) <= aicc + 1e-6 * panel.shape[1]):.1f} %"
    )
    for title, speed, sse, _, _ in results[1:]:
        compare(f"optimal start against {title}", optimal[1], speed, optimal[0], sse, 10)
        compare(f"optimal start, 3 places, against {title}", quick[1], speed, quick[0], sse, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000, help="series of the simulated panel")
    parser.add_argument("--peers", type=int, default=60, help="series for statsmodels; others get 5 times as many")
    options = parser.parse_args()
    print(f"{date.today()}, {machine()}, load {os.getloadavg()[0]:.1f}")
    panels = [("simulated", simulated(options.series))]
    if PANEL.exists():
        panels.insert(0, (PANEL.name, np.loadtxt(PANEL, delimiter=",")))
    for name, panel in panels:
        print(f"\n{name}: {len(panel):,} series of {panel.shape[1]} values, fits per CPU second, one core")
        fixed = {}
        for model in (ADDITIVE, MULTIPLICATIVE):
            kind = model.seasonal
            fixed[kind] = ours(f"fixed start, several starts, {kind}", panel, model)
        quick = ours("optimal start, 3 places, additive", panel, ADDITIVE, start="optimal", tries=3)
        optimal = {
            m.seasonal: ours(f"optimal start, {m.seasonal}", panel, m, start="optimal")
            for m in (ADDITIVE, MULTIPLICATIVE)
        }
        for model in (ADDITIVE, MULTIPLICATIVE):
            stored = ROBETS[model.seasonal]
            _, robust = ours(f"robust, {model.seasonal}", panel, model, robust=True)
            print(f"  against robets' {stored} /s (stored): ratio {robust / stored:.1f} (goal 8)")
        for kind in ("additive", "multiplicative"):
            if found := by_r(panel[: 5 * options.peers], kind):
                r_sse, r_speed = found
                kept = np.isfinite(r_sse)
                sse = fixed[kind][0][: len(r_sse)][kept]
                compare(f"fixed start against R, {kind}", fixed[kind][1], r_speed, sse, r_sse[kept], 15)
        few = panel[: options.peers]
        for kind in ("additive", "multiplicative"):
            if found := by_statsmodels(few, kind):
                sse, speed = optimal[kind]
                compare(f"optimal start against statsmodels, {kind}", speed, found[1], sse, found[0], 60)
        beside_statsforecast(panel, 5 * options.peers, optimal["additive"], quick)


if __name__ == "__main__":
    main()
