"""Whether PyTorch is here. Imports nothing of it, so that pages and questions can ask."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

TORCH = "2.13.0"
STATE = "networks.state"  # in the environment's folder; `make serve` writes how far the second step is
CPU = f"pip install 'torch=={TORCH}' --index-url https://download.pytorch.org/whl/cpu && pip install '.[networks]'"
GPU = "pip install '.[networks]'"


def missing() -> str:
    """Why no network can be trained here now and what to do, in a sentence or three; "" where PyTorch is installed."""
    importlib.invalidate_caches()  # it may have been installed since this process began
    if importlib.util.find_spec("torch") is not None:
        return ""
    said = _state()
    if said == "installing":
        return (
            "PyTorch, which trains the networks, is being installed in the background. The questions can be answered "
            "meanwhile; run them when this notice is gone."
        )
    failed = "Its installation did not succeed (its log is .venv/networks.log). " if said == "failed" else ""
    return (
        f"PyTorch, which trains the networks, is not installed here. {failed}In the folder of StatGrove, for a "
        f"processor alone: {CPU}; for an NVIDIA graphics card: {GPU}."
    )


def _state() -> str:
    try:
        return (Path(sys.prefix) / STATE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
