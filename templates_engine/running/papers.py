"""The papers of a run: what was asked for, how to ask for it again, the equation. They are there before it begins."""

from __future__ import annotations

from templates_engine import inputs
from templates_engine.asking import Walk
from templates_engine.data import Schema
from templates_engine.manual import equation
from templates_engine.outputs import EQUATION, INPUTS, SCRIPT
from templates_engine.template import Template


def papers(template: Template, walked: Walk, dataset: str, schema: Schema) -> list[tuple[str, str, str]]:
    """(name, text, title) of each; walked: the answers that the run has, complete."""
    found = []
    if tex := equation.render(template, walked.spec, schema):
        found.append((EQUATION, tex, "Equation"))
    command = inputs.command(template.name, dataset, walked)
    found.append((INPUTS, inputs.write(walked.answers) + "\n", "Input string"))
    found.append((SCRIPT, f"from statgrove import RunStatJR\n\n{command}\n", "The same run from Python"))
    return found
