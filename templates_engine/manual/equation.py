"""A model as LaTeX, from the template's `equation` and the spec.

The equation is LaTeX with << >> for values and <% %> for conditions and loops, since LaTeX owns the braces. Known names
are the fields of the spec, `schema`, and what the template's `equation_values` gives. Texts of the spec (column names)
are escaped; those of equation_values are LaTeX already. An undefined name is an error.

    << y | var >>_{ij}                  \\mathrm{normexam}_{ij}
    << x | linear("beta", "ij") >>      \\beta_{0}\\,\\mathrm{cons}_{ij} + ..., two terms a line

The result is one environment that KaTeX draws in display mode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from templates_engine.asking import Term
from templates_engine.data import Schema, schema_with_intercept
from templates_engine.template import Template

PER_LINE = 2  # terms of a linear predictor on one line: a phone shows no more

_SPECIAL = {
    "\\": r"\backslash{}",
    "^": r"\wedge{}",
    "~": r"\sim{}",
    " ": r"\ ",
    **{c: "\\" + c for c in "{}$&#_%"},
}


class Tex(str):
    """LaTeX that is to be taken as it is."""


def escape(text: str) -> Tex:
    """A text with the characters that mean something to LaTeX escaped (mathematics mode)."""
    return Tex("".join(_SPECIAL.get(c, c) for c in text))


def var(name: Any) -> Tex:
    """A variable's name upright: \\mathrm{standlrt\\_c}."""
    return Tex(r"\mathrm{" + escape(str(getattr(name, "name", name))) + "}")


def symbol(name: str) -> str:
    """ "beta" -> \\beta; LaTeX and single letters stay as they are."""
    return name if name.startswith("\\") or len(name) == 1 else "\\" + name


def columns(terms: Sequence[Term], schema: Schema) -> list[Tex]:
    """The names of the design's columns; a categorical term gives one for each level but the last, the reference."""
    found: list[Tex] = []
    for term in terms:
        levels = schema[term.name].levels if term.categorical and term.name in schema else ()
        if not term.categorical:
            found.append(var(term.name))
        elif levels:
            found += [var(f"{term.name}_{_code(level)}") for level in levels[:-1]]
        else:
            found.append(Tex(rf"\mathbf{{{escape(term.name)}}}"))  # too many levels to write out
    return found


def _code(level: float | str) -> str:
    if isinstance(level, str):
        return level
    return str(int(level)) if float(level).is_integer() else repr(level)


@jinja2.pass_context
def linear(
    context: jinja2.runtime.Context,
    terms: Sequence[Term],
    coefficient: str = "beta",
    index: str = "i",
    start: int = 0,
    per_line: int = PER_LINE,
) -> Tex:
    """The linear predictor of the terms: coefficients numbered from `start` over the columns of the design."""
    schema: Schema = context["schema"]
    parts = [
        rf"{symbol(coefficient)}_{{{start + k}}}\,{name}_{{{index}}}" for k, name in enumerate(columns(terms, schema))
    ]
    lines = [" + ".join(parts[k : k + per_line]) for k in range(0, len(parts), per_line)]
    return Tex(" \\\\\n&\\quad + ".join(lines))


def _finalize(value: Any) -> str:
    """What << >> writes."""
    return str(value) if isinstance(value, Tex | jinja2.Undefined) else str(escape(str(value)))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # this is LaTeX, not HTML; _finalize escapes
    )
    environment.filters.update(var=var, linear=linear, tex=Tex)
    return environment


@cache
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)


def render(template: Template, spec: Any, schema: Schema) -> str:
    """The template's equation for a spec, in an environment of its own. Raises jinja2.UndefinedError."""
    schema = schema_with_intercept(schema) if template.intercept else schema
    values: dict[str, Any] = {"schema": schema}
    if dataclasses.is_dataclass(spec):
        values |= {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    given = template.equation_values(spec, schema)
    values |= {name: Tex(value) if isinstance(value, str) else value for name, value in given.items()}
    lines = _compiled(template.equation).render(values).strip().splitlines()
    return wrapped("\n".join(line.strip() for line in lines if line.strip()))


def wrapped(latex: str) -> str:
    """In `aligned`; several blocks that bring their own are set one under another."""
    if not latex:
        return ""
    if latex.startswith(r"\begin{aligned}") and latex.count(r"\begin{aligned}") == 1 and latex.endswith("{aligned}"):
        return latex
    if r"\begin{aligned}" in latex:
        return "\\begin{array}{l}\n" + latex + "\n\\end{array}"
    return "\\begin{aligned}\n" + latex + "\n\\end{aligned}"
