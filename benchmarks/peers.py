"""Other programs to compare with, each in an environment of its own that the first benchmark to need it makes.

None of them is needed by StatGrove or by its tests.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".venv-peers"
STATSFORECAST = ("statsforecast==2.0.3",)
NUMPYRO = ("numpyro==0.22.0", "jax==0.10.2")


def interpreter(name: str, requirements: tuple[str, ...]) -> str | None:
    """A Python that has these packages; None, with a word on stderr, where they cannot be installed."""
    home = FOLDER / name
    python, stamp = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"Installing {', '.join(requirements)} into {home}", file=sys.stderr, flush=True)
    venv.create(home, with_pip=True, clear=True)
    done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=False)
    if done.returncode:
        print(f"{name} could not be installed: left out", file=sys.stderr)
        return None
    stamp.write_text(wanted)
    return str(python)
