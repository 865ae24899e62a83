"""The Job: what a template's run() sees of the world. It runs chains, keeps outputs, tells how far it is.

The same class serves the worker, the command line and the tests; they differ in the Reporter they give it.

    with Job(store, reporter) as job:
        result = template.run(spec, data, job)
        job.draw_pictures()
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from templates_engine.figures import Figure, Picture, as_json
from templates_engine.outputs import Draws, Result, Table
from templates_engine.problems import Problem, Refused
from templates_engine.running import Run, heartbeat, kept_chains, pictures as drawing
from templates_engine.running.checkpoints import Checkpoints
from templates_engine.running.live import Watched
from templates_engine.running.progress import Reporter, Silent, Steps
from templates_engine.running.store import Artifact, Store
from templates_engine.sampling import Live, Progress, Saved, cores, side_by_side

if TYPE_CHECKING:
    from templates_engine.data import Dataset
    from templates_engine.template import Template

__all__ = ["Call", "Job", "Progress", "Reporter", "Silent"]

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One run of another template, for Job.calls."""

    template: str
    answers: Mapping[str, str]
    data: Dataset
    prefix: str
    silent_figures: bool = False


class Job:
    """One running template. Close it (or use it in a `with`) so that its helpers end with it."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter | None = None,
        threads: int | None = None,
        others: Mapping[str, Dataset] | None = None,
        continues: Path | None = None,
        template: Template | None = None,
        checkpoints: Path | None = None,
    ):
        """others: the datasets beside the main one that the answers name, by their names.

        continues: the file where an earlier run's chains stand, from which this one goes on. template: whose run this
        is; chains are not gone on with that it drew when it, or what it rests on, was another. checkpoints: a folder
        that all attempts of the run share; none is kept without it.
        """
        self._run = Run(store, reporter or Silent())
        self._run.continues = kept_chains.unpack(continues, template) if continues is not None else {}
        self._run.template = template
        self._run.others = dict(others or {})
        self._checkpoints = Checkpoints(checkpoints, template)
        self._workers = max(1, threads or cores())
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
        self._order: int | None = None  # set for children that run side by side: where their outputs stand

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None and not self.stopped:
            self._steps.end()
        self.close()

    @property
    def store(self) -> Store:
        return self._run.store

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

    def checkpoint(self, name: str, content: bytes) -> None:
        """Keep how far a long step is; when this run's worker is lost, the next attempt gets it from `checkpointed`."""
        if not self.called:
            self._checkpoints.put(name, content)

    def checkpointed(self, name: str) -> bytes | None:
        """What an earlier attempt of this run has kept under this name; None: begin at the beginning."""
        return None if self.called else self._checkpoints.get(name)

    def note(self, problem: Problem) -> None:
        """A notice shown with the results."""
        self._run.note(problem)

    def state(self) -> dict[str, Any]:
        """Progress for the page: percent, step, steps, chains, elapsed and left (seconds), notes, trace."""
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
            return side_by_side([task(k) for k in range(len(tasks))], self._workers, stop_all)
        finally:
            self._chains = []
            if not self.called:
                self._run.watched = None
            self._run.check()

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
        return self._call(Call(template_name, answers, data, prefix, silent_figures), self._workers, self._order)

    def calls(self, requests: Sequence[Call]) -> list[Result]:
        """Several calls side by side, results in their order; each advances the present step."""
        finished = [0]
        workers = max(1, self._workers // max(1, len(requests)))
        # Outputs stand in the order of the requests, whichever ends first.
        places = [self.store.place() if self._order is None else self._order for _ in requests]

        def task(k: int) -> Callable[[], Result]:
            def run() -> Result:
                result = Result() if failed.is_set() else self._call(requests[k], workers, places[k])
                with self._run.lock:
                    finished[0] += 1
                    self._steps.part = (finished[0], len(requests))
                return result

            return run

        self._steps.part = (0, len(requests))
        failed = threading.Event()  # after one error the others need not begin
        results = side_by_side([task(k) for k in range(len(requests))], self._workers, failed.set)
        self._run.check()
        return results

    def _call(self, call: Call, workers: int, order: int | None) -> Result:
        from templates_engine import registry
        from templates_engine.asking import walk

        if self.stopped:
            return Result()
        self._run.check()
        template = registry.get(call.template)
        data = template.rows(call.data)
        schema = data.schema()
        others = {name: data.schema() for name, data in self._run.others.items()}
        walked = walk(template, call.answers, schema, datasets=others, strict_keys=True)
        try:
            spec = walked.require()
            checked = template.check(spec, data)
            errors = [p for p in checked if p.level == "error"]
            if errors:
                raise Refused(errors)
        except Refused as refused:
            said = [replace(p, message=f"{call.template}: {p.message}") for p in refused.problems]
            raise Refused(said) from None
        for notice in checked:
            # Rows are left out of one part's data, the complete cases, say; of fits 1 to M the template's name will do.
            own = notice.code == "rows-dropped" and not any(c.isdigit() for c in call.prefix)
            part = call.prefix.strip("_") if own else call.template
            self.note(replace(notice, message=f"{part or call.template}: {notice.message}"))

        child = Job.__new__(Job)
        child._run, child._workers, child._parent = self._run, workers, self
        child._prefix = self._prefix + call.prefix
        child._silent_figures = self._silent_figures or call.silent_figures
        child._setup()
        child._order = order
        with self._run.lock:
            self._run.reporter.child(call.template, walked.answers, call.data.name, child._prefix, schema)
        self._children.append(child)
        try:
            return template.run(spec, data, child)
        finally:
            self._children.remove(child)

    # Outputs

    def table(self, name: str, table: Table) -> None:
        """A table, as .csv and .json."""
        self._tell(self.store.table(self._prefix + name, table, order=self._order))

    def text(self, name: str, text: str, title: str = "") -> None:
        """Text (.txt), an equation (.tex) or code (.py), by the name's extension."""
        self._tell(self.store.text(self._prefix + name, text, title, order=self._order))

    def dataset(
        self, name: str, dataset: Dataset, title: str = "", listed: bool = False, also: Sequence[str] = ()
    ) -> None:
        """A dataset, as .dta. `listed`: it joins the list of datasets. `also`: further names of the same content.

        A child's datasets stay with the run: the list would fill with those of every single fit.
        """
        listed = listed and self._parent is None
        names = [self._prefix + other for other in also]
        self._tell(
            self.store.dataset(self._prefix + name, dataset, title, listed=listed, also=names, order=self._order)
        )

    def draws(self, name: str, draws: Draws, title: str = "") -> None:
        """Parameter chains, as a dataset and as .npz."""
        self._tell(self.store.draws(self._prefix + name, draws, title, order=self._order))

    def figure(self, name: str, svg: bytes, title: str = "", data: Figure | None = None) -> None:
        """A picture that is drawn already, as .svg; `data` lets the page draw it to be pointed at and zoomed."""
        named = self._prefix + name
        made = [self.store.add(named, svg, kind="figure", title=title, extension=".svg", order=self._order)]
        if data is not None:
            beside = f"{made[0].name}.json"  # Store may have numbered the name
            made.append(self.store.add(beside, as_json(data), kind="figure", title=title, order=self._order))
        self._tell(made)

    def file(self, name: str, content: bytes, title: str = "", kind: str = "file") -> None:
        """A file to be downloaded, ready made, such as the weights of a network."""
        self._tell([self.store.add(self._prefix + name, content, kind=kind, title=title, order=self._order)])

    def diagnostics(self, prefix: str, draws: Draws, title: str = "") -> None:
        """A six-part picture of each parameter, named `<prefix><parameter>.svg`; drawn when the tables are there.

        `title` says which model the draws are of, e.g. "Imputation model".
        """
        if self._silent_figures:
            return
        announced = []
        for k, parameter in enumerate(draws.parameters):
            heading = " ".join(part for part in (parameter, draws.variables[k]) if part)
            heading = f"{title}: {heading}" if title else heading
            artifact = self.store.expect(
                f"{self._prefix}{prefix}{parameter}.svg",
                kind="figure",
                extension=".svg",
                title=heading,
                order=self._order,
            )
            self._run.pictures[artifact.name] = Picture(draws.values[:, :, k], heading, draws.first, draws.thin)
            self._run.announced += 1
            announced.append(artifact)
        self._tell(announced)
        # With cores to spare the drawers get ready now; with two they would take time from the tables. A drawer
        # dies with the thread that starts it, so only the main thread does.
        if cores() >= 4 and threading.current_thread() is threading.main_thread():
            drawing.drawers(self._run)

    def draw_pictures(self) -> None:
        """Draw what is pending, a picture that someone has opened before the others.

        A picture that cannot be drawn becomes a picture that says so, and a notice; never a failed run. When the
        user has asked to stop, what is not drawn within a few seconds is left out in the same way.
        """
        run = self._run
        run.check()
        self._root()._steps.end()
        if not run.pictures:
            return
        self._start_helper()
        drawing.draw(run)

    # How

    def _tell(self, artifacts: Sequence[Artifact]) -> None:
        self._run.check()
        with self._run.lock:
            for artifact in artifacts:
                self._run.reporter.artifact(artifact)

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
