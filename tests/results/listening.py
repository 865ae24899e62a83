"""A reporter that the tests of jobs listen with."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from templates_engine.data.schema import Schema
from templates_engine.running.store import Artifact


class Listener:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.states: list[tuple[float, dict[str, Any]]] = []
        self.told: list[Artifact] = []
        self.children: list[tuple[str, dict[str, str], str, str]] = []
        self.cancel = False
        self.asked: list[int] = []  # before how many reports it was asked whether to stop, each time
        self.want: list[str] = []
        self.inside = threading.Lock()

    def progress(self, state: dict[str, Any]) -> None:
        assert self.inside.acquire(blocking=False), "two calls at once"
        self.states.append((time.monotonic(), state))
        self.inside.release()

    def artifact(self, artifact: Artifact) -> None:
        assert self.inside.acquire(blocking=False), "two calls at once"
        self.told.append(artifact)
        self.inside.release()

    def cancelled(self) -> bool:
        self.asked.append(len(self.states))
        return self.cancel

    def wanted(self) -> str | None:
        return self.want.pop(0) if self.want else None

    def child(self, template: str, answers: Mapping[str, str], dataset_name: str, prefix: str, schema: Schema) -> None:
        self.children.append((template, dict(answers), dataset_name, prefix))
