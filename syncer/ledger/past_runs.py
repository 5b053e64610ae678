"""What the guards compare a night with: the completed runs of a job, their files, keys that are known. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

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
