"""Reading in a process of its own, for formats whose library can crash on a damaged file.

    read_apart(path, filename) ── JSON on standard input ──▶ python -m templates_engine.data.readers.apart
                               ◀── .npz, or problems as JSON ──

A segmentation fault then ends the child, and the file is Refused; in the same process it would end the application.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from templates_engine.data.dataset import Dataset
from templates_engine.problems import Problem, Refused

LONGEST = 900  # seconds
_REFUSED = 2


def read_apart(path: Path, filename: str, shown: str) -> Dataset:
    """The dataset in the file, read by a child process. Its end without an answer is the file's fault."""
    with tempfile.TemporaryDirectory(prefix="statgrove-") as folder:
        out = Path(folder) / "read.npz"
        order = json.dumps({"path": str(path.absolute()), "filename": filename, "out": str(out)})
        command = [sys.executable, "-m", __name__]
        try:
            done = subprocess.run(command, input=order.encode(), capture_output=True, timeout=LONGEST, check=False)
        except subprocess.TimeoutExpired:
            text = f"{shown} could not be read within {LONGEST // 60} minutes."
            raise Refused(Problem("too-large", text)) from None
        if done.returncode == 0 and out.exists():
            return Dataset.load(out)
        if done.returncode == _REFUSED:
            raise Refused([Problem(**problem) for problem in json.loads(done.stdout)])
    raise Refused(Problem("damaged-file", f"{shown} cannot be read: it is damaged or incomplete."))


def main() -> int:
    from templates_engine.data.readers import read_here

    order = json.load(sys.stdin)
    try:
        read_here(Path(order["path"]), order["filename"]).save(order["out"])
    except Refused as refused:
        json.dump([problem.as_dict() for problem in refused.problems], sys.stdout)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
