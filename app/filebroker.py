"""The broker made of files: kombu's filesystem transport, without the moment at which a file is there but empty.

kombu creates a message's file, then locks it, then writes. A reader that comes in between moves an empty file away
and cannot decode it, and the worker ends (celery/kombu#1551). Here a message is written under another name and
renamed, so that it is there whole or not at all; the tables of the exchanges are read again when they are half
written; and a message that cannot be read is left out, as the database sends it again.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

TRIES = 300  # times 10 ms: a table is written in far less, but the process that writes it may have to wait its turn
log = logging.getLogger("statgrove.queue")


class Channel(filesystem.Channel):  # type: ignore[misc]
    """kombu's channel with whole files."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        # kombu takes messages in the order of their names: milliseconds since the machine started, then a number.
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}"
        scratch = folder / f".{name}"
        scratch.write_text(dumps(payload), encoding="utf-8")  # type: ignore[no-untyped-call]
        os.replace(scratch, folder / f"{name}.{queue}.msg")

    def _get(self, queue: str) -> Any:  # type: ignore[override]
        while True:
            try:
                return super()._get(queue)  # type: ignore[no-untyped-call]
            except ValueError:  # the file is gone from the queue already
                log.warning("a message in %s could not be read; its run is sent again later", queue)

    def get_table(self, exchange: str) -> Any:
        return self._patiently(super().get_table, exchange)

    def _queue_bind(self, *arguments: Any) -> None:
        self._patiently(super()._queue_bind, *arguments)

    def _delete(self, *arguments: Any, **more: Any) -> None:
        self._patiently(super()._delete, *arguments, **more)

    @staticmethod
    def _patiently(do: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        for _ in range(TRIES):
            try:
                return do(*arguments, **more)
            except ValueError:  # another process has made the file and is about to write it
                time.sleep(0.01)
        return do(*arguments, **more)


class Transport(filesystem.Transport):  # type: ignore[misc]
    Channel = Channel
