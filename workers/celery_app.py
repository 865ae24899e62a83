"""The worker's Celery application.

    celery --app workers.celery_app worker          (what `statgrove worker` starts)

Everything slow is imported and compiled once, in the parent, before it forks: a child that takes over after a
crash is ready at once. Nothing that breaks on forking is used there: kernels run on one thread, no torch.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import Any

from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready

from app import db, logs, queue

app = queue.make("statgrove")
app.conf.imports = ("workers.tasks",)


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when its parent ends, however that happens (Linux; elsewhere nothing)."""
    if not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, int(how), 0, 0, 0)


@setup_logging.connect
def _logging(**_: Any) -> None:
    logs.begin()
    logging.getLogger("statgrove").setLevel(logging.INFO)
    # A child that is ended on purpose, or lost, is no error of Celery's: the sweep settles its run and says so.
    for name in ("celery.worker.request", "celery.worker.control", "celery.concurrency.asynpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("multiprocessing").setLevel(logging.CRITICAL)
    # Celery tells of every try to reach a broker that is away, and with a trace that it was lost.
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_broker_away)


def _broker_away(record: logging.LogRecord) -> bool:
    """One line for an outage of the broker in place of Celery's."""
    said = record.getMessage()
    if record.levelno < logging.WARNING or "onnect" not in said:
        return True
    queue.outage.missed(said.split("Trying again")[0].strip())
    return False


@worker_init.connect
def _parent(**_: Any) -> None:
    from workers.preload import preload

    _logging()  # Celery sets logging up after this
    parent = os.environ.pop("STATGROVE_PARENT", "")
    if parent:  # started by `serve` or `worker`: end with it
        die_with_parent()
        if str(os.getppid()) != parent:
            raise SystemExit("the process that started this worker is gone")
    preload()


@worker_process_init.connect
def _child(**_: Any) -> None:
    die_with_parent()
    db.forget()  # connections must not be shared over a fork
    queue.forget()


@worker_ready.connect
def _ready(**_: Any) -> None:
    """Tell the process that has started this worker that it takes messages from now on."""
    if told := os.environ.pop("STATGROVE_READY", ""):
        os.write(int(told), b"r")
        os.close(int(told))
