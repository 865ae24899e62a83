"""What can be wrong with a user's input, said so that a statistician can act on it.

Problem   one fault or notice: which question, which column, what was wrong, the nearest valid word
Invalid   raised by a question kind while it reads one answer
Refused   raised anywhere before or during a run: one or more Problems, all shown at once
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One fault (level "error") or something worth knowing (level "notice")."""

    code: str  # short and stable, for programs: "unknown-key", "not-a-column", ...
    message: str  # one or two plain sentences, naming the column and what would be accepted
    key: str = ""  # the question's key, "" where no question is to blame
    column: str = ""  # the dataset column concerned, "" where none
    nearest: str = ""  # the nearest valid word, ready to be put in its place
    word: str = ""  # the word in the answer that is wrong, to be underlined
    level: str = "error"
    lead: str = ""  # the name of the template's lead (template.Lead) to what does it right, "" where there is none

    def as_dict(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if v != ""}

    def line(self) -> str:
        """One line for a terminal: the key first, then what is wrong."""
        return f"{self.key}: {self.message}" if self.key else self.message


class Invalid(ValueError):
    """An answer that its question does not accept."""

    def __init__(self, message: str, *, code: str = "invalid", word: str = "", nearest: str = ""):
        super().__init__(message)
        self.code, self.word, self.nearest = code, word, nearest


class Refused(Exception):
    """The input cannot be used; `problems` says why, all at once."""

    def __init__(self, problems: Sequence[Problem] | Problem):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(p.line() for p in self.problems))
