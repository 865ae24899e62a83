"""What 2LevelMissingOnePass asks of each incomplete variable, and the further choices for their model. No numerics."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from templates_engine import Column, Option, Schema, Term
from templates_engine.asking import Ask
from templates_engine.data import ones

from .spec import (
    BINARY,
    BOUNDED,
    COUNT,
    NO,
    NORMAL,
    NOT_RANDOM,
    ORDERED,
    PATTERN,
    SELECTION,
    SKEWED,
    UNORDERED,
    Built,
    More,
    NotRandom,
    Response,
    Selected,
)

KINDS = (NORMAL, BINARY, ORDERED, UNORDERED, COUNT, SKEWED, BOUNDED)
MOST_SHIFTS, LARGEST_SHIFT = 10, 10.0


def complete(column: Column) -> bool:
    return column.complete and (not column.is_text or column.n_levels >= 2)


def ask_response(ask: Ask, kind_key: str, key: str, k: int, term: Term, table: Schema, level: int) -> Response:
    """Type and predictors of one incomplete variable."""
    at: dict[str, Any] = {"k": k, "column": term.name}
    levels = table[term.name].n_levels
    kind = ask.choice(
        kind_key, "Type of {column}", _kinds(table[term.name]),
        default=BINARY if levels == 2 else UNORDERED if table[term.name].is_text else NORMAL,
        help="Normal for a measurement; Binary for two values; Ordered and Unordered for categories, numbered from any "
        "number or, if unordered, named. Count for whole numbers from 0; Skewed for a measurement with a long upper "
        "tail; Bounded for one between two ends. Completed datasets have the codes of your data.",
        **at,
    )  # fmt: skip
    n = 2 if kind == BINARY else 0
    if kind in (ORDERED, UNORDERED):
        n = ask.integer(
            "ncats{column}", "Number of categories of {column}", min=3, max=50, default=max(3, min(levels, 50)),
            help="As many as the data have.", column=term.name,
        )  # fmt: skip
    low, high = 0.0, 1.0
    if kind in (SKEWED, BOUNDED):
        low = ask.number(
            "low{column}",
            "Lower end of the range of {column}",
            default=_lower_end(table[term.name]),
            help="Below every value: the logarithm of the distance from it is Normal."
            if kind == SKEWED
            else "Below every value; a value at the end itself is not allowed.",
            column=term.name,
        )
    if kind == BOUNDED:
        high = ask.number(
            "high{column}", "Upper end of the range of {column}", default=_upper_end(table[term.name]),
            help="Above every value; a value at the end itself is not allowed.", column=term.name,
        )  # fmt: skip
    predictors = ask.columns(
        key, "Predictors of {column}", where=complete, categorical=True, text_ok=True, of=table, exclude=(term.name,),
        default=ones(table) or None,
        why="Predictors must be complete, so variables with missing values cannot be added here.",
        help="Complete variables that help to predict a missing value. Keep cons for the intercept. A complete "
        "variable of the model of interest belongs here: without it its association with {column} is lost."
        if level == 1
        else "Complete variables with one value for each group. Keep cons for the intercept.",
        **at,
    )  # fmt: skip
    chosen = tuple(Term(t.name, t.categorical or table[t.name].is_text) for t in predictors)
    return Response(term.name, str(kind), n, chosen, low, high)


def _lower_end(column: Column) -> float | None:
    """0 where every value is above it."""
    return 0.0 if column.minimum is not None and column.minimum > 0.0 else None


def _upper_end(column: Column) -> float | None:
    """1 or 100, where every value is below it."""
    most = column.maximum
    return next((end for end in (1.0, 100.0) if most is not None and most < end), None)


def _kinds(column: Column) -> list[Option]:
    """The types that suit a variable."""
    if not column.is_text:
        whole = column.kind in ("whole", "binary") and (column.minimum or 0.0) >= 0.0
        why = {COUNT: "" if whole else "it has values that are no whole numbers from 0"}
        return [Option(kind, kind, not why.get(kind), why.get(kind, "")) for kind in KINDS]
    barred = dict.fromkeys(KINDS, "it holds text")
    barred[ORDERED] = "" if column.n_levels == 2 else "texts have no order: number its categories from low to high"
    barred[BINARY] = barred[UNORDERED] = ""
    return [Option(kind, kind, not barred[kind], barred[kind]) for kind in KINDS]


def ask_more(
    ask: Ask, y: str, x: tuple[Term, ...], built: tuple[Built, ...], level1: tuple[Response, ...],
    level2: tuple[Response, ...], group: str | None,
) -> More:  # fmt: skip
    """Options beyond the published questions."""
    if not ask.yes_no(
        "moreimp", "Further choices for the missing-data model?", default="No",
        help="Correlation of the incomplete variables within groups, rows with a missing response, group means, and "
        "values that are not missing at random.",
    ):  # fmt: skip
        return More()
    correlated = True
    if len(level1) > 1:
        correlated = ask.yes_no(
            "L1cor", "Are the level 1 residuals of the incomplete variables correlated?", default="Yes",
            help="Yes draws a missing value given the other incomplete variables of its row; No leaves them "
            "independent within groups, as simpler programs do.",
        )  # fmt: skip
    means = _ask_means(ask, x, built, level1, level2) if group is not None else ()
    apart = _ask_not_random(ask, y, level1)
    kept = "drop"
    if apart.kind != SELECTION:
        kept = ask.choice(
            "missingy", "Rows with a missing response", ("drop", "keep"), default="drop",
            help="drop leaves them out; keep lets them tell of the incomplete covariates, which changes little.",
        )  # fmt: skip
    return More(bool(correlated), kept == "keep", means, apart)


def _ordered(level1: tuple[Response, ...], ask: Ask) -> list[str]:
    """The incomplete variables of level 1 whose values are numbers."""
    return [r.name for r in level1 if r.kind != UNORDERED and not ask.data[r.name].is_text]


def _ask_means(
    ask: Ask,
    x: tuple[Term, ...],
    built: tuple[Built, ...],
    level1: tuple[Response, ...],
    level2: tuple[Response, ...],
) -> tuple[tuple[str, str], ...]:
    """(column of the model of interest, incomplete variable whose group mean it is)."""
    inside = {t.name for t in x} | {v.name for b in built for v, _ in b.factors}
    own = {r.name for r in (*level1, *level2)}
    known = [c.name for c in ask.data.columns if c.name in inside - own and c.kind in ("number", "whole", "binary")]
    of = _ordered(level1, ask)
    if not known or not of:
        return ()
    chosen = ask.columns(
        "gmean", "Variables of the model of interest that are group means of incomplete ones", minimum=0, default="",
        exclude=tuple(name for name in ask.data.names if name not in known),
        help="Such a variable is computed anew from what is drawn, and its effect on every row of the group is part of "
        "each draw. The values of its column are not used.",
    )  # fmt: skip
    return tuple(
        (
            term.name,
            ask.choice(
                "gmeanof{i}", "Of which variable is {column} the group mean?", of, default=of[0],
                help="An incomplete variable of level 1.", i=i, column=term.name,
            ),
        )
        for i, term in enumerate(chosen)
    )  # fmt: skip


def _ask_not_random(ask: Ask, y: str, level1: tuple[Response, ...]) -> NotRandom:
    gaps = [r for r in level1 if not ask.data[r.name].complete]
    numbers = [name for name in _ordered(level1, ask) if name in {r.name for r in gaps}]
    measured = [r.name for r in gaps if r.kind not in (BINARY, ORDERED, UNORDERED)]
    if not numbers:
        return NotRandom()
    reason = "no incomplete variable of level 1 is a measurement"
    kinds = [
        Option(k, k, bool(measured) or k != PATTERN, "" if measured or k != PATTERN else reason) for k in NOT_RANDOM
    ]
    kind = ask.choice(
        "mnar", "Are values missing because of what they are?", kinds, default=NO,
        help="No: missing at random. Selection model: a probit of a value's being missing, on the value itself too. "
        "Pattern mixture: missing values are shifted by amounts that you name. Both show how the answers change.",
    )  # fmt: skip
    if kind == NO:
        return NotRandom()
    if kind == PATTERN:
        return _ask_shifts(ask, measured)
    chosen = ask.columns(
        "selvars", "Variables that are missing because of their values", default=",".join(numbers[:1]),
        exclude=tuple(name for name in ask.data.names if name not in numbers),
        help="Each has a probit of its own. Its value, seen or missing, is among what the probit depends on.",
    )  # fmt: skip
    found = []
    for i, term in enumerate(chosen):
        own: dict[str, Any] = {"i": i, "column": term.name}
        enters = {*numbers, *_ordered(level1, ask), y} - {term.name}
        terms = ask.columns(
            "selx{i}", "What else may {column}'s being missing depend on?", categorical=True, text_ok=True,
            where=_entering(enters), default=",".join(filter(None, [ask.intercept, y])),
            exclude=(term.name,), why="Incomplete variables without a model of their own cannot be chosen.",
            help="Keep cons, and the response, unless its depending on it can be ruled out.", **own,
        )  # fmt: skip
        found.append(Selected(term.name, tuple(Term(t.name, t.categorical or ask.data[t.name].is_text) for t in terms)))
    return NotRandom(SELECTION, tuple(found))


def _entering(enters: set[str]) -> Callable[[Column], bool]:
    return lambda c: complete(c) or c.name in enters


def _ask_shifts(ask: Ask, measured: list[str]) -> NotRandom:
    chosen = ask.columns(
        "shiftvars", "Variables whose missing values are shifted", default=",".join(measured),
        exclude=tuple(name for name in ask.data.names if name not in measured),
        help="Measurements of level 1. All are shifted alike, each in its own sds.",
    )  # fmt: skip
    text = ask.text(
        "shifts", "Shifts, in sds of the observed values", default="-0.5,0.5",
        pattern=r"\s*-?\d+(\.\d+)?\s*(,\s*-?\d+(\.\d+)?\s*)*", form="numbers with commas between, such as -0.5,0.5",
        sample="0.5",
        help="0.5: a missing value is half an sd higher than one that is seen, all else alike. The model is fitted at "
        "each, and at 0, which is missing at random.",
    )  # fmt: skip
    values = tuple(sorted({float(part) for part in re.split(r",", str(text))} | {0.0}))
    if max(abs(v) for v in values) > LARGEST_SHIFT:
        ask.fault("shifts", f"Shifts are in sds: {LARGEST_SHIFT:g} is the most.")
    if len(values) > MOST_SHIFTS:
        ask.fault("shifts", f"{len(values)} shifts are a fit each; {MOST_SHIFTS} are the most, 0 among them.")
    return NotRandom(PATTERN, shifted=tuple(t.name for t in chosen), shifts=values)
