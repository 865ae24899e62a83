"""The list of a run's outputs: Tables, Diagnostics, Datasets, Model and code; what belongs to one fit is folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.declared import Declared
from app.models import Artifact
from templates_engine.outputs import VERDICTS, Output

TABLES, DIAGNOSTICS, DATASETS, CODE = "Tables", "Diagnostics", "Datasets", "Model and code"
FIGURES = "Figures"
GROUPS = {"table": TABLES, "figure": DIAGNOSTICS, "dataset": DATASETS, "draws": DATASETS}
LAST = 1_000  # places of outputs without one


@dataclass(frozen=True)
class Entry:
    """One output in the list."""

    name: str
    shown: str
    artifact: Artifact
    output: Output  # what its template says of it
    own: bool  # not of a run inside this one

    @property
    def pending(self) -> bool:
        return self.artifact.state == "pending"


@dataclass
class Fold:
    """Outputs of one part, folded under its name."""

    title: str
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Group:
    title: str
    entries: list[Entry] = field(default_factory=list)
    folds: dict[str, Fold] = field(default_factory=dict)


def is_twin(name: str) -> bool:
    """The second writing of something: a table's .json, the chains' .npz. Kept for download, not listed."""
    return name.endswith((".json", ".npz"))


def groups(artifacts: Sequence[Artifact], declared: Declared) -> list[Group]:
    """The list, in the order of reading."""
    made = {title: Group(title) for title in (TABLES, DIAGNOSTICS, DATASETS, CODE)}
    for artifact in artifacts:
        said = declared.of(artifact)
        if is_twin(artifact.name) or said.own == VERDICTS:
            continue  # verdicts stand over the results, those of a child over its own
        if not said.output.listed:
            continue
        group = made[GROUPS.get(artifact.kind, CODE)]
        entry = Entry(artifact.name, said.shown.removesuffix(".svg"), artifact, said.output, said.by is declared.run)
        if said.part:
            group.folds.setdefault(said.part, Fold(said.part)).entries.append(entry)
        else:
            group.entries.append(entry)
    if not any(a.kind == "draws" for a in artifacts):
        made[DIAGNOSTICS].title = FIGURES  # pictures of data, not of chains
    for group in made.values():
        group.entries.sort(key=lambda e: e.output.order or LAST)
        if len(group.folds) == 1 and not group.entries:  # one part only: nothing to tell apart
            group.entries = next(iter(group.folds.values())).entries
            group.folds = {}
    return [g for g in made.values() if g.entries or g.folds]


def first_of(listed: Sequence[Group]) -> Entry | None:
    """What the page shows when nothing is chosen: the first table that is ready, else the first output."""
    every = [e for g in listed for e in _entries(g)]
    ready = [e for e in every if not e.pending]
    tables = [e for e in ready if e.artifact.kind == "table"]
    return min(tables, key=_lead, default=next(iter(ready or every), None))


def first_picture(listed: Sequence[Group]) -> Entry | None:
    """The picture that stands under the first table."""
    group = next((g for g in listed if g.title in (DIAGNOSTICS, FIGURES)), None)
    return min(_entries(group), key=_lead) if group else None


def _entries(group: Group) -> list[Entry]:
    return [*group.entries, *(entry for fold in group.folds.values() for entry in fold.entries)]


def _lead(entry: Entry) -> tuple[bool, bool, int, int]:
    """What the page opens with comes first: what its template says so of, the run's own before a child's."""
    output = entry.output
    return not (output.lead or output.order), not entry.own, output.lead or LAST, output.order or LAST
