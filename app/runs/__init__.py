"""Runs: the only code that changes a run's state.

    queued --claim--> running --end--> done | failed | cancelled
      |                  |
      |                  +--sweep (its worker is lost)--> queued, attempt + 1 (twice at most, then failed)
      +--cancel--> cancelled

Every change is one conditional UPDATE on (id, attempt, state): whoever changes the row first has it, and a worker
that was given up for dead writes into nothing. `attempt` is the fencing token (Kleppmann 2016, "How to do
distributed locking").
"""

from app.runs.asking import Schemas, cancel, submit, want
from app.runs.carrying import (
    add_artifacts,
    add_child,
    add_notices,
    alive,
    claim,
    end,
    fail,
    finish,
    heartbeat,
    me,
    process_of,
    stop,
    wanted,
    worker_gone,
)
from app.runs.changing import ENDED
from app.runs.continuing import Standing, longer, standing, unfit
from app.runs.looking import (
    artifact,
    artifact_path,
    artifacts,
    bundle,
    children,
    find_same,
    folder,
    followers,
    get,
    recent,
)
from app.runs.lost import MAX_CRASHES, going_on, hand_back, release, resend, sweep, waiting

__all__ = [
    "ENDED",
    "MAX_CRASHES",
    "Schemas",
    "Standing",
    "add_artifacts",
    "add_child",
    "add_notices",
    "alive",
    "artifact",
    "artifact_path",
    "artifacts",
    "bundle",
    "cancel",
    "children",
    "claim",
    "end",
    "fail",
    "find_same",
    "finish",
    "folder",
    "followers",
    "get",
    "going_on",
    "hand_back",
    "heartbeat",
    "longer",
    "me",
    "process_of",
    "recent",
    "release",
    "resend",
    "standing",
    "stop",
    "submit",
    "sweep",
    "unfit",
    "waiting",
    "want",
    "wanted",
    "worker_gone",
]
