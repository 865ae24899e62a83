"""Names: columns keep those that people gave them; datasets get one that can be a file's."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

MAX_NAME = 64  # of datasets
MAX_COLUMN = 200


def column_name(original: str, position: int) -> str:
    """The name as people gave it, on one line and without control characters; never empty. `position` is from 1."""
    name = unicodedata.normalize("NFC", original)
    name = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs") else c for c in name)
    name = " ".join(name.split())[:MAX_COLUMN].strip()
    return name or f"column{position}"


def unique(names: Iterable[str], limit: int = MAX_NAME) -> list[str]:
    """The same names, repeated ones numbered _2, _3, ..., none longer than `limit` characters."""
    wanted = [name[:limit] for name in names]
    taken: set[str] = set()
    reserved = set(wanted)
    result = []
    for name in wanted:
        new, k = name, 1
        while new in taken or (k > 1 and new in reserved):
            k += 1
            end = f"_{k}"
            new = name[: limit - len(end)] + end
        taken.add(new)
        result.append(new)
    return result


def column_names(originals: Sequence[str]) -> tuple[list[str], list[str]]:
    """(names, notes): the columns' names as they will be used, and a sentence on those that had to change."""
    names = unique((column_name(original, i) for i, original in enumerate(originals, 1)), MAX_COLUMN)
    changed = [(o, n) for o, n in zip(originals, names, strict=True) if " ".join(o.split()) != n]
    repeated = sorted(o for o, n in Counter(originals).items() if n > 1 and o.strip())
    notes = []
    if repeated:
        notes.append(f"Column names that occur more than once were numbered: {_listed(repeated)}.")
    if changed:
        notes.append("Renamed: " + _listed([f"{o.strip() or '(no name)'} → {n}" for o, n in changed]) + ".")
    return names, notes


def dataset_name(filename: str) -> str:
    """A name for the dataset from its file's name: folders and the extension left out. Never used as a path."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", filename))[-1]
    stem = last.rsplit(".", 1)[0] if "." in last.strip(".") else last
    name = re.sub(r"[^\w.-]", "_", stem.strip()).strip("._-")[:MAX_NAME]
    return name or "data"


def _listed(words: Sequence[str], most: int = 8) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
