"""Servers that do not answer: told in one line when it begins and one when it ends, whatever is tried meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("statgrove.outage")
QUIET = 60.0  # seconds without a miss after which the next one is a new outage, where nobody says that it is over


class Outage:
    """Whether something answers, as this process knows it. Safe to use from several threads."""

    def __init__(self, what: str):
        self.what = what  # "the database"
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last = 0.0

    @property
    def since(self) -> float | None:
        """When the outage began (time.monotonic); None while there is none."""
        return self._since

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def missed(self, error: object) -> None:
        """It did not answer; the first time of an outage this is logged."""
        with self._lock:
            moment = time.monotonic()
            new = self._since is None or moment - self._last > QUIET
            self._last = moment
            if new:
                self._since = moment
        if new:
            reason = " ".join(str(error).split())[:200]
            log.error("%s does not answer (%s); it is tried again until it does", self.what, reason)

    def over(self) -> None:
        """It has answered."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.warning("%s answers again after %.0f s", self.what, time.monotonic() - since)


class Gate:
    """Refuses at once what would wait in vain: shut at the first miss, opened by a probe that is answered.

    Without it every request would wait its own time for a server that hangs, until all threads do.
    """

    def __init__(self, outage: Outage, probe: Callable[[], None], every: float = 1.0):
        """probe: asks the server and returns, or raises."""
        self.outage, self._probe, self._every = outage, probe, every
        self._lock = threading.Lock()
        self._shut = False

    @property
    def shut(self) -> bool:
        return self._shut

    def miss(self, error: object) -> None:
        """The server did not answer: shut, and let a thread ask until it does."""
        self.outage.missed(error)
        with self._lock:
            if self._shut:
                return
            self._shut = True
        threading.Thread(target=self._wait, name="probe", daemon=True).start()

    def _wait(self) -> None:
        while True:
            time.sleep(self._every)
            try:
                self._probe()
            except Exception as error:
                self.outage.missed(error)
                continue
            self._shut = False
            self.outage.over()
            return
