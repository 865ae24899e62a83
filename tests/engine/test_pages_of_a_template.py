"""What is made from a declaration: equation, manual, registry, identity of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest

from engine.fixtures import TwoLevelImpute, TwoLevelMod, fixtures, schemas, tutmiss
from templates_engine import manual, registry
from templates_engine.asking import walk
from templates_engine.asking.questions import TemplateBug, Term
from templates_engine.data.schema import Schema
from templates_engine.manual import equation
from templates_engine.manual.markdown import to_html
from templates_engine.problems import Refused
from templates_engine.runspec import RunSpec
from templates_engine.template import Template


@dataclass(frozen=True)
class Spec:
    y: str = "a_b"
    x: tuple[Term, ...] = (Term("cons"), Term("vrband", True))
    k: int = 2


def rendered(source: str, **values: Any) -> str:
    class Made(Template):
        equation = source

        def equation_values(self, spec: Any, schema: Schema) -> dict[str, Any]:
            return values

    return equation.render(Made(), Spec(), tutmiss())


def test_linear_predictor() -> None:
    """Coefficients count the design's columns: the last category is the reference and has none."""
    found = walk(TwoLevelMod(), {"y": "normexam", "L2ID": "school", "x": "cons,standlrt,vrband:cat"}, tutmiss())
    assert equation.render(TwoLevelMod(), found.spec, tutmiss()).splitlines() == [
        r"\begin{aligned}",
        r"\mathrm{normexam}_{ij} &\sim \mathrm{Normal}(\mu_{ij}) \\",
        r"\mathrm{identity}(\mu_{ij}) &= \beta_{0}\,\mathrm{cons}_{ij} + \beta_{1}\,\mathrm{standlrt}_{ij} \\",
        r"&\quad + \beta_{2}\,\mathrm{vrband\_1}_{ij} + \beta_{3}\,\mathrm{vrband\_2}_{ij} + u_j \\",
        r"u_j &\sim \mathrm{N}(0, \sigma^2_u)",
        r"\end{aligned}",
    ]


def test_texts_are_escaped_and_latex_is_not() -> None:
    assert r"\mathrm{a\_b}" in rendered(r"\mathrm{<<y>>}")
    assert r"\beta_1" in rendered("<< mine >>", mine=r"\beta_1")
    assert r"\mathrm{a\_b} + 2" in rendered("<< y | var >> + << k >>")
    assert rendered("<% if k == 2 %>two<% endif %>") == "\\begin{aligned}\ntwo\n\\end{aligned}"


def test_an_undefined_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        rendered("<< nowhere >>")


def test_blocks_of_their_own_are_kept() -> None:
    block = "\\begin{aligned}\na &= b\n\\end{aligned}"
    assert rendered(r"<< one >>", one=block) == block
    assert rendered(r"<< one >>\\ << two >>", one=block, two=block).startswith("\\begin{array}{l}")


def test_the_table_of_questions() -> None:
    """Order of asking, patterns with named fields, and the answers that reveal each."""
    table = {row.pattern: row for row in manual.manual(TwoLevelMod(), schemas()).questions}
    assert table == {}, "without an example there is nothing to explore from"
    mod, impute = fixtures()
    rows = manual.manual(mod, schemas()).questions
    assert [row.pattern for row in rows][:6] == ["y", "L2ID", "D", "link", "n", "x"]
    by_key = {row.pattern: row for row in rows}
    assert by_key["n"].asked_when == "D is Binomial"
    assert by_key["D"].choices == ("Normal", "Binomial", "Poisson")
    assert by_key["seed"].limits == "0 to 4,294,967,295"
    by_key = {row.pattern: row for row in manual.manual(impute, schemas()).questions}
    assert by_key["ncats<column>"].label == "Number of categories of <column>"
    assert by_key["ncats<column>"].default == "from the data"
    assert by_key["ximp<level>_<i>_<c>"].asked_when == "bin<level>_<k> is Unordered"
    assert by_key["bin<level>_<k>"].asked_when == ""
    assert by_key["yimp2"].asked_when == "want2 is Yes"


def test_prose_is_safe_and_keeps_mathematics() -> None:
    page = to_html(
        "# T\n\n$a_1 < b_2$ and `$c$`, *e*\n\n$$\\sum_i \\\\ x$$\n\n<script>alert(1)</script>\n\n|a|\n|-|\n|b|\n"
    )
    assert '<span class="math inline">a_1 &lt; b_2</span>' in page
    assert "<code>$c$</code>" in page
    assert '<span class="math display">\\sum_i \\\\ x</span>' in page
    assert "<script>" not in page
    assert "<table>" in page
    assert "href" not in to_html("[x](javascript:alert(1))")
    assert to_html("It costs $5 and $6.") == "<p>It costs $5 and $6.</p>\n"


def test_an_unknown_template_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refused) as refused:
        registry.get("2LevelImput")
    assert refused.value.problems[0].nearest == "2LevelImpute"
    assert registry.get("2levelimpute") is registry.all()["2LevelImpute"]


def test_an_example_file_with_a_strange_field_is_a_bug(tmp_path: Path) -> None:
    file = tmp_path / "worked.toml"
    file.write_text("title = 'T'\ndataset = 'tutmiss'\ninputs = \"{'y': 'a'}\"\n[expected]\nbeta_0 = 1.5\n")
    example = registry.read_example(file)
    assert (example.name, example.inputs, example.expected) == ("worked", "{'y': 'a'}", {"beta_0": 1.5})
    file.write_text(file.read_text().replace("dataset", "datasets"))
    with pytest.raises(TemplateBug):
        registry.read_example(file)


def test_the_identity_of_a_run() -> None:
    """Order of answers has no meaning; everything else has."""
    spec = RunSpec("2LevelMod", "1", "abc", {"y": "a", "x": "b"})
    assert spec.hash() == RunSpec("2LevelMod", "1", "abc", {"x": "b", "y": "a"}).hash()
    others = [
        RunSpec("1LevelMod", "1", "abc", spec.answers),
        RunSpec("2LevelMod", "2", "abc", spec.answers),
        RunSpec("2LevelMod", "1", "abd", spec.answers),
        RunSpec("2LevelMod", "1", "abc", {"y": "a"}),
    ]
    assert len({spec.hash(), *(other.hash() for other in others)}) == 5


def test_a_base_template_cannot_be_asked() -> None:
    with pytest.raises(TypeError):
        walk(Template, {}, tutmiss())
    assert TwoLevelImpute().check(None, None) == []  # type: ignore[arg-type]
