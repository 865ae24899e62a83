"""Reading in a process of its own: for formats whose library can crash on a damaged file, and for what strangers send.

    read_apart(path, filename) ── JSON on standard input ──▶ python -m templates_engine.data.readers.apart
                               ◀── .npz, or problems as JSON ──

A segmentation fault then ends the child, and the file is Refused; in the same process it would end the application. So
do a time and a memory that are used up, and the child ends with whoever waits for it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from templates_engine.data.dataset import Dataset
from templates_engine.data.readers import Left, Limits
from templates_engine.data.readers.reading import Reading
from templates_engine.problems import Problem, Refused

_REFUSED, _MEMORY = 2, 3
_NEARLY = 0.9  # a child that held so much of the memory it may have, and did not succeed, wanted more of it


def read_apart(path: Path, filename: str, shown: str, limits: Limits, reading: Reading) -> Dataset:
    """The dataset in the file, read by a child process. Its end without an answer is the file's fault.

    Refused; Left where nobody waits any more, and then the child has ended.
    """
    with tempfile.TemporaryDirectory(prefix="statgrove-") as folder:
        out, said = Path(folder) / "read.npz", Path(folder) / "problems.json"
        order: dict[str, Any] = {"path": str(path.absolute()), "filename": filename, "out": str(out), "said": str(said)}
        order |= {"memory": str(limits.memory), "parent": str(os.getpid()), "reading": reading.texts()}
        code, held = _carried_out(json.dumps(order), limits, shown)
        if code == 0 and out.exists():
            return Dataset.load(out)
        # Libraries that get no memory end in many ways, and take a file for damaged.
        short = code == _MEMORY or 0 < limits.memory * _NEARLY <= held
        if code == _REFUSED:
            problems = [Problem(**problem) for problem in json.loads(said.read_text(encoding="utf-8"))]
            if not short or any(problem.code != "damaged-file" for problem in problems):
                raise Refused(problems)
    if short:
        text = f"{shown} needs more than {limits.memory / 1e9:.3g} GB of memory to be read, the most given here."
        raise Refused(Problem("too-large", text, key="file"))
    raise Refused(Problem("damaged-file", f"{shown} cannot be read: it is damaged or incomplete."))


def _carried_out(order: str, limits: Limits, shown: str) -> tuple[int, int]:
    """The child's exit code, and the most memory that it held, in bytes."""
    child = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert child.stdin is not None
        with suppress(BrokenPipeError), child.stdin as stream:
            stream.write(order.encode())
        until, pause = time.monotonic() + limits.seconds, 0.001
        while True:
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
            if ended:
                child.returncode = os.waitstatus_to_exitcode(status)
                return child.returncode, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
            if limits.gone():
                raise Left
            if time.monotonic() > until:
                text = f"{shown} could not be read within {limits.seconds:g} seconds, the longest given here."
                raise Refused(Problem("too-large", text, key="file"))
    finally:
        child.kill()
        child.wait()


def main() -> int:
    from templates_engine.data.readers import read_here

    order = json.load(sys.stdin)
    _end_with(int(order["parent"]))
    if memory := int(order["memory"]):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        read_here(Path(order["path"]), order["filename"], Reading.of(order["reading"])).save(order["out"])
    except Refused as refused:
        problems = [problem.as_dict() for problem in refused.problems]
        Path(order["said"]).write_text(json.dumps(problems), encoding="utf-8")
        return _REFUSED
    except MemoryError:
        return _MEMORY
    return 0


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, however that happens (Linux; elsewhere nothing)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG, prctl(2)
        if os.getppid() != parent:
            sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
