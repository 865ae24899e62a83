"""Exploring: which questions there are beyond those of one walk, and which answers reveal them.

Starting from answers that work, each option of each finite question is tried once, on the path where the question was
first met. What is hidden behind numbers, columns or a dataset's shape is found only through an example that shows it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from templates_engine.asking import once
from templates_engine.asking.ask import Asks
from templates_engine.asking.asked import Asked, Walk
from templates_engine.asking.columns import Columns
from templates_engine.asking.questions import Choice, Dataset, Integer, Number, Text, YesNo
from templates_engine.data import Schema
from templates_engine.problems import Problem
from templates_engine.suggest import MOST, meant, nearest, one_of, quoted

BUDGET = 20_000  # questions asked in one exploration, all walks together: about a third of a second
ROUNDS = 300  # walks in one conversation

Clause = tuple[str, tuple[str, ...]]  # a question's key (or pattern) and the answers that reveal


@dataclass
class Exploration:
    """Every question met, by key, and the clauses under which each is asked.

    `all_of`: the key was on the first path and vanishes unless every clause holds. `any_of`: it was met by trying
    another answer, and each clause reveals it.
    """

    met: dict[str, Asked] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # the keys in the order of asking, those of all paths
    all_of: dict[str, list[Clause]] = field(default_factory=dict)
    any_of: dict[str, list[Clause]] = field(default_factory=dict)

    def clauses(self, key: str) -> tuple[list[Clause], str]:
        """The clauses of a key without those that follow from another, and the word that joins them."""
        if key in self.any_of:
            return self.any_of[key], "or"
        mine = self.all_of.get(key, [])
        implied = {q for other, _ in mine for q, _ in self.all_of.get(other, []) if other != q}
        return [c for c in mine if c[0] not in implied], "and"

    @property
    def families(self) -> list[str]:
        """The patterns with fields: "bin{level}_{k}"."""
        return list({asked.pattern: None for asked in self.met.values() if "{" in asked.pattern})

    def knows(self, key: str) -> bool:
        """Whether a key was met or is of a family that was."""
        return key in self.met or any(matches(pattern, key) for pattern in self.families)

    def when(self, key: str) -> str:
        """ "bin1_1 is Ordered or Unordered", or "" where a key is always asked."""
        clauses, joint = self.clauses(key)
        return say(clauses, joint)


def say(clauses: list[Clause], joint: str) -> str:
    return f" {joint} ".join(f"{key} is {one_of(values)}" for key, values in clauses)


def simplest(asked: Asked) -> str | None:
    """An answer that lets the conversation go on: the default, or the first that is allowed."""
    question = asked.question
    if asked.offered is not None:
        return asked.offered
    allowed = [option.value for option in asked.options if option.allowed]
    if isinstance(question, Columns):
        return ",".join(allowed[: question.minimum]) if len(allowed) >= question.minimum else None
    if isinstance(question, Integer | Number):
        low = 1.0 if question.min is None else max(1.0, question.min)
        return question.write(low if question.max is None else min(low, question.max)).removesuffix(".0")
    if isinstance(question, Text):
        return question.sample or question.example
    return allowed[0] if allowed else None


def converse(
    template: Asks,
    answers: Mapping[str, str],
    schema: Schema,
    choose: Callable[[Asked], str | None] = simplest,
    *,
    datasets: Mapping[str, Schema] | None = None,
    rounds: int = ROUNDS,
) -> Walk:
    """Answer what is open until nothing is, as a person at the page would. `choose` may pass with None."""
    given = dict(answers)
    tried: set[tuple[str, str]] = set()
    found = once(template, given, schema, datasets or {}, False, False)
    for _ in range(rounds):
        before = dict(given)
        for asked in found.open:
            text = choose(asked)
            if text is not None and (asked.key, text) not in tried:
                given[asked.key] = text
                tried.add((asked.key, text))
        if given == before:
            break
        found = once(template, given, schema, datasets or {}, False, False)
        if not found.open:
            break
    return found


def explore(
    template: Asks, answers: Mapping[str, str], schema: Schema, *, datasets: Mapping[str, Schema] | None = None
) -> Exploration:
    """What can be asked on this dataset, starting from these answers (gaps and faults are filled in)."""
    start = converse(template, answers, schema, datasets=datasets)
    result = Exploration(met=dict(start.asked), order=list(start.asked))
    queue = deque((key, start) for key in start.asked)
    home = dict.fromkeys(start.asked, start)  # the path where each key was first met
    budget = BUDGET
    while queue and budget > 0:
        key, path = queue.popleft()
        options = _finite(path.asked[key])
        if len(options) < 2:
            continue
        seen: dict[str, Walk] = {}
        for option in options:
            if path.asked[key].answered and path.asked[key].canonical == option:
                seen[option] = path
            else:
                seen[option] = converse(template, {**path.answers, key: option}, schema, datasets=datasets)
                budget -= 2 * len(seen[option].asked)
        for other in seen.values():
            before = ""
            for new in other.asked:
                if new not in result.met:
                    result.met[new] = other.asked[new]
                    result.order.insert(result.order.index(before) + 1 if before else 0, new)
                    home[new] = other
                    queue.append((new, other))
                before = new
        for other_key in {k: None for w in seen.values() for k in w.asked}:
            reveal = tuple(option for option, w in seen.items() if other_key in w.asked)
            if len(reveal) == len(options):
                continue
            if home[other_key] is path:
                result.all_of.setdefault(other_key, []).append((key, reveal))
            elif other_key not in path.asked and home[other_key] is not start:
                result.any_of.setdefault(other_key, []).append((key, reveal))
    return result


def _finite(asked: Asked) -> list[str]:
    """The answers to try: those of a choice, a yes-no or a dataset question."""
    if not isinstance(asked.question, Choice | YesNo | Dataset):
        return []
    return [option.value for option in asked.options if option.allowed]


def unknown_keys(
    template: Asks,
    given: Mapping[str, str],
    schema: Schema,
    found: Walk,
    *,
    datasets: Mapping[str, Schema] | None = None,
    level: str = "error",
) -> list[Problem]:
    """What to say of keys that were given and not asked: misspelt, asked on another branch, or not reached yet."""
    if not found.unasked:
        return []
    known = explore(template, {**given, **found.answers}, schema, datasets=datasets)
    said: list[Problem] = []
    early: list[str] = []
    also = [*template.accepted, *template.renamed]
    for count, key in enumerate(found.unasked):
        if count == 2 * MOST:
            said.append(Problem("unknown-key", f"{len(found.unasked) - count} more keys are not asked.", level=level))
            break
        problem = _unknown_key(key, found, known, also, level)
        if problem is None:
            early.append(key)
        else:
            said.append(problem)
    if early:
        first = f": {found.open[0].key} comes first" if found.open else ""
        message = f"Not reached yet, and so not checked: {one_of(early, 'and')}{first}."
        said.append(Problem("not-reached", message, level="notice"))
    return said


def _unknown_key(key: str, found: Walk, known: Exploration, also: Sequence[str], level: str) -> Problem | None:
    """What is wrong with one key, or None where the walk has not come so far."""
    if key in known.met:
        clauses, joint = known.clauses(key)
        against = [clause for clause in clauses if _contradicted(clause, found)]
        if against and (joint == "and" or len(against) == len(clauses)):
            message = f"{key} is asked only when {say(against, joint)}."
            return Problem("not-asked", message, key=key, word=key, level=level)
        return None
    for pattern in known.families:
        if not matches(pattern, key):
            continue
        if not found.finished:
            return None
        if alike := [a.key for a in found.asked.values() if a.pattern == pattern]:
            near = nearest(key, alike, cutoff=0.5)
            message = f"These answers lead to no question {quoted(key)}; they lead to {one_of(alike, 'and')}."
            return Problem("not-asked", message, key=key, word=key, nearest=near, level=level)
    near = nearest(key, [*(k for k in known.met if k not in found.answers), *known.met, *also])
    if not near and not found.finished:
        return None
    message = f"There is no question {quoted(key)}.{meant(near)}"
    return Problem("unknown-key", message, key=key, word=key, nearest=near, level=level)


def _contradicted(clause: Clause, found: Walk) -> bool:
    """Whether the clause's question has a right answer, and another than the clause names."""
    key, values = clause
    return key in found.asked and found.asked[key].answered and found.asked[key].canonical not in values


def matches(pattern: str, key: str) -> bool:
    """Whether a key is of this family: "ncatsgirl" is of "ncats{column}"."""
    parts = re.split(r"\{[A-Za-z_]+\}", pattern)
    return re.fullmatch(r"([A-Za-z0-9]+|[A-Za-z0-9_.]+)".join(re.escape(p) for p in parts), key) is not None
