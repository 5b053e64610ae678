"""Ledgers of many nights and many codes, as a year of work would leave them: made by statements, in a minute, not a year.

The first night loads every code, later ones change a few; each is sealed as it ends. What the tables hold is what the
program would have written, so `ledger check` finds nothing.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncer.ledger.bulk import index_afterwards, raw_cursor
from syncer.ledger.ledger import Ledger

BATCH = 1_000
PER_CASE = 24
_ROWS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "


def at(night: int, seconds: float = 0) -> str:
    """Return a moment of a night, as the ledger writes it."""
    moment = datetime(2025, 1, 1, 2, tzinfo=UTC) + timedelta(days=night, seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make_ledger(path: Path, *, codes: int, nights: int, changed: int) -> None:
    """Make a ledger of `nights` runs: the first one with `codes` values, each further one with `changed` of them."""
    with Ledger.open_to_write(f"sqlite:///{path}", at=at(0)) as ledger:
        job = ledger.ensure_job("default", ["extended_id"])
        for night in range(nights):
            count = changed if night else codes
            run = ledger.begin_run(job, at=at(night), mode="auto", campaign=None, unique=True, program="bench")
            with (
                ledger.transaction() as connection,
                nullcontext() if night else index_afterwards(connection, "items_key"),
            ):
                _night(raw_cursor(connection), run.id, night, count)
            ledger.writer(run.id).end_run(
                run.id,
                at(night, 1 + count / BATCH / 10),
                state="complete",
                exit_code=0,
                error=None,
                discarded_fields=[],
            )
        ledger.advance()


def _night(cursor, run_id, night, count):
    def last(table):
        return cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]

    items, batches, payloads, attempts, events = map(last, ("items", "batches", "payloads", "attempts", "events"))
    source, calls, cases = last("sources") + 1, -(-count // BATCH), -(-count // PER_CASE)
    form = json.dumps({"encoding": "utf-8", "header": ["extended_id", "case_no", "market"]})
    cursor.execute(
        "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?)",
        (source, run_id, f"night-{night}.csv", f"{night:064x}", count * 40, count, form),
    )
    cursor.execute(
        _ROWS.format(count=cases)
        + """INSERT INTO payloads (id, fingerprint, data)
        SELECT ? + i, printf('%032x', ? + i), printf('{"case_no":"C%08d","market":"%s"}', i, ?) FROM n""",
        (payloads + 1, payloads + 1, f"M{night}"),
    )
    cursor.execute(
        _ROWS.format(count=calls)
        + f"""INSERT INTO batches (id, run_id, job_id, space_id, kind, state, payload_id,
          varying, first_item_id, size, attempts, task_id, codes_affected, changed_at, unique_key, settled)
        SELECT ?1 + i, ?2, 1, 1, 'sync', 'confirmed', NULL, 0, ?3 + i * {BATCH}, min({BATCH}, ?4 - i * {BATCH}), 1,
          NULL, min({BATCH}, ?4 - i * {BATCH}), ?5, 1, ?6 + 2 * i + 1 FROM n""",
        (batches + 1, run_id, items + 1, count, at(night, 1), events + 1),
    )
    before = "coalesce((SELECT picture FROM mirror m WHERE m.space_id = 1 AND m.key = printf('K%09d', i)), 0)"
    cursor.execute(
        _ROWS.format(count=count)
        + f"""INSERT INTO items (id, batch_id, key, payload_id, source_id, line, before_id)
        SELECT ? + i, ? + i / {BATCH}, printf('K%09d', i), ? + i / {PER_CASE}, ?, i + 2, {before if night else 0} FROM n""",
        (items + 1, batches + 1, payloads + 1, source),
    )
    cursor.execute(
        _ROWS.format(count=calls)
        + """INSERT INTO attempts (id, batch_id, reference, started_at, ended_at, verdict)
        SELECT ?1 + i, ?2 + i, printf('default-r%d-%d', ?3, i), ?4, ?5, 'applied' FROM n""",
        (attempts + 1, batches + 1, run_id, at(night), at(night, 1)),
    )
    cursor.execute(
        _ROWS.format(count=2 * calls)
        + """INSERT INTO events (id, at, run_id, batch_id, attempt_id, event, old_state,
          new_state, detail)
        SELECT ?1 + i, CASE WHEN i % 2 THEN ?6 ELSE ?5 END, ?4, ?2 + i / 2, ?3 + i / 2, iif(i % 2, 'all_applied', 'start'),
          iif(i % 2, 'sending', 'planned'), iif(i % 2, 'confirmed', 'sending'), NULL FROM n""",
        (events + 1, batches + 1, attempts + 1, run_id, at(night), at(night, 1)),
    )
    cursor.execute(
        """INSERT OR REPLACE INTO mirror (space_id, key, picture, batch_id)
        SELECT 1, key, payload_id, batch_id FROM items WHERE id > ? ORDER BY key""",
        (items,),
    )
    rows = {"read": count, "new": 0 if night else count, "changed": count if night else 0, "unchanged": 0}
    rows |= {"duplicate": 0, "invalid": 0, "held": 0}
    cursor.execute(
        "UPDATE runs SET planned = 1, rows = ?, minimum_updates = ? WHERE id = ?", (json.dumps(rows), calls, run_id)
    )
    cursor.execute("UPDATE jobs SET fields = ?", (json.dumps(["case_no", "market"]),))
