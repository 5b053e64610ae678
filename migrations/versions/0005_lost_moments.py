"""When an answer was lost, by a clock that does not jump: seconds since the machine's boot, and which boot that was."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment to ``attempts``, and an index of the attempts that have one."""
    op.add_column("attempts", sa.Column("lost_boot", sa.Text()))
    op.add_column("attempts", sa.Column("lost_uptime_s", sa.Float()))
    op.create_index("attempts_lost", "attempts", ["id"], sqlite_where=sa.text("verdict = 'lost'"))
