"""Chains side by side: compiled kernels release the interpreter lock, so threads are enough.

The draws never depend on the number of threads: every chain has its own random stream (rng.streams), and results
come back in the order of the tasks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


class Progress:
    """Two numbers shared with a kernel: cells[0] iterations done (it writes), cells[1] stop (it reads).

    A kernel looks at cells[1] in every iteration and returns what it has when it is 1. Both are plain int64 in one
    array, read and written without a lock. A pause is a stop after which the chain goes on (go_on).
    """

    def __init__(self, total: int = 0):
        self.cells: npt.NDArray[np.int64] = np.zeros(2, dtype=np.int64)
        self.total = total
        self.pauses = False  # whether whoever runs the kernel goes on after a pause
        self._over = False

    @property
    def done(self) -> int:
        return int(self.cells[0])

    @property
    def stopped(self) -> bool:
        return bool(self.cells[1])

    def stop(self) -> None:
        self._over = True
        self.cells[1] = 1

    def pause(self) -> None:
        if self.pauses:
            self.cells[1] = 1

    def go_on(self) -> bool:
        """After a kernel has returned: True where that was a pause, and the kernel may be called again."""
        if not self._over:
            self.cells[1] = 0
        if self._over:  # stopped, perhaps in this moment
            self.cells[1] = 1
        return not self._over


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def side_by_side(tasks: Sequence[Callable[[], T]], workers: int, on_error: Callable[[], None]) -> list[T]:
    """Run the tasks in at most `workers` threads; their results in the order of the tasks.

    When one raises, `on_error` is called at once (to stop the others), all are waited for, and the first error in
    the order of the tasks is raised.
    """
    if not tasks:
        return []
    # In the main thread even one task gets a thread of its own: a kernel there would hold back Ctrl-C.
    if len(tasks) == 1 and threading.current_thread() is not threading.main_thread():
        return [tasks[0]()]

    def failed(future: Future[T]) -> None:
        if not future.cancelled() and future.exception() is not None:
            on_error()

    with ThreadPoolExecutor(max(1, min(len(tasks), workers)), thread_name_prefix="chain") as pool:
        futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.add_done_callback(failed)
        try:
            wait(futures)
        except BaseException:  # Ctrl-C here: the kernels must be told, or leaving the pool would wait for their end
            on_error()
            raise
    return [future.result() for future in futures]
