"""The file of a run's chains (sampling.saving), from which a later run goes on; only the same program may read it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from templates_engine.problems import Problem, Refused
from templates_engine.sampling import Saved
from templates_engine.sources import closure, digest, everything

if TYPE_CHECKING:
    from templates_engine.template import Template

_ABOUT = "about"
PICTURES = "templates_engine/figures"
OTHER_PROGRAM = (
    "Another version of this program drew these chains, so they cannot be made longer: the draws before and after "
    "would not be of one kind. Run the answers again with more iterations."
)


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


def read_about(file: Path | IO[bytes]) -> dict[str, Any]:
    """What the run said about its chains: key and reached (Job.keep), and program, which must still be the same."""
    with np.load(file, allow_pickle=False) as packed:
        return dict(json.loads(str(packed["_about"]))[_ABOUT])


def unpack(file: Path | IO[bytes], template: Template | None = None) -> dict[str, list[Saved]]:
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
