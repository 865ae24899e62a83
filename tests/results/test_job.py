"""The Job: chains, progress, stopping, and children, with the same class that the worker uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listening import Listener

from templates_engine import registry
from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Draws, Result, Table
from templates_engine.problems import Problem, Refused
from templates_engine.running import run as running
from templates_engine.running.job import Call, Job, Progress
from templates_engine.running.store import Store
from templates_engine.sampling import diagnostics
from templates_engine.sampling.saving import Live
from templates_engine.template import Template

DATA = Dataset("pupils", {"y": np.arange(5.0), "x": np.ones(5)})
LONGEST = 120.0  # seconds that anything is waited for: only a hang takes so long


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def kernel(iterations: int, pause: float = 0.005) -> Any:
    """Stands for a compiled kernel: counts, and looks at the stop flag in every iteration."""

    def task(progress: Progress) -> list[int]:
        drawn = []
        for i in range(iterations):
            if progress.cells[1]:
                break
            time.sleep(pause)
            drawn.append(i)
            progress.cells[0] = i + 1
        return drawn

    return task


def endless(progress: Progress) -> list[int]:
    """A kernel that ends when it is told to stop."""
    drawn: list[int] = []
    end = time.monotonic() + LONGEST
    while not progress.cells[1]:
        assert time.monotonic() < end, "it was not told to stop"
        time.sleep(0.005)
        drawn.append(len(drawn))
        progress.cells[0] = len(drawn)
    return drawn


# Chains


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_results_keep_the_order_of_the_chains(tmp_path: Path, threads: int) -> None:
    """The number of threads changes nothing in what comes back."""
    with Job(Store(tmp_path), threads=threads) as job:
        tasks = [lambda p, k=k: (time.sleep(0.02 * (5 - k)), k)[1] for k in range(5)]
        assert job.chains(tasks, 1) == [0, 1, 2, 3, 4]
        assert job.chains([], 1) == []


def test_an_error_in_one_chain_stops_the_others_and_comes_out(tmp_path: Path) -> None:
    def broken(progress: Progress) -> list[int]:
        raise ArithmeticError("not positive definite")

    with Job(Store(tmp_path), threads=3) as job, pytest.raises(ArithmeticError, match="not positive definite"):
        job.chains([endless, broken, endless], 2000)


def test_a_user_who_stops_keeps_what_is_drawn(tmp_path: Path) -> None:
    """The wish to stop is looked for within a second and reaches running chains; draws made before it are returned."""
    assert running.BEAT <= 1
    listener = Listener()

    def stopping(progress: Progress) -> list[int]:
        drawn: list[int] = kernel(11)(progress)
        listener.cancel = True
        return drawn + endless(progress)

    with Job(Store(tmp_path), listener, threads=2) as job:
        chains = job.chains([stopping, endless, endless], 4000)
        assert job.stopped
        assert len(chains[0]) >= 11
        assert chains[2] == []  # there was no thread for it until then
        assert job.chains([kernel(10)], 10) == [[]]  # later chains end at once
        job.table("Kept", Table(("a",), ((1,),)))  # and outputs are still written
    assert [a.name for a in listener.told] == ["Kept", "Kept.json"]


# Progress


def test_progress_is_weighted_never_falls_and_is_told_at_most_four_times_a_second(tmp_path: Path) -> None:
    listener = Listener()

    def seen(progress: Progress) -> list[int]:
        """Half of it, and the rest when that has been told."""
        drawn: list[int] = kernel(60)(progress)
        wait_for(lambda: any(0 < state["percent"] < 75 for _, state in listener.states))
        return drawn + kernel(120)(progress)

    with Job(Store(tmp_path), listener, threads=2) as job:
        job.steps(("Impute", 3.0), ("Fit", 1.0))
        job.step("Impute")
        job.chains([seen, seen], 120)
        job.step("Fit")
        assert job.state()["percent"] == 75.0
        job.advance(1, 2)
        state = job.state()
        assert state["percent"] == 87.5
        assert [(s["title"], s["state"]) for s in state["steps"]] == [("Impute", "done"), ("Fit", "now")]
    times = [t for t, _ in listener.states]
    percents = [s["percent"] for _, s in listener.states]
    assert percents == sorted(percents)
    assert percents[-1] == 100.0
    assert any(s["chains"] and s["chains"][0][1] == 120 for _, s in listener.states)
    assert all(b - a > 0.2 for a, b in pairwise(times[:-1]))  # the last comes with close()


def test_a_long_silent_step_still_has_a_heartbeat(tmp_path: Path) -> None:
    """Nothing moves: reports go on once a second, so that nobody takes the run for dead."""
    listener = Listener()
    with Job(Store(tmp_path), listener) as job:
        job.step("Think")
        wait_for(lambda: len(listener.states) >= 3)
    looks = [listener.asked.count(k) for k in range(1, 3)]  # after each of the first two reports, until the next
    assert running.AT_LEAST <= 1
    assert max(looks) <= running.AT_LEAST / running.BEAT + 1


def test_what_a_reporter_raises_ends_the_run(tmp_path: Path) -> None:
    """A worker that has lost its run says so by an exception: chains stop, and the exception comes out once."""

    class Lost(Exception):
        pass

    class Fenced(Listener):
        def progress(self, state: dict[str, Any]) -> None:
            raise Lost

    with pytest.raises(Lost), Job(Store(tmp_path), Fenced(), threads=2) as job:
        job.chains([endless, endless], 4000)


def test_a_live_trace_is_short_and_ends_where_the_draws_end(tmp_path: Path) -> None:
    job = Job(Store(tmp_path))
    chain = np.full((1000, 2), np.nan)
    chain[:700] = np.random.default_rng(1).standard_normal((700, 2))
    live = Live()
    live.show(chain, lambda rows: rows)
    job.watch("beta_1", ["beta_0", "beta_1"], [live])
    state = job.state()
    trace = state["trace"]
    assert trace["parameter"] == "beta_1"
    assert 100 < len(trace["chains"][0]) <= 200
    np.testing.assert_allclose(trace["chains"][0], chain[:700:4, 1], rtol=1e-3)
    found = diagnostics.measures(chain[None, :700].transpose(2, 0, 1))
    for row in state["converging"]:
        k = int(row["parameter"][-1])
        assert row["rhat"] == pytest.approx(found["rhat"][k], rel=1e-3)
        assert row["ess"] == pytest.approx(min(found["ess_bulk"][k], found["ess_tail"][k]), rel=1e-3)
    assert len(state["converging"]) == 2
    job.close()


def test_closing_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with Job(Store(tmp_path)) as job:
        job.step("a")
        (helper,) = set(threading.enumerate()) - before
    assert not helper.is_alive()


# Children


@dataclass(frozen=True)
class Spec:
    y: str
    n: int


class Child(Template):
    name = "Child"
    title = "Counts."

    def questions(self, ask: Any) -> Spec:
        return Spec(ask.column("y", "Response"), ask.integer("n", "How many", min=1, default=3))

    def check(self, spec: Spec, data: Dataset) -> list[Problem]:
        level = "error" if spec.n == 13 else "notice"
        return [Problem("n", "n is unlucky.", key="n", level=level)] if spec.n in (13, 4) else []

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        job.steps("Count")
        job.step("Count")
        draws = Draws(("beta_0",), ("",), np.full((1, 3, 1), float(spec.n)))
        table = Table(("n",), ((spec.n,),))
        job.table("ModelResults", table)
        job.diagnostics("", draws)
        return Result(draws, {"ModelResults": table})


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get", lambda name: Child())


def test_a_child_runs_in_the_same_store_under_its_prefix(tmp_path: Path, child: None) -> None:
    """The public interface of super-templates: the child's answers are walked, its outputs carry the prefix."""
    listener = Listener()
    with Job(Store(tmp_path), listener) as job:
        result = job.call("Child", {"y": "y", "n": "4"}, DATA, prefix="Model1_", silent_figures=True)
        assert result.tables["ModelResults"].rows == ((4,),)
    papers = ["Model1_Inputs", "Model1_script.py"]
    assert [a.name for a in listener.told] == [*papers, "Model1_ModelResults", "Model1_ModelResults.json"]
    assert listener.children == [("Child", {"y": "y", "n": "4"}, "pupils", "Model1_")]
    assert [p.message for p in job.notes] == ["Child: n is unlucky."]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"y": "nothere"}, ["nothere"]),
        ({}, ["y"]),
        ({"y": "y", "n": "none"}, ["n"]),
        ({"y": "y", "n": "13"}, ["unlucky"]),
        ({"y": "y", "extra": "1"}, ["extra"]),
    ],
)
def test_a_child_with_bad_answers_is_refused_by_name(
    tmp_path: Path, child: None, answers: dict[str, str], words: list[str]
) -> None:
    """Every fault of a child says which template it belongs to, and nothing of it is written."""
    listener = Listener()
    with pytest.raises(Refused) as refused, Job(Store(tmp_path), listener) as job:
        job.call("Child", answers, DATA, prefix="")
    assert all(p.message.startswith("Child: ") for p in refused.value.problems)
    said = " ".join(p.line() for p in refused.value.problems)
    assert all(word in said for word in words)
    assert listener.told == []
    assert listener.children == []


def test_children_side_by_side_give_the_outputs_of_children_in_turn(
    tmp_path: Path, child: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them ends first changes neither results nor the manifest: here the last, and the first at last."""
    requests = [Call("Child", {"y": "y", "n": str(n)}, DATA, f"Model{n}_", True) for n in (1, 2, 3)]
    ended = {n: threading.Event() for n in (1, 2, 3)}
    run = Child.run

    def in_reverse(self: Child, spec: Spec, data: Dataset, job: Job) -> Result:
        assert spec.n == 3 or ended[spec.n + 1].wait(LONGEST)
        result = run(self, spec, data, job)
        ended[spec.n].set()
        return result

    with monkeypatch.context() as patch, Job(Store(tmp_path / "a"), threads=3) as together:
        patch.setattr(Child, "run", in_reverse)
        results = together.calls(requests)
    with Job(Store(tmp_path / "b"), threads=1) as inturn:
        for r in requests:
            inturn.call(r.template, r.answers, r.data, prefix=r.prefix, silent_figures=True)
    assert [r.tables["ModelResults"].rows for r in results] == [((1,),), ((2,),), ((3,),)]
    assert together.store.manifest() == inturn.store.manifest()


def test_a_child_moves_its_parents_progress(tmp_path: Path, child: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each child that has ended is told: the next one waits for it here."""
    listener = Listener()
    run, began = Child.run, []

    def told(self: Child, spec: Spec, data: Dataset, job: Job) -> Result:
        percent = 12.5 * len(began)
        began.append(spec)
        wait_for(lambda: listener.states and listener.states[-1][1]["percent"] == percent)
        return run(self, spec, data, job)

    monkeypatch.setattr(Child, "run", told)
    with Job(Store(tmp_path), listener, threads=1) as job:
        job.steps("Fits", "Pool")
        job.step("Fits")
        job.calls([Call("Child", {"y": "y", "n": "1"}, DATA, f"Model{k}_", True) for k in range(4)])
        assert job.state()["percent"] == 50.0


def test_nothing_more_is_called_once_the_user_has_stopped(tmp_path: Path, child: None) -> None:
    with Job(Store(tmp_path)) as job:
        job.stop()
        assert job.call("Child", {"y": "y"}, DATA, prefix="") == Result()
