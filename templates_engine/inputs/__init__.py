"""Input strings and commands, read and written.

In: a pasted text, or the answers of a walk. Out: Parsed answers with faults in their places; the input string, the
command, shell and REST forms of a run. Neighbours: asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.inputs.parse import MOST_CHARACTERS as MOST_CHARACTERS, Parsed as Parsed, read as read
    from templates_engine.inputs.writing import (
        command as command,
        plain as plain,
        rest as rest,
        shell as shell,
        write as write,
    )

__getattr__, __all__ = lazily(__name__, __file__)
