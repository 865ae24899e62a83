"""Runs and their outputs, as they are now in the database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import folders
from app.models import Artifact, Run


def get(session: Session, run_id: int) -> Run | None:
    """The run as it is now in the database."""
    return session.get(Run, run_id, populate_existing=True)


def recent(session: Session, limit: int = 50, offset: int = 0, *, state: str = "", template: str = "") -> list[Run]:
    """Runs that someone asked for (no children), newest first."""
    wanted = select(Run).where(Run.parent_id.is_(None)).order_by(Run.id.desc()).limit(limit).offset(offset)
    if state:
        wanted = wanted.where(Run.state == state)
    if template:
        wanted = wanted.where(Run.template == template)
    return list(session.scalars(wanted, execution_options={"populate_existing": True}))


def children(session: Session, run: Run) -> list[Run]:
    """The runs of other templates that a run made, in order."""
    wanted = select(Run).where(Run.parent_id == run.id).order_by(Run.id)
    return list(session.scalars(wanted, execution_options={"populate_existing": True}))


def followers(session: Session, run: Run) -> list[Run]:
    """The runs that go on from this one's chains, in order."""
    wanted = select(Run).where(Run.continues == run.id).order_by(Run.id)
    return list(session.scalars(wanted, execution_options={"populate_existing": True}))


def artifacts(session: Session, run: Run) -> list[Artifact]:
    """The outputs of a run in order; those of a child are its parent's that bear its prefix."""
    wanted = select(Artifact).where(Artifact.run_id == (run.parent_id or run.id))
    found = session.scalars(
        wanted.order_by(Artifact.position, Artifact.id), execution_options={"populate_existing": True}
    ).all()
    return [a for a in found if not run.parent_id or a.name.startswith(run.prefix)]


def artifact(session: Session, run: Run, name: str) -> Artifact | None:
    """An output by its name or its file."""
    found = artifacts(session, run)
    return next((a for a in found if a.name == name), None) or next((a for a in found if a.file == name), None)


def folder(run: Run) -> Path:
    """Where the run's files are."""
    return folders.folder(run)


def artifact_path(run: Run, one: Artifact) -> Path:
    """The file of an output that is ready."""
    return folders.path(run, one)


def bundle(session: Session, run: Run) -> Path:
    """The zip of everything that is ready, with manifest.json."""
    return folders.bundle(run, artifacts(session, run))


def find_same(session: Session, spec_hash: str) -> Run | None:
    """The newest finished run of the same template version, data and answers."""
    wanted = select(Run).where(Run.spec_hash == spec_hash, Run.state == "done", Run.parent_id.is_(None))
    return session.scalar(wanted.order_by(Run.id.desc()).limit(1))
