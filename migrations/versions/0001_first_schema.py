"""The first schema: runs, batches, items, current state, events.

A migration is a record of what was done to ledgers in the field: it is never edited after a release, and does not
follow syncer/ledger/schema.py. A test holds that all migrations together arrive at that schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table, index and trigger."""
    op.create_table(
        "current",
        sa.Column("job_id", _Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload_id", _Id, nullable=False),
        sa.Column("batch_id", _Id, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "items",
        sa.Column("id", _Id, nullable=False),
        sa.Column("batch_id", _Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="composite keys: values joined by U+001F"),
        sa.Column("payload_id", _Id, nullable=False),
        sa.Column("source_id", _Id, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("items_key", "items", ["key"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", _Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "key", sa.Text(), nullable=False, comment="JSON list of the key columns: state is kept per job and key"
        ),
        sa.Column("fields", sa.Text(), nullable=False, comment="JSON list of every SCM field ever planned"),
        sa.Column("reach", sa.Text(), nullable=False, comment="JSON: codes per key value, as far as it was learned"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "key", name="jobs_name_key"),
    )
    op.create_table(
        "outcomes",
        sa.Column("item_id", _Id, nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_table(
        "payloads",
        sa.Column("id", _Id, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="hex; of the canonical form"),
        sa.Column("data", sa.Text(), nullable=False, comment="canonical JSON"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fingerprint", name="payloads_fingerprint"),
    )
    op.create_table(
        "runs",
        sa.Column("id", _Id, nullable=False),
        sa.Column("job_id", _Id, nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="running, complete, incomplete, stopped"),
        sa.Column("planned", sa.Boolean(), server_default=sa.text("0"), nullable=False, comment="its plan is stored"),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="what stopped it"),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("campaign", sa.Integer(), nullable=True),
        sa.Column("unique_key", sa.Boolean(), nullable=False, comment="one key value selects exactly one code"),
        sa.Column("rows", sa.Text(), nullable=False, comment="JSON: rows read, by bucket"),
        sa.Column("minimum_updates", sa.Integer(), nullable=False),
        sa.Column("discarded_fields", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("program", sa.Text(), nullable=False, comment="version, host and process that ran it"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "batches",
        sa.Column("id", _Id, nullable=False),
        sa.Column("run_id", _Id, nullable=False),
        sa.Column("job_id", _Id, nullable=False),
        sa.Column("parent_id", _Id, nullable=True, comment="the batch that was split into this one"),
        sa.Column("kind", sa.Text(), nullable=False, comment="sync or async"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "split",
            sa.Boolean(),
            server_default=sa.text("0"),
            nullable=False,
            comment="its values went on in other batches",
        ),
        sa.Column("payload_id", _Id, nullable=True, comment="async: the one set of data"),
        sa.Column("varying", sa.Integer(), nullable=False, comment="position of the key column whose values vary"),
        sa.Column("first_item_id", _Id, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("codes_affected", sa.Integer(), nullable=True),
        sa.Column(
            "unmatched", sa.Integer(), server_default="0", nullable=False, comment="items with an outcome of their own"
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="what the API said against it"),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["batches.id"],
        ),
        sa.ForeignKeyConstraint(
            ["payload_id"],
            ["payloads.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("batches_job_state", "batches", ["job_id", "state"], unique=False)
    op.create_index("batches_run", "batches", ["run_id"], unique=False)
    op.create_table(
        "sources",
        sa.Column("id", _Id, nullable=False),
        sa.Column("run_id", _Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False, comment="JSON: encoding, delimiter, quote, header, as read"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", _Id, nullable=False),
        sa.Column("batch_id", _Id, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column(
            "verdict", sa.Text(), nullable=True, comment="what became of the call: ok, refused, not_processed, lost …"
        ),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reference", name="attempts_reference"),
    )
    op.create_index("attempts_batch", "attempts", ["batch_id"], unique=False)
    op.create_index("attempts_started_at", "attempts", ["started_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", _Id, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("run_id", _Id, nullable=False, comment="the run that saw it happen"),
        sa.Column("batch_id", _Id, nullable=False),
        sa.Column("attempt_id", _Id, nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("old_state", sa.Text(), nullable=False),
        sa.Column("new_state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_batch", "events", ["batch_id"], unique=False)

    for table in ("payloads", "items", "outcomes", "events"):
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: history is only ever added to'); END"
            )
