"""What the tests of the run service share: the trial template, runs, waiting, processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import model_templates
from app import datasets, db, queue, runs
from app.models import Dataset, Run, now
from app.settings import settings
from templates_engine import registry

TEMPLATES = Path(__file__).parent / "templates"
ROOT = Path(__file__).parents[2]
STARTED: list[subprocess.Popen[bytes]] = []
LONGEST = 600.0  # seconds that anything is waited for: only a hang takes so long
CSV = "school,y,x\n" + "".join(f"{i % 5},{i * 0.37 - 3:.3f},{i % 2}\n" for i in range(60))


def absent(what: str) -> None:
    """Fail under CI, skip at a desk."""
    message = f"{what} is not there"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def forget() -> None:
    """Read the settings anew, with new connections."""
    if db._engine.cache_info().currsize:
        db.engine().dispose()
    db._engine.cache_clear()
    queue.forget()
    settings.cache_clear()


def school() -> Dataset:
    """The trial data as a dataset of this database."""
    with db.session() as session:
        return datasets.upload(session, "school.csv", io.BytesIO(CSV.encode()))


def ask_for(enqueue: bool = True, **answers: object) -> Run:
    """A trial run, submitted."""
    with db.session() as session:
        given = {"y": "y", **{key: str(value) for key, value in answers.items()}}
        return runs.submit(session, "Trial", school(), given, origin="test", enqueue=enqueue)


def look(run_id: int) -> Run:
    with db.session() as session:
        found = runs.get(session, run_id)
    assert found is not None
    return found


def wait_for(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until the condition is true; its value."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {LONGEST} s: {what or condition}")


def until(run_id: int, *states: str) -> Run:
    """Wait until the run is in one of these states; AssertionError where it has ended in another."""

    def there() -> Run | None:
        run = look(run_id)
        return run if run.state in states or run.ended else None

    run: Run = wait_for(there, f"run {run_id} to be {' or '.join(states)}")
    assert run.state in states, f"run {run_id} is {run.state}: {run.message}"
    return run


def start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The command statgrove as a process of its own, its output in one pipe."""
    command = [sys.executable, "-W", "error::SyntaxWarning", "-m", "app.cli", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )  # fmt: skip
    STARTED.append(process)
    return process


def end_all(since: int = 0) -> None:
    """End the processes that tests have started and not ended, as a test that fails does not."""
    while len(STARTED) > since:
        process = STARTED.pop()
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.stdout is not None:
            process.stdout.close()


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> str:
    """End a process; what it printed."""
    process.send_signal(how)
    try:
        return process.communicate(timeout=LONGEST)[0].decode()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


def quick(patch: pytest.MonkeyPatch) -> None:
    """Frequent looks, for this process and those it starts, and long patience: what a test is not about must not come
    in between because the machine is slow. Where a time is to be over, `past` makes it so."""
    chosen = {
        "HEARTBEAT": "0.1",
        "LEASE": "3600",
        "SWEEP_EVERY": "0.2",
        "RESEND_AFTER": "3600",
        "CANCEL_GRACE": "3600",
        "WARM": "no",
    }
    for name, value in chosen.items():
        patch.setenv(f"STATGROVE_{name}", value)


@contextmanager
def trial_template(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The trial template is there, in this process and those it starts; settings and connections are new."""
    patch.setenv("STATGROVE_TEMPLATES", str(TEMPLATES))
    patch.setattr(model_templates, "__path__", [*model_templates.__path__, str(TEMPLATES)])
    registry.forget()
    forget()
    try:
        yield
    finally:
        forget()
        registry.forget()


def ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until the worker that this process has started has carried out a run."""
    run = ask_for()
    wait_for(lambda: look(run.id).ended or process.poll() is not None, "the worker did not get ready")
    assert look(run.id).state == "done", look(run.id).message


def at_work(run_id: int) -> int:
    """Wait until the run is running; the process that carries it out."""
    return int(until(run_id, "running").worker.rpartition("#")[2])


def let_go(seed: int) -> None:
    """Runs with this seed that were asked for with how="held" go on, those to come as well."""
    settings().folder(f"go-{seed}")


def past(run_id: int, moment: str) -> None:
    """Put this moment of a run (`sent`, `cancel_asked`) back by two hours, so that what waits for it need not."""
    with db.session() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**{moment: now() - timedelta(hours=2)}))
        session.commit()
