"""Version 2: what comes of data that came late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """No task so far is retrospective, and no data is known to be late."""
    op.add_column(
        "tasks",
        sa.Column("retrospective", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "backlogs",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backlogs"),
    )
