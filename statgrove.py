"""Run templates from Python, as the command that the page shows.

from statgrove import RunStatJR

result = RunStatJR(template="2LevelMod", dataset="school.dta", invars={"y": "normexam", "L2ID": "school"},
                   estoptions={"seed": "1"}, out="results")
result.tables["ModelResults"]
longer = result.longer(2000)  # goes on from its chains
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from app.models import Run

__all__ = ["CarriedOver", "Result", "RunFailed", "RunLonger", "RunStatJR"]


class RunFailed(RuntimeError):
    """The run ended as failed; the message says why, `trace` where in the program, `problems` what to change."""

    def __init__(self, message: str, trace: str, problems: list[dict[str, Any]]):
        super().__init__(message)
        self.trace, self.problems = trace, problems


@dataclass(frozen=True)
class Result:
    """A run that has ended."""

    run: int  # its number
    state: str  # "done", or "cancelled" where it was interrupted: then with what was drawn until then
    folder: Path  # where its files are
    tables: dict[str, pandas.DataFrame] = field(repr=False)  # by name
    artifacts: dict[str, Path]  # every output's file, by name
    notices: list[str]

    def longer(self, more: int | None = None, out: str | Path | None = None) -> Result:
        """A new run that goes on from the chains of this one: RunLonger(self, more, out)."""
        return RunLonger(self, more, out)


def RunStatJR(  # noqa: N802 - the name in published scripts
    template: str,
    dataset: str | Path | pandas.DataFrame,
    invars: Mapping[str, Any] | None = None,
    estoptions: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> Result:
    """Run a template and wait for it.

    dataset: a file, a dataset's name, or a pandas DataFrame. invars and estoptions: answers by key (they may be in
    either). out: a folder that the outputs are also written into.
    Raises templates_engine.problems.Refused, with every problem, when the input cannot be used; RunFailed otherwise.
    """
    from app import inline
    from templates_engine import inputs
    from templates_engine.problems import Refused

    inline.prepare()
    if out is not None:
        inline.check_out(Path(out))
    given = inputs.plain({**(invars or {}), **(estoptions or {})})
    if given.problems:
        raise Refused(given.problems)
    row = inline.find_dataset(dataset) if isinstance(dataset, str | Path) else _from_frame(dataset)
    return _result(inline.carry_out(template, row, given.answers, origin="python"), out)


def CarriedOver(  # noqa: N802
    template: str, dataset: str | Path | pandas.DataFrame, invars: Mapping[str, Any], lead: str = "one-pass"
) -> tuple[str, dict[str, str]]:
    """(template, its answers) that mean the same as the complete answers `invars` of another template.

    lead: where to; of 2LevelImpute, NLevelImpute: "one-pass", or "compare" for three answers side by side. The answers
    are for RunStatJR. Raises templates_engine.problems.Refused where they cannot be carried over.
    """
    from app import db, inline, leads
    from templates_engine import inputs, registry
    from templates_engine.problems import Refused

    inline.prepare()
    given = inputs.plain(dict(invars))
    if given.problems:
        raise Refused(given.problems)
    row = inline.find_dataset(dataset) if isinstance(dataset, str | Path) else _from_frame(dataset)
    with db.session() as session:
        to, answers = leads.carry(session, registry.get(template), lead, given.answers, row)
    return to.template, answers


def RunLonger(run: int | Result, more: int | None = None, out: str | Path | None = None) -> Result:  # noqa: N802
    """Make a run longer and wait for it: a new run with the draws that one run of the whole length gives.

    run: a run's number, or its Result. more: how many more iterations of each chain (of 2LevelImpute: imputed
    datasets); None: as many as there are, or, of a run that was stopped, what was asked for. out: as in RunStatJR.
    Raises templates_engine.problems.Refused when the run cannot be made longer, with the reason; RunFailed otherwise.
    """
    from app import inline

    inline.prepare()
    if out is not None:
        inline.check_out(Path(out))
    number = run.run if isinstance(run, Result) else run
    return _result(inline.longer(number, more, origin="python"), out)


def _result(run: Run, out: str | Path | None) -> Result:
    """What a run that has ended gave; RunFailed where it failed."""
    if run.state == "failed":
        raise RunFailed(run.message, run.trace, run.problems)
    from app import db, inline, runs

    with db.session() as session:
        outputs = [one for one in runs.artifacts(session, run) if one.state == "ready"]
    folder = runs.folder(run)
    if out is not None:
        folder = Path(out).absolute()
        inline.write_out(run, folder)
    files = {one.name: folder / one.file for one in outputs}
    tables = {
        one.name: _frame(files[f"{_stem(one.name)}.json"])
        for one in outputs
        if one.kind == "table" and not one.name.endswith(".json") and f"{_stem(one.name)}.json" in files
    }
    notices = [p["message"] for p in run.problems if p.get("level") == "notice"]
    return Result(run.id, run.state, folder, tables, files, notices)


def _stem(name: str) -> str:
    return name[:-4] if name.lower().endswith(".csv") else name


def _frame(file: Path) -> pandas.DataFrame:
    import pandas

    content = json.loads(file.read_text(encoding="utf-8"))
    return pandas.DataFrame(content["rows"], columns=content["columns"])


def _from_frame(frame: pandas.DataFrame) -> Any:
    """Keep a DataFrame as a dataset named "frame" and return its row."""
    from app import datasets, db
    from templates_engine.data import readers

    known = readers.Reading(
        delimiter=",", decimal=".", first=1, names=1
    )  # nothing is to be guessed of numbers that are numbers
    with db.session() as session:
        return datasets.add(
            session, readers.read_text(frame.to_csv(index=False), "frame", "The data frame", known), "upload"
        )
