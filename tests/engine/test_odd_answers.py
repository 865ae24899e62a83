"""No answer, however odd, breaks the questions: each is refused in words, or means something."""

from __future__ import annotations

import pytest

from templates_engine import inputs, manual, registry
from templates_engine.asking import walk
from templates_engine.manual import equation

LONG = ["9" * 5000, "9" * 999, "1,1," * 800, "x:cat," * 500, "(" * 3000, "ü" * 2000, "-" * 2000]
SHORT = ["9" * 40, "0", "-1", "1e999", "nan", "\0", "٣٤", "9,9", "1-" + "9" * 400, "'" * 300]
MORE = [
    *("9" * 400, "9" * 18, "9" * 19, "9" * 22, "1e-400", "inf", "-0", "a\0b", "[[[[" * 500, "{" * 900, "," * 4000),
    *("１２", "\ud800", "cons," * 1000, "auto", "None", " " * 6000, "\n" * 100, "a=b", "0,0", "1;2", "1.5," * 200),
    "cons*" * 300 + "cons",
]
TEMPLATES = [template for template in registry.all().values() if template.examples]
KEYS = 6  # questions of an example that are tried in every run of the tests; all of them in the long ones


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])
def test_odd_texts_are_refused_in_words(template: registry.Template, whole: bool) -> None:
    supplied = manual.supplied()
    for number, example in enumerate(template.examples):
        schema = supplied[example.dataset]
        usual = walk(template, inputs.read(example.inputs).answers, schema, datasets=supplied).answers
        step = 1 if whole else max(1, len(usual) // KEYS)
        for k, key in enumerate(list(usual)[::step]):
            texts = [*LONG, *SHORT, *MORE] if whole else [LONG[(k + number) % len(LONG)], SHORT[k % len(SHORT)]]
            for text in texts:
                answers = {**usual, key: text}
                found = walk(template, answers, schema, datasets=supplied, strict_keys=True)
                walk(template, answers, schema, datasets=supplied, recover=True)
                if found.spec is not None:
                    equation.render(template, found.spec, schema)
                else:
                    assert found.problems


@pytest.mark.parametrize(
    ("name", "key"), [("Histogram", "bins"), ("LMM/DC", "clones"), ("HoltWinters", "period"), ("HoltWinters", "gamma")]
)
@pytest.mark.parametrize("text", ["x" * 5000, "1," * 2500])
def test_a_text_that_is_too_long_is_not_cut_and_read(name: str, key: str, text: str) -> None:
    """What is left of a form after a cut has no form: read as numbers, it ended in an error of the program."""
    template = registry.get(name)
    example = template.examples[0]
    found = walk(
        template, {**inputs.read(example.inputs).answers, key: text}, manual.supplied()[example.dataset], recover=True
    )
    assert key in [p.key for p in found.problems]
