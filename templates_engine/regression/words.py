"""What readers call the parameters of a regression: variances, and (co)variances of random coefficients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from templates_engine.asking import items
from templates_engine.data import Schema, code_text
from templates_engine.outputs import in_words

PARAMETERS = {
    "sigma2": "Residual variance",
    "sigma2_e": "Residual variance",
    "sigma2_u": "Between groups, variance",
    "sigma_u": "Between groups, SD",
    "sigma": "Residual SD",
    "deviance": "Deviance",
    "DIC": "DIC",
    "sigma2_u<k>": "Between units of {variable}, variance",
    "omega_u<k>_<n>": "Between units of {variable}, (co)variance",
    "vpc_<k>": "Share of {variable} in the variance",
}
_RANDOM = re.compile(r"omega_(u\d*)_(\d+)")
Random = Mapping[str, tuple[str, ...]]  # "u", or "u1", "u2", ...: the columns with random coefficients, in order


def words_of(
    parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
) -> dict[tuple[str, str], str]:
    """Words by (parameter, variable) of a regression's table, from its answers x2 or x2_1, x2_2, …"""
    found = in_words(PARAMETERS, parameters)
    random = _whole(random_of(answers, schema), [name for name, _ in parameters])
    for parameter, variable in parameters:
        place = _RANDOM.fullmatch(parameter)
        if place and (columns := random.get(place[1])):
            between = f"Between units of {variable}" if variable else "Between groups"
            found[parameter, variable] = f"{between}, {_of_pair(columns, int(place[2]))}"
    return found


def random_of(answers: Mapping[str, str], schema: Schema | None) -> Random:
    """The columns with random coefficients, from a model's answers x2 or x2_1, x2_2, ...; a category is its dummies."""
    found = {}
    for key, text in answers.items():
        which = re.fullmatch(r"x2(?:_(\d+))?", key)
        if which and isinstance(text, str) and (columns := _expanded(text, schema)):
            found["u" + (which[1] or "")] = columns
    if set(found) == {"u1"}:  # one classification: its parameters have no number
        found["u"] = found["u1"]
    return found


def _whole(random: Random, parameters: Sequence[str]) -> Random:
    """Those whose matrix stands completely in the table, so that no (co)variance gets another's name."""
    counts: dict[str, int] = {}
    for parameter in parameters:
        if found := _RANDOM.fullmatch(parameter):
            counts[found[1]] = counts.get(found[1], 0) + 1
    return {u: c for u, c in random.items() if counts.get(u) == len(c) * (len(c) + 1) // 2}


def _expanded(text: str, schema: Schema | None) -> tuple[str, ...]:
    columns: list[str] = []
    for name, kind, _ in items(text):
        if kind != "cat":
            constant = schema is not None and name in schema and schema[name].kind == "constant"
            columns.append("cons" if constant else name)
        elif schema is not None and name in schema and schema[name].levels:
            columns += [f"{name}_{code_text(level)}" for level in schema[name].levels[:-1]]
        else:
            return ()
    return tuple(c for c in columns if c)


def _of_pair(columns: tuple[str, ...], place: int) -> str:
    """The words of one place in the packed lower triangle: 0 is (0, 0), 1 is (1, 0), 2 is (1, 1), ..."""
    row = 0
    while (row + 1) * (row + 2) // 2 <= place:
        row += 1
    column = place - row * (row + 1) // 2
    a, b = _coefficient(columns[column]), _coefficient(columns[row])
    return f"variance of the {a}" if row == column else f"covariance of {a} and {b}"


def _coefficient(column: str) -> str:
    return "intercept" if column == "cons" else f"slope of {column}"
