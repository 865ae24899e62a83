"""Verdicts over the results: the run's own, with the button that mends what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.models import Artifact, Run
from app.pages.format import fixed
from app.pages.listing import VERDICTS
from app.pages.longer import Offer
from app.pages.objects import read_table
from app.pages.tables import number, records

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


def verdicts_of(run: Run, every: Sequence[Artifact], prefix: str = "", offer: Offer | None = None) -> list[Verdict]:
    """The run's verdicts, the stopping rule's word first; where it stored none, one from its parameter table.

    offer: whether the run can be made longer.
    """
    stored = next((a for a in every if a.name == prefix + VERDICTS and a.state == "ready"), None)
    said: list[tuple[str, str]] = []
    if stored is not None and (content := read_table(run, stored, every)):
        said = [(str(r.get("word")), str(r.get("sentence"))) for r in records(content)]
    elif run.state == "done":
        said = _from_parameters(run, every, prefix)
    if lacking := [str(p["message"]) for p in run.problems or [] if p.get("code") == "no-intercept"]:
        # That the chains have settled says nothing of a model that may not be meant.
        said = [("No intercept", lacking[0]), *(("Settled" if word == "Fine" else word, text) for word, text in said)]
    rule = [(TARGETS[p["code"]], str(p["message"])) for p in run.problems or [] if p.get("code") in TARGETS]
    can = offer if offer and not offer.why and not offer.finish else None  # one that was stopped is finished first
    return [_verdict(run, word, sentence, can) for word, sentence in rule + said]


def _from_parameters(run: Run, every: Sequence[Artifact], prefix: str) -> list[tuple[str, str]]:
    own = [a for a in every if a.kind == "table" and a.name in (f"{prefix}ModelResults", f"{prefix}ModelParameters")]
    for artifact in own:
        content = read_table(run, artifact, every)
        if not content or "rhat" not in content["columns"]:
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


def _verdict(run: Run, word: str, sentence: str, offer: Offer | None) -> Verdict:
    icon, look = LOOKS.get(word, ("care", "warn"))
    if offer and (more := _more(offer, word, sentence)):
        return Verdict(word, sentence, icon, look, more=str(more), button=f"Run {fixed(more)} more")
    key, value, button = _mends(run.answers, word, sentence)
    return Verdict(word, sentence, icon, look, key, value, button=button)


def _more(offer: Offer, word: str, sentence: str) -> int:
    """How much longer the run should be made, as the sentence says; 0 where that is not what is wrong."""
    few = re.search(r"About ([\d,]+) imputations", sentence) if word == "Too few imputations" else None
    if few and offer.key == "numimpute":
        return max(0, int(few[1].replace(",", "")) - offer.reached)
    short = re.search(r"([\d,]+) more iterations", sentence) if word == "Too short" else None
    if short and offer.key == "iterations":
        return int(short[1].replace(",", ""))
    return 0


def _mends(answers: Mapping[str, Any], word: str, sentence: str) -> tuple[str, str, str]:
    """The question to answer otherwise, its new answer, and the button's words; "" where there is no such thing."""
    few = re.search(r"About ([\d,]+) imputations", sentence) if word == "Too few imputations" else None
    if few and "numimpute" in answers:
        return "numimpute", few[1].replace(",", ""), f"Ask for {few[1]} imputations"
    if "robust variant" in sentence and str(answers.get("robust", "")) == "No":
        return "robust", "Yes", "Try the robust variant"
    if word == "Too short" and (found := re.search(r"([\d,]+) more iterations", sentence)):
        key = "imputefirst" if "imputefirst" in answers and not sentence.startswith("Fit ") else "iterations"
        if str(answers.get(key, "")).isdigit():
            wanted = int(answers[key]) + int(found[1].replace(",", ""))
            return key, str(wanted), f"Ask for {wanted:,} iterations"
    return "", "", ""
