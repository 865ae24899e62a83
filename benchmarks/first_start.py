"""Times what a newcomer waits for: a fresh clone, an empty home, `make serve`, the first page, the first finished
example, and all samplers compiled. Prints seconds of the clock and the processors there are.

    make first-start

Nothing of this checkout but its commits is used; the package manager's download cache is that of the user, as it is on
a machine where other things have been installed before (STATGROVE_COLD=1: an empty one).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PORT = 8699
ADDRESS = f"http://127.0.0.1:{PORT}"
TOKEN = secrets.token_urlsafe(32)
LIMIT = 1800.0  # seconds


def get(path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(ADDRESS + path, data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer) if "json" in answer.headers["content-type"] else answer.read()


def until(ready: Any, began: float) -> float:
    """Seconds since `began` at which ready() was true."""
    while time.monotonic() - began < LIMIT:
        try:
            if ready():
                return time.monotonic() - began
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.2)
    raise SystemExit("it did not become ready")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="first-start-") as place:
        clone, home = Path(place) / "statgrove", Path(place) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        kept = ("PATH", "LANG", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "SSL_CERT_FILE", "PIP_EXTRA_INDEX_URL")
        environment = {k: v for k, v in os.environ.items() if k in kept} | {"HOME": str(home), "STATGROVE_TOKEN": TOKEN}
        if not os.environ.get("STATGROVE_COLD"):
            environment["PIP_CACHE_DIR"] = str(Path.home() / ".cache/pip")
        began = time.monotonic()
        server = subprocess.Popen(
            ["make", "serve", f"ARGS=--port {PORT} --no-browser"], cwd=clone, env=environment, start_new_session=True
        )
        try:
            print(f"{os.cpu_count()} processors", flush=True)
            page = until(lambda: get("/"), began)
            print(f"first page              {page:7.1f} s", flush=True)
            (example,) = [e for e in get("/api/v1/templates/2LevelImpute")["examples"] if e["name"] == "published"]
            asked = {"template": "2LevelImpute", "dataset": example["dataset"], "inputs": example["inputs"]}
            number = get("/api/v1/runs", asked)["id"]
            done = until(lambda: get(f"/api/v1/runs/{number}")["state"] == "done", began)
            print(f"worked example finished {done:7.1f} s", flush=True)
            asked_of = [
                ".venv/bin/python",
                "-c",
                "from workers import warming; raise SystemExit(not warming.complete())",
            ]

            def compiled() -> bool:
                time.sleep(2)
                return subprocess.run(asked_of, cwd=clone, env=environment, check=False).returncode == 0

            ready = until(compiled, began)
            print(f"all samplers compiled   {ready:7.1f} s", flush=True)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


if __name__ == "__main__":
    main()
