"""The input string and its relatives: read, and written in the forms that give the same run.

read(text)       an input string or RunStatJR command -> Parsed
plain(mapping)   answers that came as JSON -> Parsed
write(answers)   {'numlevs': 'Yes', ...}
command(...)     RunStatJR(template='...', dataset='...', invars = {...}, estoptions = {...})
shell(...)       statgrove run ...
rest(...)        curl ... /api/v1/runs
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

from templates_engine.asking import ESTOPTIONS, Walk, quote
from templates_engine.inputs.parse import Parsed, read
from templates_engine.problems import Problem
from templates_engine.suggest import clean

__all__ = ["Parsed", "command", "plain", "read", "rest", "shell", "write"]


def plain(answers: Mapping[Any, Any]) -> Parsed:
    """Answers given as JSON or Python values: numbers, true and false, and lists of columns become texts."""
    parsed = Parsed()
    for name, value in answers.items():
        key = clean(str(name))
        text = _text(value)
        if text is None and isinstance(value, list | tuple):
            parts = [_item(_text(part)) for part in value]
            text = ",".join(p for p in parts if p is not None) if None not in parts else None
        if text is None:
            message = "The answer must be text, as 'cons,girl' for several columns."
            parsed.problems.append(Problem("not-text", message, key=key))
            parsed.marks.append((0, 0))
        else:
            parsed.answers[key] = clean(text)
    return parsed


def _item(text: str | None) -> str | None:
    """One of a list of columns: quoted where it holds a comma and no quotes, as it is else."""
    return quote(text) if text is not None and "," in text and not text.lstrip().startswith('"') else text


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


def write(answers: Mapping[str, str]) -> str:
    """The input string of these answers."""
    return "{" + ", ".join(f"{str(key)!r}: {str(text)!r}" for key, text in answers.items()) + "}"


def command(template_name: str, dataset_name: str, walk: Walk) -> str:
    """The RunStatJR call of a walk's answers; it works in Python."""
    groups: dict[bool, dict[str, str]] = {False: {}, True: {}}
    for key, text in walk.answers.items():
        groups[walk.asked[key].group == ESTOPTIONS][key] = text
    return (
        f"RunStatJR(template={template_name!r}, dataset={dataset_name!r}, "
        f"invars = {write(groups[False])}, estoptions = {write(groups[True])})"
    )


def shell(template_name: str, dataset_name: str, walk: Walk, out: str = "results") -> str:
    """The same as a line for a Unix shell."""
    parts = ["statgrove", "run", shlex.quote(template_name), "--dataset", shlex.quote(dataset_name)]
    return " ".join([*parts, "--inputs", _double(write(walk.answers)), "--out", shlex.quote(out)])


def rest(template_name: str, dataset_name: str, walk: Walk, base: str = "http://127.0.0.1:8600") -> str:
    """The same as a request to the REST interface."""
    body = json.dumps({"template": template_name, "dataset": dataset_name, "answers": walk.answers})
    body = body.replace("'", "\\u0027")  # so that the shell needs no more than one pair of quotes
    url = shlex.quote(f"{base}/api/v1/runs")
    return f"curl -X POST {url} -H 'Content-Type: application/json' -d '{body}'"


def _double(text: str) -> str:
    """Quoted for the shell: in double quotes where nothing inside has a meaning there, as it then reads better."""
    return shlex.quote(text) if any(c in text for c in '$`\\"!') else f'"{text}"'
