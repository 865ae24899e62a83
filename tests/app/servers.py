"""Servers of the tests' own, to be stopped, frozen and started again: PostgreSQL and Redis on free ports."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from glob import glob
from pathlib import Path

from run_service import LONGEST, absent


def free_port() -> int:
    """A port that the system gives to nobody by itself: a client that tries one of those again and again while nobody
    listens there may be given the same one, and is then connected to itself."""
    while True:
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return int(one.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        absent(name)
    return str(found)


class Server(ABC):
    """A server as a child process, with its own children frozen and ended with it."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    def user(self) -> str | None:
        return None

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self.folder / "log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                user=self.user(),
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("STATGROVE_")},
            )
        end = time.monotonic() + LONGEST
        while not self.answers():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def tell(self, how: signal.Signals) -> None:
        """A signal to the server and all its processes, which have sessions of their own in PostgreSQL."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for number in [self.process.pid, *map(int, children)]:
            try:
                os.kill(number, how)
            except ProcessLookupError:
                continue

    def freeze(self) -> None:
        self.tell(signal.SIGSTOP)

    def thaw(self) -> None:
        self.tell(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once, as a fault does."""
        if self.process is None or self.process.poll() is not None:
            return
        self.thaw()
        self.process.send_signal(signal.SIGQUIT)  # of PostgreSQL: an immediate end
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.tell(signal.SIGKILL)
            self.process.wait()


class Postgres(Server):
    """A cluster of its own, kept over stops; its database is `postgres`."""

    def __init__(self) -> None:
        # Not in the tests' own folder, which every start of pytest closes to other users: PostgreSQL runs as one.
        super().__init__(Path(tempfile.mkdtemp(prefix="statgrove-postgres-")))
        self.folder.chmod(0o711)
        self.data = self.folder / "cluster"
        self.data.mkdir()
        if user := self.user():
            shutil.chown(self.data, user)
        subprocess.run(
            [_program("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync"],
            cwd=self.folder, user=self.user(), check=True, stdout=subprocess.DEVNULL, timeout=LONGEST,
        )  # fmt: skip

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def user(self) -> str | None:
        return "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root

    def command(self) -> list[str]:
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "unix_socket_directories="]
        return [_program("postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self) -> str:
        """Address of an empty database."""
        import psycopg

        name = f"statgrove_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address.removesuffix("postgres") + name

    @property
    def address(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"


class Redis(Server):
    """A Redis that keeps nothing over a stop."""

    def command(self) -> list[str]:
        return [_program("redis-server"), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"
