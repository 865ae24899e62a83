"""What a template gives to its job: tables, texts, datasets, draws and pictures, under the prefix of a called one."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from templates_engine.figures import Figure, Picture, as_json
from templates_engine.outputs import Draws, Table
from templates_engine.running import Run, pictures as drawing
from templates_engine.running.progress import Steps
from templates_engine.running.store import Artifact, Store
from templates_engine.sampling import cores

if TYPE_CHECKING:
    from templates_engine.data import Dataset


class Giving(ABC):
    """The part of a Job that takes outputs."""

    _run: Run
    _prefix: str
    _silent_figures: bool
    _papers: set[str]  # names of those that a template may write anew
    order: int | None  # set for called templates that run side by side: where their outputs stand
    made: dict[str, Dataset]  # datasets, for the template that called this one

    @property
    def store(self) -> Store:
        return self._run.store

    # Outputs

    def table(self, name: str, table: Table) -> None:
        """A table, as .csv and .json."""
        self._tell(self.store.table(self._prefix + name, table, order=self.order))

    def text(self, name: str, text: str, title: str = "") -> None:
        """Text (.txt), an equation (.tex) or code (.py), by the name's extension.

        An equation.tex of the template's own takes the place of the one that its declaration gives.
        """
        if name in self._papers:
            self._tell([self.store.replace(self._prefix + name, text.encode(), title)])
        else:
            self._tell(self.store.text(self._prefix + name, text, title, order=self.order))

    def dataset(
        self, name: str, dataset: Dataset, title: str = "", listed: bool = False, also: Sequence[str] = ()
    ) -> None:
        """A dataset, as .dta. `listed`: it joins the list of datasets. `also`: further names of the same content.

        A child's datasets stay with the run: the list would fill with those of every single fit. The template that
        called it has them in its Result.
        """
        if self.called:
            self.made[name] = dataset
        listed = listed and not self.called
        names = [self._prefix + other for other in also]
        self._tell(self.store.dataset(self._prefix + name, dataset, title, listed=listed, also=names, order=self.order))

    def draws(self, name: str, draws: Draws, title: str = "") -> None:
        """Parameter chains, as a dataset and as .npz."""
        self._tell(self.store.draws(self._prefix + name, draws, title, order=self.order))

    def figure(self, name: str, svg: bytes, title: str = "", data: Figure | None = None) -> None:
        """A picture that is drawn already, as .svg; `data` lets the page draw it to be pointed at and zoomed."""
        named = self._prefix + name
        made = [self.store.add(named, svg, kind="figure", title=title, extension=".svg", order=self.order)]
        if data is not None:
            beside = f"{made[0].name}.json"  # Store may have numbered the name
            made.append(self.store.add(beside, as_json(data), kind="figure", title=title, order=self.order))
        self._tell(made)

    def file(self, name: str, content: bytes, title: str = "", kind: str = "file") -> None:
        """A file to be downloaded, ready made, such as the weights of a network."""
        self._tell([self.store.add(self._prefix + name, content, kind=kind, title=title, order=self.order)])

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
                order=self.order,
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
        self._all_steps().end()
        if not run.pictures:
            return
        self._start_helper()
        drawing.draw(run)

    # How; the Job says what is abstract here

    def _tell(self, artifacts: Sequence[Artifact]) -> None:
        self._run.check()
        with self._run.lock:
            for artifact in artifacts:
                self._run.reporter.artifact(artifact)

    @property
    @abstractmethod
    def called(self) -> bool: ...

    @abstractmethod
    def _all_steps(self) -> Steps: ...

    @abstractmethod
    def _start_helper(self) -> None: ...
