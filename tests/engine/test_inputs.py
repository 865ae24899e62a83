"""The input string and the RunStatJR command: what is read, what is refused and where, and what is written."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable

import pytest
from beside import SHARED, absent
from hypothesis import given, strategies as st

from engine.fixtures import PUBLISHED, STRINGS, TwoLevelImpute, TwoLevelMod, tutmiss
from templates_engine import inputs
from templates_engine.asking import walk
from templates_engine.asking.asked import Asked, Walk
from templates_engine.asking.questions import Text
from templates_engine.inputs.parse import MOST_CHARACTERS
from templates_engine.suggest import clean

READ = {
    "python": ("{'y': 'normexam', 'n': '10'}", {"y": "normexam", "n": "10"}),
    "json": ('{"y": "normexam", "n": 10, "two": true}', {"y": "normexam", "n": "10", "two": "true"}),
    "empty": ("{}", {}),
    "trailing comma": ("{'y': 'a',}", {"y": "a"}),
    "trailing mark": ("{'y': 'a'};", {"y": "a"}),
    "bare keys": ("{y: 'a', bin1_1: 'Normal'}", {"y": "a", "bin1_1": "Normal"}),
    "bare words": ("{MOIlevel: 2 levels, y: normexam}", {"MOIlevel": "2 levels", "y": "normexam"}),
    "numbers as spelt": ("{a: 0.50, b: 1e-3, c: -007}", {"a": "0.50", "b": "1e-3", "c": "-007"}),
    "curly quotes": ("{‘y’: ’a’, “x”: ”b”}", {"y": "a", "x": "b"}),
    "one curly of a pair": ("{'y’: 'a’, 'x’: 'b’}", {"y": "a", "x": "b"}),
    "curly inside straight": ("{'y': 'pupils’ scores'}", {"y": "pupils’ scores"}),
    "line break between": ("{'y':\n 'a',\r\n 'x': 'b'}", {"y": "a", "x": "b"}),
    "line break in a value": ("{'x': 'cons,\n   girl', 'l': '2\nlevels'}", {"x": "cons, girl", "l": "2 levels"}),
    "line break in a key": ("{'ncats\nschgend': '3'}", {"ncatsschgend": "3"}),
    "formatted text": (r"{'bin1\_3': 'Binary', bin1\_2: Normal}", {"bin1_3": "Binary", "bin1_2": "Normal"}),
    "python 2": ("{u'y': u'a'}", {"y": "a"}),
    "escapes": (r"{'y': 'it\'s', 'x': '\x41\u00e9\n'}", {"y": "it's", "x": "Aé\n"}),
    "without braces": ("'y': 'a', 'x': 'b'", {"y": "a", "x": "b"}),
    "with its label": ("Current input string: {'y': 'a'}", {"y": "a"}),
    "same key, same value": ("{'y': 'a', 'y': 'a'}", {"y": "a"}),
}


@pytest.mark.parametrize(("text", "answers"), READ.values(), ids=READ)
def test_read(text: str, answers: dict[str, str]) -> None:
    parsed = inputs.read(text)
    assert parsed.answers == answers
    assert [p for p in parsed.problems if p.level == "error"] == []


COMMANDS = {
    "as shown": "RunStatJR(template='2LevelMod', dataset='tutmiss', invars = {'y': 'a'}, estoptions = {'seed': '2'})",
    "as printed": "RunStatJR(template=2LevelMod, dataset=tutmiss, invars = {y: 'a'}, estoptions = {'seed': 2})",
    "with its label": "**Command:** RunStatJR(template=2LevelMod, dataset=tutmiss, invars = {y: 'a', seed: 2})",
    "by position": "RunStatJR('2LevelMod', 'tutmiss', {'y': 'a'}, {'seed': '2'})",
    "in another order": "RunStatJR(estoptions={'seed': '2'}, invars={y: a}, dataset='tutmiss', template='2LevelMod',)",
    "broken lines": "RunStatJR(template='2Level\nMod', dataset='tutmiss',\n invars={'y': 'a', 'seed': '2'})",
    "a request's body": '{"template": "2LevelMod", "dataset": "tutmiss", "answers": {"y": "a", "seed": "2"}}',
}


@pytest.mark.parametrize("text", COMMANDS.values(), ids=COMMANDS)
def test_read_a_command(text: str) -> None:
    parsed = inputs.read(text)
    assert parsed.problems == []
    assert (clean(parsed.template or "").replace(" ", ""), parsed.dataset) == ("2LevelMod", "tutmiss")
    assert parsed.answers == {"y": "a", "seed": "2"}


REFUSED = {  # text, code, key, the text that the mark covers
    "nothing": ("", "empty", "", ""),
    "no dictionary": ("normexam", "unreadable", "", "normexam"),
    "not closed": ("{'y': 'a'", "unreadable", "", ""),
    "closed twice": ("{'y': 'a'}}", "unreadable", "", "}"),
    "open quote": ("{'y': 'a}", "unreadable", "y", "'"),
    "lost quote": ("{'y': 'normexam, 'x': 'cons'}", "unreadable", "y", "x"),
    "lost comma": ("{'y': 'a' 'x': 'b'}", "unreadable", "y", "'x'"),
    "lost value": ("{'y': , 'x': 'b'}", "unreadable", "y", ","),
    "lost colon": ("{'y' 'a'}", "unreadable", "y", "'a'"),
    "a list": ("{'x': ['cons', 'girl'], 'y': 'a'}", "not-text", "x", "["),
    "a dictionary": ("{'x': {'a': {}}, 'y': 'a'}", "not-text", "x", "{"),
    "a call": ("{'y': __import__('os').system('ls')}", "unreadable", "y", "("),
    "another command": ("print('y')", "unreadable", "", "print"),
    "given twice": ("{'y': 'a', 'y': 'b'}", "repeated-key", "y", "'y'"),
    "unknown argument": ("RunStatJR(template='A', datset='b')", "unknown-argument", "", "datset"),
    "command not closed": ("RunStatJR(template='A'", "unreadable", "", ""),
    "deep": ("{'y': " + "[" * 5000, "too-deep", "", "["),
    "long": ("{" + "a" * MOST_CHARACTERS, "too-long", "", ""),
}


@pytest.mark.parametrize(("text", "code", "key", "marked"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, code: str, key: str, marked: str) -> None:
    """One clear message with its place, and what could be read is kept."""
    parsed = inputs.read(text)
    errors = [(p, m) for p, m in zip(parsed.problems, parsed.marks, strict=True) if p.level == "error"]
    problem, (start, end) = errors[0]
    assert (problem.code, problem.key, text[start:end]) == (code, key, marked)
    assert "line 1, character" in problem.message or code == "too-long"
    assert len(problem.message) < 400


def test_what_is_right_beside_a_fault_is_kept() -> None:
    parsed = inputs.read("{'x': ['cons'], 'y': 'a', 'z': , 'w': 'b'}")
    assert parsed.answers == {"y": "a", "w": "b"}
    assert [p.key for p in parsed.problems] == ["x", "z"]


HOSTILE = [
    "{" * 60_000, "[" * 60_000, "'" * 60_001, '"' * 60_001, "{'a':" * 12_000, "{a:1," * 12_000, "RunStatJR(" * 6000,
    "{" + "'a':'b'," * 8000, "{a " * 20_000, "\\" * 60_000, "{'a': '" + "\\" * 60_000, "‘" * 60_000,
    "{'a':1" + "0" * 60_000, "\n" * 60_000, "{" + "\n'" * 30_000, "{'" + " \n" * 30_000, "\x00" * 60_000, "(" * 60_000,
    ":" * 60_000, "," * 60_000,
    "\\'" * 30_000, "{'a': '" + " " * 60_000 + "b\n'}", "{'a': '" + "\\'" * 600_000, "{" + "a:1," * 600_000,
    "\\'" * 1_200_000, '"\'‘' * 800_000, "{'a': 'b" + " " * 2_000_000 + "b\n'}", "{'a': '" + "x\\n" * 800_000 + "'}",
    "{'a': " + "b " * 30_000, "{" + ",".join(f"k{i}:{i}" for i in range(6000)) + "}", "x" * 10_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_texts_cost_milliseconds(text: str, cost: Callable[..., float]) -> None:
    """Some tens of milliseconds for 64 KB and some hundreds for the longest: so many plain loops over the characters.
    A cost that grows with the square of the length would be minutes."""

    def looked_at() -> None:
        for character in text:
            _ = character == "'"

    assert cost(lambda: inputs.read(text), beside=looked_at) < (300 if len(text) < 100_000 else 50)
    parsed = inputs.read(text)
    assert len(parsed.problems) <= 20
    assert sum(len(p.message) for p in parsed.problems) < 20_000


@given(st.text(max_size=200))
def test_any_text_is_read_without_raising(text: str) -> None:
    parsed = inputs.read(text)
    assert len(parsed.problems) == len(parsed.marks)
    json.dumps([p.as_dict() for p in parsed.problems], ensure_ascii=False).encode()


@given(st.text(st.sampled_from("{}()[]:,='\"‘’“”\\\n abyRunStatJR15_*"), max_size=80))
def test_texts_of_marks_are_read_without_raising(text: str) -> None:
    parsed = inputs.read(text)
    for start, end in [*parsed.spans.values(), *parsed.key_spans.values(), *parsed.marks]:
        assert 0 <= start <= end <= len(text)


keys = st.text(min_size=1, max_size=12).map(lambda k: clean("".join(k.split()))).filter(
    lambda k: k and k not in ("template", "dataset", "answers", "invars", "estoptions")
)  # fmt: skip
dictionaries = st.dictionaries(keys, st.text(max_size=40).map(clean), max_size=8)


@given(dictionaries)
def test_what_is_written_is_read_back(answers: dict[str, str]) -> None:
    """answers -> string -> answers, for any texts: quotes, backslashes, line breaks, any script."""
    parsed = inputs.read(inputs.write(answers))
    assert parsed.answers == answers
    assert parsed.problems == []


lines = st.text(st.one_of(st.sampled_from("\n\t\\n'\",; 1"), st.characters()), max_size=80).map(clean)


@given(lines)
def test_an_answer_of_several_lines_keeps_them(text: str) -> None:
    """Through the walk, the input string, the command, the shell line and the request; however its lines end."""
    question = Text(key="t", label="T", lines=True, optional=True)
    text = question.write(question.read(text))
    assert "\r" not in text
    assert question.read(text.replace("\n", "\r\n")) == text
    assert inputs.read(inputs.write({"t": text})).answers == {"t": text}
    asked = Asked("t", "t", question, text, text)
    found = Walk({"t": asked}, None, (), True)
    assert inputs.read(inputs.command("A", "b", found)).answers == {"t": text}
    words = shlex.split(inputs.shell("A", "b", found))
    assert inputs.read(words[words.index("--inputs") + 1]).answers == {"t": text}
    body = json.loads(shlex.split(inputs.rest("A", "b", found))[-1])
    assert inputs.plain(body["answers"]).answers == {"t": text}


@given(dictionaries)
def test_spans_cover_values_and_keys(answers: dict[str, str]) -> None:
    """So that a page can underline what is wrong, in the text as it was pasted."""
    text = inputs.write(answers)
    parsed = inputs.read(text)
    for key, value in answers.items():
        start, end = parsed.spans[key]
        assert inputs.read("{'k': " + text[start:end] + "}").answers == {"k": value}
        start, end = parsed.key_spans[key]
        assert inputs.read("{" + text[start:end] + ": 'v'}").answers == {key: "v"}


def test_the_forms_of_one_run() -> None:
    """Command, shell line and request of one walk say the same."""
    answers = {"y": "normexam", "L2ID": "school", "x": "cons,vrband:cat", "seed": "7"}
    found = walk(TwoLevelMod(), answers, tutmiss())
    command = inputs.command("2LevelMod", "tutmiss", found)
    assert command.startswith("RunStatJR(template='2LevelMod', dataset='tutmiss', invars = {'y': 'normexam', ")
    assert re.search(r"estoptions = \{'nchains': '3', 'seed': '7', .*'outdata': 'out'\}\)$", command)
    parsed = inputs.read(command)
    assert parsed.answers == found.answers
    words = shlex.split(inputs.shell("2LevelMod", "my data", found))
    assert words[:5] == ["statgrove", "run", "2LevelMod", "--dataset", "my data"]
    assert words[-2:] == ["--out", "results"]
    assert inputs.read(words[6]).answers == found.answers
    request = shlex.split(inputs.rest("2LevelMod", "it's", found))
    body = json.loads(request[-1])
    assert body == {"template": "2LevelMod", "dataset": "it's", "answers": dict(found.answers)}


@pytest.mark.parametrize("name", ["a b", "it's", 'say "hi"', "$HOME", "`ls`", "a;b", "a\\b", "!x", "é"])
def test_the_shell_line_is_quoted(name: str) -> None:
    """Whatever a dataset is called, the line says it and nothing else."""
    found = walk(TwoLevelMod(), {"y": "normexam"}, tutmiss())
    assert shlex.split(inputs.shell("2LevelMod", name, found, out=name)) == [
        "statgrove", "run", "2LevelMod", "--dataset", name, "--inputs", inputs.write(found.answers), "--out", name,
    ]  # fmt: skip


def test_json_answers() -> None:
    parsed = inputs.plain(
        {"n": 10, "a": 0.5, "b": 2.0, "two": True, "x": ["cons", "girl"], "bad": {"a": 1}, "no": None}
    )
    assert parsed.answers == {"n": "10", "a": "0.5", "b": "2", "two": "Yes", "x": "cons,girl"}
    assert [p.key for p in parsed.problems] == ["bad", "no"]


@pytest.mark.parametrize("file", sorted(STRINGS.glob("*.txt")), ids=lambda f: f.stem)
def test_published_strings_are_read(file: object) -> None:
    """Every string printed in the guide, as it came out of its pages."""
    parsed = inputs.read(file.read_text())  # type: ignore[attr-defined]
    assert parsed.problems == []
    assert len(parsed.answers) >= 20


def test_commands_in_the_guide_are_read() -> None:
    """The commands as scanned, with unquoted names, bare keys and escaped underscores."""
    if not (SHARED / "sources").exists():
        absent("sources")
    text = "\n".join(file.read_text() for file in (SHARED / "sources").glob("*.txt"))
    commands = re.findall(r"RunStatJR\(.*\)", text)
    assert commands
    for command in commands:
        parsed = inputs.read(command)
        assert parsed.problems == []
        assert parsed.template
        assert parsed.dataset == "tutmiss"
    scanned = next(c for c in map(inputs.read, commands) if len(c.answers) == 25)
    found = walk(TwoLevelImpute(), scanned.answers, tutmiss(), recover=True, strict_keys=True)
    assert [(p.key, p.nearest) for p in found.problems] == [("MOllevel", "MOIlevel"), ("MOlslope", "MOIslope")]


def test_the_answers_of_the_fixture_make_the_published_string() -> None:
    assert inputs.read(inputs.write(PUBLISHED)).answers == PUBLISHED
