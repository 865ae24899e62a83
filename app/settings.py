"""Every setting of the application, read once from the environment.

Each setting is an environment variable with the prefix STATGROVE_ (DATABASE_URL and BROKER_URL are read under
their plain names too, as hosting services set them). Nothing needs to be set: the defaults are the embedded
application on the loopback interface, with SQLite and a broker made of files.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from templates_engine.data import folders

SHORTEST_TOKEN = 16


class Settings(BaseSettings):
    """The settings, with their meaning and units; `docs` and the settings page list them from here."""

    model_config = SettingsConfigDict(
        env_prefix="STATGROVE_", extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    data: Path = Field(default_factory=folders.data_folder, description="Folder of the database, datasets and results.")
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("STATGROVE_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL or SQLite address; empty: SQLite in the data folder.",
    )
    broker_url: str = Field(
        default="",
        validation_alias=AliasChoices("STATGROVE_BROKER_URL", "BROKER_URL"),
        description="Redis address for the queue; empty: files in the data folder.",
    )
    host: str = Field(default="127.0.0.1", description="Interface that the pages are served on.")
    port: int = Field(default=8600, ge=0, le=65535, description="Port; the next free one is taken if it is in use.")
    allowed_hosts: str = Field(
        default="localhost,127.0.0.1,[::1]",
        description="Names under which the pages may be opened, separated by commas.",
    )
    token: SecretStr = Field(
        default=SecretStr(""),
        description="Secret that whoever uses the server must know; empty: one is made and kept in the data folder.",
    )
    workers: int = Field(default=2, ge=1, le=256, description="Runs carried out at the same time.")
    max_upload: int = Field(default=1_000_000_000, ge=1, description="Largest dataset file, in bytes.")
    upload_seconds: float = Field(
        default=300.0, gt=0, description="Longest time for reading a dataset file, in seconds."
    )
    upload_memory: int = Field(
        default=4_000_000_000, ge=0, description="Most memory for reading a dataset file, in bytes; 0: no limit."
    )
    lease: float = Field(default=30.0, gt=0, description="Seconds without a sign of life after which a run is lost.")
    heartbeat: float = Field(default=0.5, gt=0, description="Seconds between a run's signs of life.")
    checkpoint_every: float = Field(default=30.0, gt=0, description="Seconds between checkpoints of a run's chains.")
    database_timeout: float = Field(default=4.0, gt=0, description="Seconds that a page waits for the database.")
    outage: float = Field(
        default=600.0,
        ge=0,
        description="Seconds that a worker waits for a database that does not answer, before it gives its run back.",
    )
    sweep_every: float = Field(default=1.0, gt=0, description="Seconds between looks for lost runs.")
    resend_after: float = Field(default=15.0, gt=0, description="Seconds queued after which a message is sent again.")
    cancel_grace: float = Field(default=10.0, ge=0, description="Seconds a cancelled run has to stop by itself.")
    files: str = Field(
        default="",
        description="Folders that images and weights may be read from, separated by colons; the data folder's `files` "
        "is always among them.",
    )
    templates: str = Field(
        default="",
        description="Folders with templates of your own, separated by colons. Their program runs with your rights.",
    )
    warm: bool = Field(default=True, description="Compile every template's kernels when a worker starts.")
    log_json: bool = Field(default=False, description="Log as JSON, one object a line.")
    max_hours: float = Field(default=24.0, gt=0, description="Longest run, in hours.")

    @field_validator("token")
    @classmethod
    def _long(cls, token: SecretStr) -> SecretStr:
        if 0 < len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"a token has at least {SHORTEST_TOKEN} characters")
        return token

    @property
    def database(self) -> str:
        """The database address as SQLAlchemy takes it."""
        url = self.database_url
        if not url:
            return f"sqlite:///{self.folder() / 'statgrove.db'}"
        for old in ("postgres://", "postgresql://"):  # the forms that hosting services write
            if url.startswith(old):
                return "postgresql+psycopg://" + url[len(old) :]
        return url

    @property
    def embedded_broker(self) -> bool:
        return not self.broker_url

    def folder(self, *parts: str) -> Path:
        """A folder inside the data folder, made if it is not there, private to this user."""
        path = self.data.expanduser().joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(h.strip().lower() for h in self.allowed_hosts.split(",") if h.strip())


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process; `settings.cache_clear()` reads the environment anew (tests)."""
    return Settings()
