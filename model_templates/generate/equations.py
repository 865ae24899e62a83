"""A new column as an equation."""

from __future__ import annotations

from templates_engine.data import Node, expressions
from templates_engine.manual import escape, var

from .asking import Constant, Draws, GroupMean, Sequence, Spec

_SIGNS = {"==": "=", "!=": r"\neq", "<": "<", "<=": r"\leq", ">": ">", ">=": r"\geq", "*": r"\cdot "}
_BINDS = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "negative": 7, "^": 8}


def made(spec: Spec) -> str:
    """The equation of one row i, of group j where there are groups."""
    parts, y = spec.parts, var(spec.name)
    if isinstance(parts, Constant):
        return rf"{y}_i &= {_number(parts.value)}"
    if isinstance(parts, Sequence):
        place = rf"\text{{, row }} i \text{{ of group }} j \text{{ of }} {var(parts.by)}" if parts.by else ""
        index = "ij" if parts.by else "i"
        return rf"{y}_{{{index}}} &= {_number(parts.start)} + {_number(parts.step, True)}\,(i - 1){place}"
    if isinstance(parts, Draws):
        first, second = parts.parameters
        law = {
            "Normal": rf"\mathrm{{N}}\left({_number(first)},\ {_number(second)}^2\right)",
            "Uniform": rf"\mathrm{{Uniform}}\left({_number(first)},\ {_number(second)}\right)",
            "Binomial": rf"\mathrm{{Binomial}}\left({_number(first)},\ {_number(second)}\right)",
            "Poisson": rf"\mathrm{{Poisson}}\left({_number(first)}\right)",
        }[parts.distribution]
        place = rf"\text{{, one draw for each group }} j \text{{ of }} {var(parts.by)}" if parts.by else ""
        return rf"{y}_{{{'j' if parts.by else 'i'}}} &\sim {law}{place}"
    if isinstance(parts, GroupMean):
        return rf"{y}_j &= \overline{{{var(parts.of)}}}_j\text{{, group }} j \text{{ of }} {var(parts.by)}"
    return rf"{y}_i &= {latex(expressions.read(parts.text))}"


def _number(value: float, bracketed: bool = False) -> str:
    text = f"{value:g}"
    if "e" in text:
        digits, power = text.split("e")
        text = rf"{digits} \times 10^{{{int(power)}}}"
    return rf"({text})" if bracketed and value < 0 else text


def latex(node: Node, binds: int = 0) -> str:
    """An expression as mathematics, with brackets where precedence needs them."""
    what = node.what
    if what == "number":
        return _number(node.value)
    if what == "text":
        return r"\text{“}\mathrm{" + escape(node.value) + r"}\text{”}"
    if what == "column":
        return f"{var(node.value)}_i"
    if what == "/":
        return rf"\frac{{{latex(node.parts[0])}}}{{{latex(node.parts[1])}}}"
    if what == "sqrt":
        return rf"\sqrt{{{latex(node.parts[0])}}}"
    if what == "abs":
        return rf"\left|{latex(node.parts[0])}\right|"
    if what in expressions.FUNCTIONS:
        return rf"\operatorname{{{what}}}\left({', '.join(latex(part) for part in node.parts)}\right)"
    mine = _BINDS.get(what, 4)
    if what in ("not", "negative"):
        text = (r"\text{not }" if what == "not" else "-") + latex(node.parts[0], mine)
    elif what == "^":
        text = rf"{{{latex(node.parts[0], mine + 1)}}}^{{{latex(node.parts[1])}}}"
    else:
        sign = what if what in "+-" else _SIGNS.get(what, rf"\text{{ {what} }}")
        text = f"{latex(node.parts[0], mine)} {sign} {latex(node.parts[1], mine + 1)}"
    return rf"\left({text}\right)" if mine < binds else text
