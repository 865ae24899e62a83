"""XYPlot: one or several variables against another, as points or lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates_engine import Output, Template
from templates_engine.asking import Ask

if TYPE_CHECKING:
    from templates_engine import Dataset, Job, Result

MOST_SERIES = 12


@dataclass(frozen=True)
class Spec:
    y: tuple[str, ...]
    x: str
    lines: bool


class XYPlot(Template):
    name = "XYPlot"
    title = "One or several variables against another, as points or lines"
    heading = "Describe data"
    tags = ("description", "plot")
    outputs = (
        Output("graphxy.svg", "the plot; each series has its own colour and shape, and stands in the key"),
        Output("Series", "for each series, the points drawn, the ranges and the correlation"),
    )

    def questions(self, ask: Ask) -> Spec:
        chosen = ask.columns(
            "yaxis",
            "Variables up the side",
            help="Up to four share one plot, told apart by colour and shape; with more, each gets a plot of its own.",
        )
        if len(chosen) > MOST_SERIES:
            ask.fault("yaxis", f"Choose at most {MOST_SERIES} variables; {len(chosen)} are chosen.", code="too-many")
        x = ask.column("xaxis", "Variable along the bottom", help="Rows in which it is missing are left out.")
        style = ask.choice(
            "style",
            "Points or lines",
            ("Points", "Lines"),
            default="Points",
            help="Lines join the points from left to right. More than 5,000 points are drawn as hexagons, darker where "
            "there are more.",
        )
        return Spec(tuple(term.name for term in chosen), x, style == "Lines")

    def run(self, spec: Spec, data: Dataset, job: Job) -> Result:
        from .plotting import run

        return run(spec.y, spec.x, spec.lines, data, job)
