"""The bodies that the REST interface takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from app.models import Artifact, Dataset, Run
from templates_engine.inputs import MOST_CHARACTERS

LISTED = 300  # characters of an answer in a list of runs
MAX_JSON = 12_000_000  # bytes of a body that is not a file: an answer of a million characters, written as \uXXXX


def _clean(text: str) -> str:
    if "\0" in text:
        raise ValueError("text must not hold the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must be Unicode without lone surrogates") from None
    return text


Plain = Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(_clean)]
Name = Annotated[str, Field(max_length=400), AfterValidator(_clean)]
Answers = Annotated[
    dict[Name, Any],
    Field(max_length=5000, description="Text by key; numbers, true, false and lists of columns are taken too."),
]
Id = Annotated[int, Path(ge=1, le=2**31 - 1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Conversation(Body):
    """Partial answers: as a dictionary, or as an input string or RunStatJR command to be read."""

    dataset: Name | int = Field(description="A dataset's name or number.")
    answers: Answers = Field(default_factory=dict)
    inputs: Plain = Field(default="", description="An input string or RunStatJR command, instead of answers.")


class Carrying(Conversation):
    """Complete answers that are to be carried over to another template."""

    lead: Name = Field(default="one-pass", description="The lead's name: one-pass, compare.")


class Submission(Body):
    """A run to be made. `command` alone is enough: it names template and dataset."""

    template: Name = ""
    dataset: Name | int | None = None
    answers: Answers = Field(default_factory=dict)
    inputs: Plain = ""
    command: Plain = ""
    title: Annotated[str, Field(max_length=400), AfterValidator(_clean)] = ""
    reuse: bool = Field(default=False, description="Give back a finished run of the same specification, if any.")


class Cancel(Body):
    discard: bool = Field(default=False, description="Throw away what has been drawn, too.")


class Longer(Body):
    more: StrictInt | None = Field(
        default=None,
        description="How many more of what the run counts: iterations of each chain, or imputed datasets. Left out: as "
        "many as there are; of a cancelled run 0, which finishes what was asked for.",
    )


class DatasetOut(BaseModel):
    id: int
    name: str
    source: str
    note: str
    created: datetime
    n_rows: int
    n_columns: int
    sha256: str
    run: int | None

    @classmethod
    def of(cls, row: Dataset) -> DatasetOut:
        return cls(**_fields(cls, row, run=row.run_id))


class DatasetFull(DatasetOut):
    columns: list[dict[str, Any]]

    @classmethod
    def of(cls, row: Dataset) -> DatasetFull:
        return cls(**_fields(cls, row, run=row.run_id, columns=row.schema["columns"]))


class RunOut(BaseModel):
    id: int
    template: str
    version: str
    dataset: str
    title: str
    state: str
    attempt: int
    cancel: str
    message: str
    progress: dict[str, Any]
    problems: list[dict[str, Any]]
    answers: dict[str, str]
    shortened: list[str] = Field(
        default_factory=list,
        description="In a list of runs: the keys of answers that are too long to be given whole; the run by itself has "
        "them whole.",
    )
    spec_hash: str
    origin: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    parent: int | None
    continues: int | None = Field(description="The run whose chains this one makes longer.")

    @classmethod
    def of(cls, run: Run) -> RunOut:
        return cls(**_fields(cls, run, dataset=run.dataset_name, parent=run.parent_id, shortened=[]))

    @classmethod
    def listed(cls, run: Run) -> RunOut:
        """As one of many: a pasted table of a million characters is cut, and the end says so."""
        made = cls.of(run)
        made.shortened = [key for key, text in made.answers.items() if len(text) > LISTED]
        cut = {k: f"{made.answers[k][:LISTED]}… ({len(made.answers[k]):,} characters)" for k in made.shortened}
        made.answers = {**made.answers, **cut}
        return made


class ArtifactOut(BaseModel):
    id: int
    name: str
    file: str
    kind: str
    title: str
    sha256: str
    size: int
    state: str
    part: str = Field(description="The part of the run under which pages fold it.")
    about: str = Field(description="What the template says that it holds.")

    @classmethod
    def of(cls, row: Artifact, part: str = "", about: str = "") -> ArtifactOut:
        return cls(**_fields(cls, row, part=part, about=about))


class ProblemOut(BaseModel):
    """One thing that has to be mended."""

    model_config = ConfigDict(extra="allow")
    code: str
    message: str
    key: str = ""


class ErrorInside(BaseModel):
    code: str
    message: str
    problems: list[ProblemOut]


class ErrorOut(BaseModel):
    """What every error looks like."""

    error: ErrorInside


def _fields(shape: type[BaseModel], row: object, **given: Any) -> Mapping[str, Any]:
    return {name: given[name] if name in given else getattr(row, name) for name in shape.model_fields}
