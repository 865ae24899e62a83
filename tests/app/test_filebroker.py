"""Protects: no message of the file broker is lost, doubled or read half written, whoever sends and takes at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from queue import Empty

import pytest

from app import queue


def _send(folder: str, sender: int, n: int) -> None:
    import os

    os.environ["STATGROVE_DATA"] = folder
    from app.settings import settings

    settings.cache_clear()
    for i in range(n):
        assert queue.send(sender * n + i, 0, "cpu")


def test_every_message_arrives_once(home: Path) -> None:
    senders, n = 4, 100
    fork = multiprocessing.get_context("spawn")
    processes = [fork.Process(target=_send, args=(str(home), k, n)) for k in range(senders)]
    for process in processes:
        process.start()
    found = []
    with queue.make("reader").connection() as connection:
        box = connection.SimpleQueue("cpu", no_ack=True)
        while len(found) < senders * n:
            try:
                found.append(tuple(box.get(timeout=60).payload[0]))
            except Empty:
                break
        box.close()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(found) == [(i, 0) for i in range(senders * n)]


def test_a_message_that_cannot_be_read_is_passed_over(home: Path) -> None:
    folder = home / "broker" / "messages"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0_broken.cpu.msg").write_text("")
    queue.send(7, 0, "cpu")
    with queue.make("reader").connection() as connection:
        box = connection.SimpleQueue("cpu", no_ack=True)
        assert tuple(box.get(timeout=60).payload[0]) == (7, 0)
        with pytest.raises(Empty):
            box.get(timeout=0.3)
        box.close()


def test_used_messages_are_purged(home: Path) -> None:
    queue.send(1, 0, "cpu")
    queue.purge("messages", older=3600)
    assert len(list((home / "broker" / "messages").iterdir())) == 1
    queue.clear()
    assert list((home / "broker" / "messages").iterdir()) == []
