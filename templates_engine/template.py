"""What a template is: one class that declares questions, equation and run.

A template lives in a folder of its own, model_templates/<folder>/template.py, and is found by its presence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from templates_engine.data import with_intercept
from templates_engine.outputs import PAPERS, Curve, Mend, Output, in_words

if TYPE_CHECKING:
    from templates_engine.asking import Ask
    from templates_engine.data import Dataset, Schema
    from templates_engine.outputs import Result
    from templates_engine.problems import Problem


def slug_of(name: str) -> str:
    """A name with everything but letters and digits as _, fit for an address and a file's name."""
    return re.sub(r"\W+", "_", name)


@dataclass(frozen=True)
class Example:
    """A shipped example: answers that work, with what they should give and where that is published."""

    name: str  # the file's name without its ending
    title: str
    dataset: str
    inputs: str  # an input string
    expected: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Lead:
    """Where a user may go on from here with the same data: another template, or this one with one answer changed."""

    name: str  # short and stable, for addresses and Problem.lead: "one-pass"
    template: str  # the name of the template that it opens
    button: str  # "Open 2LevelMissingOnePass with these answers"
    help: str  # one sentence: what it is good for
    always: bool = False  # offered with every model and result; if not, beside the notice that names it


class Template:
    """Base class. A subclass fills in the names and `questions` and `run`; the rest has defaults."""

    name: ClassVar[str] = ""  # "2LevelImpute": starts with a capital letter or a digit; a slash inside is allowed
    slug: ClassVar[str] = ""  # the name in addresses and file names; if not given, the name with _ for other signs
    title: ClassVar[str] = ""  # one plain sentence
    heading: ClassVar[str] = ""  # its group on the start page: "Missing data", "Models"
    tags: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[str] = "1"
    queue: ClassVar[Literal["cpu", "gpu"]] = "cpu"  # "gpu": a worker with a graphics card, where there is one
    curves: ClassVar[Sequence[Curve]] = ()  # what is drawn while a run goes on, besides the chains it watches
    images: ClassVar[bool] = False  # it is for datasets of images, to which only such templates are offered
    renamed: ClassVar[Mapping[str, str]] = {}  # older key -> today's key
    accepted: ClassVar[Mapping[str, str]] = {}  # published key -> its one working answer, accepted and ignored
    equation: ClassVar[str] = ""  # LaTeX with << >> for the spec's fields and those of equation_values
    intercept: ClassVar[bool] = False  # its models may have an intercept: a column of ones is there in any case
    outputs: ClassVar[Sequence[Output]] = ()  # what it says of its outputs, for the pages and the manual
    parameters: ClassVar[Mapping[str, str]] = {}  # plain words of parameters in tables: "sigma2": "Residual variance"
    lengths: ClassVar[Mapping[str, str]] = {"iterations": "iterations per chain"}  # key of Job.keep -> more of what
    mends: ClassVar[Sequence[Mend]] = (  # what may be done about its verdicts; the first that fits holds
        Mend(r"([\d,]+) more iterations", "iterations", "Ask for {} iterations", word="Too short", adds=True),
    )
    guides: ClassVar[bool] = False  # it proposes templates: the start page leads to it
    showcase: ClassVar[str] = ""  # the example that the start page opens with, of the template that has one

    folder: Path | None = None  # where it was found, filled in by the registry
    examples: tuple[Example, ...] = ()  # read by the registry from examples/*.toml

    def __init_subclass__(cls, **more: Any):
        super().__init_subclass__(**more)
        if "slug" not in cls.__dict__:
            cls.slug = slug_of(cls.name)

    def published(self, answers: dict[str, str]) -> dict[str, str]:
        """Answers of another template's published input string under this one's keys, where it stands for both."""
        return answers

    def leads(self, answers: Mapping[str, str]) -> Sequence[Lead]:
        """Where a user may go on with these complete answers."""
        return ()

    def carried(self, lead: str, answers: Mapping[str, str], spec: Any, data: Dataset) -> dict[str, str]:
        """The answers of a lead's template that mean what these mean. Raises Refused where they cannot be carried."""
        raise TypeError(f"{type(self).__name__} leads nowhere")

    def rows(self, data: Dataset) -> Dataset:
        """The rows as `check` and `run` expect them: with a column of ones where the questions offer one."""
        return with_intercept(data) if self.intercept else data

    def questions(self, ask: Ask) -> Any:
        """Ask what is needed and return a frozen Spec. Plain Python over earlier answers and `ask.data`."""
        raise TypeError(f"{type(self).__name__} declares no questions")

    def equation_values(self, spec: Any, schema: Schema) -> dict[str, Any]:
        """Further names for the equation."""
        return {}

    def outputs_of(self, answers: Mapping[str, str]) -> Sequence[Output]:
        """What is to be said of the outputs of a run with these answers."""
        return [*(output.answered(answers) for output in self.outputs), *PAPERS]

    def words(
        self, table: str, parameters: Sequence[tuple[str, str]], answers: Mapping[str, str], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        """Plain words of a table's (parameter, variable). The page itself makes those of a variable's coefficient.

        schema: the dataset's, None where it is gone.
        """
        return in_words(self.parameters, parameters)

    def lacking(self) -> str:
        """What a run would need that is not installed here, and what to do about it; "" where nothing is lacking."""
        return ""

    def check(self, spec: Any, data: Dataset) -> list[Problem]:
        """What only the rows can tell: errors, and notices (level="notice")."""
        return []

    def run(self, spec: Any, data: Dataset, job: Any) -> Result:
        """Do the work, handing tables, draws and datasets to the job (a Job, which stands a floor above)."""
        raise TypeError(f"{type(self).__name__} declares no run")

    def warm(self) -> None:
        """Compile the kernels by a tiny run, where there are any."""
