"""Columns that hold one of a few words take no other: what is an enum in the program is a CHECK in the database.

SQLite adds no constraint to a table that is there, so each is built anew beside itself: its rows are copied, then its
indexes and triggers are made again as they were. Rows keep their ids, so seals stay right. Only small tables have such
columns: not one of them has a row for each value that was ever sent.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BATCH_STATES = (
    "planned sending submitted in_doubt confirmed mismatched rejected failed superseded abandoned ended_late"
)
_BATCH_EVENTS = (
    "start accepted all_applied miscounted refused not_processed answer_lost task_found shown_absent send_again "
    "task_failed let_go seen_ended replanned"
)
_PART_STATES = "planned recorded storing stored starting in_doubt processing complete failed refused"
_PART_EVENTS = (
    "record_made store stored form_spent start started not_processed answer_lost not_started file_missing refused "
    "created errored"
)
_KNOWN = {
    "runs": {"state": "running complete incomplete stopped", "mode": "auto sync async"},
    "batches": {"kind": "sync async wish", "state": _BATCH_STATES},
    "attempts": {"verdict": "accepted applied miscounted refused not_processed lost"},
    "outcomes": {"bucket": "confirmed unmatched rejected in_doubt pending unsent superseded"},
    "events": {"event": _BATCH_EVENTS, "old_state": _BATCH_STATES, "new_state": _BATCH_STATES},
    "uploads": {"filetype": "csv json"},
    "upload_parts": {"state": _PART_STATES},
    "upload_events": {"event": _PART_EVENTS, "old_state": _PART_STATES, "new_state": _PART_STATES},
}


def upgrade() -> None:
    """Build every table anew whose columns are bounded."""
    connection = op.get_bind()
    for table, columns in _KNOWN.items():
        _bound(connection, table, columns)


def _bound(connection: sa.Connection, table: str, columns: dict[str, str]) -> None:
    created, beside = _statements(connection, table)
    checks = "".join(
        f", CONSTRAINT {table}_{column}_known CHECK ({column} IN ({', '.join(map(repr, words.split()))}))"
        for column, words in columns.items()
    )
    body = created[created.index("(") : created.rindex(")")]
    op.execute(f"CREATE TABLE {table}_bounded {body}{checks})")
    op.execute(f"INSERT INTO {table}_bounded SELECT * FROM {table} ORDER BY rowid")  # noqa: S608  names are ours
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_bounded RENAME TO {table}")
    for statement in beside:
        connection.exec_driver_sql(statement)


def _statements(connection: sa.Connection, table: str) -> tuple[str, list[str]]:
    """Return what made a table, and what made its indexes and triggers."""
    rows = connection.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY rowid", (table,)
    ).all()
    return next(sql for kind, sql in rows if kind == "table"), [sql for kind, sql in rows if kind != "table"]
