"""The log: lines for people, or, on request (STATGROVE_LOG_JSON), one JSON object a line, with the run it is about."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from app.settings import settings

_run: int | None = None  # the run that this process carries out


def about(run_id: int | None) -> None:
    """From now on this process logs about this run; None: about none."""
    global _run
    _run = run_id


class Lines(logging.Formatter):
    """{"time", "level", "logger", "message", "run"?, "trace"?}"""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        named = re.match(r"(?:the process of )?run (\d+)\b", message)
        if (run := int(named[1]) if named else _run) is not None:
            line["run"] = run
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def begin() -> None:
    """Log warnings and errors of everything on standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines() if settings().log_json else logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # it misses a host name in the file broker's address
