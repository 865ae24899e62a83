"""Protects: whatever is killed, stopped or cut off at whatever moment, each run ends as if nobody had disturbed it.

The application runs on a PostgreSQL and a Redis of its own. One fault at a time hits it in the middle of a run; then
the run must be done, its files whole and equal to those of a run that nobody disturbed, with no process and no file
left over. Some kinds of faults once in the tests; `make faults` does fifty, of all kinds, and prints the table.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from beside import TOKEN
from run_service import ask_for, forget, ready, start, trial_template, wait_for
from servers import Postgres, Redis

from app import datasets, db, queue, runs
from app.models import Run

FAULTS = int(os.environ.get("STATGROVE_FAULTS", "0"))  # 0: those of FEW once
AWAY = (2.0,) if not FAULTS else (5.0, 90.0)  # seconds that a server is away
SEED = 1
SETTINGS = {
    "HEARTBEAT": "0.2",
    "SWEEP_EVERY": "0.3",
    "RESEND_AFTER": "2",
    "WARM": "no",
    "DATABASE_TIMEOUT": "2",
}


class Place:
    """The application and its servers."""

    def __init__(self, folder: Path, database: Postgres, broker: Redis, draw: random.Random):
        self.folder, self.database, self.broker, self.draw = folder, database, broker, draw
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def serve(self) -> None:
        self.process = start("serve", "--no-browser", "--port", "0")
        assert self.process.stdout is not None
        while b"StatGrove is at" not in (line := self.process.stdout.readline()):
            assert line, "the server ended"
        self.port = int(line.split(b"127.0.0.1:")[1].split()[0])
        os.set_blocking(self.process.stdout.fileno(), False)

    def child(self, run: Run) -> int:
        """The process that carries the run out."""
        return runs.process_of(look(run.id).worker)

    def processes(self) -> list[int]:
        """Every process of this data folder but the test's own."""
        mark, found = f"STATGROVE_DATA={self.folder}".encode(), []
        for one in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (one / "environ").read_bytes().split(b"\0") and runs.alive(int(one.name)):
                    found.append(int(one.name))
            except OSError:
                continue
        return [number for number in found if number != os.getpid()]


def look(run_id: int) -> Run:
    found = db.patiently(lambda session, _: runs.get(session, run_id))
    assert found is not None
    return found


def child_killed(place: Place, run: Run) -> None:
    os.kill(place.child(run), signal.SIGKILL)


def worker_killed(place: Place, run: Run) -> None:
    os.kill(os.getpgid(place.child(run)), signal.SIGKILL)


def server_killed(place: Place, run: Run) -> None:
    assert place.process is not None
    place.process.kill()
    place.process.wait()
    wait_for(lambda: not place.processes(), "processes outlived their server")
    place.serve()


def server_stopped(place: Place, run: Run) -> None:
    assert place.process is not None
    place.process.terminate()
    place.process.wait(120)
    assert place.process.returncode == 0
    assert not place.processes()
    place.serve()


def database_restarted(place: Place, run: Run) -> None:
    place.database.stop()
    time.sleep(place.draw.choice(AWAY))
    place.database.start()


def database_frozen(place: Place, run: Run) -> None:
    place.database.freeze()
    time.sleep(place.draw.choice(AWAY))
    place.database.thaw()


def broker_restarted(place: Place, run: Run) -> None:
    place.broker.stop()
    time.sleep(place.draw.choice(AWAY))
    place.broker.start()


def delivered_twice(place: Place, run: Run) -> None:
    for _ in range(3):
        queue.send(run.id, run.attempt, run.queue)


def killed_during_an_upload(place: Place, run: Run) -> None:
    """The file is half sent when the server is killed."""
    with socket.create_connection(("127.0.0.1", place.port)) as one:
        head = f"POST /api/v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n"
        one.sendall(head.encode() + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ny\n')
        server_killed(place, run)


KINDS: tuple[Callable[[Place, Run], None], ...] = (
    child_killed,
    worker_killed,
    server_killed,
    server_stopped,
    database_restarted,
    database_frozen,
    broker_restarted,
    delivered_twice,
    killed_during_an_upload,
)


FEW = (child_killed, worker_killed, database_restarted, broker_restarted, delivered_twice, killed_during_an_upload)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    servers = Postgres(), Redis(folder)
    with pytest.MonkeyPatch.context() as patch:
        for server in servers:
            server.start()
        patch.setenv("STATGROVE_DATA", str(folder / "data"))
        patch.setenv("DATABASE_URL", servers[0].address)
        patch.setenv("BROKER_URL", servers[1].address)
        for name, value in SETTINGS.items():
            patch.setenv(f"STATGROVE_{name}", value)
        with trial_template(patch):
            db.upgrade()
            made = Place(folder / "data", *servers, random.Random(SEED))
            try:
                made.serve()
                assert made.process is not None
                ready(made.process)
                yield made
                assert made.process is not None
                made.process.terminate()
                made.process.wait(120)
                assert not made.processes(), "processes outlived their server"
            finally:
                for number in made.processes():
                    os.kill(number, signal.SIGKILL)
                forget()
                servers[0].close()
                servers[1].stop()


def files(run: Run) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in runs.folder(run).iterdir()}


def whole(run: Run) -> None:
    """Every output is there with the digest that the database has, and nothing else is."""
    found = db.patiently(lambda session, _: runs.artifacts(session, run))
    there = files(run)
    assert {one.state for one in found} == {"ready"}
    assert {one.file for one in found} | {"manifest.json"} == set(there)
    for one in found:
        assert hashlib.sha256(there[one.file]).hexdigest() == one.sha256, one.name
    assert [one.name for one in runs.folder(run).parent.iterdir()] == [str(run.attempt)]


def test_each_run_ends_as_if_nobody_had_disturbed_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    calm = ask_for(milliseconds=10, iterations=100)
    wait_for(lambda: look(calm.id).ended)
    expected = files(look(calm.id))
    chosen = [place.draw.choice(KINDS) for _ in range(FAULTS)] or list(FEW)
    lines = []
    for kind in chosen:
        run = ask_for(milliseconds=10, iterations=100)
        wait_for(lambda run=run: look(run.id).state == "running" and place.child(run))
        moment = place.draw.uniform(0, 0.6)
        time.sleep(moment)
        began = time.monotonic()
        kind(place, run)
        wait_for(lambda run=run: look(run.id).ended, kind.__name__)
        ended = look(run.id)
        took = time.monotonic() - began
        assert ended.state == "done", (kind.__name__, ended.message)
        whole(ended)
        assert files(ended) == expected, kind.__name__
        lines.append(f"| {kind.__name__.replace('_', ' ')} | {moment:.2f} | {ended.attempt} | {took:.1f} |")
    incoming = place.folder / "incoming"
    assert not incoming.exists() or not list(incoming.iterdir())
    listed = db.patiently(lambda session, _: [row.name for row in datasets.list_all(session) if row.source == "run"])
    assert listed == ["copy"], "the dataset of equal runs is one, however often it was made"
    if FAULTS:
        with capsys.disabled():
            print("\n| fault | seconds into the run | times taken up again | seconds until done |\n|---|---|---|---|")
            print("\n".join(lines))
