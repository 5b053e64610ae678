"""What the guards compare a night with: the completed runs of a job, their files, keys that are known. Reads only."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from syncer.ledger import schema as t
from syncer.model import PastRun, RowCounts, RunState
from syncer.safe.formulas import EXTRA_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

COMPLETED = (RunState.COMPLETE.value, RunState.INCOMPLETE.value)
"""Runs that sent what they planned, whether or not the API knew every value."""
LOOKED_AT = 5
"""Runs that are looked at for each that is wanted: those that read mended rows alone are passed over."""

# Made once, and one for all: a statement for each run took a quarter of a night on which nothing changes.
_NEWEST = (
    select(t.runs.c.id, t.runs.c.started_at, t.runs.c.rows)
    .where(t.runs.c.job_id == bindparam("job_id"), t.runs.c.planned, t.runs.c.state.in_(COMPLETED))
    .order_by(t.runs.c.id.desc())
    .limit(bindparam("looked_at"))
    .subquery()
)
_PAST = (
    select(*_NEWEST.c, t.sources.c.name, t.sources.c.sha256, t.sources.c.rows, t.sources.c.form)
    .join_from(_NEWEST, t.sources, t.sources.c.run_id == _NEWEST.c.id, isouter=True)
    .order_by(_NEWEST.c.id.desc(), t.sources.c.id)
)


def past_runs(connection: Connection, job_id: int, most: int) -> list[PastRun]:
    """Return the newest completed runs of a job that read an export, newest first; rows that were mended are none."""
    rows = connection.execute(_PAST, {"job_id": job_id, "looked_at": LOOKED_AT * most}).all()
    found: list[PastRun] = []
    for (run_id, started_at, counts), files in groupby(rows, key=itemgetter(0, 1, 2)):
        run = _past_run(run_id, started_at, counts, [row[3:] for row in files])
        if run is not None:
            found.append(run)
        if len(found) == most:
            break
    return found


def _past_run(run_id: int, started_at: str, rows: str, files: Sequence[Sequence[Any]]) -> PastRun | None:
    """Return a run with its files; None when all of them are of the results folder."""
    found = [file for file in files if file[0] is not None]  # of a run without files there is one row of nothing
    forms = [json.loads(form) for *_, form in found]  # those of an older program lack what was not recorded then
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


def runs_of_content(
    connection: Connection, job_id: int, contents: Sequence[str], *, empty: bool
) -> list[tuple[int, str, str]]:
    """Return which completed runs of a job read files of these contents: run, moment, SHA-256; newest first.

    ``empty``: also those in which a file of no rows was read.
    """
    query = (
        select(t.runs.c.id, t.runs.c.started_at, t.sources.c.sha256)
        .join(t.sources, t.sources.c.run_id == t.runs.c.id)
        .where(t.runs.c.job_id == job_id, t.runs.c.planned, t.runs.c.state.in_(COMPLETED))
        .where(t.sources.c.sha256.in_(contents), t.sources.c.rows >= (0 if empty else 1))
        .order_by(t.runs.c.id.desc())
    )
    return [row._tuple() for row in connection.execute(query)]
