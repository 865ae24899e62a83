"""What every template keeps to, written once. A new template is covered by its presence, and so is each example.

Statements that need a run (outputs, expected numbers, same seed same draws) are tested beside the samplers.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine.fixtures import fixtures, schemas, tutmiss
from hypothesis import given, settings, strategies as st

from templates_engine import inputs, manual, registry
from templates_engine.asking import Walk, once, placeholder as pending, walk
from templates_engine.asking.asked import Asked
from templates_engine.asking.columns import Columns
from templates_engine.asking.exploring import converse, simplest
from templates_engine.asking.questions import Integer, Number
from templates_engine.data.schema import Schema
from templates_engine.manual import equation
from templates_engine.template import Example, Template

TEMPLATES = [*registry.all().values(), *fixtures()]
EXAMPLES = [(t, e) for t in TEMPLATES for e in t.examples]
MODEL_FREE = ("Data", "Describe data")  # headings of templates that fit no model, so that there may be no equation
FEW = settings(max_examples=80, deadline=None)


def name(template: Template) -> str:
    return template.name + ("" if template.folder else "-fixture")


every_template = pytest.mark.parametrize("template", TEMPLATES, ids=name)
every_example = pytest.mark.parametrize(
    ("template", "example"), EXAMPLES, ids=[f"{name(t)}-{e.name}" for t, e in EXAMPLES]
)


def datasets() -> dict[str, Schema]:
    """The supplied datasets, the real tutorial data in the place of the simulated, and datasets of odd shapes."""
    return {**manual.supplied(), **schemas()}


def example_walk(template: Template, example: Example) -> Walk:
    parsed = inputs.read(example.inputs)
    assert parsed.problems == []
    return walk(template, parsed.answers, datasets()[example.dataset], datasets=datasets(), strict_keys=True)


def chooser(rng: random.Random) -> Any:
    """Answers as a person might: any option that is allowed, any number within bounds."""

    def choose(asked: Asked) -> str | None:
        allowed = [option.value for option in asked.options if option.allowed]
        question = asked.question
        if isinstance(question, Columns):
            low = question.minimum
            if len(allowed) < low:
                return None
            chosen = rng.sample(allowed, min(len(allowed), rng.randint(low, low + 3)))
            marks = [":cat" if question.categorical and "*" not in c and rng.random() < 0.3 else "" for c in chosen]
            return ",".join(c + m for c, m in zip(chosen, marks, strict=True))
        if isinstance(question, Integer | Number):
            usual = simplest(asked)
            near: float = int(float(usual or 1)) + rng.randint(0, 2)
            near = near if question.min is None else max(question.min, near)
            near = near if question.max is None else min(question.max, near)
            return str(rng.choice([usual, near]))
        return rng.choice(allowed) if allowed else simplest(asked)

    return choose


@every_example
def test_an_example_is_complete_and_right(template: Template, example: Example) -> None:
    """A shipped example that does not work misleads everyone who starts from it."""
    found = example_walk(template, example)
    assert found.problems == []
    assert found.spec is not None


@every_example
def test_canonical_answers_give_the_same_spec_twice(template: Template, example: Example) -> None:
    """Questions are a pure function of answers and schema; without that no run can be repeated."""
    found = example_walk(template, example)
    schema = datasets()[example.dataset]
    for _ in range(2):
        again = walk(template, found.answers, schema, datasets=datasets(), strict_keys=True)
        assert again.spec == found.spec
        assert again.answers == found.answers
        assert again.problems == []


@every_example
def test_hiding_an_answer_adds_no_question(template: Template, example: Example) -> None:
    """Catches a template that looks at a placeholder with `is` or isinstance, and so asks on a false branch."""
    found = example_walk(template, example)
    for hidden in found.answers:
        rest = {key: text for key, text in found.answers.items() if key != hidden}
        less = once(template, rest, datasets()[example.dataset], datasets(), False, False)
        assert set(less.asked) <= set(found.asked)
        assert less.spec is None
        assert less.asked[hidden].value is pending.PENDING


@every_template
@FEW
@given(seed=st.integers(0, 2**32), at=st.integers(0, 100))
def test_random_conversations_finish(template: Template, seed: int, at: int) -> None:
    """Whatever is chosen at each question, the conversation ends: in a spec, in a stated conflict, or where the
    dataset offers nothing to choose. The answers survive the input string, the command and the spec's equation."""
    schema = list(datasets().values())[at % len(datasets())]
    found = converse(template, {}, schema, chooser(random.Random(seed)), datasets=datasets())
    if found.open:
        assert schema.name != "tutmiss", "the tutorial data have something to choose at every question"
        assert all(not any(o.allowed for o in asked.options) or asked.problems for asked in found.open)
        return
    assert found.finished
    final = walk(template, found.answers, schema, datasets=datasets(), strict_keys=True)
    if final.spec is None:
        assert [p for p in final.said if p.level == "error"]
        return
    text = inputs.write(final.answers)
    assert inputs.read(text).answers == final.answers
    command = inputs.command(template.name, schema.name, final)
    parsed = inputs.read(command)
    assert (parsed.template, parsed.dataset, parsed.problems) == (template.name, schema.name, [])
    assert parsed.answers == final.answers
    again = walk(template, parsed.answers, schema, datasets=datasets(), strict_keys=True)
    assert again.spec == final.spec
    assert inputs.command(template.name, schema.name, again) == command
    assert_latex(equation.render(template, final.spec, schema))


@st.composite
def damaged(draw: st.DrawFn, template: Template) -> dict[str, str]:
    """An example's answers with keys lost, changed and added, and values exchanged or replaced by anything."""
    base: dict[str, str] = {}
    if template.examples:
        base = dict(inputs.read(draw(st.sampled_from(template.examples)).inputs).answers)
    words = [*base.values(), *tutmiss().names, "Yes", "No", "2 levels", "Unordered", "999999999", "cons,girl:cat", ""]
    values = st.one_of(st.sampled_from(words), st.text(max_size=40), st.text(st.sampled_from("0123456789-.,:e ")))
    for key in draw(st.lists(st.sampled_from(sorted(base) or ["y"]), max_size=8)):
        base.pop(key, None)
    base |= draw(st.dictionaries(st.sampled_from(sorted(base) or ["y"]), values, max_size=8))
    base |= draw(st.dictionaries(st.text(max_size=12), values, max_size=4))
    return base


@every_template
@FEW
@given(data=st.data(), at=st.integers(0, 100), defaults=st.booleans(), recover=st.booleans(), strict=st.booleans())
def test_no_dictionary_raises(
    template: Template, data: st.DataObject, at: int, defaults: bool, recover: bool, strict: bool
) -> None:
    """A user's mistake is a list of problems, never a traceback; and the problems can be sent as JSON."""
    schema = list(datasets().values())[at % len(datasets())]
    answers = data.draw(damaged(template))
    found = walk(template, answers, schema, datasets=datasets(), defaults=defaults, recover=recover, strict_keys=strict)
    json.dumps([p.as_dict() for p in found.problems], ensure_ascii=False).encode()
    assert found.complete == (found.spec is not None)
    if found.complete:
        assert walk(template, found.answers, schema, datasets=datasets()).spec == found.spec
    elif strict:
        assert any(p.level == "error" for p in found.problems)


def assert_latex(text: str) -> None:
    """Braces and environments in balance, nothing left of the equation's own marks."""
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert sorted(re.findall(r"\\begin\{(\w+)\}", text)) == sorted(re.findall(r"\\end\{(\w+)\}", text))
    assert not re.search(r"<<|>>|<%|%>", text)


@every_example
def test_the_equation_renders(template: Template, example: Example) -> None:
    """Stage 3 of the product: the model can be read before anything runs. Undefined names are errors."""
    text = equation.render(template, example_walk(template, example).spec, datasets()[example.dataset])
    assert text or template.heading in MODEL_FREE
    assert_latex(text)


@every_template
def test_every_question_has_a_label_and_help(template: Template) -> None:
    """An analyst meets each question for the first time once."""
    bare = [
        asked.pattern
        for exploration in manual.explorations(template, datasets())
        for asked in exploration.met.values()
        if not asked.question.help or not asked.question.label
    ]
    assert bare == []


@every_template
def test_a_template_says_what_it_is(template: Template) -> None:
    assert template.title
    assert template.heading
    assert template.examples, "an example is where the manual starts from"
    if template.folder:
        assert template.equation or template.heading in MODEL_FREE
        assert (template.folder / "manual.md").exists()


@every_template
def test_manual_and_examples_agree(template: Template) -> None:
    """What is asked in an example is in the manual; what the manual lists is shown by some example."""
    walks = [example_walk(template, example) for example in template.examples]
    shown = {asked.pattern for found in walks for asked in found.asked.values()}
    explored = {a.pattern for e in manual.explorations(template, datasets()) for a in e.met.values()}
    assert shown <= explored
    rows = manual.manual(template, datasets()).questions
    assert {row.pattern for row in rows} == {manual.shown(pattern) for pattern in explored}
    missing = {
        manual.shown(pattern): next(row.asked_when for row in rows if row.pattern == manual.shown(pattern))
        for pattern in explored - shown
    }
    if template.folder:
        assert missing == {}, "add an example in which these are asked"


@pytest.mark.parametrize("template", [t for t in TEMPLATES if t.folder], ids=name)
def test_importing_a_template_loads_no_numerics(template: Template) -> None:
    """Asking stays light: the web process starts in a moment and holds no compiled code."""
    module = type(template).__module__
    code = f"import {module}, sys; print([m for m in ('numba', 'torch', 'scipy', 'pandas') if m in sys.modules])"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
