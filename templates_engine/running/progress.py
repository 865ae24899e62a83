"""How far a run is: declared steps with weights, the part of the present one that is done, and the time left.

Steps     the steps of one template, in order
Reporter  whoever is told: the worker (database), the command line (a bar), nobody (tests)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from templates_engine.data import Schema
    from templates_engine.running.store import Artifact


class Reporter(Protocol):
    """Told about a run as it goes. Calls come from several threads, but never two at once.

    An exception that a method raises ends the run: the chains are stopped and it comes out of the Job.
    """

    def progress(self, state: dict[str, Any]) -> None:
        """At most four times a second, and at least once a second: the heartbeat."""

    def artifact(self, artifact: Artifact) -> None:
        """An output exists (or, state "pending", will)."""

    def cancelled(self) -> bool:
        """Has the user asked to stop?"""

    def wanted(self) -> str | None:
        """The name of a picture that somebody has opened and that is not drawn yet."""

    def child(self, template: str, answers: Mapping[str, str], dataset_name: str, prefix: str, schema: Schema) -> None:
        """Another template begins in this run; its outputs carry `prefix`."""


class Silent:
    """Tells nobody."""

    def progress(self, state: dict[str, Any]) -> None:
        pass

    def artifact(self, artifact: Artifact) -> None:
        pass

    def cancelled(self) -> bool:
        return False

    def wanted(self) -> str | None:
        return None

    def child(self, template: str, answers: Mapping[str, str], dataset_name: str, prefix: str, schema: Schema) -> None:
        pass


@dataclass
class Step:
    title: str
    weight: float = 1.0  # its share of the work, in any unit
    state: str = "todo"  # "todo", "now", "done"
    seconds: float = 0.0
    began: float = 0.0


class Steps:
    """The steps of one template. Titles are unique; a step that was not declared is added when it begins."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.part: tuple[float, float] = (0.0, 0.0)  # done and total inside the present step

    def declare(self, titles: Sequence[str | tuple[str, float]]) -> None:
        for title in titles:
            name, weight = (title, 1.0) if isinstance(title, str) else title
            self._find(name).weight = max(float(weight), 0.0)

    def begin(self, title: str) -> None:
        """End the present step, begin this one. Steps before it that never began count as done."""
        now = self._find(title)
        for step in self.steps:
            if step is now:
                break
            self._end(step)
        for step in self.steps:
            if step.state == "now":
                self._end(step)
        now.state, now.began = "now", time.monotonic()
        self.part = (0.0, 0.0)

    def end(self) -> None:
        """Everything is done."""
        for step in self.steps:
            self._end(step)

    @property
    def now(self) -> Step | None:
        return next((step for step in self.steps if step.state == "now"), None)

    def fraction(self, inside: float) -> float:
        """Share of the weighted work done, 0 to 1, when `inside` of the present step is done."""
        if not self.steps:
            return inside
        total = sum(step.weight for step in self.steps) or 1.0
        done = sum(step.weight for step in self.steps if step.state == "done")
        return (done + (self.now.weight * inside if self.now else 0.0)) / total

    def as_list(self) -> list[dict[str, Any]]:
        clock = time.monotonic()
        return [
            {
                "title": step.title,
                "state": step.state,
                "seconds": round(step.seconds + (clock - step.began if step.state == "now" else 0.0), 1),
            }
            for step in self.steps
        ]

    def _find(self, title: str) -> Step:
        for step in self.steps:
            if step.title == title:
                return step
        self.steps.append(Step(title))
        return self.steps[-1]

    @staticmethod
    def _end(step: Step) -> None:
        if step.state == "now":
            step.seconds += time.monotonic() - step.began
        step.state = "done"


def time_left(elapsed: float, fraction: float) -> float | None:
    """Seconds left if the rest goes as fast as what is done; None while too little is known to say."""
    if fraction >= 1.0:
        return 0.0
    if elapsed < 0.5 or fraction < 0.02:
        return None
    return elapsed * (1.0 - fraction) / fraction
