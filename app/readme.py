"""README.txt of a bundle: what was run, what it says of itself, how to repeat it, and what each file is.

No run number and no clock: the same run gives the same words.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.models import Artifact, Run
from templates_engine.outputs import INPUTS, SCRIPT, VERDICTS

FILE = "README.txt"
GROUPS = {
    "table": "Tables",
    "figure": "Pictures",
    "dataset": "Datasets",
    "draws": "Chains of parameters",
}
REST = "Model, methods and code"
FORMATS = """\
.csv   a table with every digit; commas between cells, decimal points, names in the first line, an empty cell where
       there is no value
.json  the same table with its title and notes; beside a picture (.svg.json) the numbers that it shows
.dta   a dataset for Stata 13 and later; R (haven), SPSS and Python read it too
.npz   chains for Python (numpy.load)
.svg   a picture; every browser opens it
"""
STATES = {
    "done": "It was carried out to its end.",
    "cancelled": "It was stopped before its end: what is here had been made by then.",
    "failed": "It failed: what is here had been made by then.",
}


def text(run: Run, artifacts: Sequence[Artifact], folder: Path) -> str:
    """The whole file. artifacts: those in the bundle, in order; folder: where their files are."""
    ready = [a for a in artifacts if a.state == "ready"]
    parts = [
        f"{run.title}\n{'=' * min(len(run.title), 100)}",
        _filled(
            f"{run.template} (version {run.version}) on the dataset {run.dataset_name}, made with StatGrove. "
            f"{STATES.get(run.state, 'It was going on when this bundle was made.')} {run.message}"
        ),
    ]
    if said := _said(run, ready, folder):
        parts.append("What the run says of itself\n\n" + "\n".join(_filled(line, "- ", "  ") for line in said))
    parts.append(_again(run, ready))
    parts.append("What the files are\n\n" + FORMATS.rstrip())
    listed: dict[str, list[str]] = {}
    for one in ready:
        if not one.name.endswith((".json", ".npz")):
            line = f"{one.file}" + (f": {one.title}" if one.title and one.title != one.name else "")
            listed.setdefault(GROUPS.get(one.kind, REST), []).append(_filled(line, "- ", "  "))
    for title in (*GROUPS.values(), REST):
        if title in listed:
            parts.append(f"{title}\n\n" + "\n".join(listed[title]))
    parts.append(_filled("manifest.json lists every file with its SHA-256."))
    return "\n\n".join(parts) + "\n"


def _filled(words: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        " ".join(words.split()), 100, initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _said(run: Run, ready: Sequence[Artifact], folder: Path) -> list[str]:
    """Verdicts and notices, as over the results on the page."""
    found = []
    verdicts = next((a for a in ready if a.name == f"{run.prefix}{VERDICTS}.json"), None)
    if verdicts is not None:
        table: dict[str, Any] = json.loads((folder / verdicts.file).read_text(encoding="utf-8"))
        rows = [dict(zip(table["columns"], row, strict=False)) for row in table["rows"]]
        found = [f"{row.get('word')}. {row.get('sentence')}" for row in rows]
    return found + [str(p.get("message", "")) for p in run.problems or [] if p.get("level") == "notice"]


def _again(run: Run, ready: Sequence[Artifact]) -> str:
    inputs = next((a.file for a in ready if a.name == f"{run.prefix}{INPUTS}"), "")
    script = next((a.file for a in ready if a.name == f"{run.prefix}{SCRIPT}"), "")
    ways = []
    if inputs:
        ways += [
            f"- on a page: choose the dataset and the template, Set inputs, and paste {inputs}",
            f"- in a shell: statgrove run {run.template} --dataset {run.dataset_name} --inputs @{inputs} --out results",
        ]
    if script:
        ways.append(f"- in Python: python {script}")
    about = (
        f"The dataset itself is not in this bundle. The same content under the name {run.dataset_name} gives the same "
        f"numbers, to the last digit, with the same version of the program. Its SHA-256, as StatGrove counts it, is "
        f"{run.dataset_sha256}."
    )
    return "To repeat it\n\n" + "\n".join([*ways, "", _filled(about)] if ways else [_filled(about)])
