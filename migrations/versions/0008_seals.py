"""Seals: a hash per run over what it added to the history, chained to the one before."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; the first run that ends seals all that came before."""
    op.create_table(
        "seals",
        sa.Column("id", _Id, nullable=False),
        sa.Column("run_id", _Id, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False, comment="JSON: how the run ended"),
        sa.Column("covers", sa.Text(), nullable=False, comment="JSON: per table ids, rows, and hashes of its blocks"),
        sa.Column("previous", sa.Text(), nullable=False, comment="the digest of the seal before; zeros: there is none"),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER seals_no_{verb.lower()} BEFORE {verb} ON seals "
            "BEGIN SELECT RAISE(ABORT, 'seals is append-only: history is only ever added to'); END"
        )
