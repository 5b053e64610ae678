"""The mirror: what Scantrust is known to hold, per code space, key value and field, in place of the last whole row.

``current`` becomes ``mirror`` as it lies there, since a payload's id is the number of a picture that holds just that
payload. What the old ledger believed and could not know becomes uncertain, so it is sent once more:

- batches that may have been processed without a confirmation make their fields uncertain; values that matched nothing
  hold nothing;
- where several jobs believed different things of one value, the field is uncertain;
- fields that a run saw discarded, and fields that two code spaces write, get a stamp: all that is older is uncertain.

Key columns are sorted from now on, and so are the parts of composite keys. Values that several jobs of one space had
planned become wishes: the next plan merges them, the newest word first. The old version let two jobs have one value
under way at once. So what another job's newer call has overtaken is sent no more: it is let go of, or dropped where it
was not sent. What else its batch carried stays wanted. Of two calls under way for one value the older is let go of
always; so is one whose fields a run saw discarded: its count proves nothing about them.
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SEPARATOR = "\x1f"
DOUBTFUL = """
SELECT b.id, b.space_id, b.first_item_id, b.first_item_id + b.size - 1, b.state = 'abandoned' FROM batches b
WHERE b.state IN ('failed', 'rejected', 'in_doubt', 'sending', 'abandoned') OR b.split
   OR (b.state IN ('planned', 'superseded') AND b.attempts > 0)
ORDER BY b.id
"""
OVERTAKEN = """
SELECT b.id, o.id, o.payload_id, n.payload_id,
       b.state <> 'planned' AND c.state IN ('sending', 'submitted', 'in_doubt')
FROM batches b
CROSS JOIN items o ON o.id BETWEEN b.first_item_id AND b.first_item_id + b.size - 1
CROSS JOIN items n ON n.key = o.key AND n.source_id > o.source_id
CROSS JOIN batches c ON c.id = n.batch_id AND c.space_id = b.space_id AND c.job_id <> b.job_id
WHERE NOT b.split AND b.state IN ('planned', 'sending', 'submitted', 'in_doubt')
  AND b.space_id IN (SELECT space_id FROM jobs GROUP BY space_id HAVING count(*) > 1)
  AND NOT c.split AND c.state NOT IN ('planned', 'superseded')
"""
"""Of several jobs of a code space: words that were not at their end, and newer ones that were sent, in that order."""
UNDER_WAY = """
SELECT id, space_id, payload_id FROM batches
WHERE NOT split AND kind = 'async' AND state IN ('sending', 'submitted', 'in_doubt')
"""
WAY_OUT = {
    "planned": (("replanned", "superseded"),),
    "sending": (("answer_lost", "in_doubt"), ("let_go", "abandoned")),
    "in_doubt": (("let_go", "abandoned"),),
    "submitted": (("let_go", "abandoned"),),
}


def upgrade() -> None:
    """Create what is new, then carry over what was known, then take back what was not."""
    connection = op.get_bind()
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101  a connection in a transaction has one
    _tables()
    cursor = raw.cursor()
    places = _spaces(cursor)
    _join_keys_anew(raw, cursor, places)
    _join_jobs(cursor)
    _batches(cursor)
    _overtaken(cursor)
    _doubts(cursor)
    _several_jobs(cursor)
    _absent(cursor)
    _stamps(cursor)


def _tables() -> None:
    op.create_table(
        "spaces",
        sa.Column("id", _Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="JSON list of the key columns, sorted"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="spaces_key"),
    )
    op.create_table(
        "item_origins",
        sa.Column("item_id", _Id, nullable=False),
        sa.Column("source_id", _Id, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "source_id", "line"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pictures",
        sa.Column("id", _Id, nullable=False),
        sa.Column("known_payload_id", _Id, nullable=False),
        sa.Column("uncertain", sa.Text(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("absent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("known_payload_id", "uncertain", "refused", "absent", name="pictures_content"),
    )
    op.create_table(
        "stamps",
        sa.Column("id", _Id, nullable=False),
        sa.Column("space_id", _Id, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("settled", _Id, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("stamps_space", "stamps", ["space_id"], unique=False)
    op.create_table(
        "proofs",
        sa.Column("campaign", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "field"),
        sqlite_with_rowid=False,
    )
    op.execute("ALTER TABLE current RENAME TO mirror")
    op.execute("ALTER TABLE mirror RENAME COLUMN job_id TO space_id")
    op.execute("ALTER TABLE mirror RENAME COLUMN payload_id TO picture")
    op.add_column("items", sa.Column("before_id", _Id, server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("space_id", _Id, server_default="0", nullable=False))
    for column in (
        sa.Column("space_id", _Id, server_default="0", nullable=False),
        sa.Column("wanted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("campaign", sa.Integer()),
        sa.Column("unique_key", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("settled", _Id),
    ):
        op.add_column("batches", column)
    op.drop_index("batches_job_state", "batches")
    op.create_index("batches_space_state", "batches", ["space_id", "state"], unique=False)
    op.create_index("batches_wanted", "batches", ["space_id"], unique=False, sqlite_where=sa.text("wanted"))
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER item_origins_no_{verb.lower()} BEFORE {verb} ON item_origins "
            "BEGIN SELECT RAISE(ABORT, 'item_origins is append-only: history is only ever added to'); END"
        )


def _spaces(cursor):
    """Give every set of key columns its space, named for its first job; return how each job's columns move."""
    places = {}
    for job_id, key in cursor.execute("SELECT id, key FROM jobs ORDER BY id").fetchall():
        columns = json.loads(key)
        ordered = sorted(columns)
        if ordered != columns:
            places[job_id] = [columns.index(column) for column in ordered]
        cursor.execute("INSERT OR IGNORE INTO spaces (id, key) VALUES (?, ?)", (job_id, json.dumps(ordered)))
        cursor.execute(
            "UPDATE jobs SET space_id = (SELECT id FROM spaces WHERE key = ?) WHERE id = ?",
            (json.dumps(ordered), job_id),
        )
    return places


def _join_keys_anew(raw, cursor, places) -> None:
    """Put the parts of composite keys in the order of their columns' names, in the history too: a key is one text."""
    if not places:
        return

    def joined(job_id, key):
        parts = key.split(SEPARATOR)
        return SEPARATOR.join(parts[place] for place in places[job_id])

    raw.create_function("joined_anew", 2, joined, deterministic=True)
    trigger = cursor.execute("SELECT sql FROM sqlite_schema WHERE name = 'items_no_update'").fetchone()[0]
    cursor.execute("DROP TRIGGER items_no_update")
    for job_id, order in places.items():
        cursor.execute(
            """UPDATE items SET key = joined_anew(?1, key)
               WHERE batch_id IN (SELECT id FROM batches WHERE job_id = ?1)""",
            (job_id,),
        )
        rows = cursor.execute("SELECT key, picture, batch_id FROM mirror WHERE space_id = ?", (job_id,)).fetchall()
        cursor.execute("DELETE FROM mirror WHERE space_id = ?", (job_id,))
        cursor.executemany(
            "INSERT INTO mirror (space_id, key, picture, batch_id) VALUES (?, ?, ?, ?)",
            ((job_id, joined(job_id, key), picture, batch_id) for key, picture, batch_id in rows),
        )
        cases = " ".join(f"WHEN {old} THEN {new}" for new, old in enumerate(order))
        cursor.execute(
            f"UPDATE batches SET varying = CASE varying {cases} END WHERE job_id = ?",  # noqa: S608  numbers alone
            (job_id,),
        )
    cursor.execute(trigger)


def _join_jobs(cursor) -> None:
    """Sort the key columns of every job; two that were the same but for the order become one."""
    for job_id, name, space_id in cursor.execute("SELECT id, name, space_id FROM jobs ORDER BY id").fetchall():
        first = cursor.execute(
            "SELECT id, fields FROM jobs WHERE name = ? AND space_id = ? ORDER BY id", (name, space_id)
        ).fetchone()
        if first[0] == job_id:
            continue
        fields = json.loads(cursor.execute("SELECT fields FROM jobs WHERE id = ?", (job_id,)).fetchone()[0])
        both = json.dumps(sorted({*json.loads(first[1]), *fields}))
        cursor.execute("UPDATE jobs SET fields = ? WHERE id = ?", (both, first[0]))
        cursor.execute("UPDATE runs SET job_id = ? WHERE job_id = ?", (first[0], job_id))
        cursor.execute("UPDATE batches SET job_id = ? WHERE job_id = ?", (first[0], job_id))
        _move(cursor, job_id, space_id)
        cursor.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
    cursor.execute("UPDATE jobs SET key = (SELECT key FROM spaces WHERE spaces.id = jobs.space_id)")


def _batches(cursor) -> None:
    cursor.execute("UPDATE batches SET space_id = (SELECT space_id FROM jobs WHERE jobs.id = batches.job_id)")
    cursor.execute(
        """UPDATE batches SET (campaign, unique_key) = (SELECT campaign, unique_key FROM runs r WHERE r.id = run_id),
           settled = CASE WHEN state IN ('confirmed', 'mismatched', 'rejected', 'failed', 'superseded')
                     THEN (SELECT max(e.id) FROM events e WHERE e.batch_id = batches.id) END"""
    )


def _overtaken(cursor) -> None:
    """Let nothing be sent that newer words have overtaken, nor counted on that was discarded; keep wanting the rest."""
    words = {}
    cursor.execute(
        """UPDATE batches SET kind = 'wish', payload_id = NULL WHERE state = 'planned' AND NOT split AND space_id IN
           (SELECT space_id FROM jobs GROUP BY space_id HAVING count(*) > 1)"""
    )
    gone = {}  # by batch, and by item: the fields that are not its own to say any more
    for batch_id, item_id, older, newer, both_under_way in cursor.execute(OVERTAKEN).fetchall():
        fields = _data(cursor, words, older).keys() & _data(cursor, words, newer).keys()
        if fields or both_under_way:
            gone.setdefault(batch_id, {}).setdefault(item_id, set()).update(fields)
    discarded = {}
    runs = "SELECT j.space_id, r.discarded_fields FROM runs r JOIN jobs j ON j.id = r.job_id"
    for space_id, fields in cursor.execute(runs).fetchall():
        discarded.setdefault(space_id, set()).update(json.loads(fields))
    for batch_id, space_id, payload_id in cursor.execute(UNDER_WAY).fetchall():
        if discarded[space_id] & _data(cursor, words, payload_id).keys():
            gone.setdefault(batch_id, {})
    for batch_id, fields_by_item in sorted(gone.items()):
        _end_early(cursor, words, batch_id, fields_by_item)


def _data(cursor, words, payload_id):
    """Return the fields of a payload with their values, and remember them."""
    if payload_id not in words:
        text = cursor.execute("SELECT data FROM payloads WHERE id = ?", (payload_id,)).fetchone()[0]
        words[payload_id] = json.loads(text)
    return words[payload_id]


def _end_early(cursor, words, batch_id, fields_by_item) -> None:
    """Bring a batch to an end that was not at it; what it carried but for these fields of its items becomes a wish."""
    state, run_id, first, size, at = cursor.execute(
        "SELECT state, run_id, first_item_id, size, changed_at FROM batches WHERE id = ?", (batch_id,)
    ).fetchone()
    detail = "overtaken by a newer word of another job, or of a field that was not taken (the ledger was upgraded)"
    for event, new_state in WAY_OUT[state]:
        cursor.execute(
            """INSERT INTO events (at, run_id, batch_id, event, old_state, new_state, detail)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (at, run_id, batch_id, event, state, new_state, detail),
        )
        state = new_state
    cursor.execute(
        """UPDATE batches SET state = ?1, settled = CASE WHEN ?1 = 'superseded' THEN (SELECT max(id) FROM events) END
           WHERE id = ?2""",
        (state, batch_id),
    )
    kept = []
    for item_id, key, payload_id, source_id, line in cursor.execute(
        "SELECT id, key, payload_id, source_id, line FROM items WHERE id BETWEEN ? AND ?", (first, first + size - 1)
    ).fetchall():
        fields = fields_by_item.get(item_id, set())
        left = {name: value for name, value in _data(cursor, words, payload_id).items() if name not in fields}
        if left:
            kept.append((key, _number(cursor, left, ()), source_id, line))
    if kept:
        begin = cursor.execute("SELECT max(id) + 1 FROM items").fetchone()[0]
        wish_id = cursor.execute(
            """INSERT INTO batches (run_id, job_id, space_id, kind, state, varying, campaign, unique_key,
                                    first_item_id, size, changed_at)
               SELECT run_id, job_id, space_id, 'wish', 'planned', 0, campaign, unique_key, ?, ?, changed_at
               FROM batches WHERE id = ? RETURNING id""",
            (begin, len(kept), batch_id),
        ).fetchone()[0]
        cursor.executemany(
            "INSERT INTO items (id, batch_id, key, payload_id, source_id, line) VALUES (?, ?, ?, ?, ?, ?)",
            ((begin + place, wish_id, *row) for place, row in enumerate(kept)),
        )


def _several_jobs(cursor) -> None:
    """Lay what several jobs of one space believed over each other."""
    jobs = cursor.execute("SELECT id, space_id FROM jobs WHERE id <> space_id ORDER BY id").fetchall()
    for job_id, space_id in jobs:
        _move(cursor, job_id, space_id)


def _move(cursor, job_id, space_id) -> None:
    """Merge a job's rows into those of its space: known where they agree, uncertain where not."""
    if job_id == space_id:
        return
    rows = cursor.execute(
        """SELECT o.key, o.picture, o.batch_id, m.picture, m.batch_id FROM mirror o
           LEFT JOIN mirror m ON m.space_id = ? AND m.key = o.key WHERE o.space_id = ?""",
        (space_id, job_id),
    ).fetchall()
    for key, theirs, their_batch, ours, our_batch in rows:
        picture, batch = theirs, their_batch
        if ours is not None and ours != theirs:
            left, right = _picture(cursor, ours), _picture(cursor, theirs)
            unclear = {*left[1], *right[1]}
            unclear |= {name for name in left[0].keys() & right[0].keys() if left[0][name] != right[0][name]}
            known = {name: value for name, value in {**left[0], **right[0]}.items() if name not in unclear}
            picture = _number(cursor, known, unclear)
        if our_batch is not None:
            batch = max(batch, our_batch)
        cursor.execute("INSERT OR REPLACE INTO mirror VALUES (?, ?, ?, ?)", (space_id, key, picture, batch))
    cursor.execute("DELETE FROM mirror WHERE space_id = ?", (job_id,))


def _picture(cursor, number):
    """Return the known fields of a picture with their values, and the uncertain ones."""
    uncertain, payload_id = [], number
    if number < 0:
        payload_id, uncertain = cursor.execute(
            "SELECT known_payload_id, uncertain FROM pictures WHERE id = ?", (-number,)
        ).fetchone()
        uncertain = json.loads(uncertain)
    found = cursor.execute("SELECT data FROM payloads WHERE id = ?", (payload_id,)).fetchone()
    return ({} if found is None else json.loads(found[0])), uncertain


def _number(cursor, known, uncertain, *, absent=False):
    """Return the number of a picture, storing it when it is new."""
    payload_id = 0
    if known:
        data = json.dumps(known, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        fingerprint = hashlib.sha256(data.encode()).hexdigest()[:32]
        cursor.execute("INSERT OR IGNORE INTO payloads (fingerprint, data) VALUES (?, ?)", (fingerprint, data))
        payload_id = cursor.execute("SELECT id FROM payloads WHERE fingerprint = ?", (fingerprint,)).fetchone()[0]
        if not uncertain:
            return payload_id
    content = (payload_id, json.dumps(sorted(uncertain), ensure_ascii=False), "[]", absent)
    cursor.execute(
        "INSERT OR IGNORE INTO pictures (known_payload_id, uncertain, refused, absent) VALUES (?, ?, ?, ?)", content
    )
    return -cursor.execute(
        "SELECT id FROM pictures WHERE known_payload_id = ? AND uncertain = ? AND refused = ? AND absent = ?", content
    ).fetchone()[0]


def _doubts(cursor) -> None:
    """Make uncertain what a batch may have changed after the last confirmation of its values, whichever job's that was.

    Each job's rows still stand for themselves: together they have the position of the newest, which hides older doubts.
    """
    steps = {}
    for batch_id, space_id, first, last, let_go in cursor.execute(DOUBTFUL).fetchall():
        rows = cursor.execute(
            """SELECT m.space_id, m.key, m.picture, i.payload_id FROM items i
               JOIN mirror m ON m.space_id IN (SELECT id FROM jobs WHERE space_id = ?) AND m.key = i.key
               WHERE i.id BETWEEN ? AND ? AND (m.batch_id < ? OR ?)""",
            (space_id, first, last, batch_id, let_go),
        ).fetchall()
        changes = []
        for job_id, key, picture, payload_id in rows:
            if (picture, payload_id) not in steps:
                known, uncertain = _picture(cursor, picture)
                sent = json.loads(cursor.execute("SELECT data FROM payloads WHERE id = ?", (payload_id,)).fetchone()[0])
                left = {name: value for name, value in known.items() if name not in sent}
                steps[picture, payload_id] = _number(cursor, left, {*uncertain, *sent})
            changes.append((steps[picture, payload_id], job_id, key))
        cursor.executemany("UPDATE mirror SET picture = ? WHERE space_id = ? AND key = ?", changes)


def _absent(cursor) -> None:
    """Values that matched no code when they were last asked for hold nothing."""
    if cursor.execute("SELECT 1 FROM outcomes WHERE bucket = 'unmatched' LIMIT 1").fetchone():
        cursor.execute(
            """INSERT INTO mirror (space_id, key, picture, batch_id)
               SELECT b.space_id, i.key, ?, b.id FROM outcomes o JOIN items i ON i.id = o.item_id
               JOIN batches b ON b.id = i.batch_id WHERE o.bucket = 'unmatched' ORDER BY b.id
               ON CONFLICT (space_id, key) DO UPDATE SET picture = excluded.picture, batch_id = excluded.batch_id
               WHERE excluded.batch_id > mirror.batch_id""",
            (_number(cursor, {}, set(), absent=True),),
        )


def _stamps(cursor) -> None:
    """Stamp fields that were seen discarded, and fields that codes may have got through another space."""
    now = cursor.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
    causes = {}
    runs = "SELECT r.id, j.space_id, r.discarded_fields FROM runs r JOIN jobs j ON j.id = r.job_id"
    for run_id, space_id, fields in cursor.execute(runs).fetchall():
        for field in json.loads(fields):
            causes[space_id, field] = f"run {run_id} saw it discarded"
    written, keys = {}, {}
    for space_id, key, fields in cursor.execute("SELECT space_id, key, fields FROM jobs").fetchall():
        keys[space_id] = json.loads(key)
        for field in json.loads(fields):
            written.setdefault(field, set()).add(space_id)
    for field, spaces in written.items():
        if len(spaces) > 1:
            causes.update({(space_id, field): "several code spaces write it" for space_id in spaces})
        for space_id, key in keys.items():
            if field in key and spaces != {space_id}:
                causes[space_id, ""] = f"codes may have got other values of {field}"
    cursor.executemany(
        "INSERT INTO stamps (space_id, field, scope, settled, cause) VALUES (?, ?, '', ?, ?)",
        ((space_id, field, now, cause) for (space_id, field), cause in sorted(causes.items())),
    )
