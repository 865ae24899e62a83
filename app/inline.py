"""Carry out a run in this process and wait for it: what the command line and Python do.

The same submit, the same Celery task and the same files as in a worker; only the queue is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import datasets, db, folders, place, queue, runs
from app.models import Dataset, Run
from app.settings import settings

LOOK = 0.2  # seconds between looks at the progress


def prepare() -> None:
    """Threads for linear algebra, the data folder and the newest tables. Before anything numeric is imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    place.ready()
    db.upgrade()
    with db.session() as session:
        datasets.install_supplied(session)


def find_dataset(wanted: str | Path, options: Mapping[str, str] | None = None) -> Dataset:
    """A dataset by a file's path, else by its name. Refused where it is neither, or cannot be read.

    options: how a file is to be read (templates_engine.data.readers.Reading.of).
    """
    from templates_engine.data import readers

    reading = readers.Reading.of(options or {})
    path = Path(wanted).expanduser()
    with db.session() as session:
        if isinstance(wanted, Path) or path.is_file() or os.sep in wanted:
            return datasets.register(session, path, reading)
        if datasets.find(session, wanted) is None and path.suffix.lower() in _extensions():
            return datasets.register(session, path)  # says that there is no such file
        return datasets.get(session, wanted)


def carry_out(
    template: str,
    dataset: Dataset,
    answers: Mapping[str, str],
    *,
    origin: str,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Submit and carry out; the run as it ended. Refused before anything is run when an answer is wrong, or when the
    rows forbid it (app.runs.submit, rows).

    tell: see `follow`.
    """
    with db.session() as session:
        run = runs.submit(session, template, dataset, answers, origin=origin, enqueue=False, rows=datasets.open)
    return follow(run, tell)


def longer(run_id: int, more: int | None, *, origin: str, tell: Callable[[dict[str, Any]], None] | None = None) -> Run:
    """Go on from the chains of an earlier run; the new run as it ended. Refused when it cannot be made longer."""
    with db.session() as session:
        run = runs.longer(session, run_id, more, origin=origin, enqueue=False)
    return follow(run, tell)


def follow(run: Run, tell: Callable[[dict[str, Any]], None] | None = None) -> Run:
    """Carry out a run that was submitted for this process; the run as it ended.

    tell: given the progress about five times a second. When interrupted (Ctrl-C) the run is asked to stop, keeps
    what it has drawn, and ends as cancelled; interrupted again, or after the grace time, it is left at once.
    """
    fault: list[BaseException] = []
    over = threading.Event()  # Thread.join believes the thread has ended when it is interrupted (bpo-45274)

    def work() -> None:
        try:
            queue.run_here(run.id, run.attempt)
        except BaseException as error:
            fault.append(error)
        finally:
            over.set()

    # In a thread of its own, so that this one hears Ctrl-C at once also while compiled code runs.
    threading.Thread(target=work, name="run", daemon=True).start()
    stop_by: float | None = None
    while not over.is_set():
        try:
            over.wait(LOOK)
            if tell is not None and stop_by is None:
                now = db.patiently(lambda session, _: runs.get(session, run.id))
                if now is not None and now.progress:
                    tell(now.progress)
        except KeyboardInterrupt:
            if stop_by is not None:
                break
            stop_by = time.monotonic() + settings().cancel_grace
            with db.session() as session:
                runs.cancel(session, run.id)
        if stop_by is not None and time.monotonic() > stop_by:
            break

    def settle(session: Session, _: bool) -> Run | None:
        if not over.is_set():
            runs.stop(session, run.id, run.attempt, "keep")
        return runs.get(session, run.id)

    ended = db.patiently(settle)
    if fault and (ended is None or not ended.ended):
        raise fault[0]
    if ended is None:
        raise RuntimeError(f"run {run.id} is not there any more")
    return ended


def write_out(run: Run, out: Path) -> list[str]:
    """Write every output and manifest.json into `out`; the files' names. Complete or not at all.

    A new folder appears in one step. In one that is there each file is replaced as a whole, the manifest last;
    files that an earlier manifest lists and this one does not are removed.
    """
    with db.session() as session:
        outputs = [one for one in runs.artifacts(session, run) if one.state == "ready"]
    out = out.expanduser().absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        files = list(dict.fromkeys(one.file for one in outputs))
        for one in outputs:
            shutil.copyfile(folders.path(run, one), scratch / one.file)
        (scratch / "manifest.json").write_bytes(folders.manifest(outputs))
        scratch.chmod(0o755)
        if not out.exists():
            os.rename(scratch, out)
            return files
        before = _listed(out / "manifest.json")
        for file in [*files, "manifest.json"]:
            os.replace(scratch / file, out / file)
        for file in before - set(files):
            (out / file).unlink(missing_ok=True)
        return files
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_out(out: Path) -> None:
    """Refused now, and not after an hour's work, where `out` cannot be written."""
    from templates_engine.problems import Problem, Refused

    out = out.expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise Refused(Problem("out", f"{out} is a file; a folder is needed.", key="--out"))
    base = next(p for p in (out, *out.parents) if p.exists())
    if not os.access(base, os.W_OK | os.X_OK):
        raise Refused(Problem("out", f"{base} cannot be written to.", key="--out"))


def _listed(manifest: Path) -> set[str]:
    """The plain file names that a manifest of an earlier run lists."""
    try:
        names = {entry["file"] for entry in json.loads(manifest.read_text(encoding="utf-8"))["artifacts"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if isinstance(name, str) and Path(name).name == name}


def _extensions() -> tuple[str, ...]:
    from templates_engine.data import readers

    return tuple(readers.EXTENSIONS)
