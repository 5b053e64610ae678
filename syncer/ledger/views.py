"""Views for who asks the ledger by SQL: documented (docs/ledger.md), stable, and all that a stranger should read.

Columns are only ever added. Keys are as people write them: parts of a composite key are joined by `` + ``.
"""

from __future__ import annotations

_KEY = "replace({}.key, char(31), ' + ')"
VIEWS: dict[str, str] = {
    "v_codes": f"""
SELECT s.key AS key_columns, {_KEY.format("m")} AS key, coalesce(p.data, '{{}}') AS known,
coalesce(q.uncertain, '[]') AS uncertain, coalesce(q.refused, '[]') AS refused, coalesce(q.absent, 0) AS absent,
m.batch_id AS batch
FROM mirror m JOIN spaces s ON s.id = m.space_id LEFT JOIN pictures q ON q.id = -m.picture
LEFT JOIN payloads p ON p.id = CASE WHEN m.picture > 0 THEN m.picture ELSE q.known_payload_id END
""",
    "v_runs": """
SELECT r.id AS run, j.name AS job, j.key AS key_columns, r.state, r.started_at, r.ended_at, r.exit_code, r.error,
coalesce(json_extract(r.rows, '$.read'), 0) AS rows_read,
coalesce(json_extract(r.rows, '$.changed'), 0) AS rows_changed,
coalesce(json_extract(r.rows, '$.new'), 0) AS rows_new, coalesce(json_extract(r.rows, '$.invalid'), 0) AS rows_invalid,
r.minimum_updates, r.program
FROM runs r JOIN jobs j ON j.id = r.job_id
""",
    "v_batches": """
SELECT b.id AS batch, b.run_id AS run, j.name AS job, b.kind, b.state, b.size AS "values", b.unmatched,
b.codes_affected, b.task_id, b.attempts, b.message, b.changed_at, b.split
FROM batches b JOIN jobs j ON j.id = b.job_id
""",
    "v_changes": f"""
SELECT i.id AS change, b.run_id AS run, b.id AS batch, j.name AS job, {_KEY.format("i")} AS key, p.data,
s.name AS file, i.line, coalesce(o.bucket, b.state) AS outcome, coalesce(o.message, b.message, '') AS message,
b.changed_at
FROM items i JOIN batches b ON b.id = i.batch_id JOIN jobs j ON j.id = b.job_id JOIN payloads p ON p.id = i.payload_id
JOIN sources s ON s.id = i.source_id LEFT JOIN outcomes o ON o.item_id = i.id WHERE NOT b.split
""",
}


def view_statements() -> list[str]:
    """Return the statements that create the views."""
    return [f"CREATE VIEW {name} AS {' '.join(text.split())}" for name, text in VIEWS.items()]
