"""Joining two datasets: rows of the left find their one partner in the right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from templates_engine import Dataset, Job, Problem, Refused, Result, Table
from templates_engine.data import Values, code_text, unique

if TYPE_CHECKING:
    from .template import Spec

SHOWN = 5  # repeated identifiers named in a message
Codes = npt.NDArray[np.int64]


def common_codes(left: Dataset, own: tuple[str, ...], right: Dataset, theirs: tuple[str, ...]) -> tuple[Codes, Codes]:
    """(n,), (m,): a number for each identifier, the same in both datasets; -1 where a part of it is missing."""
    n = left.n_rows
    codes = np.zeros(n + right.n_rows, np.int64)
    gaps = np.zeros(len(codes), bool)
    for mine, other in zip(own, theirs, strict=True):
        gaps |= np.concatenate([left.missing(mine), right.missing(other)])
        both = np.concatenate([left[mine], right[other]])
        _, part = np.unique(both, return_inverse=True)
        # numbered anew at each step, so that the product never grows beyond rows squared
        _, codes = np.unique(codes * (int(part.max(initial=0)) + 1) + part.reshape(-1), return_inverse=True)
    codes = np.where(gaps, -1, codes.reshape(-1)).astype(np.int64)
    return codes[:n], codes[n:]


def refuse_repeated(right: Dataset, theirs: tuple[str, ...], codes: Codes) -> None:
    """Refused where an identifier stands on several rows of the joined dataset."""
    found, first, counts = np.unique(codes[codes >= 0], return_index=True, return_counts=True)
    repeated = np.flatnonzero(counts > 1)
    if not len(repeated):
        return
    rows = np.flatnonzero(codes >= 0)[first[repeated[:SHOWN]]]
    said = [
        f"{', '.join(code_text(right[name][row].item()) for name in theirs)} ({counts[k]:,} rows)"
        for k, row in zip(repeated[:SHOWN], rows, strict=True)
    ]
    more = f" and {len(repeated) - SHOWN:,} more" if len(repeated) > SHOWN else ""
    message = (
        f"{right.name} must have one row for each value of {', '.join(theirs)}, but {len(repeated):,} of "
        f"{len(found):,} values stand on several rows: {'; '.join(said)}{more}. Take makes one row of each."
    )
    raise Refused(Problem("repeated-identifier", message, key="rightid", column=theirs[0]))


def brought(values: Values, partner: Codes) -> Values:
    """The partners' values, missing where there is no partner (-1)."""
    alone = partner < 0
    if not len(values):
        return np.full(len(partner), "" if values.dtype.kind == "U" else np.nan)
    found = values[np.where(alone, 0, partner)]  # a copy
    found[alone] = "" if values.dtype.kind == "U" else np.nan
    return found


def run(spec: Spec, left: Dataset, right: Dataset, job: Job) -> Result:
    own, theirs = spec.id, spec.right_id
    left_codes, right_codes = common_codes(left, own, right, theirs)
    refuse_repeated(right, theirs, right_codes)
    where = np.full(int(max(left_codes.max(initial=-1), right_codes.max(initial=-1))) + 1, -1, np.int64)
    known = right_codes >= 0
    where[right_codes[known]] = np.flatnonzero(known)
    partner = np.full(left.n_rows, -1, np.int64)
    partner[left_codes >= 0] = where[left_codes[left_codes >= 0]]
    matched = partner >= 0
    table = report(left, right, matched, left_codes, right_codes, partner)
    job.table("Matches", table)
    if spec.kind == "Only matches":
        if not matched.any():
            raise Refused(Problem("no-matches", f"No row of {left.name} has a partner in {right.name}.", key="id"))
        left, partner = left.take(matched), partner[matched]
    elif not matched.any():
        message = f"No row of {left.name} has a partner in {right.name}; the new variables are wholly missing."
        job.note(Problem("no-matches", message, key="id", level="notice"))

    bring = spec.variables or tuple(name for name in right.names if name not in theirs)
    wished = [f"{name}_right" if name in left else name for name in bring]
    new = dict(zip(bring, unique([*left.names, *wished])[len(left.names) :], strict=True))
    clashes = [f"{old} as {name}" for old, name in new.items() if old in left]
    if clashes:
        message = f"{left.name} has variables of these names already, so they came as: {', '.join(clashes)}."
        job.note(Problem("renamed", message, level="notice"))
    made = replace(
        left,
        name=spec.outdata,
        columns={**left.columns, **{new[name]: brought(right[name], partner) for name in bring}},
        labels={**left.labels, **{new[name]: right.labels[name] for name in bring if name in right.labels}},
        titles={**left.titles, **{new[name]: right.titles[name] for name in bring if name in right.titles}},
        notes=(f"{left.name} with variables of {right.name}, joined by {', '.join(own)}.",),
    )
    job.dataset(spec.outdata, made, made.notes[0], listed=True)
    return Result(tables={"Matches": table}, info={"n": made.n_rows, "matched": int(matched.sum())})


def report(
    left: Dataset, right: Dataset, matched: npt.NDArray[np.bool_], left_codes: Codes, right_codes: Codes, partner: Codes
) -> Table:
    """Rows with and without partners, in both datasets."""
    used = len(np.unique(partner[matched]))
    rows = (
        (f"Rows of {left.name}", left.n_rows),
        ("with a partner", int(matched.sum())),
        ("without a partner", int((~matched).sum())),
        ("of these, identifier missing", int((left_codes < 0).sum())),
        (f"Rows of {right.name}", right.n_rows),
        ("used", used),
        ("not used", right.n_rows - used),
        ("of these, identifier missing ", int((right_codes < 0).sum())),
    )
    return Table(("Rows", "Count"), rows, f"Partners of {left.name} in {right.name}")
