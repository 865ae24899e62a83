"""Runs every example of every template and prints a digest of each of its tables, datasets and texts.

    python tests/digests.py [--only NAME,NAME] [--cases FOLDER] [--one-core] > digests.json

Two outputs are compared to see whether a change leaves all numbers alone: before and after it, with one thread and
with two, in two processes. On one machine only: linear algebra differs between processors, so none is kept in the
repository (test_same_numbers compares two runs of today). --cases adds the inputs in FOLDER/*/inputs.txt (first line
the template, then the input string; the data beside it). What is refused is kept as the refusal's words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {
    "manifest.json",
    "README.txt",
    "script.py",
    "log.txt",
}  # they hold times, numbers of runs and names of files
KINDS = {".csv", ".json", ".txt", ".tex", ".dta", ".npz", ".md"}


def digests_of(template: str, dataset: str | Path, answers: dict[str, str]) -> dict[str, str]:
    """Digest of each file of a run by name; or the refusal."""
    from statgrove import RunFailed, RunStatJR
    from templates_engine.problems import Refused

    try:
        result = RunStatJR(template=template, dataset=dataset, invars=answers)
    except Refused as refused:
        return {"refused": " ".join(p.message for p in refused.problems)}
    except RunFailed as failed:
        return {"failed": str(failed)}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for name, file in sorted(result.artifacts.items())
        if file.suffix in KINDS and file.name not in LEFT_OUT
    }


def jobs(cases: Path | None) -> list[tuple[str, str, str | Path, str]]:
    """(name, template, dataset, input string) of all examples and cases."""
    from templates_engine import registry

    found: list[tuple[str, str, str | Path, str]] = []
    for template in registry.all().values():
        for example in template.examples:
            found.append((f"{template.name}/{example.name}", template.name, example.dataset, example.inputs))
    for folder in sorted(cases.iterdir()) if cases else ():
        if (folder / "inputs.txt").is_file():
            template_name, _, text = (folder / "inputs.txt").read_text(encoding="utf-8").partition("\n")
            data = [f for f in sorted(folder.iterdir()) if f.suffix in {".csv", ".txt", ".xlsx", ".dta", ".sav"}]
            data = [f for f in data if f.name not in ("inputs.txt", "right.txt")]
            if data:
                found.append((f"cases/{folder.name}", template_name.strip(), data[0], text))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--one-core", action="store_true", help="one processor, so one thread for all chains")
    given = parser.parse_args()
    cases = given.cases.resolve() if given.cases else None
    if given.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ["STATGROVE_DATA"] = tempfile.mkdtemp(prefix="digests-")
    os.chdir(os.environ["STATGROVE_DATA"])
    sys.path.insert(0, str(ROOT))
    from templates_engine import inputs

    out: dict[str, Any] = {}
    for name, template, dataset, text in jobs(cases):
        if any(part in name for part in given.only.split(",")):
            answers = inputs.read(text).answers
            out[name] = digests_of(template, dataset, answers)
            print(name, len(out[name]), file=sys.stderr, flush=True)
    json.dump(out, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
