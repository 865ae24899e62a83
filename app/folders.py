"""Where a run's files are, and the bundle made of them.

Each attempt writes into a folder of its own, so that a worker that was given up for dead, and was not, cannot
disturb the attempt that followed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app import readme
from app.models import Artifact, Run
from app.settings import settings


def folder(run: Run, attempt: int | None = None) -> Path:
    """The folder of a run's files; made if it is not there. A child's outputs are in its parent's folder."""
    number = run.parent_id or run.id
    return settings().folder("runs", str(number), str(run.attempt if attempt is None else attempt))


def path(run: Run, artifact: Artifact) -> Path:
    """The file of an artifact, which may not be drawn yet. Never outside the run's folder."""
    base = folder(run).resolve()
    found = (base / artifact.file).resolve()
    if not found.is_relative_to(base):
        raise ValueError(f"artifact {artifact.id} has a file outside its run")
    return found


def state(run: Run) -> Path:
    """Where the chains of a run stand, if it kept any: then there is such a file, and a later run can go on from it."""
    from templates_engine.running import STATE

    return settings().folder("runs") / str(run.id) / str(run.attempt) / STATE


def checkpoints(run: Run) -> Path:
    """Where every attempt of a run keeps its chains' checkpoints; removed when the run has ended."""
    return settings().folder("runs") / str(run.parent_id or run.id) / "checkpoints"


def checkpointed(run: Run) -> float:
    """When the last checkpoint was written (seconds since 1970); 0 where there is none."""
    found = 0.0
    with suppress(FileNotFoundError):
        for file in checkpoints(run).glob("*[tz]"):
            with suppress(FileNotFoundError):  # replaced in this moment
                found = max(found, file.stat().st_mtime)
    return found


def drop(run: Run, *, keep: int | None = None) -> None:
    """Remove the files of a run; with `keep`, of its other attempts only."""
    whole = settings().folder("runs", str(run.id))
    for one in whole.iterdir():
        if keep is None or one.name != str(keep):
            shutil.rmtree(one, ignore_errors=True)


def manifest(artifacts: Sequence[Artifact]) -> bytes:
    """manifest.json as text: what is ready, in order."""
    keys = ("name", "file", "kind", "title", "sha256")
    listed = [{key: getattr(a, key) for key in keys} for a in artifacts if a.state == "ready"]
    return (json.dumps({"artifacts": listed}, ensure_ascii=False, indent=1) + "\n").encode()


def bundle_name(run: Run) -> str:
    """Name of the bundle without its extension, safe in every file system and header."""
    safe = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in f"{run.template}_{run.dataset_name}"
    )
    return f"statgrove_run{run.id}_{safe[:80]}"


def bundle(run: Run, artifacts: Sequence[Artifact]) -> Path:
    """The zip of a run's artifacts, README.txt and manifest; kept once the run has ended, made anew before."""
    base = folder(run)
    target = base / f".bundle-{run.id}.zip"
    if run.ended and target.exists():
        return target
    inside = bundle_name(run)
    scratch = base / f".bundle-{run.id}-{secrets.token_hex(4)}"
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as pack:
            if not any(one.file.casefold() == readme.FILE.casefold() for one in artifacts):
                _put(pack, f"{inside}/{readme.FILE}", readme.text(run, artifacts, base).encode())
            _put(pack, f"{inside}/manifest.json", manifest(artifacts))
            done = set()
            for one in artifacts:
                if one.state == "ready" and one.file not in done:
                    done.add(one.file)
                    _put(pack, f"{inside}/{one.file}", path(run, one).read_bytes())
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


def _put(pack: zipfile.ZipFile, name: str, content: bytes) -> None:
    about = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # the same files give the same bytes
    about.compress_type = zipfile.ZIP_DEFLATED
    about.external_attr = 0o644 << 16
    pack.writestr(about, content)
