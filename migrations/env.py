"""Alembic's environment: app.db.upgrade() hands over the connection; nothing is read from a file."""

from alembic import context

from app.models import Base


def render_item(kind: str, item: object, autogen_context: object) -> str | bool:
    """Write our own column type by its underlying type, so that old migrations never import the application."""
    if kind == "type" and type(item).__name__ == "Instant":
        return "sa.DateTime(timezone=True)"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
