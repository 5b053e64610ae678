"""Which known fields of a value no answer named, where a sync call confirmed it last.

SQLite changes no constraint of a table that is there, so the pictures are built anew beside themselves, and the view
that reads them is made again. Of what was confirmed before nobody remembers it: that stays as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS = "id, known_payload_id, uncertain, refused, absent"


def upgrade() -> None:
    """Give every picture the list of its counted fields: empty."""
    statement = "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = 'v_codes'"
    view = op.get_bind().exec_driver_sql(statement).scalar_one()
    op.execute("DROP VIEW v_codes")
    op.create_table(
        "pictures_counted",
        sa.Column("id", _Id, nullable=False),
        sa.Column("known_payload_id", _Id, nullable=False),
        sa.Column("uncertain", sa.Text(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("absent", sa.Boolean(), nullable=False),
        sa.Column("counted", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("known_payload_id", "uncertain", "refused", "absent", "counted", name="pictures_content"),
    )
    op.execute(f"INSERT INTO pictures_counted SELECT {_COLUMNS}, '[]' FROM pictures ORDER BY id")  # noqa: S608
    op.execute("DROP TABLE pictures")
    op.execute("ALTER TABLE pictures_counted RENAME TO pictures")
    op.get_bind().exec_driver_sql(view)
