"""A rectangular dataset: named columns of equal length, never changed once made.

Number columns are float64 with NaN for missing; text columns are numpy unicode with "" for missing. Arrays are
read-only, so that datasets can share columns and be given to several threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from templates_engine.data.schema import Column, Schema
from templates_engine.problems import Problem, Refused

MAX_LISTED_LEVELS = 100  # a column with more distinct values is not a set of categories

Values = npt.NDArray[Any]  # float64 or unicode, one dimension


@dataclass(frozen=True)
class Images:
    """Where the images of a dataset's rows lie (templates_engine.data.images.place), and a digest of them all."""

    place: str
    digest: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Columns of one length, with what their file said about them.

    `labels` holds the value labels: column -> {code written by code_text: label}. `titles` holds each variable's own
    label. `notes` are sentences on how the data were read or made; `doubts` are those of single columns whose numbers
    may mean something else, told again wherever the column is used. Two datasets are compared by `sha256()`.
    `images`: the rows are of images, whose file names one of the columns holds. `how`: what was told and found of the
    file's form (readers.read).
    """

    name: str
    columns: Mapping[str, Values]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)
    images: Images | None = None
    how: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {str(name): _frozen(values) for name, values in self.columns.items()}
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: { {n: len(v) for n, v in columns.items()} }")
        object.__setattr__(self, "columns", columns)
        kept = {c: {str(k): str(v) for k, v in self.labels[c].items()} for c in columns if self.labels.get(c)}
        object.__setattr__(self, "labels", kept)
        object.__setattr__(self, "titles", {c: str(self.titles[c]) for c in columns if self.titles.get(c)})
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "doubts", {c: str(self.doubts[c]) for c in columns if self.doubts.get(c)})

    # --- looking

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Values:
        """The column's values, read-only: float64 (NaN missing) or unicode ("" missing)."""
        return self.columns[name]

    def __len__(self) -> int:
        return self.n_rows

    def is_text(self, name: str) -> bool:
        return self.columns[name].dtype.kind == "U"

    def missing(self, name: str) -> npt.NDArray[np.bool_]:
        """(n,) True where the column has no value."""
        return missing(self.columns[name])

    def schema(self) -> Schema:
        """Names, kinds, counts and summaries of the columns."""
        described = self._described
        return described if described.name == self.name else replace(described, name=self.name)

    @cached_property
    def _described(self) -> Schema:
        columns = tuple(
            replace(
                describe(name, values, self.labels.get(name, {}), self.titles.get(name, "")),
                doubt=self.doubts.get(name, ""),
            )
            for name, values in self.columns.items()
        )
        return Schema(self.name, self.n_rows, columns, self.images is not None)

    def sha256(self) -> str:
        """Hash of the columns: names, types, values and their order; not of the dataset's name, labels or notes."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256((self.images.digest if self.images else "").encode())
        digest.update(json.dumps([self.n_rows, [[n, v.dtype.kind] for n, v in self.columns.items()]]).encode())
        for values in self.columns.values():
            if values.dtype.kind == "U":  # lengths, then the text: independent of the array's width
                digest.update(np.char.str_len(values).astype("<i8").tobytes())
                digest.update("".join(values.tolist()).encode("utf-8", "surrogatepass"))
            else:
                gaps = np.isnan(values)  # a NaN has many bit patterns
                digest.update((np.where(gaps, np.nan, values) if gaps.any() else values).astype("<f8").tobytes())
        return digest.hexdigest()

    def groups(self, name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(codes, labels): each row's group 0..J-1, groups in the order of their sorted label (numbers by size).

        Refused when a row has no group.
        """
        values = self.columns[name]
        gaps = missing(values)
        if gaps.any():
            raise Refused(
                Problem(
                    "missing-group",
                    f"{name} says which group a row belongs to, but {int(gaps.sum())} of {len(values)} rows have no "
                    f"value ({_rows(gaps)}). Every row needs one.",
                    column=name,
                )
            )
        found, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int64).reshape(-1), [code_text(v) for v in found.tolist()]

    # --- making others

    def complete_cases(self, names: Iterable[str]) -> Dataset:
        """The rows in which none of the columns is missing."""
        keep = np.ones(self.n_rows, bool)
        for name in names:
            keep &= ~self.missing(name)
        return self if keep.all() else self.take(keep)

    def take(self, rows: npt.ArrayLike | slice) -> Dataset:
        """The rows at these positions, in this order (or where a mask is True, or of a slice)."""
        at = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(at, slice) and at.size == 0 and at.dtype.kind == "f":
            at = at.astype(np.int64)
        return replace(self, columns={name: values[at] for name, values in self.columns.items()})

    def select(self, names: Sequence[str]) -> Dataset:
        """These columns only, in this order."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def with_columns(self, columns: Mapping[str, npt.ArrayLike] | None = None, /, **more: npt.ArrayLike) -> Dataset:
        """With these columns replaced in place or put at the end."""
        given = {**(columns or {}), **more}
        doubts = {n: d for n, d in self.doubts.items() if n not in given}
        return replace(self, columns={**self.columns, **{n: np.asarray(v) for n, v in given.items()}}, doubts=doubts)

    def with_name(self, name: str) -> Dataset:
        return replace(self, name=name)

    def rename(self, names: Mapping[str, str]) -> Dataset:
        """With columns renamed (old -> new), in their places, labels and titles going with them."""
        unknown = [n for n in names if n not in self.columns]
        new = [names.get(n, n) for n in self.columns]
        if unknown or len(set(new)) < len(new):
            raise ValueError(f"cannot rename: unknown {unknown}" if unknown else "two columns would have one name")
        return replace(
            self,
            columns=dict(zip(new, self.columns.values(), strict=True)),
            labels={names.get(n, n): v for n, v in self.labels.items()},
            titles={names.get(n, n): v for n, v in self.titles.items()},
            doubts={names.get(n, n): v for n, v in self.doubts.items()},
        )

    # --- the store's own format

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as .npz: all number columns as one (p, n) array, each text column as one more. All or nothing."""
        numbers = [v for v in self.columns.values() if v.dtype.kind != "U"]
        arrays: dict[str, Values] = {"numbers": np.stack(numbers) if numbers else np.zeros((0, self.n_rows))}
        texts = [v for v in self.columns.values() if v.dtype.kind == "U"]
        arrays.update({f"text{i}": v for i, v in enumerate(texts)})
        about = {
            "name": self.name,
            "columns": [[n, v.dtype.kind] for n, v in self.columns.items()],
            "labels": self.labels,
            "titles": self.titles,
            "notes": self.notes,
            "doubts": self.doubts,
            "how": self.how,
        }
        target = Path(path)
        if self.images is not None:
            about["images"] = {"place": beside(self.images.place, target.parent), "digest": self.images.digest}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dataset:
        """Read what `save` wrote. Refused when the file is damaged."""
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                numbers = stored["numbers"]
                numbers.setflags(write=False)  # the columns are views of it
                rows, texts = iter(numbers), 0
                columns: dict[str, Values] = {}
                for name, kind in about["columns"]:
                    if kind == "U":
                        columns[name] = stored[f"text{texts}"]
                        columns[name].setflags(write=False)
                        texts += 1
                    else:
                        columns[name] = next(rows)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, EOFError, StopIteration, zipfile.BadZipFile) as error:
            raise Refused(
                Problem(
                    "damaged-file", f"The stored dataset {Path(path).name} is damaged and cannot be read ({error})."
                )
            ) from error
        images = None
        if said := about.get("images"):
            images = Images(found(said["place"], Path(path).parent), said["digest"])
        doubts = about.get("doubts", {})
        said, how = tuple(about["notes"]), about.get("how", {})
        return cls(about["name"], columns, about["labels"], about["titles"], said, doubts, images, how)


def how(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What was told and found of the file's form, of a dataset that `save` wrote; its rows are not read."""
    with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        found: dict[str, Any] = json.loads(stored["about"].tobytes()).get("how", {})
        return found


def beside(place: str, folder: Path) -> str:
    """The place of images as it is written into a file of this folder: a zip of the same folder by its name alone."""
    kind, _, rest = place.partition(":")
    return f"zip:{Path(rest).name}" if kind == "zip" and Path(rest).parent == folder else place


def found(place: str, folder: Path) -> str:
    """The place again, from a file of this folder."""
    kind, _, rest = place.partition(":")
    return f"zip:{folder / rest}" if kind == "zip" else place


def code_text(value: float | str) -> str:
    """A code as people write it: 1.0 -> "1", 1.5 -> "1.5", texts as they are."""
    if isinstance(value, str):
        return value
    value = float(value)
    return str(int(value)) if value.is_integer() else repr(value)


def _rows(where: npt.NDArray[np.bool_], most: int = 5) -> str:
    """ "row 4", "rows 4, 5, 6, …": numbered from 1."""
    at = (np.flatnonzero(where)[: most + 1] + 1).tolist()
    more = ", …" if len(at) > most else ""
    return f"row{'s' if len(at) > 1 else ''} {', '.join(f'{i:,}' for i in at[:most])}{more}"


def missing(values: Values) -> npt.NDArray[np.bool_]:
    """(n,) True where there is no value: NaN, or the empty text."""
    return values == "" if values.dtype.kind == "U" else np.isnan(values)


def describe(name: str, values: Values, labels: Mapping[str, str], title: str) -> Column:
    """What the list of variables shows of one column. SD has divisor n - 1."""
    n = len(values)
    seen = values[~missing(values)]
    distinct = np.unique(seen)
    levels = tuple(distinct.tolist()) if len(distinct) <= MAX_LISTED_LEVELS else ()
    base = Column(name, "text", n, n - len(seen), n_levels=len(distinct), levels=levels, labels=dict(labels))
    base = replace(base, title=title)
    if values.dtype.kind == "U":
        return base
    if not len(seen):
        return replace(base, kind="empty")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(seen.mean())
        sd = float(seen.std(ddof=1)) if len(seen) > 1 else None
        if not np.isfinite(mean) or (sd is not None and not np.isfinite(sd)):
            # Sums or squares beyond what doubles hold: in units of the largest value.
            scale = float(np.abs(seen).max())
            mean = scale * float((seen / scale).mean())
            sd = scale * float((seen / scale).std(ddof=1)) if len(seen) > 1 else None
    if len(distinct) == 1:
        kind = "constant"
        mean, sd = float(distinct[0]), (0.0 if sd is not None else None)
    elif len(distinct) == 2:
        kind = "binary"
    else:
        kind = "whole" if bool((distinct == np.rint(distinct)).all()) else "number"
    sd = sd if sd is None or np.isfinite(sd) else None
    return replace(base, kind=kind, minimum=float(distinct[0]), maximum=float(distinct[-1]), mean=mean, sd=sd)


def _frozen(values: npt.ArrayLike) -> Values:
    """A read-only one-dimensional column that nobody else can change; shared, not copied, when it is one already."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"a column has one dimension, not {array.ndim}")
    if array.dtype.kind in "OT":
        array = array.astype(str) if all(isinstance(v, str) for v in array.tolist()) else array.astype(np.float64)
    if array.dtype.kind == "U":
        wanted = array
    elif array.dtype.kind in "biuf":
        wanted = np.ascontiguousarray(array, np.float64)
    else:
        raise ValueError(f"a column holds numbers or texts, not {array.dtype}")
    base = wanted.base
    owned_elsewhere = isinstance(base, np.ndarray) and base.flags.writeable
    if wanted.flags.writeable or owned_elsewhere:
        wanted = wanted.copy()
        wanted.setflags(write=False)
    return wanted
