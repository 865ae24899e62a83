"""Runs made longer, and runs that go on until targets are met: the draws are those of one run of that length."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Ran, run, shared_data

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.asking.mcmc_questions import McmcOptions, Stopping
from templates_engine.data.dataset import Dataset
from templates_engine.running import kept_chains, lengths
from templates_engine.running.job import Job
from templates_engine.running.progress import Silent
from templates_engine.running.store import STATE, Store
from templates_engine.sampling import diagnostics
from templates_engine.sampling.chains import Progress
from templates_engine.sampling.saving import Live

NORMAL = {"y": "normexam", "L2ID": "school", "D": "Normal", "x": "cons,standlrt", "nchains": "2", "burnin": "50"}
RULE = {"stopping": "When the targets are met"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shared_data("tutorial.csv")


def notes(ran: Ran) -> list[str]:
    return [note.message for note in ran.notes]


def assert_same_files(one: Path, other: Path, but: tuple[str, ...] = ()) -> None:
    names = {path.name for path in one.iterdir()} - {STATE, *but}
    assert names == {path.name for path in other.iterdir()} - {STATE, *but}
    for name in sorted(names):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_targets_are_met_and_the_draws_are_those_of_one_run(data: Dataset, tmp_path: Path) -> None:
    asked = {**NORMAL, **RULE, "iterations": "100", "maxrhat": "1.02", "miness": "500", "maxminutes": "5"}
    ran = run("2LevelMod", data, asked, tmp_path / "rule")
    draws = ran.result.draws
    assert draws is not None
    reached = draws.values.shape[1]
    assert kept_chains.read_about(tmp_path / "rule" / "state.npz")["reached"] == reached
    found = diagnostics.measures(np.moveaxis(draws.values, 2, 0))
    assert found["rhat"].max() <= 1.02
    assert min(found["ess_bulk"].min(), found["ess_tail"].min()) >= 500
    # ... and the look before was not good enough: the lengths looked at are 100, 150, 225, 337, ...
    looks = [100]
    while looks[-1] < reached:
        looks.append(int(looks[-1] * 1.5))
    assert looks[-1] == reached
    assert len(looks) > 1
    before = diagnostics.measures(np.moveaxis(draws.values[:, : looks[-2]], 2, 0))
    assert before["rhat"].max() > 1.02 or min(before["ess_bulk"].min(), before["ess_tail"].min()) < 500
    assert any(f"targets were met after {reached:,} iterations" in note for note in notes(ran))
    run("2LevelMod", data, {**NORMAL, "iterations": str(reached)}, tmp_path / "whole")
    assert_same_files(tmp_path / "whole", tmp_path / "rule", ("Inputs.txt", "script.py"))


def test_the_time_is_over_first(data: Dataset, tmp_path: Path) -> None:
    asked = {**NORMAL, **RULE, "iterations": "60", "miness": "1000000", "maxminutes": "0.01"}
    ran = run("2LevelMod", data, asked, tmp_path)
    assert any("targets were not met in the time given" in note for note in notes(ran))
    assert ran.result.draws is not None
    assert ran.result.draws.values.shape[1] >= 60


def test_thinned_chains_stop_at_whole_steps(data: Dataset, tmp_path: Path) -> None:
    asked = {**NORMAL, **RULE, "iterations": "70", "thinning": "7", "maxrhat": "1.3", "miness": "40"}
    ran = run("2LevelMod", data, asked, tmp_path)
    reached = kept_chains.read_about(tmp_path / "state.npz")["reached"]
    assert reached % 7 == 0
    assert ran.result.draws is not None
    assert ran.result.draws.values.shape[1] == reached // 7


def test_a_run_that_stopped_by_a_rule_is_made_longer(data: Dataset, tmp_path: Path) -> None:
    asked = {**NORMAL, **RULE, "iterations": "100", "maxrhat": "1.1", "miness": "20"}
    run("2LevelMod", data, asked, tmp_path / "rule")
    reached = kept_chains.read_about(tmp_path / "rule" / "state.npz")["reached"]
    more = {**NORMAL, "iterations": str(reached + 123)}
    run("2LevelMod", data, more, tmp_path / "longer", continues=tmp_path / "rule")
    run("2LevelMod", data, more, tmp_path / "whole")
    assert_same_files(tmp_path / "whole", tmp_path / "longer")


def test_progress_with_a_rule_is_told_and_moves_between_the_looks() -> None:
    """A run of correlated draws (ESS a tenth of their number), looked at as `sample` does. Seen to fail with: the part
    of the present look in place of that of the whole, the ESS or R-hat upside down."""
    chains, most, thin, burnin, rule = 2, 6000, 2, 300, Stopping(1.05, 400.0, 10.0)
    rng = np.random.default_rng(2)
    values = rng.normal(size=(chains, most, 2))
    for k in range(1, most):
        values[:, k] = 0.82 * values[:, k - 1] + np.sqrt(1 - 0.82**2) * values[:, k]
    options = McmcOptions(chains, 1, burnin, 500, thin, "out", stopping=rule)
    lives, rows = [Live() for _ in range(chains)], np.full((chains, most, 2), np.nan)
    for live, own in zip(lives, rows, strict=True):
        live.show(own, lambda drawn: drawn)
    outlook = lengths.Outlook(options, lives, clock=lambda: 0.0)
    wanted, sweeps, told = options.iterations, 0, [0.0]
    while True:
        share = outlook.of(burnin + wanted)
        while sweeps < burnin + wanted:
            sweeps = min(sweeps + 10, burnin + wanted)
            kept = max(0, sweeps - burnin) // thin
            rows[:, :kept] = values[:, :kept]
            told.append(share(sweeps / (burnin + wanted)))
        rhat, ess = lengths.worst(rows[:, :kept])
        if rhat <= rule.rhat and ess >= rule.ess:
            break
        wanted = int(wanted * 1.5) // thin * thin
    assert sweeps > 2 * (burnin + 500)  # several looks
    shown = np.maximum.accumulate(told)  # a page's percent never falls
    assert shown[-1] == 1.0
    assert shown[len(shown) * 9 // 10] < 1.0
    truth = np.arange(len(shown)) / (len(shown) - 1)
    known = np.arange(len(shown)) * 10 > burnin + thin * lengths.FEWEST
    assert np.abs(shown - truth)[known].max() < 0.35  # the next look lies half as far again
    moved = np.flatnonzero(np.diff(shown) > 0)
    assert np.diff(moved).max() < 0.25 * len(shown)


def test_progress_with_a_rule_learns_from_later_draws() -> None:
    """The first 100 draws creep, the next 900 are independent: the run is likely to be much shorter than it looked."""
    rng = np.random.default_rng(3)
    values = np.concatenate([np.cumsum(rng.normal(size=(100, 2)), axis=0) / 10.0, rng.normal(size=(900, 2))])
    options = McmcOptions(1, 1, 0, 500, 1, "out", stopping=Stopping(1.5, 2000.0, 10.0))
    rows, live = np.full((1000, 2), np.nan), Live()
    live.show(rows, lambda drawn: drawn)
    share = lengths.Outlook(options, [live], clock=lambda: 0.0).of(1000)
    likely = []
    for drawn in (100, 1000):
        rows[:drawn] = values[:drawn]
        likely.append(drawn / share(drawn / 1000))
    assert likely[1] < likely[0] / 2


def test_progress_with_a_rule_is_at_least_the_share_of_the_time() -> None:
    clock = iter([100.0, 130.0, 160.0, 400.0])
    options = McmcOptions(1, 1, 10, 100, 1, "out", stopping=Stopping(1.01, 400.0, 2.0))
    share = lengths.Outlook(options, [Live()], clock=lambda: next(clock)).of(110)
    assert [share(part) for part in (0.1, 0.2, 0.3)] == [0.25, 0.5, 1.0]


def test_a_step_is_as_far_as_its_chains_say(tmp_path: Path) -> None:
    """Job.chains with a share of its own: what the page reads while a chain is at 30 of 60 iterations."""
    with Job(Store(tmp_path)) as job:
        job.steps("Sample", "Summarise")
        job.step("Sample")

        def task(progress: Progress) -> float:
            progress.cells[0] = 30
            return float(job.state()["percent"])

        assert job.chains([task], 60) == [25.0]
        assert job.chains([task], 60, lambda part: part + 0.3) == [40.0]


class StopsAfterTheFirst(Silent):
    """Cancels when the first chain is complete, and the second has begun and is held."""

    def __init__(self) -> None:
        self.over = False

    def progress(self, state: dict[str, Any]) -> None:
        chains = state["chains"]
        self.over = self.over or bool(chains and chains[0][0] == chains[0][1])

    def cancelled(self) -> bool:
        return self.over


@pytest.mark.parametrize("template", ["2LevelMod", "NLevelMod"])
def test_a_chain_that_has_not_begun_does_not_hide_the_others(
    template: str, data: Dataset, tmp_path: Path, held: Callable[..., threading.Event]
) -> None:
    """With one core and four chains, stopped when the first is complete."""
    held(None, 40_000)
    answers = {key: value for key, value in NORMAL.items() if key != "L2ID"}
    answers |= {"L2ID": "school"} if template == "2LevelMod" else {"numclass": "1", "C1": "school"}
    form = registry.get(template)
    walked = walk(form, {**answers, "nchains": "4", "iterations": "1000"}, data.schema(), strict_keys=True)
    with Job(Store(tmp_path), StopsAfterTheFirst(), threads=1) as job:
        result = form.run(walked.require(), data, job)
        (said,) = [note.message for note in job.notes if note.code == "few-chains"]
    assert result.draws is not None
    assert len(result.draws.values) < 4
    assert "no draws yet" in said
    text = (tmp_path / "ModelResults.json").read_text()
    count = len(result.draws.values)
    assert f"{count} chain{'s' if count > 1 else ''} of" in text
    assert len(kept_chains.unpack(tmp_path / STATE)["chains"]) == 4


# Every template with a sampler: (template, dataset, answers)
LONGER: list[tuple[str, str, dict[str, str]]] = [
    ("Regression1", "tutorial.csv", {"y": "normexam", "x": "cons,standlrt"}),
    ("2LevelMod", "tutorial.csv", {**NORMAL, "makepred": "Yes"}),
    ("2LevelRS", "lmm/sleepstudy.csv", {"y": "Reaction", "L2ID": "Subject", "x": "Days", "x2": "Days"}),
    ("1LevelMod", "lmm/grouseticks.csv", {"y": "TICKS", "D": "Negative binomial", "x": "YEAR:cat,cHEIGHT"}),
    ("2LevelMod", "lmm/grouseticks.csv", {"y": "TICKS", "D": "Poisson", "L2ID": "BROOD", "x": "YEAR:cat,cHEIGHT"}),
    (
        "2LevelRS",
        "lmm/cbpp.csv",
        {
            "y": "incidence",
            "D": "Binomial",
            "n": "size",
            "L2ID": "herd",
            "x": "period",
            "x2": "period",
            "makepred": "Yes",
        },
    ),
]


@pytest.mark.parametrize(
    ("template", "file", "answers"), LONGER, ids=[f"{name}-{asked.get('D')}" for name, _, asked in LONGER]
)
def test_longer_is_byte_for_byte_one_run(template: str, file: str, answers: dict[str, str], tmp_path: Path) -> None:
    data = shared_data(file)
    asked = {**answers, "nchains": "2", "burnin": "60"}
    run(template, data, {**asked, "iterations": "70"}, tmp_path / "first")
    run(template, data, {**asked, "iterations": "210"}, tmp_path / "longer", continues=tmp_path / "first")
    run(template, data, {**asked, "iterations": "210"}, tmp_path / "whole")
    assert_same_files(tmp_path / "whole", tmp_path / "longer")


def test_a_thinning_that_keeps_no_draw_is_refused_at_its_question(data: Dataset) -> None:
    for thinning, faults in (("60", ["thinning"]), ("50", [])):
        answers = {**NORMAL, "iterations": "50", "thinning": thinning}
        walked = walk(registry.get("2LevelMod"), answers, data.schema())
        assert [p.key for p in walked.problems if p.level == "error"] == faults
