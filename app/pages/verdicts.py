"""Verdicts over the results: the run's own, with the button that mends what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.declared import Declared, template_of
from app.models import Artifact, Run
from app.pages.format import fixed
from app.pages.longer import Offer
from app.pages.objects import read_table
from app.pages.tables import number, records
from templates_engine.outputs import VERDICTS

LOOKS = {
    "Fine": ("tick", "ok"),
    "Settled": ("tick", "ok"),
    "Long enough": ("tick", "ok"),
    "Model in doubt": ("wrong", "bad"),
}
# What the stopping rule says of itself, by the code of its notice.
TARGETS = {"targets-met": "Long enough", "targets-missed": "Out of time"}


@dataclass(frozen=True)
class Verdict:
    """One line: a word, the reason with numbers, and the answers that would mend it."""

    word: str
    sentence: str
    icon: str
    look: str
    key: str = ""
    value: str = ""
    more: str = ""  # or how much longer the run should be made
    button: str = ""


def verdicts_of(run: Run, every: Sequence[Artifact], declared: Declared, offer: Offer | None = None) -> list[Verdict]:
    """The run's verdicts, the stopping rule's word first; where it stored none, one from its parameter table.

    offer: whether the run can be made longer.
    """
    own = [a for a in every if a.kind == "table" and a.state == "ready" and (said := declared.of(a)).by is declared.run
           and not said.part]  # fmt: skip
    stored = next((a for a in own if declared.of(a).own == VERDICTS), None)
    found: list[tuple[str, str]] = []
    if stored is not None and (content := read_table(run, stored, every)):
        found = [(str(r.get("word")), str(r.get("sentence"))) for r in records(content)]
    elif run.state == "done":
        found = _from_parameters(run, own, every)
    if lacking := [str(p["message"]) for p in run.problems or [] if p.get("code") == "no-intercept"]:
        # That the chains have settled says nothing of a model that may not be meant.
        found = [("No intercept", lacking[0]), *(("Settled" if word == "Fine" else word, text) for word, text in found)]
    rule = [(TARGETS[p["code"]], str(p["message"])) for p in run.problems or [] if p.get("code") in TARGETS]
    can = offer if offer and not offer.why and not offer.finish else None  # one that was stopped is finished first
    return [_verdict(run, word, sentence, can) for word, sentence in rule + found]


def _from_parameters(run: Run, own: Sequence[Artifact], every: Sequence[Artifact]) -> list[tuple[str, str]]:
    for artifact in own:
        content = read_table(run, artifact, every) if not artifact.name.endswith(".json") else None
        if not content or not {"parameter", "rhat", "ess_bulk"} <= set(content["columns"]):
            continue
        rows = [r for r in records(content) if number(r["rhat"]) is not None and number(r["ess_bulk"]) is not None]
        if rows:
            worst = max(rows, key=lambda r: float(r["rhat"]))
            fewest = min(rows, key=lambda r: float(r["ess_bulk"]))
            rhat, ess = float(worst["rhat"]), float(fewest["ess_bulk"])
            if rhat <= 1.01 and ess >= 400:
                text = f"The chains agree: largest R-hat {rhat:.2f}, smallest effective sample size {ess:,.0f}"
                return [("Fine", f"{text} ({fewest['parameter']}).")]
            if rhat > 1.01:
                return [("Too short", f"R-hat of {worst['parameter']} is {rhat:.2f}; it should be at most 1.01.")]
            return [("Too short", f"The effective sample size of {fewest['parameter']} is {ess:,.0f}; 400 are enough.")]
    return []


def _verdict(run: Run, word: str, sentence: str, offer: Offer | None = None) -> Verdict:
    icon, look = LOOKS.get(word, ("care", "warn"))
    plain = Verdict(word, sentence, icon, look)
    template = template_of(run)
    for mend in template.mends if template else ():
        found = re.search(mend.says, sentence) if mend.word in ("", word) else None
        if found is None or mend.key not in run.answers:
            continue
        now = str(run.answers[mend.key])
        number_ = int(found[1].replace(",", "")) if found.groups() else 0
        if offer and found.groups() and offer.key == mend.key:
            more = number_ if mend.adds else number_ - offer.reached
            if more > 0:
                return replace(plain, more=str(more), button=f"Run {fixed(more)} more")
        if mend.instead not in ("", now) or (mend.adds and not now.isdigit()):
            return plain
        value = mend.value or str(number_ + (int(now) if mend.adds else 0))
        words = f"{int(value):,}" if value.isdigit() else value
        return replace(plain, key=mend.key, value=value, button=mend.button.format(words))
    return plain
