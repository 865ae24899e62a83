"""The worker of `statgrove serve` and `statgrove worker`: a Celery process that is watched over.

It is started again when it has ended by itself, and replaced when it is there and takes nothing, as happens to a
process that is frozen or has lost its broker without noticing.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sqlalchemy.orm import Session

from app import db, messages, queue, runs

LET_GO = 5.0  # seconds that runs have to keep their chains when the server is stopped
LOOK = 2.0  # seconds between looks whether it takes what waits
TAKES_NOTHING = 30.0  # seconds after which one that takes nothing is replaced
ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger("statgrove.serve")


class Worker:
    """A Celery worker in a process group of its own, started again should it end by itself.

    Start it from a thread that lasts: the kernel ends it with the thread that has started it.
    """

    def __init__(self, concurrency: int, queues: str = ",".join(queue.QUEUES)):
        # Celery warns of running as root because of pickled messages; ours are JSON and hold two numbers.
        command = [sys.executable, "-P", "-W", "ignore:You're running the worker", "-m", "celery", "--quiet"]
        command += ["--app", "workers.celery_app", "worker", "--pool", "prefork", "--concurrency", str(concurrency)]
        command += ["--queues", queues, "--loglevel", "WARNING", "--hostname", f"statgrove-{os.getpid()}@%h"]
        self._command = [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._concurrency, self._queues = concurrency, queues.split(",")
        self._lock = threading.Lock()
        self._stopped = False
        self._looked, self._idle_since = 0.0, 0.0
        self._working: frozenset[tuple[int, int]] = frozenset()
        self._pause, self._began = 1.0, 0.0
        self._start()

    def _start(self) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**os.environ, **one_thread, "STATGROVE_PARENT": str(os.getpid())}
        self._began, self._ready = time.monotonic(), False
        self._told, tell = os.pipe()  # the worker writes a byte when it is ready (workers.celery_app)
        os.set_blocking(self._told, False)
        environment["STATGROVE_READY"] = str(tell)
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(tell,),
        )
        os.close(tell)

    def check(self) -> None:
        """Start it again if it has ended, more slowly each time that it does not last."""
        with self._lock:
            if self._stopped or self._process.poll() is None:
                return
            lasted = time.monotonic() - self._began
            if lasted < self._pause:
                return
            self._pause = 1.0 if lasted > 60 else min(60.0, 2 * self._pause)
            log.error("the worker has ended by itself (exit code %s); it is started again", self._process.returncode)
            self._kill()
            self._start()

    def watch(self, session: Session) -> None:
        """Replace it where it takes nothing though a message waits and it has a process free."""
        moment = time.monotonic()
        if moment - self._looked < LOOK or not self._is_ready():
            return
        self._looked = moment
        found = messages.standing()
        waiting = {message.task for message in found or () if message.queue in self._queues}
        if not waiting or not self._free(session, waiting):
            self._idle_since = 0.0
            return
        self._idle_since = self._idle_since or moment
        if moment - self._idle_since <= TAKES_NOTHING:
            return
        log.error("the worker is there and takes nothing; it is replaced, and its runs go on from their checkpoints")
        self._idle_since = 0.0
        with self._lock:
            if not self._stopped:
                self._release(self._end())
                self._start()

    def _is_ready(self) -> bool:
        if not self._ready:
            try:
                self._ready = bool(os.read(self._told, 1))
            except BlockingIOError:
                return False
        return self._ready

    def _free(self, session: Session, waiting: Collection[str]) -> bool:
        """Has it a process free for one of the messages, and has it taken nothing since the last look?"""
        queued = {queue.task_id(run.id, run.attempt) for run in runs.waiting(session)}
        going = [run for run in runs.going_on(session) if _group(runs.process_of(run.worker)) == self._process.pid]
        before, self._working = self._working, frozenset((run.id, run.attempt) for run in going)
        return bool(queued & set(waiting)) and len(going) < self._concurrency and self._working <= before

    def stop(self) -> None:
        """Let its children keep their chains, end them, and put their runs back into the queue.

        One that does not hand its run back in time is ended all the same, because compiled code hears no gentler
        signal; then the run goes on from its last checkpoint.
        """
        with self._lock:
            self._stopped = True
            self._release(self._end())

    def _end(self) -> set[int]:
        """Let its children keep their chains, and end it; the runs that it had."""
        given = set()
        try:
            given = self._let_go()
        except Exception as error:
            _not_written("runs that go on could not be asked to keep their chains", error)
        self._kill()
        return given

    def _release(self, given: set[int]) -> None:
        time.sleep(0.05)  # the children's end must have been noticed by the system
        try:
            with db.session() as session:
                for run_id in runs.release(session):
                    log.warning("run %s goes back into the queue", run_id)
                    given.add(run_id)
                runs.resend(session, given)  # now that this worker takes nothing any more
        except Exception as error:
            _not_written("runs could not be put back into the queue; the next start finds them", error)

    def _let_go(self) -> set[int]:
        """Ask the children that carry out runs to hand them back, and wait until they have; the runs asked for."""
        asked: set[int] = set()
        given: set[int] = set()
        until = time.monotonic() + LET_GO
        while time.monotonic() < until:
            with db.session() as session:
                there = {run.id: runs.process_of(run.worker) for run in runs.going_on(session)}
            mine = {number: pid for number, pid in there.items() if _group(pid) == self._process.pid}
            ours, given = set(mine.values()), given | set(mine)
            for pid in ours - asked:
                with suppress(ProcessLookupError):
                    os.kill(pid, queue.LEAVE)
            asked |= ours
            if not ours:
                return given
            time.sleep(0.05)
        log.warning("%s runs were not handed back within %s s", len(asked), LET_GO)
        return given

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._told >= 0:
            os.close(self._told)
            self._told = -1


def _group(pid: int) -> int:
    """The process group of a process, 0 where there is none any more."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _not_written(what: str, error: Exception) -> None:
    if db.away(error):
        db.outage.missed(error.__cause__ or error)
    else:
        log.error("%s", what, exc_info=error)
