"""How long the chains are: as asked, longer than an earlier run's, or until targets for R-hat and ESS are met.

In all three cases the draws are those of one run of that many iterations; only who decides on the number differs.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from templates_engine.asking import MOST_ITERATIONS, McmcOptions, Stopping
from templates_engine.problems import Problem
from templates_engine.sampling import Floats, Live, Progress, Saved, diagnostics

if TYPE_CHECKING:
    from templates_engine.running.job import Job

CHAINS, LOOKS = "chains", "looks"
FEWEST = 100  # draws of a chain that say something of how many there will have to be
GROWTH = 1.5  # each look at the targets comes when the chains are so much longer than at the last


class Resumable(Protocol):
    """A chain that says where it stands; one deviance a draw."""

    @property
    def saved(self) -> Saved | None: ...
    @property
    def deviance(self) -> Floats: ...


C = TypeVar("C", bound=Resumable)
# (number of the chain, iterations in all, where to go on from, who looks on, progress)
Task = Callable[[int, int, Saved | None, Live, Progress], C]


def sample(job: Job, options: McmcOptions, parameters: Sequence[str], shown: str, task: Task[C]) -> tuple[list[C], int]:
    """The chains, and how many iterations they have after the burn-in; what a later run needs is kept.

    When the user has stopped the run, chains without draws are left out where others have some: with fewer cores than
    chains the last ones begin late. They are told of, and a longer run has them all.

    parameters: the names of the columns of Live.draws. shown: the one whose trace the page draws.
    """
    lives = [Live() for _ in range(options.nchains)]
    kept = job.checkpointed(LOOKS)  # of an attempt that was lost: how long the chains were to be, and since when
    began, wanted = json.loads(kept) if kept else (job.seconds, options.iterations)
    outlook = Outlook(options, lives, lambda: job.seconds, began) if options.stopping else None
    before: Sequence[Saved | None] | None = None
    while True:
        if options.stopping is not None:
            job.checkpoint(LOOKS, json.dumps([began, wanted]).encode())
        job.watch(shown, parameters, lives)
        tasks = [
            lambda resume, progress, k=k, live=live, wanted=wanted: task(k, wanted, resume, live, progress)
            for k, live in enumerate(lives)
        ]
        total = options.burnin + wanted
        share = outlook.of(total) if outlook else None
        chains: list[C] = job.resumable(CHAINS, tasks, total, share, before)
        before = [chain.saved for chain in chains]
        if options.stopping is None or job.stopped:
            break
        longer = _next(options.stopping, lives, wanted, job.seconds - began, job, options.thinning)
        if longer == wanted:
            break
        wanted = longer
    there = [chain for chain in before if chain is not None]
    if len(there) == len(chains):
        job.keep(CHAINS, there, "iterations", wanted)
    return (_begun(chains, job) if job.stopped else chains), wanted


def _begun(chains: list[C], job: Job) -> list[C]:
    """The chains with draws; all when there are none or everyone has some."""
    begun = [chain for chain in chains if len(chain.deviance) >= 2]
    missing = [str(k) for k, chain in enumerate(chains, start=1) if len(chain.deviance) < 2]
    if not begun or not missing:
        return chains
    which = f"Chain {missing[0]} has" if len(missing) == 1 else f"Chains {', '.join(missing)} have"
    job.note(Problem("few-chains", f"{which} no draws yet: what is shown comes from the others."))
    return begun


class Outlook:
    """How far a run with a stopping rule is: of the time that it may take, or of the iterations that the targets are
    likely to take, whichever is further.

    The effective sample size grows as the draws do, and R-hat's distance from 1 falls as they grow, so that draws so
    far tell how many there will have to be; the run then goes on to the next look at the targets.
    """

    def __init__(
        self,
        options: McmcOptions,
        lives: Sequence[Live],
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ):
        assert options.stopping is not None
        self._options, self._rule, self._lives, self._clock = options, options.stopping, lives, clock
        self._began = clock() if began is None else began
        self._measured = 0.0  # draws of a chain when last measured
        self._likely = math.inf  # iterations after the burn-in

    def of(self, total: int) -> Callable[[float], float]:
        """For Job.chains: the share of the step when a part of `total` iterations a chain is done."""

        def share(part: float) -> float:
            self._measure((part * total - self._options.burnin) / self._options.thinning)
            by_targets = part * total / max(total, self._options.burnin + self._likely)
            return min(1.0, max(by_targets, (self._clock() - self._began) / (60.0 * self._rule.minutes)))

        return share

    def _measure(self, drawn: float) -> None:
        """Reckon anew when the draws, `drawn` of a chain on average, are so many more that it is worth its time."""
        if drawn < max(FEWEST, GROWTH * self._measured):
            return
        self._measured = drawn
        draws = [live.draws() for live in self._lives]
        longest = max(map(len, draws))
        begun = [each for each in draws if 2 * len(each) >= longest]  # with few cores some chains begin much later
        shortest = min(map(len, begun))
        rhat, ess = worst(np.stack([each[:shortest] for each in begun]))
        if ess <= 0.0:
            return
        ess *= len(draws) / len(begun)
        enough = shortest * max(self._rule.ess / ess, (rhat - 1.0) / (self._rule.rhat - 1.0))
        look = self._options.iterations
        while look < enough * self._options.thinning and look < MOST_ITERATIONS:
            look = max(look + 1, _grown(look, self._options.thinning))
        self._likely = look


def _next(rule: Stopping, lives: Sequence[Live], wanted: int, gone: float, job: Job, thin: int) -> int:
    """The number of iterations to look at next; the present one when it is enough, or all that there is time for."""
    draws = [live.draws() for live in lives]
    shortest = min(len(each) for each in draws)
    rhat, ess = worst(np.stack([each[:shortest] for each in draws]))
    if rhat <= rule.rhat and ess >= rule.ess:
        text = f"The targets were met after {wanted:,} iterations: R-hat {rhat:.3f}, effective sample size {ess:,.0f}."
        job.note(Problem("targets-met", text))
        return wanted
    fits = int(wanted * (rule.minutes * 60 / max(gone, 1e-3)))  # burn-in and looks are reckoned in with the pace
    longer = _grown(wanted, thin, min(fits, MOST_ITERATIONS))
    if longer < 1.05 * wanted:
        text = (
            f"The targets were not met in the time given: after {wanted:,} iterations the largest R-hat is {rhat:.3f}"
            f" and the smallest effective sample size {ess:,.0f}. The run can be made longer."
        )
        job.note(Problem("targets-missed", text))
        return wanted
    return longer


def _grown(iterations: int, thin: int, most: int = MOST_ITERATIONS) -> int:
    """The length at which to look again, a whole number of draws."""
    longer = min(int(iterations * GROWTH), most)
    return longer - longer % thin


def worst(draws: Floats) -> tuple[float, float]:
    """(largest R-hat, smallest ESS, bulk or tail) of draws (chain, draw, parameter); (inf, 0) where one is unknown."""
    found = diagnostics.measures(np.moveaxis(draws, 2, 0))
    rhat, ess = found["rhat"], np.minimum(found["ess_bulk"], found["ess_tail"])
    if not (np.isfinite(rhat).all() and np.isfinite(ess).all()):
        return float("inf"), 0.0
    return float(rhat.max()), float(ess.min())


def settled(options: McmcOptions, iterations: int, chains: int) -> McmcOptions:
    """The options with the number of iterations that were drawn, and of chains that were."""
    return replace(options, iterations=iterations, nchains=chains)
