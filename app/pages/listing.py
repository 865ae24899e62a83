"""The list of a run's outputs: Tables, Diagnostics, Datasets, Model and code; what belongs to one fit is folded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.models import Artifact, Run

TABLES, DIAGNOSTICS, DATASETS, CODE = "Tables", "Diagnostics", "Datasets", "Model and code"
FIGURES = "Figures"
GROUPS = {"table": TABLES, "figure": DIAGNOSTICS, "dataset": DATASETS, "draws": DATASETS}
POOLED, COMPLETE, VERDICTS = "ResultsTable:Imputation", "ResultsTable:CompleteCases", "Verdicts"
RANKED = "the worst first"  # of the title of a table that ranks many units: its head is what a reader looks for
FIRST = (POOLED, COMPLETE, "CombinedResults", "ModelResults", "Coefficients", "ModelParameters", "ModelFit")


@dataclass(frozen=True)
class Entry:
    """One output in the list."""

    name: str
    shown: str
    artifact: Artifact

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


def part_of(artifact: Artifact, children: Sequence[Run], prefix: str = "") -> tuple[str, str]:
    """(the part of the run that an output belongs to, its name there); part "" is the run itself."""
    name = artifact.name.removeprefix(prefix)
    if re.match(r"Model\d+_", name):
        return "Single fits", name.removeprefix("Model").replace("_", ": ", 1)
    if artifact.kind == "dataset" and (found := re.match(r"impute_(datafile|L2Data)_+(chain\d+)_(iter\d+)", name)):
        return ("Completed, level 2" if found[1] == "L2Data" else "Completed datasets"), f"{found[2]} {found[3]}"
    for child in children:
        own = child.prefix.removeprefix(prefix)
        if own and name.startswith(own):
            return _title(own), name.removeprefix(own)
    if name.startswith("Imputation_Model_"):
        return "Imputation model", name.removeprefix("Imputation_Model_")
    if artifact.kind == "figure" and ": " in artifact.title:
        stem = artifact.title.partition(": ")[0]
        if name.startswith("CombinedResults_"):
            return "Combined results", name.removeprefix("CombinedResults_")
        return stem, name
    return "", name


def _title(prefix: str) -> str:
    if prefix == "CompleteCasesModel_":
        return "Complete cases"
    return prefix.strip("_").replace("_", " ")


def groups(artifacts: Sequence[Artifact], children: Sequence[Run], prefix: str = "") -> list[Group]:
    """The list, in the order of reading."""
    made = {title: Group(title) for title in (TABLES, DIAGNOSTICS, DATASETS, CODE)}
    names = {a.name for a in artifacts}
    for artifact in artifacts:
        if is_twin(artifact.name) or artifact.name.endswith(VERDICTS):
            continue  # verdicts stand over the results, those of a child over its own
        imputed = artifact.kind == "dataset" and artifact.name.startswith("Imputation_Model_")
        if imputed and artifact.name.removeprefix("Imputation_Model_") in names:
            continue  # the same rows under their other published name
        group = made[GROUPS.get(artifact.kind, CODE)]
        part, shown = part_of(artifact, children, prefix)
        shown = shown.removesuffix(".svg")
        entry = Entry(artifact.name, shown, artifact)
        if part:
            group.folds.setdefault(part, Fold(part)).entries.append(entry)
        else:
            group.entries.append(entry)
    if not any(a.kind == "draws" for a in artifacts):
        made[DIAGNOSTICS].title = FIGURES  # pictures of data, not of chains
    for group in made.values():
        group.entries.sort(key=lambda e: FIRST.index(e.shown) if e.shown in FIRST else len(FIRST))
        if len(group.folds) == 1 and not group.entries:  # one part only: nothing to tell apart
            group.entries = next(iter(group.folds.values())).entries
            group.folds = {}
    return [g for g in made.values() if g.entries or g.folds]


def first_of(listed: Sequence[Group]) -> Entry | None:
    """What the page shows when nothing is chosen: the first table that is ready, else the first output."""
    every = [e for g in listed for e in (*g.entries, *(x for f in g.folds.values() for x in f.entries))]
    ready = [e for e in every if not e.pending]
    tables = [e for e in ready if e.artifact.kind == "table"]
    if found := next((e for e in tables if RANKED in e.artifact.title), None):
        return found
    for name in FIRST:
        if found := next((e for e in tables if e.shown == name), None):
            return found
    return next(iter(tables or ready or every), None)


def first_picture(listed: Sequence[Group]) -> Entry | None:
    """The diagnostics that stand under the first table: those of the combined fits, else the first."""
    group = next((g for g in listed if g.title in (DIAGNOSTICS, FIGURES)), None)
    if group is None:
        return None
    every = [*group.entries, *(x for f in group.folds.values() for x in f.entries)]
    combined = [e for e in every if e.name.startswith("CombinedResults_")]
    slopes = [e for e in combined or every if re.search(r"beta_1\.svg$", e.name)]
    return next(iter(slopes or combined or every), None)
