"""Templates that other templates run: one call, or several side by side, as parts of one run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from templates_engine import registry
from templates_engine.asking import walk
from templates_engine.outputs import Result
from templates_engine.problems import Refused
from templates_engine.sampling import side_by_side

if TYPE_CHECKING:
    from templates_engine.asking import Walk
    from templates_engine.data import Dataset
    from templates_engine.problems import Problem
    from templates_engine.running.store import Store
    from templates_engine.template import Template


@dataclass(frozen=True)
class Call:
    """One run of another template, for Job.calls."""

    template: str
    answers: Mapping[str, str]
    data: Dataset
    prefix: str
    silent_figures: bool = False


class Caller(Protocol):
    """What is needed of the job whose template calls."""

    workers: int
    order: int | None

    @property
    def store(self) -> Store: ...
    @property
    def stopped(self) -> bool: ...
    @property
    def others(self) -> Mapping[str, Dataset]: ...
    def note(self, problem: Problem) -> None: ...
    def advance(self, done: float, total: float) -> None: ...
    def child(
        self, call: Call, template: Template, walked: Walk, data: Dataset, workers: int, order: int | None
    ) -> AbstractContextManager[Any]: ...


def several(job: Caller, requests: Sequence[Call]) -> list[Result]:
    """The calls side by side; results and outputs stand in the order of the requests, whichever ends first."""
    finished, lock = [0], threading.Lock()
    workers = max(1, job.workers // max(1, len(requests)))
    places = [job.store.place() if job.order is None else job.order for _ in requests]
    failed = threading.Event()  # after one error the others need not begin

    def task(k: int) -> Callable[[], Result]:
        def run() -> Result:
            result = Result() if failed.is_set() else one(job, requests[k], workers, places[k])
            with lock:
                finished[0] += 1
                job.advance(finished[0], len(requests))
            return result

        return run

    job.advance(0, len(requests))
    return side_by_side([task(k) for k in range(len(requests))], job.workers, failed.set)


def one(job: Caller, call: Call, workers: int, order: int | None) -> Result:
    """One call, on so many threads; order: where its outputs stand."""
    if job.stopped:
        return Result()
    template = registry.get(call.template)
    data = template.rows(call.data)
    schema = data.schema()
    others = {name: data.schema() for name, data in job.others.items()}
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
        job.note(replace(notice, message=f"{part or call.template}: {notice.message}"))
    with job.child(call, template, walked, data, workers, order) as child:
        return replace(template.run(spec, data, child), datasets=child.made)
