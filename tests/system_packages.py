"""Get what the browser tests need from the system's package manager, where that can be done without asking.

Chromium is the only such thing. As root on Debian or Ubuntu it is installed; anywhere else a sentence says what to
install, and the browser tests say so again (skipped at a desk, failed under CI).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str | None:
    """The path of an installed Chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def main() -> None:
    if browser():
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=environment, **quiet)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "chromium", "fonts-liberation"], check=False, env=environment, **quiet
        )
    if not browser():
        print("Chromium is not installed: the browser tests need it (Debian: apt install chromium).", file=sys.stderr)


if __name__ == "__main__":
    main()
