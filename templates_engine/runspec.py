"""What identifies a run: template and version, the data's content, and the canonical answers (the seed is one)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunSpec:
    """Two runs with equal hashes give equal results."""

    template: str
    version: str
    dataset_sha256: str
    answers: Mapping[str, str]  # canonical, as Walk.answers
    others: Mapping[str, str] = field(default_factory=dict)  # key of a question for a dataset -> that one's SHA-256

    def hash(self) -> str:
        """SHA-256 (hex) of the content; the order of the answers has no meaning."""
        content: list[Any] = [self.template, self.version, self.dataset_sha256, dict(self.answers)]
        if self.others:
            content.append(dict(self.others))
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
