"""The helpers that run a template in this process are those of tests/templates."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "templates"))
