"""Nearest words: the column, choice or key that a misspelt one probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

LONGEST = 100  # characters; comparing longer words costs time and helps nobody
MOST = 20  # faults told with a suggestion in one answer; the rest are counted


def fold(word: str) -> str:
    """Without letter case and white space: "2 Levels" and "2levels" are the same answer."""
    return "".join(word.split()).casefold()


def nearest(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """The candidate most like `word`, letter case aside, or "" when none is near."""
    if not word or len(word) > LONGEST:
        return ""
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(fold(candidate), candidate)
    found = difflib.get_close_matches(fold(word), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else ""


def quoted(word: str) -> str:
    """The word in quotes, cut when it is long enough to drown the message."""
    return f"“{word}”" if len(word) <= 60 else f"“{word[:57]}…”"


def one_of(words: Sequence[str], last: str = "or") -> str:
    """ "a, b or c"; long lists are cut."""
    if len(words) > 12:
        return ", ".join(words[:12]) + f" and {len(words) - 12} more"
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + f" {last} {words[-1]}"


def meant(near: str) -> str:
    """The sentence that offers the nearest word, or nothing."""
    return f" Did you mean {quoted(near)}?" if near else ""


_UNUSABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean(text: str) -> str:
    """Without control characters and half characters, which neither a database nor a page can hold."""
    return _UNUSABLE.sub("\N{REPLACEMENT CHARACTER}", text)
