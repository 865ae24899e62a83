"""A wheel of the project holds all that it needs: pages, static files, manuals, examples, migrations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = """
import app.main, statgrove
from app import keys
from fastapi.testclient import TestClient
with TestClient(app.main.create_app(), base_url="http://127.0.0.1:8600") as client:
    client.headers["authorization"] = f"Bearer {keys.token()}"
    for page in ("/", "/templates/2LevelImpute", "/templates/HoltWinters", "/datasets", "/static/css/base.css"):
        assert client.get(page).status_code == 200, page
    listed = client.get("/api/v1/templates").json()
print(app.main.__file__, len(listed))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that sees the wheel's files and not the checkout; the libraries are those here."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(place), str(ROOT)], check=True, timeout=1200)
    (wheel,) = place.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(place / "site"), str(wheel)], check=True, timeout=1200
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STATGROVE_")}
    return {**kept, "PYTHONPATH": str(place / "site"), "STATGROVE_DATA": str(place / "data"), "HOME": str(place)}


def run(environment: dict[str, str], *command: str) -> str:
    place = environment["HOME"]
    found = subprocess.run(
        [sys.executable, "-P", *command], cwd=place, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


def test_the_wheel_serves_its_pages(installed: dict[str, str]) -> None:
    place, count = run(installed, "-c", PAGES).split()
    assert place.startswith(installed["PYTHONPATH"]), "the checkout was used"
    assert int(count) >= 18


def test_the_wheel_runs_an_example(installed: dict[str, str]) -> None:
    out = Path(installed["HOME"]) / "out"
    inputs = "{'y': 'normexam', 'x': 'cons,standlrt', 'nchains': '2', 'burnin': '20', 'iterations': '50'}"
    run(installed, "-m", "app.cli", "run", "1LevelMod", "--dataset", "tutmiss", "--inputs", inputs, "--out", str(out))
    assert "beta_1" in (out / "ModelResults.csv").read_text()
    assert (out / "manifest.json").exists()
