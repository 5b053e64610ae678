"""What every command did (works), and the first rejected rows of each run."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; what was done before is known by its runs, pulls and uploads alone."""
    op.create_table(
        "rejections",
        sa.Column("id", _Id, nullable=False),
        sa.Column("run_id", _Id, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rejections_run", "rejections", ["run_id"])
    op.create_table(
        "works",
        sa.Column("id", _Id, nullable=False),
        sa.Column("parent_id", _Id, sa.ForeignKey("works.id"), comment="the night that it was a step of"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, server_default=""),
        sa.Column("run_id", _Id, sa.ForeignKey("runs.id")),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("error", sa.Text(), comment="what stopped it"),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("born", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("works_kind", "works", ["kind", "id"])
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER rejections_no_{verb.lower()} BEFORE {verb} ON rejections "
            "BEGIN SELECT RAISE(ABORT, 'rejections is append-only: history is only ever added to'); END"
        )
