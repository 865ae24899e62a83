"""Pictures of any template, as SVG.

In: draws or series of numbers. Out: SVG texts with a summary in words. Neighbours: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.figures import curves as curves, style as style
    from templates_engine.figures.canvas import picture as picture
    from templates_engine.figures.curves import density as density
    from templates_engine.figures.drawers import Drawers as Drawers
    from templates_engine.figures.evidence_maps import overlaid as overlaid, spread_cells as spread_cells
    from templates_engine.figures.histograms import Bins as Bins, histogram as histogram
    from templates_engine.figures.interactive import (
        Axis as Axis,
        Figure as Figure,
        Look as Look,
        Panel as Panel,
        Rule as Rule,
        Trace as Trace,
        as_json as as_json,
    )
    from templates_engine.figures.panel import PlotPanel as PlotPanel
    from templates_engine.figures.photo_rows import (
        Photo as Photo,
        Row as Row,
        diverging as diverging,
        photos as photos,
    )
    from templates_engine.figures.scatterplots import Series as Series, hexagons as hexagons, scatter as scatter
    from templates_engine.figures.style import number as number
    from templates_engine.figures.wire import Picture as Picture

__getattr__, __all__ = lazily(__name__, __file__)
