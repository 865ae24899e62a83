"""Long work for a request: it ends when whoever asked for it has left, and when the server stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

T = TypeVar("T")
LOOK = 0.2  # seconds between looks whether somebody still waits


async def while_there(request: Request, work: Callable[[Callable[[], bool]], T]) -> T:
    """work(gone) in a thread; gone() says that nobody waits any more."""
    left = threading.Event()
    task = asyncio.create_task(run_in_threadpool(work, left.is_set))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK)
            if not task.done() and await request.is_disconnected():
                left.set()
        return task.result()
    finally:
        left.set()
