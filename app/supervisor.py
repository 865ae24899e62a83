"""`statgrove serve` and `statgrove worker`: start what is needed, watch over it, end all of it together.

    serve    database, supplied datasets, a worker (child process), the sweep (thread), the pages (this thread)
    worker   a worker (child process) and the sweep

Whatever ends the parent ends the child: the child asks the kernel for a signal at its parent's death.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from app import db, queue, runs
from app.settings import settings

LET_GO = 5.0  # seconds that runs have to keep their chains when the server is stopped
ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger("statgrove.serve")


def serve(*, open_browser: bool = True, with_worker: bool = True) -> int:
    """Serve the pages until interrupted."""
    began = time.monotonic()
    lock = _only_one()
    if lock is None:
        address = (settings().folder() / "serve.lock").read_text(encoding="utf-8").strip()
        print(f"StatGrove is running already: {address or 'it is just starting'}")
        if open_browser and address:
            _open(address)
        return 0
    with _stopped_by_signals() as stop, lock:
        listening = _listen(settings().host, settings().port)
        address = _address(listening)
        worker: Worker | None = None
        try:
            db.upgrade()
            if settings().embedded_broker:
                queue.clear()
            if with_worker:
                worker = Worker(settings().workers)
            lock.truncate(0)
            lock.write(address)
            lock.flush()
            with db.session() as session:
                runs.sweep(session)
                if settings().embedded_broker:
                    runs.resend(session)
            sweeper = threading.Thread(target=_sweep_until, args=(stop, worker), name="sweep", daemon=True)
            sweeper.start()
            _serve_pages(listening, stop, address, open_browser, began)
        finally:
            stop.set()
            listening.close()
            if worker is not None:
                worker.stop()
    return 0


def work(concurrency: int, queues: str) -> int:
    """A worker until interrupted. A run that goes on then is put back into the queue."""
    db.upgrade()
    with _stopped_by_signals() as stop:
        worker = Worker(concurrency, queues)
        try:
            _sweep_until(stop, worker)
        finally:
            worker.stop()
    return 0


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
        self._lock = threading.Lock()
        self._stopped = False
        self._pause, self._began = 1.0, 0.0
        self._start()

    def _start(self) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**os.environ, **one_thread, "STATGROVE_PARENT": str(os.getpid())}
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )

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

    def stop(self) -> None:
        """Let its children keep their chains, end them, and put their runs back into the queue.

        One that does not hand its run back in time is ended all the same, because compiled code hears no gentler
        signal; then the run goes on from its last checkpoint.
        """
        with self._lock:
            self._stopped = True
            given = set()
            try:
                given = self._let_go()
            except Exception:
                log.exception("runs that go on could not be asked to keep their chains")
            self._kill()
        time.sleep(0.05)  # the children's end must have been noticed by the system
        try:
            with db.session() as session:
                for run_id in runs.release(session):
                    log.warning("run %s goes back into the queue", run_id)
                    given.add(run_id)
                runs.resend(session, given)  # now that this worker takes nothing any more
        except Exception:
            log.exception("runs could not be put back into the queue; the next start finds them")

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


def _group(pid: int) -> int:
    """The process group of a process, 0 where there is none any more."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _sweep_until(stop: threading.Event, worker: Worker | None) -> None:
    """Look for lost runs, and after the worker, until stopped."""
    purged, looked = 0.0, time.time()
    while not stop.wait(settings().sweep_every):
        before, looked = looked, time.time()
        if looked - before > settings().sweep_every + settings().lease / 2:
            continue  # the machine was asleep: let the runs give a sign of life before they are thought lost
        try:
            with db.session() as session:
                for line in runs.sweep(session):
                    log.warning("%s", line)
            if time.monotonic() - purged > 30:
                purged = time.monotonic()
                queue.purge()
        except Exception:
            log.exception("the sweep failed; it is tried again")
        if worker is not None:
            worker.check()


def _serve_pages(
    listening: socket.socket, stop: threading.Event, address: str, open_browser: bool, began: float
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:  # our own handlers stay: they end the worker too
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.should_exit:
                return
            print(
                f"StatGrove is at {address}  (ready in {time.monotonic() - began:.1f} s; Ctrl-C stops it)", flush=True
            )
            if open_browser:
                threading.Thread(target=_open, args=(address,), daemon=True).start()

    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = Server(config)

    def watch() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=watch, name="stop", daemon=True).start()
    server.run(sockets=[listening])


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _only_one() -> IO[str] | None:
    """The lock of the data folder, or None where another server has it."""
    lock = (settings().folder() / "serve.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    lock.truncate(0)
    return lock


def _listen(host: str, port: int) -> socket.socket:
    """A socket on this port, or on the next free one of the twenty after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, port + 20) if port else (0,):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, candidate))
            one.listen(128)
            return one
        except OSError as error:
            one.close()
            last = error
    raise SystemExit(f"No port from {port} to {port + 19} is free on {host} ({last}).")


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _open(address: str) -> None:
    """Open the browser where there is a screen to show it on."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    with suppress(webbrowser.Error):
        webbrowser.open(address)
