"""Where a chain stands, so that a later run can go on from there; and its draws while it grows.

1,000 iterations and then 1,000 more give bit for bit what 2,000 give. So a kernel keeps between sweeps nothing that is
not in `Saved`, and nothing that it does depends on how many iterations were asked for.
"""

from __future__ import annotations

import io
import json
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Problem, Refused
from templates_engine.sources import closure, digest, everything

if TYPE_CHECKING:
    from templates_engine.template import Template

Floats = npt.NDArray[np.float64]
_ABOUT = "about"
PICTURES = "templates_engine/figures"
OTHER_PROGRAM = (
    "Another version of this program drew these chains, so they cannot be made longer: the draws before and after "
    "would not be of one kind. Run the answers again with more iterations."
)


@dataclass(frozen=True)
class Saved:
    """One chain after `sweeps` sweeps, those of the burn-in among them."""

    sweeps: int
    rng: Mapping[str, Any]  # the generator's state
    arrays: Mapping[str, npt.NDArray[Any]]  # what the next sweep depends on, and what has been kept

    def generator(self) -> np.random.Generator:
        """The random stream, at the point that it had reached."""
        bits = np.random.PCG64DXSM()
        bits.state = dict(self.rng)  # type: ignore[assignment]
        return np.random.Generator(bits)

    def fill(self, name: str, whole: npt.NDArray[Any]) -> int:
        """Copy the rows kept under `name` to the beginning of `whole`; how many there were. ValueError: no room."""
        rows = self.arrays[name]
        if rows.shape[1:] != whole.shape[1:] or len(rows) > len(whole):
            raise ValueError(f"{name}: {rows.shape} was saved, {whole.shape} is wanted")
        whole[: len(rows)] = rows
        return len(rows)


def saved(sweeps: int, rng: np.random.Generator, **arrays: npt.NDArray[Any]) -> Saved:
    """What to keep of a chain now. The arrays are copied."""
    return Saved(sweeps, dict(rng.bit_generator.state), {name: array.copy() for name, array in arrays.items()})


class Live:
    """One chain's draws while it grows, for the page and for a stopping rule.

    The kernel writes a row of `rows` for each kept draw, from the first on; a row whose last number is still NaN has
    not been written.
    """

    def __init__(self) -> None:
        self._rows: Floats = np.empty((0, 1))
        self._values: Callable[[Floats], Floats] = lambda rows: rows

    def show(self, rows: Floats, values: Callable[[Floats], Floats]) -> None:
        """rows (draw, ·): as the kernel writes them. values: makes parameters, (draw, parameter), of some of them."""
        self._values, self._rows = values, rows

    def draws(self, most: int | None = None) -> Floats:
        """(draw, parameter) of what has been drawn so far; with `most`, of so many of them at most, evenly spaced."""
        rows = self._rows
        done = bisect_left(range(len(rows)), True, key=lambda k: bool(np.isnan(rows[k, -1])))
        step = 1 if most is None else max(1, -(-done // most))
        return self._values(rows[:done:step])


def pack(about: Mapping[str, Any], chains: Mapping[str, Sequence[Saved]], template: Template | None = None) -> bytes:
    """The chains by the name of their sampler, with what the run says about them and the program, as one file."""
    listing = {name: [{"sweeps": c.sweeps, "rng": c.rng} for c in each] for name, each in chains.items()}
    text = json.dumps({_ABOUT: {**about, "program": program(template)}, "chains": listing})
    arrays = {
        f"{name}/{k}/{key}": array
        for name, each in chains.items()
        for k, chain in enumerate(each)
        for key, array in chain.arrays.items()
    }
    packed = io.BytesIO()
    np.savez(packed, _about=np.array(text), **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def program(template: Template | None = None) -> str:
    """Digest of everything that a template's draws depend on beside the answers and the data.

    Its own sources; those of the engine that they import, directly or through others, but for the pictures; NumPy,
    SciPy and Numba. So another template, a page or a text does not change it. This module is among the imported, and
    stands for the format of the file. None: all sources.
    """
    return _program("" if template is None else type(template).__module__)


@cache
def _program(module: str) -> str:
    libraries = [f"{name} {version(name)}" for name in ("numpy", "scipy", "numba")]
    own = Path(str(sys.modules[module].__file__)).resolve().parent.rglob("*.py") if module else everything()
    return digest(closure(own, without=PICTURES), *libraries)


def read_about(file: Path) -> dict[str, Any]:
    """What the run said about its chains: key and reached (Job.keep), and program, which must still be the same."""
    with np.load(file, allow_pickle=False) as packed:
        return dict(json.loads(str(packed["_about"]))[_ABOUT])


def unpack(file: Path, template: Template | None = None) -> dict[str, list[Saved]]:
    """The chains of a file that `pack` made. Refused when another version of the program made it."""
    with np.load(file, allow_pickle=False) as packed:
        content = json.loads(str(packed["_about"]))
        if content[_ABOUT]["program"] != program(template):
            raise Refused(Problem("other-program", OTHER_PROGRAM))
        listing = content["chains"]
        arrays: dict[tuple[str, int], dict[str, npt.NDArray[Any]]] = {}
        for full in packed.files:
            if full != "_about":
                name, k, key = full.rsplit("/", 2)
                arrays.setdefault((name, int(k)), {})[key] = packed[full]
    return {
        name: [Saved(int(c["sweeps"]), c["rng"], arrays.get((name, k), {})) for k, c in enumerate(each)]
        for name, each in listing.items()
    }
