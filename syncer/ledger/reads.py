"""Reading runs, batches and what became of their values. Nothing here writes."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, and_, bindparam, false, func, or_, select

from syncer.ledger import schema as t
from syncer.ledger.values import Attempt, Batch, CallEnd, Item, Job, Run, SourceRecord
from syncer.lifecycle.batch import OPEN, State
from syncer.model import Kind
from syncer.process.clock import Uptime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row, Select


WISH = "wish"
"""The kind of a batch that waits for a plan: of rows that were held."""

# Statements are made once: making one costs more than running it.
_JOB = select(t.jobs).where(t.jobs.c.name == bindparam("name"), t.jobs.c.key == bindparam("key"))


def job(connection: Connection, name: str, key: Sequence[str]) -> Job | None:
    """Return a job by its name and key columns; None when the ledger has not met it."""
    found = connection.execute(_JOB, {"name": name, "key": json.dumps(sorted(key))}).one_or_none()
    return None if found is None else _job(found)


def jobs(connection: Connection) -> list[Job]:
    """Return every job of the ledger."""
    return [_job(row) for row in connection.execute(select(t.jobs).order_by(t.jobs.c.id))]


def _job(row: Row[Any]) -> Job:
    return Job(row.id, row.space_id, row.name, tuple(json.loads(row.key)), tuple(json.loads(row.fields)))


_RUN_COLUMNS = (
    t.runs,
    t.jobs.c.space_id,
    t.jobs.c.name.label("job_name"),
    t.jobs.c.key.label("job_key"),
    t.jobs.c.fields.label("fields"),
)
_RUN = select(*_RUN_COLUMNS).join(t.jobs).where(t.runs.c.id == bindparam("run_id"))


def run(connection: Connection, run_id: int) -> Run | None:
    """Return one run; None when there is none with this id."""
    found = connection.execute(_RUN, {"run_id": run_id}).one_or_none()
    return None if found is None else _run(found)


def runs(connection: Connection, *, most: int, job_name: str | None = None, planned: bool | None = None) -> list[Run]:
    """Return the newest runs, newest first; ``planned``: only those whose plan is (or is not) stored."""
    query = select(*_RUN_COLUMNS).join(t.jobs).order_by(t.runs.c.id.desc()).limit(most)
    if job_name is not None:
        query = query.where(t.jobs.c.name == job_name)
    if planned is not None:
        query = query.where(t.runs.c.planned == planned)
    return [_run(row) for row in connection.execute(query)]


_LEFT = select(t.batches.c.run_id).where(
    t.batches.c.split == false(), t.batches.c.state.in_([State.PLANNED.value, *sorted(state.value for state in OPEN)])
)


def open_runs(connection: Connection, job_name: str | None) -> list[Run]:
    """Return the runs of which something is left to be sent or settled, newest first."""
    query = select(*_RUN_COLUMNS).join(t.jobs).where(t.runs.c.id.in_(_LEFT)).order_by(t.runs.c.id.desc())
    if job_name is not None:
        query = query.where(t.jobs.c.name == job_name)
    return [_run(row) for row in connection.execute(query)]


PUT_BACK = "let go of: the ledger was put back, and newer calls may have overtaken it"
"""What is said of a batch that a ledger dropped when it was put back."""
_DROPPED = (
    select(t.batches.c.run_id)
    .join(t.events, t.events.c.id == t.batches.c.settled)
    .where(t.batches.c.state == State.SUPERSEDED.value, t.batches.c.split == false(), t.events.c.detail == PUT_BACK)
)


def fileless_runs(connection: Connection, job_name: str | None) -> list[Run]:
    """Return, per job, the newest run when its file is needed again.

    It has no plan, or what it had not sent was dropped when its ledger was put back (``planned`` tells them apart).
    """
    newest = select(func.max(t.runs.c.id)).group_by(t.runs.c.job_id)
    needed = or_(t.runs.c.planned == false(), t.runs.c.id.in_(_DROPPED))
    query = select(*_RUN_COLUMNS).join(t.jobs).where(t.runs.c.id.in_(newest), needed)
    if job_name is not None:
        query = query.where(t.jobs.c.name == job_name)
    return [_run(row) for row in connection.execute(query.order_by(t.runs.c.id.desc()))]


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        job=Job(row.job_id, row.space_id, row.job_name, tuple(json.loads(row.job_key)), tuple(json.loads(row.fields))),
        state=row.state,
        planned=row.planned,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        error=row.error,
        mode=row.mode,
        campaign=row.campaign,
        unique=row.unique_key,
        rows=json.loads(row.rows),
        minimum_updates=row.minimum_updates,
        discarded_fields=tuple(json.loads(row.discarded_fields)),
        program=row.program,
    )


def sources(connection: Connection, run_id: int) -> list[SourceRecord]:
    """Return the input files of a run, in the order of the command line; once, though the run planned them again."""
    query = select(t.sources).where(t.sources.c.run_id == run_id).order_by(t.sources.c.id.desc())
    found = {(row.name, row.sha256): row for row in connection.execute(query)}
    return [SourceRecord(row.id, row.name, row.sha256, row.size_bytes, row.rows) for row in reversed(found.values())]


def batches_in(
    connection: Connection,
    *,
    states: Sequence[State] = tuple(State),
    job_ids: Sequence[int] | None = None,
    run_id: int | None = None,
    after_id: int = 0,
    most: int | None = None,
) -> list[Batch]:
    """Return batches in some states, oldest first: of some jobs, a run, or all; those that were split are left out.

    Wishes are none: nothing of them is sent before a plan takes them up (plans.py).
    """
    query = _batches_query(job_ids is not None, run_id is not None)
    parameters = {
        "states": [state.value for state in states],
        "job_ids": [] if job_ids is None else list(job_ids),
        "run_id": run_id,
        "after_id": after_id,
        "most": -1 if most is None else most,
    }
    return [batch_of(row) for row in connection.execute(query, parameters)]


@cache
def _batches_query(of_jobs: bool, of_run: bool) -> Select[Any]:
    """Return the statement of `batches_in`; made once, since making it costs more than running it."""
    batches = t.batches.c
    query = select(t.batches).where(
        batches.split == false(),
        batches.kind != WISH,
        batches.id > bindparam("after_id"),
        batches.state.in_(bindparam("states", expanding=True)),
    )
    if of_jobs:
        query = query.where(batches.job_id.in_(bindparam("job_ids", expanding=True)))
    if of_run:
        query = query.where(batches.run_id == bindparam("run_id"))
    return query.order_by(batches.id).limit(bindparam("most"))


_WANTED_BATCHES = (
    select(t.batches)
    .where(t.batches.c.split == false(), or_(t.batches.c.state == State.PLANNED.value, t.batches.c.wanted))
    .order_by(t.batches.c.id)
)


def wanted_batches(connection: Connection) -> list[Batch]:
    """Return the batches whose values a later plan would take up: never sent, wishes, and those that failed."""
    return [batch_of(row) for row in connection.execute(_WANTED_BATCHES)]


_BATCH = select(t.batches).where(t.batches.c.id == bindparam("batch_id"))
_ATTEMPTS = (
    select(*(t.attempts.c[name] for name in Attempt.__slots__))
    .where(t.attempts.c.batch_id == bindparam("batch_id"))
    .order_by(t.attempts.c.id)
)


def batch(connection: Connection, batch_id: int) -> Batch:
    """Return one batch."""
    return batch_of(connection.execute(_BATCH, {"batch_id": batch_id}).one())


_COUNTED_IN_PARTS = (
    select(func.coalesce(func.sum(t.batches.c.codes_affected), 0))
    .where(t.batches.c.run_id == bindparam("run_id"))
    .where(t.batches.c.id > bindparam("parent_id"), t.batches.c.parent_id == bindparam("parent_id"))
)


def counted_in_parts(connection: Connection, parent: Batch) -> int:
    """Return how many codes the parts of a batch were counted to affect, as far as they are settled."""
    found: int = connection.execute(_COUNTED_IN_PARTS, {"run_id": parent.run_id, "parent_id": parent.id}).scalar_one()
    return found


def batch_if_any(connection: Connection, batch_id: int) -> Batch | None:
    """Return one batch; None when there is none with this id."""
    found = connection.execute(_BATCH, {"batch_id": batch_id}).one_or_none()
    return None if found is None else batch_of(found)


def batch_of(row: Row[Any]) -> Batch:
    """Return a row of ``batches`` as its value."""
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["unique"] = values.pop("unique_key")
    return Batch(**values)


def attempts(connection: Connection, batch_id: int) -> list[Attempt]:
    """Return the calls that were made for a batch, oldest first."""
    return [Attempt(**row._mapping) for row in connection.execute(_ATTEMPTS, {"batch_id": batch_id})]


_BY_OTHERS = (
    select(t.attempts.c.id)
    .where(
        t.attempts.c.batch_id == bindparam("batch_id"),
        or_(
            t.attempts.c.account != bindparam("account"),
            and_(t.attempts.c.account.is_(None), bindparam("sees_unsigned", type_=Boolean) == false()),
        ),
        or_(t.attempts.c.verdict.is_(None), t.attempts.c.verdict.in_([CallEnd.LOST.value, CallEnd.ACCEPTED.value])),
    )
    .limit(1)
)


def sent_by_others(connection: Connection, batch_id: int, account: str | None, *, sees_unsigned: bool) -> bool:
    """Tell whether a call that may have created a task was made by another account: its tasks cannot be seen.

    ``sees_unsigned``: calls that do not say who made them (of a version before 0006) count as the account's own.
    """
    asked = {"batch_id": batch_id, "account": account, "sees_unsigned": sees_unsigned}
    return connection.execute(_BY_OTHERS, asked).first() is not None


def attempts_since(connection: Connection, since: str) -> list[str]:
    """Return when calls were started after a UTC time: the rate that an earlier process has used up."""
    query = select(t.attempts.c.started_at).where(t.attempts.c.started_at > since).order_by(t.attempts.c.started_at)
    return list(connection.execute(query).scalars())


LOST_MAX = 100
"""Lost calls that are looked at: those that can still be on their way are the newest."""

_LOST = (
    select(t.attempts.c.ended_at, t.attempts.c.lost_boot, t.attempts.c.lost_uptime_s)
    .where(t.attempts.c.verdict == CallEnd.LOST.value)
    .order_by(t.attempts.c.id.desc())
    .limit(LOST_MAX)
)
_LOST_UNHELD = _LOST.join(t.batches).where(
    or_(t.batches.c.kind == Kind.SYNC.value, t.batches.c.state == State.ABANDONED.value)
)
_LOST_OF_BATCH = _LOST.where(t.attempts.c.batch_id == bindparam("batch_id"))


def lost_unheld(connection: Connection, job_ids: Sequence[int] | None) -> list[tuple[str, Uptime]]:
    """Return when the answers of the last calls of some jobs (None: all) were lost: UTC, and steady clock.

    Of those that hold no newer data back: sync calls, which were made again, and what was let go of.
    """
    query = _LOST_UNHELD if job_ids is None else _LOST_UNHELD.where(t.batches.c.job_id.in_(job_ids))
    return _moments(connection.execute(query))


def losses(connection: Connection, batch_id: int) -> list[tuple[str, Uptime]]:
    """Return when the answers of a batch's calls were lost: UTC, and steady clock."""
    return _moments(connection.execute(_LOST_OF_BATCH, {"batch_id": batch_id}))


def _moments(rows: Iterable[Any]) -> list[tuple[str, Uptime]]:
    return [(at, Uptime(boot or "", seconds or 0.0)) for at, boot, seconds in rows]


_ITEMS = (
    select(t.items.c.id, t.items.c.key, t.payloads.c.data)
    .join(t.payloads, t.payloads.c.id == t.items.c.payload_id)
    .where(t.items.c.id.between(bindparam("first"), bindparam("last")))
    .order_by(t.items.c.id)
)


def items(connection: Connection, owner: Batch) -> list[Item]:
    """Return the values of a batch with their data, in order."""
    last = owner.first_item_id + owner.size - 1
    return [Item(*row) for row in connection.execute(_ITEMS, {"first": owner.first_item_id, "last": last})]


def batch_counts(connection: Connection, run_id: int) -> dict[tuple[str, State], int]:
    """Count the batches of a run by kind and state; those that were split are counted as well."""
    query = (
        select(t.batches.c.kind, t.batches.c.state, func.count())
        .where(t.batches.c.run_id == run_id, t.batches.c.kind != WISH)
        .group_by(t.batches.c.kind, t.batches.c.state)
    )
    return {(kind, State(state)): count for kind, state, count in connection.execute(query)}


def kind_counts(connection: Connection, run_id: int) -> dict[str, int]:
    """Count the batches that a run's plan made, by kind; those that it was later split into are left out."""
    query = (
        select(t.batches.c.kind, func.count())
        .where(t.batches.c.run_id == run_id, t.batches.c.parent_id.is_(None), t.batches.c.kind != WISH)
        .group_by(t.batches.c.kind)
    )
    return {kind: count for kind, count in connection.execute(query)}  # noqa: C416  rows are no pairs for mypy
