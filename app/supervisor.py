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
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Any

from sqlalchemy import text

from app import db, keys, listen, messages, place, queue, runs
from app.settings import settings
from app.worker_process import Worker

SETTLE = 15.0  # seconds after an outage in which runs may give a sign of life before they are thought lost
log = logging.getLogger("statgrove.serve")


def serve(*, open_browser: bool = True, with_worker: bool = True) -> int:
    """Serve the pages until interrupted."""
    began = time.monotonic()
    place.ready()
    lock = _only_one()
    if lock is None:
        addresses = running()
        print(f"StatGrove is running already: {', '.join(addresses) or 'it is just starting'}")
        if open_browser and addresses:
            _open(addresses[0])
        return 0
    place.tidy()
    keys.token()
    with _stopped_by_signals() as stop, lock:
        listening = listen.listen(settings().host, settings().port)
        addresses = listen.addresses(listening)
        os.environ["STATGROVE_ALLOWED_HOSTS"] = ",".join((*settings().hosts, *listen.names(addresses)))
        settings.cache_clear()
        worker: Worker | None = None
        try:
            db.upgrade()
            db.hurry()
            if settings().embedded_broker:
                queue.clear()
            if with_worker:
                worker = Worker(settings().workers)
            lock.truncate(0)
            lock.write(" ".join(addresses))
            lock.flush()
            with db.session() as session:
                runs.sweep(session)
                if settings().embedded_broker:
                    runs.resend(session)
            sweeper = threading.Thread(target=_sweep_until, args=(stop, worker), name="sweep", daemon=True)
            sweeper.start()
            _serve_pages(listening, stop, addresses, open_browser, began)
        finally:
            stop.set()
            listening.close()
            if worker is not None:
                worker.stop()
    return 0


def work(concurrency: int, queues: str) -> int:
    """A worker until interrupted. A run that goes on then is put back into the queue."""
    place.ready()
    db.upgrade()
    with _stopped_by_signals() as stop:
        worker = Worker(concurrency, queues)
        try:
            _sweep_until(stop, worker)
        finally:
            worker.stop()
    return 0


def _sweep_until(stop: threading.Event, worker: Worker | None) -> None:
    """Look for lost runs, and after the worker, until stopped."""
    purged, looked, settled = 0.0, time.time(), 0.0
    while not stop.wait(settings().sweep_every):
        before, looked = looked, time.time()
        if looked - before > settings().sweep_every + settings().lease / 2:
            continue  # the machine was asleep: let the runs give a sign of life before they are thought lost
        try:
            with db.session() as session:
                session.execute(text("SELECT 1"))
                if time.monotonic() >= settled:  # the same after an outage of the database
                    for line in runs.sweep(session):
                        log.warning("%s", line)
                    if worker is not None:
                        worker.watch(session)
                if time.monotonic() - purged > 30:
                    purged = time.monotonic()
                    queue.purge()
                    messages.tidy(session)
            db.outage.over()
        except Exception as error:
            if db.away(error):
                db.outage.missed(error.__cause__ or error)
                settled = time.monotonic() + min(SETTLE, settings().lease / 2)
            else:
                log.exception("the sweep failed; it is tried again")
        if worker is not None:
            worker.check()


def _serve_pages(
    listening: socket.socket, stop: threading.Event, addresses: list[str], open_browser: bool, began: float
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:  # our own handlers stay: they end the worker too
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.should_exit:
                return
            ready = f"(ready in {time.monotonic() - began:.1f} s; Ctrl-C stops it)"
            print(f"StatGrove is at {'  '.join(addresses)}  {ready}", flush=True)
            print("Only you may use it. Open it by this address, which is good once:", flush=True)
            for address in entries(addresses[:1] if open_browser else addresses):
                print(f"  {address}", flush=True)
            if not listen.loopback(listening):
                print(listen.WARNING, file=sys.stderr, flush=True)
            if open_browser:
                threading.Thread(target=_open, args=entries(addresses[:1]), daemon=True).start()

    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        log_level="warning",
        access_log=False,
        log_config=None,
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


def running() -> list[str]:
    """Addresses, each good once, of the server that runs on this data folder; none where none does."""
    if lock := _only_one():
        lock.close()
        return []
    return entries((settings().folder() / "serve.lock").read_text(encoding="utf-8").split())


def entries(addresses: Sequence[str]) -> list[str]:
    """The addresses with a ticket, by which a browser is let in."""
    return [f"{address}/enter?ticket={keys.ticket()}" for address in addresses]


def _open(address: str) -> None:
    """Open the browser where there is a screen to show it on."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    with suppress(webbrowser.Error):
        webbrowser.open(address)
