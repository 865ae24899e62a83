"""Finds every template: a folder of model_templates/ with a template.py. Nothing is registered by hand.

One that cannot be imported is left out, so that the others can be used; `broken` says which and why, and the log has
the traceback.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from templates_engine.asking import TemplateBug
from templates_engine.problems import Problem, Refused
from templates_engine.suggest import meant, nearest, quoted
from templates_engine.template import Example, Template, slug_of

PACKAGE = "model_templates"
_FIELDS = {"title", "dataset", "inputs", "expected", "tolerance", "source"}


MOST_REASON = 300  # characters
log = logging.getLogger("statgrove.templates")


@dataclass(frozen=True)
class Broken:
    """A template that cannot be used: its name as its file has it, else the folder's, and why, in one line."""

    name: str
    folder: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"The template {self.name} cannot be used here, because it could not be loaded: {self.reason}"


def all() -> dict[str, Template]:
    """Every template by name, in the order of heading and name."""
    return _found()[0]


def broken() -> tuple[Broken, ...]:
    """The templates that could not be loaded when this process looked for them."""
    return _found()[1]


@cache
def _found() -> tuple[dict[str, Template], tuple[Broken, ...]]:
    package = importlib.import_module(PACKAGE)
    found: dict[str, Template] = {}
    lost: list[Broken] = []
    for root in package.__path__:
        for file in sorted(Path(root).glob("*/template.py")):
            try:
                template = load(file)
                if template.name in found:
                    raise TemplateBug(f"two folders declare a template named {template.name}")
            except Exception as error:  # whatever its modules raise, the others must work
                log.exception("the template in %s cannot be loaded", file.parent)
                lost.append(_broken(file, error))
            else:
                found[template.name] = template
    return dict(sorted(found.items(), key=lambda item: (item[1].heading, item[0]))), tuple(lost)


def forget() -> None:
    """Look for the templates anew, when they are next asked for."""
    _found.cache_clear()


def _broken(file: Path, error: Exception) -> Broken:
    text = file.read_text(encoding="utf-8", errors="replace")
    named = re.search(r"""^    name(?:: str)? = ["'](.{1,100}?)["']$""", text, re.MULTILINE)
    # The first line, without the path that an ImportError ends in: it is of no use to who only looks on.
    first = re.sub(r" \(/.*\)$", "", next(iter(str(error).splitlines()), ""))
    reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return Broken(named[1] if named else file.parent.name, file.parent.name, reason[:MOST_REASON])


def get(name: str) -> Template:
    """One template, by its name or its slug. Raises Refused: with the nearest name, or why it cannot be loaded."""
    templates = all()
    if name in templates:
        return templates[name]
    said = name.strip().casefold()
    for template in templates.values():
        if template.slug.casefold() == said:
            return template
    for one in broken():
        if said in (one.name.casefold(), slug_of(one.name).casefold(), one.folder.casefold()):
            raise Refused(Problem("unavailable-template", one.sentence, key="template", word=name))
    near = nearest(name, templates)
    if near and near.casefold() == name.strip().casefold():
        return templates[near]
    message = f"There is no template {quoted(name)}.{meant(near)}"
    raise Refused(Problem("unknown-template", message, key="template", nearest=near, word=name))


def slug(name: str) -> str:
    """The slug of a template's name, also of one that is not there any more."""
    found = all().get(name)
    return found.slug if found else slug_of(name)


def load(file: Path) -> Template:
    """The one Template subclass that a template.py declares."""
    module = importlib.import_module(f"{PACKAGE}.{file.parent.name}.template")
    classes = [
        c
        for _, c in inspect.getmembers(module, inspect.isclass)
        if issubclass(c, Template) and c.__module__ == module.__name__ and c.name
    ]
    if len(classes) != 1:
        raise TemplateBug(f"{file} declares {len(classes)} templates with a name; one is needed")
    template = classes[0]()
    plain = template.name.replace("/", "")
    if not (template.name[0].isupper() or template.name[0].isdigit()) or not plain.isalnum():
        raise TemplateBug(f"the name {template.name!r} must be letters and digits, with a capital or a digit first")
    if not re.fullmatch(r"\w+", template.slug):
        raise TemplateBug(f"the slug {template.slug!r} of {template.name} must be letters, digits and _")
    template.folder = file.parent
    template.examples = tuple(read_example(path) for path in sorted((file.parent / "examples").glob("*.toml")))
    return template


def read_example(path: Path) -> Example:
    """An example file: title, dataset, inputs (an input string), and expected, tolerance, source where known."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    wrong = set(content) - _FIELDS
    if wrong or not {"title", "dataset", "inputs"} <= set(content):
        raise TemplateBug(f"{path}: fields are {', '.join(sorted(_FIELDS))}; title, dataset and inputs are needed")
    return Example(name=path.stem, **content)
