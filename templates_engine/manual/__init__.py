"""Help pages, equations and prose.

In: a template, its examples and manual.md; a spec. Out: the table of questions, the model as LaTeX, HTML. Neighbours:
asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.manual import equation as equation
    from templates_engine.manual.equation import (
        PER_LINE as PER_LINE,
        columns as columns,
        escape as escape,
        var as var,
        wrapped as wrapped,
    )
    from templates_engine.manual.page import (
        Manual as Manual,
        Row as Row,
        explorations as explorations,
        manual as manual,
        rows as rows,
        shown as shown,
        supplied as supplied,
    )

__getattr__, __all__ = lazily(__name__, __file__)
