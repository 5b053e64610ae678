"""What the guards compare a night with: the completed runs of a job, their files, keys that are known. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

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


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest completed run of a job that read a content, and the times of its files (seconds since 1970).

    ``is_newest``: no run of any job has come after it.
    """

    run_id: int
    is_newest: bool
    times_s: frozenset[float]


_READ = (
    select(t.runs.c.id, t.sources.c.sha256, t.sources.c.form)
    .join(t.sources, t.sources.c.run_id == t.runs.c.id)
    .join(t.jobs, t.jobs.c.id == t.runs.c.job_id)
    .where(t.jobs.c.name.in_(bindparam("names", expanding=True)), t.runs.c.planned, t.runs.c.state.in_(COMPLETED))
    .where(t.sources.c.sha256.in_(bindparam("contents", expanding=True)), t.runs.c.id >= bindparam("since"))
    .order_by(t.runs.c.id)
)
_NEWEST_PLANNED = select(func.max(t.runs.c.id)).where(t.runs.c.planned)
_FORGOTTEN = (
    select(func.max(t.stamps.c.settled))
    .join(t.jobs, t.jobs.c.space_id == t.stamps.c.space_id)
    .where(t.jobs.c.name.in_(bindparam("names", expanding=True)), t.stamps.c.field == "", t.stamps.c.scope == "")
)
_FIRST_SINCE = select(t.events.c.run_id).where(t.events.c.id > bindparam("event")).order_by(t.events.c.id).limit(1)


def readings(connection: Connection, names: Sequence[str], contents: Sequence[str]) -> dict[str, Reading]:
    """Return, by content (SHA-256), what the jobs of these names have read, by whatever key.

    What they read before the ledger ceased to believe anything of their codes does not count.
    """
    forgotten = connection.execute(_FORGOTTEN, {"names": [*names]}).scalar_one()
    since: int | None = 0
    if forgotten is not None:
        since = connection.execute(_FIRST_SINCE, {"event": forgotten}).scalar_one_or_none()
    newest = connection.execute(_NEWEST_PLANNED).scalar_one()
    found: dict[str, Reading] = {}
    asked = {"names": [*names], "contents": [*contents], "since": since}
    for run_id, content, form in connection.execute(_READ, asked) if since is not None else ():
        before = found.get(content)
        times = {json.loads(form).get("mtime_s")} | (set() if before is None else before.times_s)
        found[content] = Reading(run_id, run_id == newest, frozenset(times))
    return found


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
