"""One drawer: reads pictures from standard input, writes SVGs to standard output, ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from templates_engine.figures import wire


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run; it closes our input when it ends
    _end_with_parent()
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the SVGs
    import templates_engine.figures.sixway  # noqa: F401 - the slow import, while the first picture is still to come

    try:
        while (picture := wire.receive_picture(source)) is not None:
            wire.send_svg(target, *wire.draw(picture))
    except (BrokenPipeError, EOFError):
        pass


def _end_with_parent() -> None:
    """Ask Linux to end this process with its parent; elsewhere the end of the input does it, a picture later."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        return


if __name__ == "__main__":
    main()
