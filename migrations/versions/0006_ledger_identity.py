"""Whose ledger this is and where it stands: one row. Who made each call."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give the ledger an id that no other has; its target is adopted when it is seen next."""
    op.create_table(
        "ledger",
        sa.Column("id", sa.Text(), nullable=False, comment="random; stands in every reference"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="grows when a run begins and when it ends"),
        sa.Column("base_url", sa.Text(), nullable=True, comment="the target's address; null: not seen yet"),
        sa.Column("company", sa.Text(), nullable=True, comment="JSON: the target's company; null: not seen yet"),
        sa.Column("counts_same", sa.Boolean(), nullable=True, comment="answers count values that did not change"),
        sa.Column("backup_at", sa.Text(), nullable=True, comment="this is a backup, made at that time"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO ledger (id, position) VALUES (lower(hex(randomblob(6))), 0)")
    op.add_column("attempts", sa.Column("account", sa.Text(), nullable=True))
