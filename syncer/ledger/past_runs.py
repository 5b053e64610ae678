"""What the guards compare a night with: the completed runs of a job, their files, keys that are known. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

from syncer.ledger import schema as t
from syncer.ledger.bulk import raw_cursor
from syncer.model import KEY_SEPARATOR, PastRun, RowCounts, RunState
from syncer.safe.formulas import EXTRA_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

COMPLETED = (RunState.COMPLETE.value, RunState.INCOMPLETE.value)
"""Runs that sent what they planned, whether or not the API knew every value."""
LOOKED_AT = 5
"""Runs that are looked at for each that is wanted: those that read mended rows alone are passed over."""
SEEKS_MAX = 1_000
"""Looks at the ledger for one key: of nearly all keys a few dozen."""
_KNOWN = "(m.picture > 0 OR EXISTS (SELECT 1 FROM pictures q WHERE q.id = -m.picture AND q.known_payload_id > 0))"
_SEEK = "SELECT key, picture FROM mirror WHERE space_id = ? AND key >= ? ORDER BY key LIMIT 1"


def known_count(connection: Connection, space_id: int, most: int | None) -> int:
    """Count the key values of a space of which something is known; looks at no more than ``most`` of its keys."""
    statement = f"SELECT count(*) FROM (SELECT 1 FROM mirror m WHERE m.space_id = ? AND {_KNOWN} LIMIT ?)"
    return int(raw_cursor(connection).execute(statement, (space_id, -1 if most is None else most)).fetchone()[0])


def known_alike(connection: Connection, space_id: int, folded: str) -> list[str]:
    """Return known keys that are `folded` up to leading zeros and letter case, in no more than `SEEKS_MAX` seeks.

    Goes down the space's keys in their order, letter by letter, along the beginnings that exist: the cost is that of
    the key's length, whatever the number of keys.
    """
    cursor, found, seeks = raw_cursor(connection), list[str](), 0
    waiting = [("", 0)]
    while waiting and seeks < SEEKS_MAX:
        begin, at = waiting.pop()
        seeks += 1
        row = cursor.execute(_SEEK, (space_id, begin)).fetchone()
        if row is None or not row[0].startswith(begin):
            continue
        if at == len(folded) and row[0] == begin and _knows(cursor, row[1]):
            found.append(begin)
        waiting += _longer(begin, at, folded)
    return found


def _knows(cursor: sqlite3.Cursor, picture: int) -> bool:
    """Tell whether a picture has a known field: a value that matched nothing is no example of a right key."""
    if picture > 0:
        return True
    statement = "SELECT known_payload_id FROM pictures WHERE id = ?"
    return bool(cursor.execute(statement, (-picture,)).fetchone()[0])


def _longer(begin: str, at: int, folded: str) -> Iterator[tuple[str, int]]:
    """Give longer beginnings of keys, each with the place in the folded key up to which it is like it."""
    if at == 0 or folded[at - 1] == KEY_SEPARATOR:
        yield begin + "0", at  # a zero that the folded key has lost
    end = at
    while end < len(folded) and folded[end].upper() == folded[end]:
        end += 1
        if folded[end - 1] == KEY_SEPARATOR:
            break
    plain = begin + folded[at:end]
    if end == len(folded) or (end > at and folded[end - 1] == KEY_SEPARATOR):
        if end > at:
            yield plain, end
        return
    yield plain + folded[end], end + 1
    yield plain + folded[end].upper(), end + 1


def past_runs(connection: Connection, job_id: int, most: int) -> list[PastRun]:
    """Return the newest completed runs of a job that read an export, newest first; rows that were mended are none."""
    query = (
        select(t.runs.c.id, t.runs.c.started_at, t.runs.c.rows)
        .where(t.runs.c.job_id == job_id, t.runs.c.planned, t.runs.c.state.in_(COMPLETED))
        .order_by(t.runs.c.id.desc())
        .limit(LOOKED_AT * most)
    )
    found: list[PastRun] = []
    for row in connection.execute(query).all():
        run = _past_run(connection, *row)
        if run is not None and len(found) < most:
            found.append(run)
    return found


def _past_run(connection: Connection, run_id: int, started_at: str, rows: str) -> PastRun | None:
    """Return a run with its files; None when all of them are of the results folder."""
    query = select(t.sources.c.name, t.sources.c.sha256, t.sources.c.rows, t.sources.c.form)
    found = connection.execute(query.where(t.sources.c.run_id == run_id)).all()
    forms = [json.loads(form) for _, _, _, form in found]  # those of an older program lack what was not recorded then
    if forms and all(set(EXTRA_COLUMNS) <= set(form.get("header", ())) for form in forms):
        return None
    times = [form["mtime_s"] for form in forms if form.get("mtime_s") is not None]
    varied = [form["varied"] for form in forms if form.get("varied") is not None]
    return PastRun(
        id=run_id,
        started_at=started_at,
        rows=RowCounts(**json.loads(rows)),
        mtime_s=max(times, default=None),
        files={sha256: name for name, sha256, read, _ in found if read},
        varied=frozenset(varied[0]) if varied else None,
        approved=any(form.get("approved", False) for form in forms),
    )


def runs_of_content(connection: Connection, job_id: int, contents: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return which completed runs of a job read files of these contents: run, moment, SHA-256; newest first."""
    query = (
        select(t.runs.c.id, t.runs.c.started_at, t.sources.c.sha256)
        .join(t.sources, t.sources.c.run_id == t.runs.c.id)
        .where(t.runs.c.job_id == job_id, t.runs.c.planned, t.runs.c.state.in_(COMPLETED))
        .where(t.sources.c.sha256.in_(contents), t.sources.c.rows > 0)
        .order_by(t.runs.c.id.desc())
    )
    return [row._tuple() for row in connection.execute(query)]
