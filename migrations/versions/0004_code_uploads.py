"""Uploads of own codes: the uploads, their parts, every code of each, what was said against codes, events.

A migration is a record of what was done to ledgers in the field: it is never edited after a release.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, indexes and triggers of uploads of own codes."""
    op.create_table(
        "uploads",
        sa.Column("id", _Id, nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the file and everything that was asked for it"),
        sa.Column("filetype", sa.Text(), nullable=False, comment="csv or json"),
        sa.Column("defaults", sa.Text(), nullable=False, comment="JSON: default SCM data"),
        sa.Column("url_prefix", sa.Text(), nullable=True),
        sa.Column("allow_duplicates", sa.Boolean(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False, comment="JSON: rows that are not among the codes, by reason"),
        sa.Column("program", sa.Text(), nullable=False, comment="version, host and process that recorded it"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_fingerprint", "uploads", ["fingerprint"], unique=False)
    op.create_table(
        "upload_parts",
        sa.Column("id", _Id, nullable=False),
        sa.Column("upload_id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("spool", sa.Text(), nullable=False, comment="name of its file in the folder beside the ledger"),
        sa.Column("record_key", sa.Text(), nullable=True, comment="of the API's ingestion record"),
        sa.Column("form", sa.Text(), nullable=True, comment="JSON: address and fields for storage, until used up"),
        sa.Column("form_at", sa.Text(), nullable=True, comment="when the form was given"),
        sa.Column("remote_status", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True, comment="what the API said against it"),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("upload_id", "number", name="upload_parts_number"),
    )
    op.create_index("upload_parts_state", "upload_parts", ["state"], unique=False)
    op.create_table(
        "upload_codes",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("part_id", _Id, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON: the row's other cells that are not empty"),
        sa.PrimaryKeyConstraint("code", "part_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload_errors",
        sa.Column("id", _Id, nullable=False),
        sa.Column("part_id", _Id, nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="empty: about the part as a whole"),
        sa.Column("name", sa.Text(), nullable=False, comment="the API's name of the error"),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["upload_parts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("upload_errors_part", "upload_errors", ["part_id", "code"], unique=False)
    op.create_table(
        "upload_events",
        sa.Column("id", _Id, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("part_id", _Id, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("old_state", sa.Text(), nullable=False),
        sa.Column("new_state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["part_id"], ["upload_parts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("upload_events_part", "upload_events", ["part_id"], unique=False)
    for table in ("upload_codes", "upload_errors", "upload_events"):
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: history is only ever added to'); END"
            )
