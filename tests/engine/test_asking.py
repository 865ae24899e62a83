"""Walks: what is asked, in which order, and what is said of wrong, missing, unknown and older answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from engine.fixtures import PUBLISHED, STRINGS, TwoLevelImpute, TwoLevelMod, made, schemas, tutmiss
from templates_engine import inputs
from templates_engine.asking import Ask, Walk, placeholder as pending, walk
from templates_engine.asking.exploring import converse, explore, matches, unknown_keys
from templates_engine.asking.mcmc_questions import McmcOptions
from templates_engine.asking.questions import TemplateBug, Term
from templates_engine.problems import Problem, Refused
from templates_engine.template import Template

TUTMISS = tutmiss()


def template(questions: Any, **attributes: Any) -> Template:
    """A template from a function."""
    return type("Made", (Template,), {"name": "Made", "questions": lambda self, ask: questions(ask), **attributes})()


def told(found: Walk) -> list[tuple[str, str, str]]:
    return [(p.key, p.code, p.nearest) for p in found.problems]


def strict(answers: dict[str, str], **options: Any) -> Walk:
    return walk(TwoLevelImpute(), answers, TUTMISS, recover=True, strict_keys=True, **options)


# The published conversation


def test_the_published_string_fills_every_question() -> None:
    """The string of the guide, with its older spelling MOOldist, gives the spec the guide describes."""
    parsed = inputs.read((STRINGS / "2LevelImpute.txt").read_text())
    found = strict(parsed.answers)
    assert found.problems == []
    spec = found.require()
    assert spec.level2[0].column == "schgendmiss"
    assert spec.level2[0].kind == "Unordered"
    assert spec.level2[0].x == ((Term("cons"),), (Term("cons"),))
    assert spec.level1[1].x == ((Term("cons"), Term("vrband", True)),)
    assert spec.numbers == (4, 1000, 50, 100, 250, 3, 1)
    assert found.answers == PUBLISHED


def test_pages_follow_from_where_the_code_looks() -> None:
    """Questions that cannot change one another stand together; nobody declares the pages."""
    answers: dict[str, str] = {}
    pages = []
    for _ in range(20):
        found = walk(TwoLevelImpute(), answers, TUTMISS, defaults=False)
        if not found.open:
            break
        pages.append([asked.key for asked in found.open])
        answers |= {key: PUBLISHED[key] for key in pages[-1]}
    assert pages[:4] == [["numlevs"], ["L2ID", "MOIlevel", "MOIdist", "y", "x"], ["yimp1"], ["bin1_1"]]
    assert ["ximp1_0", "ximp1_1", "ximp1_2", "want2"] in pages
    assert [key for page in pages for key in page] == list(PUBLISHED)
    assert found.complete


def test_defaults_are_offered_on_a_page_and_assumed_elsewhere() -> None:
    answers = {"y": "normexam", "L2ID": "school", "x": "cons"}
    page = walk(TwoLevelMod(), answers, TUTMISS, defaults=False)
    assert page.asked["D"].text is None
    assert page.asked["D"].offered == "Normal"
    assert not page.complete
    done = walk(TwoLevelMod(), answers, TUTMISS)
    assert done.asked["D"].assumed
    assert done.complete
    assert done.spec.mcmc == McmcOptions(3, 1, 500, 2000, 1, "out")
    assert done.asked["seed"].group == "estoptions"
    assert done.asked["seed"].section == "Estimation"
    assert done.asked["y"].group == "invars"


def test_a_default_that_does_not_suit_the_data_is_not_offered() -> None:
    """`cons` is the default of the predictors, and this dataset has no such column."""
    data = made("plain", 10, {"g": (5, 0), "a": (3, 1)})
    one = template(lambda ask: ask.columns("x", "X", default="cons"))
    assert walk(one, {}, data).asked["x"].offered is None
    assert walk(one, {}, TUTMISS).spec == (Term("cons"),)


# Faults


def test_all_faults_are_told_at_once_with_the_nearest_word() -> None:
    bad = PUBLISHED | {"MOIlevel": "2 level", "bin1_3": "Binry", "x": "cons,standlrtmis,avlrltmiss"}
    bad |= {"numimpute": "four", "bin1_4": "Normal", "imputefrst": "3", "zzz": "1"}
    found = strict(bad)
    assert told(found) == [
        ("MOIlevel", "not-a-choice", "2 levels"),
        ("x", "not-a-column", "standlrtmiss"),
        ("x", "not-a-column", "avslrtmiss"),
        ("bin1_3", "not-a-choice", "Binary"),
        ("numimpute", "not-a-number", ""),
        ("bin1_4", "not-asked", "bin1_3"),
        ("imputefrst", "unknown-key", "imputefirst"),
        ("zzz", "unknown-key", ""),
    ]
    assert found.spec is None
    with pytest.raises(Refused) as refused:
        found.require()
    assert len(refused.value.problems) == 8


def test_a_misspelt_key_stands_in_for_its_question() -> None:
    """MOllevel, as scanned text has it: one fault, and the questions after it are read all the same."""
    bad = {("MOllevel" if key == "MOIlevel" else key): text for key, text in PUBLISHED.items()}
    found = strict(bad | {"condmarg": "perhaps"})
    assert told(found) == [("MOllevel", "unknown-key", "MOIlevel"), ("condmarg", "not-a-choice", "")]
    assert found.spec is None
    assert "MOIlevel" not in found.answers


def test_a_key_of_another_question_is_not_taken_for_a_misspelling() -> None:
    """yimp2 is much like yimp1, and a question of its own."""
    found = strict({key: text for key, text in PUBLISHED.items() if key != "yimp1"})
    assert [p.code for p in found.problems] == ["not-reached", "missing-answer"]
    assert found.problems[1].key == "yimp1"


def test_a_key_of_another_branch_says_when_it_is_asked() -> None:
    found = walk(
        TwoLevelMod(), {"y": "normexam", "L2ID": "school", "x": "cons", "n": "cons"}, TUTMISS, strict_keys=True
    )
    assert [p.message for p in found.problems] == ["n is asked only when D is Binomial."]
    found = strict(PUBLISHED | {"ncatsgirlmiss": "3"})
    assert [p.message for p in found.problems] == ["ncatsgirlmiss is asked only when bin1_3 is Ordered or Unordered."]


def test_keys_after_a_gap_are_not_called_unknown() -> None:
    found = strict({"numlevs": "Yes", "bin1_1": "Normal", "want2": "Yes"})
    codes = {p.code for p in found.problems}
    assert codes == {"not-reached", "missing-answer"}
    assert next(p for p in found.problems if p.code == "not-reached").level == "notice"


def test_on_a_page_unknown_keys_are_only_listed() -> None:
    found = walk(TwoLevelImpute(), PUBLISHED | {"zzz": "1"}, TUTMISS)
    assert found.unasked == ("zzz",)
    assert found.problems == []
    said = unknown_keys(TwoLevelImpute(), PUBLISHED | {"zzz": "1"}, TUTMISS, found, level="notice")
    assert [(p.key, p.level) for p in said] == [("zzz", "notice")]


def test_missing_answers_are_named() -> None:
    with pytest.raises(Refused) as refused:
        walk(TwoLevelMod(), {"y": "normexam"}, TUTMISS).require()
    assert [(p.key, p.code) for p in refused.value.problems] == [("L2ID", "missing-answer"), ("x", "missing-answer")]


def test_older_and_newer_key_with_different_answers() -> None:
    found = strict(PUBLISHED | {"MOOldist": "Poisson"})
    assert told(found) == [("MOOldist", "given-twice", "MOIdist")]
    assert strict(PUBLISHED | {"MOOldist": "Normal"}).problems == []


def test_published_keys_with_one_working_answer() -> None:
    assert strict(PUBLISHED | {"MOIslope": "no"}).problems == []
    assert told(strict(PUBLISHED | {"MOIslope": "Yes"})) == [("MOIslope", "not-available", "No")]
    answers = {"y": "normexam", "L2ID": "school", "x": "cons"}
    answers |= {"defaultalg": "Yes", "makepred": "No", "defaulstv": "Yes"}
    assert walk(TwoLevelMod(), answers, TUTMISS, strict_keys=True).problems == []


def test_answers_that_do_not_go_together() -> None:
    def questions(ask: Ask) -> Any:
        a, b = ask.column("a", "A"), ask.column("b", "B")
        if a == b:
            ask.fault("b", "The two must differ.", column=b)
        ask.notice("a", "Just so you know.")
        return a, b

    found = walk(template(questions), {"a": "girl", "b": "girl"}, TUTMISS)
    assert found.spec is None
    assert told(found) == [("b", "conflict", ""), ("a", "notice", "")]
    assert walk(template(questions), {"a": "girl", "b": "cons"}, TUTMISS).complete


# Bounds


def test_a_walk_is_fast(cost: Callable[..., float], steps: Callable[[int], None]) -> None:
    """Every change on the page walks: 0.3 ms, where a loop of 80,000 steps takes 2."""
    template = TwoLevelImpute()
    assert cost(lambda: walk(template, PUBLISHED, TUTMISS), beside=lambda: steps(80_000), repeats=20) < 1


def test_a_huge_number_ends_in_a_message() -> None:
    def questions(ask: Ask) -> Any:
        n = ask.integer("n", "N")
        return [ask.yes_no("q{k}", "Q", k=k, default="Yes") for k in range(n)]

    found = walk(template(questions), {"n": "999999999999"}, TUTMISS)
    assert [p.code for p in found.problems] == ["too-many-questions"]
    assert found.spec is None


def test_a_wide_dataset_and_hostile_keys_cost_little(cost: Callable[..., float], steps: Callable[[int], None]) -> None:
    """0.3 s, where a hundred loops of a million steps take 2."""
    wide = made("wide", 10, {f"column_{k}": (5, 0) for k in range(1000)})
    bad = {f"key{k}": "x" for k in range(2000)} | {"y": "x" * 60_000, "x": ",".join(f"w{k}" for k in range(5000))}

    def answered() -> Walk:
        return walk(TwoLevelMod(), bad, wide, recover=True, strict_keys=True)

    assert len(answered().problems) < 100
    assert cost(answered, beside=lambda: steps(1_000_000)) < 100


# The language


def test_a_key_asked_twice_is_a_bug() -> None:
    with pytest.raises(TemplateBug):
        walk(template(lambda ask: [ask.column("a", "A"), ask.column("a", "A")]), {}, TUTMISS)


def test_a_pattern_without_its_field_is_a_bug() -> None:
    with pytest.raises(TemplateBug):
        walk(template(lambda ask: ask.column("a{k}", "A")), {}, TUTMISS)


@pytest.mark.parametrize(
    "look",
    [
        bool, len, str, int, float, list, hash, repr and (lambda p: p == 1), lambda p: p.name, lambda p: p[0],
        lambda p: 1 in p, lambda p: p + 1, lambda p: 1 - p, lambda p: f"{p}", lambda p: range(p), lambda p: p < 1,
        lambda p: p(), lambda p: {p: 1}, lambda p: p % 2, lambda p: -p, lambda p: p / 2,
    ],
)  # fmt: skip
def test_looking_at_a_missing_answer_ends_the_walk(look: Any) -> None:
    with pytest.raises(pending.Unanswered):
        look(pending.PENDING)


def test_a_missing_answer_may_be_carried_copied_and_shown() -> None:
    assert repr(pending.PENDING) == "<not answered>"
    assert not hasattr(pending.PENDING, "__wrapped__")
    copy.copy(pending.PENDING)


def test_a_template_cannot_swallow_the_end_of_a_walk() -> None:
    def questions(ask: Ask) -> Any:
        a = ask.column("a", "A")
        try:
            if a == "girl":
                ask.column("b", "B")
        except Exception:
            ask.column("c", "C")

    assert list(walk(template(questions), {}, TUTMISS).asked) == ["a"]


def test_fields_fill_key_label_and_help() -> None:
    found = walk(
        template(lambda ask: ask.yes_no("bin{level}_{k}", "Type of {column}", help="Of {column}, x_{ij}.", level=1,
                                        k=2, column="girl")),
        {}, TUTMISS,
    )  # fmt: skip
    asked = found.asked["bin1_2"]
    assert (asked.pattern, asked.question.label, asked.question.help) == (
        "bin{level}_{k}", "Type of girl", "Of girl, x_{ij}."
    )  # fmt: skip
    assert asked.label_pattern == "Type of {column}"


def test_another_template_asked_in_place() -> None:
    def questions(ask: Ask) -> Any:
        return ask.yes_no("first", "First?"), ask.template(TwoLevelMod(), prefix="moi")

    answers = {"first": "Yes", "moiy": "normexam", "moiL2ID": "school", "moix": "cons"}
    found = walk(template(questions), answers, TUTMISS, strict_keys=True)
    assert found.problems == []
    assert found.spec[1].y == "normexam"
    assert "moiseed" in found.asked


def test_questions_about_another_dataset() -> None:
    def questions(ask: Ask) -> Any:
        other = ask.dataset("other", "Other data")
        return ask.columns("x", "From the other", of=other)

    one = template(questions)
    assert list(walk(one, {}, TUTMISS, datasets=schemas()).asked) == ["other"]
    found = walk(one, {"other": "small", "x": "a,b"}, TUTMISS, datasets=schemas())
    assert found.spec == (Term("a"), Term("b"))
    assert found.answers == {"other": "small", "x": "a,b"}
    assert walk(one, {"other": "small", "x": "girl"}, TUTMISS, datasets=schemas()).problems[0].code == "not-a-column"


def test_options_depend_on_earlier_answers() -> None:
    """`where` is evaluated inside the walk, when the closure still sees this turn of the loop."""

    def questions(ask: Ask) -> Any:
        return [
            ask.column("c{k}", "C", where=lambda c: c.n_levels == n, k=n)  # noqa: B023
            for n in (1, 2)
        ]

    found = walk(template(questions), {}, TUTMISS)
    allowed = [[o.value for o in asked.options if o.allowed] for asked in found.asked.values()]
    assert allowed[0] == ["cons"]
    assert "girl" in allowed[1]
    assert "cons" not in allowed[1]


def test_control_characters_never_reach_a_message() -> None:
    """A lone half character cannot be written as JSON, nor a zero byte into a database."""
    bad = {"y": "norm\x00exam", "L2ID": "\ud800", "ke\ud800y": "x", "outdata": "a\x00"}
    found = walk(TwoLevelMod(), bad, TUTMISS, recover=True, strict_keys=True)
    text = "".join(str(p.as_dict()) for p in found.problems)
    text.encode()
    assert "\x00" not in text
    assert isinstance(found.problems[0], Problem)


# The contract tests can fail


def test_a_planted_look_by_identity_is_caught() -> None:
    """`is` slips through a placeholder: hiding the answer then asks a question of a false branch."""

    def questions(ask: Ask) -> Any:
        two = ask.yes_no("two", "Two?")
        if two is not True:
            ask.column("n", "Only when No")
        return two

    one = template(questions)
    full, less = walk(one, {"two": "Yes"}, TUTMISS), walk(one, {}, TUTMISS)
    assert set(less.asked) - set(full.asked) == {"n"}  # what test_hiding_an_answer_adds_no_question refuses


def test_a_planted_repeated_key_is_met_in_conversation() -> None:
    """A column that may be chosen at both levels has its number of categories asked twice."""

    def questions(ask: Ask) -> Any:
        for level in (1, 2):
            for term in ask.columns("yimp{level}", "Variables", level=level):
                ask.integer("ncats{column}", "Categories", column=term.name, default=3)

    both = {"yimp1": "girl,school", "yimp2": "school"}
    with pytest.raises(TemplateBug, match="ncatsschool"):
        converse(template(questions), both, TUTMISS)


# Exploring


def test_exploring_finds_conditions() -> None:
    known = explore(TwoLevelImpute(), PUBLISHED, TUTMISS)
    assert known.when("L2ID") == "numlevs is Yes"
    assert known.when("yimp2") == "want2 is Yes"  # that numlevs is Yes follows from it
    assert known.when("ximp1_0") == "bin1_1 is Normal, Binary or Ordered"
    assert known.when("ximp1_0_0") == "bin1_1 is Unordered"
    assert known.when("y") == ""
    assert known.order.index("ncatsnormexam") == known.order.index("bin1_1") + 1


def test_families() -> None:
    assert matches("bin{level}_{k}", "bin1_3")
    assert matches("ncats{column}", "ncatsschgendmiss")
    assert not matches("bin{level}_{k}", "bin1")
    assert not matches("bin{level}_{k}", "binary_1x y")
