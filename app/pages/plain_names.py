"""What a reader calls a parameter: the variable's own words, the place of a (co)variance among the random effects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from templates_engine.data import Column, Schema

KNOWN = {
    "sigma2": "Residual variance",
    "sigma2_e": "Residual variance",
    "sigma2_u": "Between groups, variance",
    "sigma_u": "Between groups, SD",
    "sigma": "Residual SD",
    "deviance": "Deviance",
    "DIC": "DIC",
}


# Parameters of one of several classifications, whose column is named beside them.
OF_CLASSES = {
    r"sigma2_u\d+": "Between units of {}, variance",
    r"omega_u\d+_\d+": "Between units of {}, (co)variance",
    r"vpc_\d+": "Share of {} in the variance",
}
RANDOM = re.compile(r"omega_(u\d*)_(\d+)")

Random = Mapping[str, tuple[str, ...]]  # "u", or "u1", "u2", ...: the columns with random coefficients, in order


def plain_name(parameter: str, variable: str, schema: Schema | None, random: Random | None = None) -> tuple[str, str]:
    """What a reader calls a parameter, and what stands under it in mono."""
    if (found := RANDOM.fullmatch(parameter)) and (columns := (random or {}).get(found[1])):
        between = f"Between units of {variable}" if variable else "Between groups"
        if words := _of_pair(columns, int(found[2])):
            return f"{between}, {words}", parameter
    if not variable:
        return (KNOWN[parameter], parameter) if parameter in KNOWN else (parameter, parameter)
    for pattern, words in OF_CLASSES.items():
        if re.fullmatch(pattern, parameter):
            return words.format(variable), parameter
    if variable == "cons":
        return "Intercept", "cons"
    if schema is None:
        return parameter, variable
    if variable in schema:
        column = schema[variable]
        if column.kind == "constant":
            return "Intercept", variable
        return (_upper(column.title), variable) if column.title else (variable, parameter)
    column_, level = dummy_of(variable, schema)
    if column_ is not None:
        label = column_.labels.get(level, "")
        if label:
            return f"{_upper(label)}", variable
        return f"{_upper(column_.title) if column_.title else column_.name}, category {level}", variable
    return variable, parameter


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


def whole(random: Random, parameters: Mapping[str, object] | list[str]) -> Random:
    """Those whose matrix stands completely in the table, so that no (co)variance gets another's name."""
    counts: dict[str, int] = {}
    for parameter in parameters:
        if found := RANDOM.fullmatch(parameter):
            counts[found[1]] = counts.get(found[1], 0) + 1
    return {u: c for u, c in random.items() if counts.get(u) == len(c) * (len(c) + 1) // 2}


def _expanded(text: str, schema: Schema | None) -> tuple[str, ...]:
    columns: list[str] = []
    for term in (t.strip() for t in text.split(",")):
        name, _, kind = term.partition(":")
        if kind != "cat":
            constant = schema is not None and name in schema and schema[name].kind == "constant"
            columns.append("cons" if constant else name)
        elif schema is not None and name in schema and schema[name].levels:
            columns += [f"{name}_{_code(level)}" for level in schema[name].levels[:-1]]
        else:
            return ()
    return tuple(c for c in columns if c)


def _of_pair(columns: tuple[str, ...], place: int) -> str:
    """The words of one place in the packed lower triangle: 0 is (0, 0), 1 is (1, 0), 2 is (1, 1), ..."""
    row = 0
    while (row + 1) * (row + 2) // 2 <= place:
        row += 1
    column = place - row * (row + 1) // 2
    if row >= len(columns):
        return ""
    a, b = _coefficient(columns[column]), _coefficient(columns[row])
    return f"variance of the {a}" if row == column else f"covariance of {a} and {b}"


def _coefficient(column: str) -> str:
    return "intercept" if column == "cons" else f"slope of {column}"


def dummy_of(variable: str, schema: Schema) -> tuple[Column | None, str]:
    """The column and category behind an indicator such as schgendmiss_0 or Schulart_Real_schule."""
    for column in schema.columns:
        level = variable.removeprefix(f"{column.name}_")
        if level != variable and level in map(_code, column.levels):
            return column, level
    stem, _, level = variable.rpartition("_")
    return (schema[stem], level) if stem in schema else (None, "")


def references(variables: Iterable[str], schema: Schema | None) -> list[str]:
    """A sentence for each category that the others in a table are compared with: the one without an indicator."""
    seen: dict[str, set[str]] = {}
    for variable in variables:
        if schema is not None and variable and variable not in schema:
            column, level = dummy_of(variable, schema)
            if column is not None:
                seen.setdefault(column.name, set()).add(level)
    found = []
    for name, levels in seen.items():
        column = schema[name]  # type: ignore[index]
        left = [code for code in map(_code, column.levels) if code not in levels]
        if len(left) == 1:  # else a category has no rows, and which is the reference is not known here
            label = column.labels.get(left[0], "")
            found.append(f"Categories of {name} are compared with {left[0]}{f', {label}' if label else ''}.")
    return found


def _code(level: float | str) -> str:
    """A category as it stands in an indicator's name."""
    return level if isinstance(level, str) else str(int(level)) if float(level).is_integer() else repr(float(level))


def _upper(text: str) -> str:
    text = text.removesuffix(" (simulated)")  # said once on the dataset's page, not in every row
    return text[:1].upper() + text[1:]
