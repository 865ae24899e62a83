"""The Job: what a template's run() sees of the world. It runs chains, keeps outputs, tells how far it is.

The same class serves the worker, the command line and the tests; they differ in the Reporter they give it.

    with Job(store, reporter) as job:
        spec, rows = job.begin(template, walked, data)
        result = template.run(spec, rows, job)
        job.draw_pictures()
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from templates_engine.outputs import Result
from templates_engine.problems import Problem, Refused
from templates_engine.running import Run, calls, heartbeat, kept_chains
from templates_engine.running.calls import Call
from templates_engine.running.checkpoints import C, Chain, Checkpoints, Resume
from templates_engine.running.giving import Giving
from templates_engine.running.live import Curves, Watched
from templates_engine.running.papers import papers
from templates_engine.running.progress import Reporter, Silent, Steps
from templates_engine.running.store import Store
from templates_engine.sampling import Live, Progress, Saved, cores, side_by_side

if TYPE_CHECKING:
    from templates_engine.asking import Walk
    from templates_engine.data import Dataset
    from templates_engine.template import Template

__all__ = ["Call", "Job", "Progress", "Reporter", "Silent"]

T = TypeVar("T")


class Job(Giving):
    """One running template. Close it (or use it in a `with`) so that its helpers end with it."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter | None = None,
        threads: int | None = None,
        others: Mapping[str, Dataset] | None = None,
        continues: Path | None = None,
        template: Template | None = None,
        checkpoints: Checkpoints | Path | None = None,
    ):
        """others: the datasets beside the main one that the answers name, by their names.

        continues: the file where an earlier run's chains stand, from which this one goes on. template: whose run this
        is; chains are not gone on with that it drew when it, or what it rests on, was another. checkpoints: a folder
        that all attempts of the run share; none is kept without it.
        """
        self._run = Run(store, reporter or Silent())
        self._run.continues = kept_chains.unpack(continues, template) if continues is not None else {}
        self._run.template = self._template = template
        kept = Checkpoints(checkpoints) if isinstance(checkpoints, Path) else checkpoints
        self._run.checkpoints = kept or Checkpoints()
        self._run.others = dict(others or {})
        self.workers = max(1, threads or cores())
        self._prefix = ""
        self._silent_figures = False
        self._parent: Job | None = None
        self._setup()
        weakref.finalize(self, self._run.closed.set)

    def _setup(self) -> None:
        self._steps = Steps()
        self._chains: list[Progress] = []
        self._share: Callable[[float], float] | None = None
        self._children: list[Job] = []
        self._papers: set[str] = set()  # names of those that a template may write anew
        self.made: dict[str, Dataset] = {}  # datasets, for the template that called this one
        self.order: int | None = None  # set for children that run side by side: where their outputs stand

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None and not self.stopped:
            self._steps.end()
        self.close()

    @property
    def others(self) -> Mapping[str, Dataset]:
        """The datasets beside the main one that the answers name."""
        return self._run.others

    @property
    def called(self) -> bool:
        """Another template runs this one, as a part of its own run."""
        return self._parent is not None

    @property
    def notes(self) -> list[Problem]:
        return list(self._run.notes)

    @property
    def stopped(self) -> bool:
        """The user has asked to stop: end gracefully and keep what is drawn."""
        return self._run.stopped_at is not None

    def stop(self) -> None:
        """Ask this run to stop, as a user's cancellation does."""
        self._run.stop()
        root = self._root()
        for progress in root._running():
            progress.stop()

    def hand_back(self) -> None:
        """The process is to end: the chains keep where they stand, and HandedBack comes out of the job."""
        self._run.leaving = True
        for progress in self._root()._running():
            if progress.pauses:
                progress.pause()
            else:
                progress.stop()

    def pause(self) -> None:
        """Let the chains that can be gone on with keep where they stand; they go on by themselves."""
        for progress in self._root()._running():
            progress.pause()

    def close(self) -> None:
        """End the helper thread and the drawers, and report a last time."""
        if self._parent is not None or self._run.closed.is_set():
            return
        self._run.closed.set()
        if self._run.helper is not None and self._run.helper is not threading.current_thread():
            self._run.helper.join()
        if self._run.drawers is not None:
            self._run.drawers.close()
        if not self._run.broken:
            with self._run.lock:
                self._run.reporter.progress(self.state())

    def other(self, name: str) -> Dataset:
        """A dataset that an answer names beside the one the run is on. Refused when it is not there."""
        if name not in self._run.others:
            raise Refused(Problem("no-dataset", f"The dataset {name} is not there any more."))
        return self._run.others[name]

    def begin(self, template: Template, walked: Walk, data: Dataset) -> tuple[Any, Dataset]:
        """What comes before a template's run: its check of the rows, and the run's papers. Gives spec and rows.

        Refused when an answer is wrong or missing, or the data do not suit the template.
        """
        spec, rows = walked.require(), template.rows(data)
        self._run.curves = Curves(template.curves)
        found = template.check(spec, rows)
        if errors := [p for p in found if p.level == "error"]:
            raise Refused(errors)
        for notice in found:
            self.note(notice)
        self._write_papers(template, walked, rows)
        return spec, rows

    def _write_papers(self, template: Template, walked: Walk, data: Dataset) -> None:
        for name, text, title in papers(template, walked, data.name, data.schema()):
            self.text(name, text, title)
            self._papers.add(name)

    # Progress

    def steps(self, *titles: str | tuple[str, float]) -> None:
        """Declare the steps, once, at the start: titles, or (title, weight) with weights in any common unit."""
        self._steps.declare(titles)
        self._start_helper()

    def step(self, title: str) -> None:
        """Begin this step; the one before ends."""
        self._run.check()
        self._steps.begin(title)
        self._start_helper()

    def advance(self, done: float, total: float) -> None:
        """`done` of `total` inside the present step."""
        self._run.check()
        self._steps.part = (done, total)

    def watch(self, shown: str, parameters: Sequence[str], chains: Sequence[Live]) -> None:
        """Show these chains while they grow: a trace of the parameter `shown`, R-hat and ESS of all."""
        if not self.called:
            self._run.watched = Watched(shown, tuple(parameters), tuple(chains))

    def point(self, curve: str, line: str, x: float, y: float) -> None:
        """One more point of a line of a curve that the template declares; the page draws it while the run goes on."""
        if not self.called:
            self._run.curves.add(curve, line, x, y)

    def saved(self, sampler: str) -> list[Saved] | None:
        """Where the chains of this sampler stood when the run that this one continues ended; None: begin afresh."""
        return None if self.called else self._run.continues.get(sampler)

    def keep(self, sampler: str, chains: Sequence[Saved], key: str, reached: int) -> None:
        """Keep where the chains stand, so that the run can be made longer.

        key: the answer that says how long the run is; reached: its value now.
        """
        if self.called:
            return
        self._run.kept[sampler] = list(chains)
        self.store.keep_state(kept_chains.pack({"key": key, "reached": reached}, self._run.kept, self._run.template))

    def note(self, problem: Problem) -> None:
        """A notice shown with the results."""
        self._run.note(problem)

    def state(self) -> dict[str, Any]:
        """Progress for the page: percent, step, steps, chains, elapsed and left (seconds), notes, trace, curves."""
        root = self._root()
        return self._run.state(root._steps, root._fraction(), root._running())

    # Work

    def chains(
        self, tasks: Sequence[Callable[[Progress], T]], total: int, share: Callable[[float], float] | None = None
    ) -> list[T]:
        """Run the tasks side by side, `total` iterations each; results in their order.

        A task gives its Progress's cells to its kernel. When the user stops, cells[1] becomes 1 and each task
        returns what it has. share: what part of the step is done when this part of these iterations is; all of it if
        not given.
        """
        self._run.check()
        self._start_helper()
        started = [Progress(total) for _ in tasks]
        self._chains, self._share = started, share
        if self.stopped:
            for progress in started:
                progress.stop()

        def task(k: int) -> Callable[[], T]:
            return lambda: tasks[k](started[k])

        def stop_all() -> None:
            for progress in started:
                progress.stop()

        try:
            return side_by_side([task(k) for k in range(len(tasks))], self.workers, stop_all)
        finally:
            self._chains = []
            if (fault := self._run.checkpoints.fault) is not None:
                self._run.note(fault)
            if not self.called:
                self._run.watched = None
            self._run.check()

    def resumable(
        self,
        sampler: str,
        tasks: Sequence[Resume[C]],
        total: int,
        share: Callable[[float], float] | None = None,
        begin: Sequence[Saved | None] | None = None,
    ) -> list[C]:
        """As `chains`, of chains that can be gone on with: their state is kept at intervals, and they are taken up from
        there when the run's process was lost, with the same draws.

        A task gets where to go on from, None at the beginning, and its Progress; what it gives says where it stands now
        (`saved`, None where nothing can be kept). begin: where they stand now; without it `saved(sampler)`, for a run
        that is made longer.
        """
        before: list[Saved | None] = list(begin or self.saved(sampler) or [])[: len(tasks)]
        before += [None] * (len(tasks) - len(before))  # a longer run may have a chain that was not run before
        run, start = self._run, f"{self._prefix}{sampler}"
        chains = [
            Chain(run.checkpoints, f"{start}-{k}", self._template, before[k], task, lambda: run.leaving)
            for k, task in enumerate(tasks)
        ]
        return self.chains([chain.run for chain in chains], total, share)

    def checkpoint(self, name: str, content: bytes) -> None:
        """Keep how far a long step is that is no chain, a network in training, say.

        When this run's worker is lost, the next attempt gets it from `checkpointed`. Call it where the step can be
        taken up again: HandedBack comes out of it when the process is to end.
        """
        self._run.checkpoints.put(self._prefix + name, content, self._template)
        self._run.check()

    def checkpoint_due(self, name: str) -> bool:
        """Is it time for the `checkpoint` of this name? Once an interval, and when the process is to end."""
        return self._run.leaving or self._run.checkpoints.due(self._prefix + name)

    @property
    def seconds(self) -> float:
        """How long the run has taken; with what it took before it was taken up from its checkpoints."""
        return self._run.checkpoints.seconds

    def checkpointed(self, name: str) -> bytes | None:
        """What an earlier attempt of this run, by this program, kept under this name last; None: begin afresh."""
        return self._run.checkpoints.get(self._prefix + name, self._template)

    def call(
        self,
        template_name: str,
        answers: Mapping[str, str],
        data: Dataset,
        *,
        prefix: str,
        silent_figures: bool = False,
    ) -> Result:
        """Run another template on `data`; its outputs come into this run's store, their names after `prefix`.

        Refused when the template does not exist, an answer is wrong or missing, or the data do not suit it. When
        the user has asked to stop, nothing is run and the Result is empty.
        """
        self._run.check()
        return calls.one(self, Call(template_name, answers, data, prefix, silent_figures), self.workers, self.order)

    def calls(self, requests: Sequence[Call]) -> list[Result]:
        """Several calls side by side, results in their order; each advances the present step."""
        results = calls.several(self, requests)
        self._run.check()
        return results

    @contextmanager
    def child(
        self, call: Call, template: Template, walked: Walk, data: Dataset, workers: int, order: int | None
    ) -> Iterator[Job]:
        """The job of a called template, with its papers written; a part of this one."""
        child = Job.__new__(Job)
        child._run, child.workers, child._parent = self._run, workers, self
        child._template = template
        child._prefix = self._prefix + call.prefix
        child._silent_figures = self._silent_figures or call.silent_figures
        child._setup()
        child.order = order
        with self._run.lock:
            self._run.check()
            self._run.reporter.child(call.template, walked.answers, call.data.name, child._prefix, data.schema())
        self._children.append(child)
        try:
            child._write_papers(template, walked, data)
            yield child
        finally:
            self._children.remove(child)

    # How

    def _all_steps(self) -> Steps:
        return self._root()._steps

    def _root(self) -> Job:
        return self if self._parent is None else self._parent._root()

    def _running(self) -> list[Progress]:
        """The chains that run now, in this job and in its children."""
        return [*self._chains, *(p for child in list(self._children) for p in child._running())]

    def _fraction(self) -> float:
        """Share of this job's work that is done, 0 to 1."""
        done, total = self._steps.part
        chains = self._chains
        inside = sum(p.done / p.total for p in chains if p.total) / len(chains) if chains else 0.0
        if chains and self._share is not None:
            inside = self._share(inside)
        inside += sum(child._fraction() for child in list(self._children))
        return self._steps.fraction(min(1.0, (done + inside) / total if total else inside))

    def _start_helper(self) -> None:
        run, root = self._run, self._root()
        with run.lock:
            if run.helper is None and not run.closed.is_set():
                run.helper = threading.Thread(
                    target=heartbeat, args=(run, weakref.ref(root)), name="heartbeat", daemon=True
                )
                run.helper.start()
