"""The one Celery task: carry out a run. The same code serves workers, the command line and Python."""

from __future__ import annotations

from typing import Any

from app import queue
from workers.celery_app import app
from workers.runner import carry_out


@app.task(name=queue.EXECUTE, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def execute(self: Any, run_id: int, attempt: int) -> None:
    """Carry out attempt `attempt` of run `run_id`; nothing is done where it is not waiting any more."""
    carry_out(run_id, attempt, own_process=not self.request.is_eager)
