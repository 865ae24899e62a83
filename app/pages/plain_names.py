"""What a reader calls a parameter: the words of its template, else the variable's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from templates_engine.data import Column, Schema, code_text

Words = Mapping[tuple[str, str], str]  # what a template calls its parameters, by parameter and variable


def plain_name(parameter: str, variable: str, schema: Schema | None, words: Words | None = None) -> tuple[str, str]:
    """What a reader calls a parameter, and what stands under it in mono. words: those of the template."""
    if found := (words or {}).get((parameter, variable)):
        return found, parameter
    if not variable:
        return parameter, parameter
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


def dummy_of(variable: str, schema: Schema) -> tuple[Column | None, str]:
    """The column and category behind an indicator such as schgendmiss_0 or Schulart_Real_schule."""
    for column in schema.columns:
        level = variable.removeprefix(f"{column.name}_")
        if level != variable and level in map(code_text, column.levels):
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
        left = [code for code in map(code_text, column.levels) if code not in levels]
        if len(left) == 1:  # else a category has no rows, and which is the reference is not known here
            label = column.labels.get(left[0], "")
            found.append(f"Categories of {name} are compared with {left[0]}{f', {label}' if label else ''}.")
    return found


def _upper(text: str) -> str:
    text = text.removesuffix(" (simulated)")  # said once on the dataset's page, not in every row
    return text[:1].upper() + text[1:]
