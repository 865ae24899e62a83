"""A run may go on from where an earlier one ended"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Added in place. SQLite's other way, copying the table, would drop the old one and its artifacts with it.
    op.add_column("runs", sa.Column("continues", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_runs_continues"), "runs", ["continues"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_continues"), "runs")
    op.drop_column("runs", "continues")
