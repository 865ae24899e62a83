"""The application with a data folder of its own and no workers; runs are carried out by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from beside import KEY
from fastapi.testclient import TestClient

from app import db, queue
from app.main import create_app
from app.settings import settings


def forget() -> None:
    """Read the settings anew, with new connections."""
    if db._engine.cache_info().currsize:
        db.engine().dispose()
    db._engine.cache_clear()
    queue.forget()
    settings.cache_clear()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The pages; a module's tests share one data folder, as making it takes a second."""
    folder: Path = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "BROKER_URL", "STATGROVE_DATABASE_URL", "STATGROVE_BROKER_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("STATGROVE_DATA", str(folder))
        patch.setattr(queue, "send", lambda *_: True)
        forget()
        app = create_app()
        with TestClient(app, headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
            yield one
        forget()
