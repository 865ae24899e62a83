"""Lists of columns as text: `cons,girl:cat,"Größe, cm"`.

A name stands as it is, unless it holds a comma, a colon or a double quote, begins or ends with a blank, or has several
blanks in a row: then it stands in double quotes, those within doubled, as in a CSV file. `:cat` follows the name.
"""

from __future__ import annotations

import re

_NEEDS_QUOTES = re.compile(r'[,:"\\]|^\s|\s$|\s\s|[^\S ]')
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?::([^,]*))?\s*(?:,|$)')
_PLAIN = re.compile(r"([^,]*)(?:,|$)")


def quote(name: str) -> str:
    """The name as it stands in a list."""
    return '"' + name.replace('"', '""') + '"' if _NEEDS_QUOTES.search(name) else name


def items(text: str) -> list[tuple[str, str | None, str]]:
    """(name, what follows its colon or None, the item as written) of each item that is not empty."""
    found: list[tuple[str, str | None, str]] = []
    at = 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is not None:
            found.append((match[1].replace('""', '"'), match[2], match[0].rstrip(",").strip()))
        else:
            match = _PLAIN.match(text, at)
            assert match is not None
            written = match[1].strip()
            name, colon, suffix = written.rpartition(":") if ":" in written else (written, "", "")
            if written:
                found.append((name.strip(), suffix if colon else None, written))
        at = match.end()
    return found
