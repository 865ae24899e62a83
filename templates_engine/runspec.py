"""What identifies a run: template and version, the data's content, and the canonical answers (the seed is one)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RunSpec:
    """Two runs with equal hashes give equal results."""

    template: str
    version: str
    dataset_sha256: str
    answers: Mapping[str, str]  # canonical, as Walk.answers

    def hash(self) -> str:
        """SHA-256 (hex) of the content; the order of the answers has no meaning."""
        content = [self.template, self.version, self.dataset_sha256, dict(self.answers)]
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
