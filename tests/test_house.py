"""Rules of the house that the import rules (.importlinter) cannot say: faces, sizes, the documentation's picture."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from templates_engine.faces import offered

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "model_templates", "templates_engine", "workers")
OPEN = {"problems", "outputs", "registry", "template", "sources", "runspec", "suggest", "faces"}  # no rooms: modules
LONGEST_FILE = 400


@cache
def sources() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(path for name in listed.stdout.split() if (path := ROOT / name).is_file())


def module(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """The innermost package of the engine that a module is in."""
    path = ROOT.joinpath(*name.split("."))
    return name if path.is_dir() else name.rpartition(".")[0]


def imports(file: Path) -> Iterator[tuple[str, str, int]]:
    """(module, name, line) of every `from module import name` of the engine."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("templates_engine"):
            for alias in node.names:
                yield str(node.module), alias.name, node.lineno


def test_outside_a_room_only_its_face_is_imported() -> None:
    """What a room does not offer may change without anyone outside noticing."""
    wrong = []
    for file in sources():
        if file.relative_to(ROOT).parts[0] not in PACKAGES:
            continue
        here = room(module(file))
        for name, what, line in imports(file):
            target = room(name)
            inside = here == target or here.startswith(target + ".") or (target.startswith(here + ".") and here != name)
            if (
                inside
                or name.removeprefix("templates_engine.") in OPEN
                or (name == "templates_engine" and what in OPEN)
            ):
                continue
            face = ROOT.joinpath(*name.split("."), "__init__.py")
            if not face.is_file():
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}, a module inside a room")
            elif (names := offered(face)) and what not in names and not ROOT.joinpath(*name.split("."), what).is_dir():
                wrong.append(f"{file.relative_to(ROOT)}:{line}: the face {name} does not offer {what}")
    assert wrong == []


def test_no_module_has_the_name_of_something_its_room_offers() -> None:
    """The module, once loaded, would stand in the name's place."""
    for face in (ROOT / "templates_engine").rglob("__init__.py"):
        for name, (owner, _) in offered(face).items():
            if owner != module(face):
                assert not (face.parent / f"{name}.py").exists(), f"{face.parent.name}/{name}.py"


@pytest.mark.parametrize("line", ["from templates_engine import Ask, Template", "import app.main"])
def test_asking_loads_no_numerics(line: str) -> None:
    """The server starts in a moment, and needs the memory of neither SciPy nor a compiler."""
    heavy = ("numba", "scipy", "pandas", "torch", "matplotlib")
    code = f"{line}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_files_are_short() -> None:
    long = {str(f.relative_to(ROOT)): n for f in sources() if (n := f.read_bytes().count(b"\n")) > LONGEST_FILE}
    assert set(long) <= {"templates_engine/running/job.py"}, long  # a few lines over: one class, the template's world


def floors() -> list[set[str]]:
    """The engine's floors from the import rules, the highest first."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    lines = rules["importlinter:contract:floors"]["layers"].strip().splitlines()
    return [set(re.findall(r"\w+", line)) for line in lines]


def test_the_picture_of_the_rooms_is_that_of_the_import_rules() -> None:
    """docs/architecture.md draws the floors; a picture that drifts is worse than none."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    drawn = re.search(r"<!-- floors -->\n(.*?)\n<!-- /floors -->", text, re.DOTALL)
    assert drawn
    rows = [line.split("│")[1] for line in drawn[1].splitlines() if "│" in line]
    assert [set(re.findall(r"\w+", row)) for row in rows] == floors()


def test_every_room_of_the_engine_is_on_a_floor() -> None:
    there = {p.name for p in (ROOT / "templates_engine").iterdir() if p.is_dir() and (p / "__init__.py").is_file()}
    there |= {p.stem for p in (ROOT / "templates_engine").glob("*.py")} - {"__init__"}
    assert there <= set().union(*floors())


LONG_FUNCTIONS = {  # over 80 lines, and why
    ("migrations/versions/0001_first_tables.py", "upgrade"): "a list of tables",
    (
        "templates_engine/sampling/cloning/normal_kernel.py",
        "sample",
    ): "one chain's loop over its moves",
    ("templates_engine/sampling/glm/sampler.py", "_sample"): "one chain's loop over its moves",
    ("templates_engine/sampling/normal/classified_moves.py", "draw_block"): "one joint draw, its algebra in order",
    ("templates_engine/sampling/joint/covariance.py", "draw_covariance"): "one draw, its algebra in order",
    ("templates_engine/sampling/joint/fixed_effects.py", "marginal_effects"): "one draw, its algebra in order",
    (
        "templates_engine/sampling/joint/latents.py",
        "draw_rows",
    ): "one pass over the rows",
    ("templates_engine/sampling/onepass/rows.py", "draw_rows"): "one pass over the rows",
    ("templates_engine/smoothing/gradients.py", "constants_alone"): "one pass over the series with all derivatives",
    ("templates_engine/smoothing/gradients.py", "one_season"): "one pass over the series with all derivatives",
    ("templates_engine/smoothing/gradients.py", "several"): "one pass over the series with all derivatives",
    ("templates_engine/smoothing/intervals/sampled.py", "draw"): "adaptive importance sampling, stage by stage",
    ("templates_engine/smoothing/optimise.py", "least_squares"): "Levenberg-Marquardt's one loop",
    ("templates_engine/sampling/joint/layout.py", "build"): "to be cut with the classes",
    ("templates_engine/sampling/joint/sweep.py", "sweeps"): "to be cut with the classes",
    ("templates_engine/sampling/normal/two_level.py", "_gibbs"): "to be cut",
}
LONGEST_FUNCTION = 80


def test_functions_are_short_or_say_why() -> None:
    long = set()
    for file in sources():
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION:
                long.add((str(file.relative_to(ROOT)), node.name))
    assert long - set(LONG_FUNCTIONS) == set()
