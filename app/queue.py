"""The queue: a run's number goes to a worker after the database knows the run. Alone in knowing Celery.

By default the broker is a folder of files, so that nothing else needs to be installed; with BROKER_URL it is
Redis. The message holds two numbers (run, attempt) and nothing else; the database holds the truth, so a message
that is lost or delivered twice does no harm.
"""

from __future__ import annotations

import importlib
import logging
import signal
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from app.outages import Outage
from app.settings import settings

if TYPE_CHECKING:
    from celery import Celery

EXECUTE = "statgrove.execute"  # the name of the one task; workers/tasks.py holds it
QUEUES = ("cpu", "gpu")
LEAVE = signal.SIGUSR2  # tells a process that carries out a run to keep its chains and hand the run back
REST = 3.0  # seconds without another try after the broker did not answer
log = logging.getLogger("statgrove.queue")
outage = Outage("the broker")
_again_at = 0.0


def configuration() -> dict[str, Any]:
    """Celery's settings, shared by those who send and those who work."""
    chosen = settings()
    longest = int(chosen.max_hours * 3600)
    common: dict[str, Any] = {
        "broker_url": chosen.broker_url or "filesystem://",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a broker may be away for long; the worker waits
        "task_ignore_result": True,  # the database is the truth about runs
        "task_store_errors_even_if_ignored": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_default_queue": "cpu",
        "task_create_missing_queues": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "task_time_limit": longest + 120,  # the sweep ends a run that is too long; this is the last resort
        "task_publish_retry": False,  # a message that cannot be sent is sent by the sweep later
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "timezone": "UTC",
    }
    if chosen.embedded_broker:
        # All folders on one file system, so that a message is moved by a rename.
        common["broker_transport_options"] = {
            "data_folder_in": str(chosen.folder("broker", "messages")),
            "data_folder_out": str(chosen.folder("broker", "messages")),
            "control_folder": str(chosen.folder("broker", "control")),
            "processed_folder": str(chosen.folder("broker", "processed")),
            "store_processed": True,
            "polling_interval": 0.1,
        }
    else:
        # Redis gives an unacknowledged message to another worker after this time, even while it is worked on.
        common["broker_transport_options"] = {
            "visibility_timeout": longest + 3600,
            "socket_connect_timeout": 3,
            "socket_timeout": 30,
            "retry_on_timeout": True,
        }
    return common


def make(name: str) -> Celery:
    """A Celery application with these settings."""
    from celery import Celery
    from kombu.transport import TRANSPORT_ALIASES

    TRANSPORT_ALIASES["filesystem"] = "app.filebroker:Transport"
    made = Celery(name)
    made.conf.update(configuration())
    return made


@lru_cache(maxsize=1)
def _sender() -> Celery:
    made = make("statgrove.sender")
    # A page must not wait for a broker that is down: the sweep sends the message later.
    made.conf.broker_transport_options = {
        **made.conf.broker_transport_options,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }
    if not settings().embedded_broker:
        made.conf.broker_transport_options |= {"socket_timeout": 3, "retry_on_timeout": False}
    return made


def connection() -> Any:
    """A connection to the broker, of those that wait shortly."""
    return _sender().connection_for_write()


def task_id(run_id: int, attempt: int) -> str:
    """Fixed by the run and attempt, so that anybody can name the task to end it."""
    return f"run-{run_id}-{attempt}"


def send(run_id: int, attempt: int, queue: str) -> bool:
    """Tell the workers that a run is waiting. False where the broker cannot be reached: the sweep sends it later."""
    message = {"args": (run_id, attempt), "queue": queue, "task_id": task_id(run_id, attempt)}
    return _told(lambda: _sender().send_task(EXECUTE, **message))


def kill(run_id: int, attempt: int) -> None:
    """End the process that carries out this attempt. SIGKILL: compiled code does not see gentler signals.

    Where the broker cannot be reached the process goes on: the run's state is settled already, and it writes nothing.
    """
    _told(lambda: _sender().control.revoke(task_id(run_id, attempt), terminate=True, signal="SIGKILL"))


def _told(tell: Callable[[], object]) -> bool:
    """Was it told? After a miss nothing is tried for a moment: nobody is to wait again and again."""
    global _again_at
    if time.monotonic() < _again_at:
        return False
    try:
        tell()
    except Exception as error:  # every transport has exceptions of its own
        outage.missed(error)
        _again_at = time.monotonic() + REST
        return False
    outage.over()
    return True


def run_here(run_id: int, attempt: int) -> None:
    """Carry out the same task in this process and wait for it (command line, Python)."""
    # By name: the web process must be able to start without the workers' numerics.
    importlib.import_module("workers.tasks").execute.apply(args=(run_id, attempt), throw=True)


def forget() -> None:
    """Drop the connection, after a fork or when the settings have changed."""
    global _again_at
    _again_at = 0.0
    _sender.cache_clear()


def clear() -> None:
    """Throw away the embedded broker's files; what is queued is sent again from the database."""
    if settings().embedded_broker:
        for part in ("messages", "processed", "control"):
            purge(part, older=0.0)


def purge(part: str = "processed", older: float = 60.0) -> None:
    """Remove files of the embedded broker that are older than this many seconds (it never does so itself)."""
    if not settings().embedded_broker:
        return
    limit = time.time() - older
    for file in settings().folder("broker", part).iterdir():
        try:
            about = file.stat()
            if max(about.st_mtime, about.st_ctime) <= limit:  # moved by a reader just now: ctime says so
                file.unlink()
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            continue
