"""What tests share so that none depends on the machine's pace: costs in relation, and chains held in their middle."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import beside
import hypothesis
import numpy as np
import pytest

# The application is used by whoever has its token: servers get it, and what asks them over HTTP sends it.
os.environ["STATGROVE_TOKEN"] = beside.TOKEN
_opener = urllib.request.build_opener()
_opener.addheaders = list(beside.KEY.items())
urllib.request.install_opener(_opener)

# No bound on an example's time, and the same examples each time: a failure is of the code, and can be met again.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that says which data were missed (tests/beside.py)."""
    said = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    missed = [m[1] for text in said if (m := re.search(r"needs \.\./shared/(\S+), which is no part", text))]
    if missed:
        names = ", ".join(sorted(set(missed)))
        terminalreporter.write_line(f"{len(missed)} tests were left out: {names} are not beside the checkout.")


LONGEST = 600.0  # seconds that anything is waited for: only a hang takes so long


@pytest.fixture
def cost() -> Callable[..., float]:
    """cost(work, beside): the CPU time of one in units of the other's.

    Each is the least of several, taken in turns, without garbage collection: what else the machine does adds to both.
    """

    def cost(work: Callable[[], object], beside: Callable[[], object], repeats: int = 3) -> float:
        least = [float("inf"), float("inf")]
        gc.collect()
        gc.disable()  # a collection of all that earlier tests have left is no cost of the work
        try:
            for _ in range(repeats):
                for k, each in enumerate((work, beside)):
                    began = time.process_time()
                    each()
                    least[k] = min(least[k], time.process_time() - began)
        finally:
            gc.enable()
        return least[0] / least[1]

    return cost


@pytest.fixture
def steps() -> Callable[[int], None]:
    """A plain loop of so many steps, the measure beside which a piece of Python is quick or slow."""

    def steps(n: int) -> None:
        total = 0
        for k in range(n):
            total += k & 1

    return steps


class Held(np.random.PCG64DXSM):
    """A generator that holds the chain that draws from it, before its so-manieth number, until it is let go.

    Compiled code takes its numbers by the same function as Python, so a chain can be held in the middle of a sweep.
    Apart from that the numbers are those of the generator that it stands for.
    """

    def __init__(self, seed: Any, before: int, arrive: Callable[[], object], go: threading.Event):
        super().__init__(seed)
        real, count = super().ctypes, itertools.count(1)

        def next_uint64(state: int) -> int:
            if next(count) == before:
                arrive()
                go.wait(LONGEST)
            return int(real.next_uint64(state))

        self._held = real._replace(next_uint64=ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(next_uint64))

    @property
    def ctypes(self) -> Any:
        return self._held


Held.__name__ = "PCG64DXSM"  # the name that it gives its state, from which an ordinary generator goes on


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., threading.Event]]:
    """held(20_000, 30_000): the next two chains are held before these numbers of theirs, until their job is stopped.

    None: this one is not; nor are later ones. Returns the event that all have come to their places that can, where
    there are fewer processors than chains.
    """
    from templates_engine.running.job import Job
    from templates_engine.sampling.chains import cores

    there, told = threading.Event(), threading.Event()
    real, stop = np.random.PCG64DXSM, Job.stop
    places: list[int | None] = []
    coming: list[int] = []

    def arrive() -> None:
        coming.pop()
        if not coming:
            there.set()

    def generator(seed: Any = None) -> np.random.PCG64DXSM:
        place = places.pop(0) if places else None
        return real(seed) if place is None else Held(seed, place, arrive, told)

    def stopped(job: Job) -> None:
        stop(job)
        told.set()

    def hold(*before: int | None) -> threading.Event:
        places.extend(before)
        coming.extend([place for place in before if place is not None][: cores()])
        monkeypatch.setattr(np.random, "PCG64DXSM", generator)
        monkeypatch.setattr(Job, "stop", stopped)
        return there

    yield hold
    told.set()
