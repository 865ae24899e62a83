"""A run from its start to its artifacts: the Job that a template sees, progress, pictures, files.

In: a template's spec and dataset, a reporter. Out: artifacts in a folder with a manifest, progress while they grow.
Neighbours: asking, inputs, figures, data, sampling (chains, saving, diagnostics).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.running import kept_chains as kept_chains, lengths as lengths, summaries as summaries
    from templates_engine.running.calls import Call as Call
    from templates_engine.running.checkpoints import Checkpoints as Checkpoints, HandedBack as HandedBack
    from templates_engine.running.job import Job as Job
    from templates_engine.running.lengths import CHAINS as CHAINS
    from templates_engine.running.run import Run as Run, heartbeat as heartbeat
    from templates_engine.running.store import STATE as STATE, Artifact as Artifact, Store as Store

__getattr__, __all__ = lazily(__name__, __file__)
