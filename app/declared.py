"""What the templates of a run say of its outputs: its own template, and those that it called, of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.models import Artifact, Run
from templates_engine import registry
from templates_engine.data import Schema
from templates_engine.outputs import HEADS, Head, Output, declared
from templates_engine.template import Template

_NOTHING = Output("")


@dataclass(frozen=True)
class Said:
    """Of one output."""

    output: Output  # what is declared of it, or nothing
    part: str  # of the run, under which it is folded; "" is the run itself
    shown: str  # its name there
    own: str  # its name in the run of the template that made it
    by: Run  # that run: this one, or one inside it

    @property
    def heads(self) -> Mapping[str, Head]:
        return {**HEADS, **self.output.heads}


class Declared:
    """Of a run's outputs. children: the runs inside it. A template that is not there any more says nothing."""

    def __init__(self, run: Run, children: Sequence[Run] = ()):
        self.run = run
        self._prefix = run.prefix if run.parent_id else ""
        self._outputs = {one.id: _outputs(one) for one in (run, *children)}
        inside = [(child.prefix.removeprefix(self._prefix), child) for child in children]
        self._children = [(prefix, child) for prefix, child in inside if prefix]

    def of(self, artifact: Artifact) -> Said:
        name = artifact.name.removeprefix(self._prefix)
        found = declared(self._outputs[self.run.id], name)
        for prefix, child in self._children:
            if name.startswith(prefix):
                own = name.removeprefix(prefix)
                output = declared(self._outputs[child.id], own)
                part, shown = found[1:] if found and found[1] else (prefix.strip("_").replace("_", " "), own)
                return Said(output[0] if output else _NOTHING, part, shown, own, child)
        if found:
            output_, part, shown = found
        else:
            output_, part, shown = _NOTHING, "", name
        if not part and artifact.kind == "figure" and ": " in artifact.title:  # as Job.diagnostics titles them
            part = artifact.title.partition(": ")[0]
        return Said(output_, part, shown, name, self.run)

    def words(
        self, artifact: Artifact, parameters: Sequence[tuple[str, str]], schema: Schema | None
    ) -> Mapping[tuple[str, str], str]:
        """Plain words of a table's (parameter, variable)."""
        said = self.of(artifact)
        template = template_of(said.by)
        return template.words(said.own, parameters, said.by.answers, schema) if template else {}


def template_of(run: Run) -> Template | None:
    """The run's template; None where it is not there any more."""
    return registry.all().get(run.template)


def _outputs(run: Run) -> Sequence[Output]:
    template = template_of(run)
    return template.outputs_of(run.answers) if template else ()
