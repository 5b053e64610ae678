"""Archives of old history, and the views for who asks the ledger by SQL."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_VIEWS = (
    (
        "CREATE VIEW v_codes AS SELECT s.key AS key_columns, replace(m.key, char(31), ' + ') AS key, "
        "coalesce(p.data, '{}') AS known, coalesce(q.uncertain, '[]') AS uncertain, coalesce(q.refused, '[]')"
        " AS refused, coalesce(q.absent, 0) AS absent, m.batch_id AS batch FROM mirror m JOIN spaces s ON "
        "s.id = m.space_id LEFT JOIN pictures q ON q.id = -m.picture LEFT JOIN payloads p ON p.id = CASE WHEN"
        " m.picture > 0 THEN m.picture ELSE q.known_payload_id END"
    ),
    (
        "CREATE VIEW v_runs AS SELECT r.id AS run, j.name AS job, j.key AS key_columns, r.state, "
        "r.started_at, r.ended_at, r.exit_code, r.error, coalesce(json_extract(r.rows, '$.read'), 0) AS "
        "rows_read, coalesce(json_extract(r.rows, '$.changed'), 0) AS rows_changed, "
        "coalesce(json_extract(r.rows, '$.new'), 0) AS rows_new, coalesce(json_extract(r.rows, '$.invalid'), "
        "0) AS rows_invalid, r.minimum_updates, r.program FROM runs r JOIN jobs j ON j.id = r.job_id"
    ),
    (
        "CREATE VIEW v_batches AS SELECT b.id AS batch, b.run_id AS run, j.name AS job, b.kind, b.state, "
        'b.size AS "values", b.unmatched, b.codes_affected, b.task_id, b.attempts, b.message, b.changed_at, '
        "b.split FROM batches b JOIN jobs j ON j.id = b.job_id"
    ),
    (
        "CREATE VIEW v_changes AS SELECT i.id AS change, b.run_id AS run, b.id AS batch, j.name AS job, "
        "replace(i.key, char(31), ' + ') AS key, p.data, s.name AS file, i.line, coalesce(o.bucket, b.state) "
        "AS outcome, coalesce(o.message, b.message, '') AS message, b.changed_at FROM items i JOIN batches b "
        "ON b.id = i.batch_id JOIN jobs j ON j.id = b.job_id JOIN payloads p ON p.id = i.payload_id JOIN "
        "sources s ON s.id = i.source_id LEFT JOIN outcomes o ON o.item_id = i.id WHERE NOT b.split"
    ),
)


def upgrade() -> None:
    """Create the table and the views; no history is moved by itself."""
    op.create_table(
        "archives",
        sa.Column("id", _Id, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("run_id", _Id, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("items_to", _Id, nullable=False),
        sa.Column("events_to", _Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for statement in _VIEWS:
        op.execute(sa.text(statement.replace(":", "\\:")))
