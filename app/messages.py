"""What stands in the broker: the messages that no worker has carried out yet, looked at and tidied.

The database holds the truth about runs, so a message may be missing (it is sent again), stand there twice, or be of a
run that has ended. At most one a run is kept, and those that nobody needs are removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import queue
from app.models import Run
from app.settings import settings

log = logging.getLogger("statgrove.queue")


@dataclass(frozen=True)
class Message:
    """A message of the broker, and how it is removed."""

    task: str  # queue.task_id of the run and attempt
    queue: str  # "" where a worker has taken it and not answered for it yet
    remove: Callable[[], object]


def standing() -> list[Message] | None:
    """Every message, the oldest first within its queue; None where the broker does not answer."""
    if settings().embedded_broker:
        return list(_files())
    try:
        with _redis() as channel:
            return list(_of_redis(channel))
    except Exception as error:  # every transport has exceptions of its own
        queue.outage.missed(error)
        return None


def tidy(session: Session) -> int:
    """Remove messages of runs that do not wait any more, and second ones of those that do; how many."""
    found = standing()
    if not found:
        return 0
    wanted = select(Run.id, Run.attempt, Run.state).where(Run.state.in_(("queued", "running")), Run.queue != "")
    states = {queue.task_id(number, attempt): state for number, attempt, state in session.execute(wanted)}
    removed, seen = 0, set()
    for message in found:
        state = states.get(message.task)
        needed = state == "queued" or (state == "running" and not message.queue)
        if needed and message.task not in seen:
            seen.add(message.task)
            continue
        message.remove()
        removed += 1
    return removed


def drop(tasks: Collection[str], found: Collection[Message]) -> None:
    """Remove these runs' messages, before they are sent again."""
    for message in found:
        if message.task in tasks:
            message.remove()


def _files() -> Iterator[Message]:
    folder = settings().folder("broker", "messages")
    for file in sorted(folder.glob("*.msg")):
        with suppress(OSError, ValueError, KeyError, TypeError):  # taken in this moment, or not one of ours
            task = json.loads(file.read_bytes())["headers"]["id"]
            yield Message(str(task), file.name.split(".")[1], _unlink(file))


def _unlink(file: Path) -> Callable[[], object]:
    return lambda: file.unlink(missing_ok=True)


@contextmanager
def _redis() -> Iterator[Any]:
    with queue.connection() as connection:
        channel = connection.channel()
        try:
            yield channel
        finally:
            channel.close()


def _of_redis(channel: Any) -> Iterator[Message]:
    """kombu keeps a queue as a list, and what a worker has taken in a hash with an index by time."""
    client = channel.client
    for name in queue.QUEUES:
        for raw in reversed(client.lrange(name, 0, -1)):  # the oldest is taken from the end
            with suppress(ValueError, KeyError, TypeError):
                task = json.loads(raw)["headers"]["id"]
                yield Message(str(task), name, _lrem(name, raw))
    for tag, raw in client.hgetall(channel.unacked_key).items():
        with suppress(ValueError, KeyError, TypeError, IndexError):
            task = json.loads(raw)[0]["headers"]["id"]
            yield Message(str(task), "", _forget(tag, channel.unacked_key, channel.unacked_index_key))


def _lrem(name: str, raw: bytes) -> Callable[[], object]:
    def remove() -> None:
        with _redis() as channel:
            channel.client.lrem(name, 1, raw)

    return remove


def _forget(tag: bytes, held: str, index: str) -> Callable[[], object]:
    def remove() -> None:
        with _redis() as channel:
            channel.client.hdel(held, tag)
            channel.client.zrem(index, tag)

    return remove
