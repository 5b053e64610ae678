"""Scans: how far each pull has come, which scans it has delivered, and the scans themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "scan_pulls",
        sa.Column("id", _Id, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("watermark_us", sa.BigInteger(), nullable=True),
        sa.Column("seen_from_us", sa.BigInteger(), nullable=True),
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("chain_query", sa.Text(), nullable=True),
        sa.Column("chain_began_us", sa.BigInteger(), nullable=True),
        sa.Column("chain_newest_us", sa.BigInteger(), nullable=True),
        sa.Column("chain_shown", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("scans", sa.BigInteger(), nullable=False),
        sa.Column("repeated", sa.BigInteger(), nullable=False),
        sa.Column("too_late", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("destination", name="scan_pulls_destination"),
    )
    op.create_table(
        "scan_seen",
        sa.Column("pull_id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("uuids", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["pull_id"], ["scan_pulls.id"]),
        sa.PrimaryKeyConstraint("pull_id", "number"),
    )
    op.create_table(
        "scans",
        sa.Column("id", _Id, nullable=False),
        sa.Column("pull_id", _Id, nullable=False),
        sa.Column("uuid", sa.LargeBinary(), nullable=False),
        sa.Column("campaign", sa.Integer(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("extended_id", sa.Text(), nullable=True),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("scm", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["pull_id"], ["scan_pulls.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="scans_uuid"),
    )
    op.create_index("scans_campaign_at", "scans", ["campaign", "at_us"], unique=False)
    op.create_index("scans_extended_id", "scans", ["extended_id"], unique=False)
