"""The ledger as DataFrames. Nothing here writes, and no run is disturbed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from syncer.commands import ledger
from syncer.commands.status import status as status_of
from syncer.errors import UsageError
from syncer.library.settings import settings_of
from syncer.lifecycle.batch import Bucket
from syncer.model import shown_key
from syncer.request import HistoryRequest

if TYPE_CHECKING:
    from os import PathLike

    from syncer.ledger.values import HistoryEntry
    from syncer.results import RunSummary

HISTORY = {
    "job": "string", "columns": "object", "key": "string", "data": "object", "before": "object", "outcome": "string",
    "outcome_at": "time", "message": "string", "confirmed_now": "boolean", "run_id": "Int64", "file": "string",
    "line": "Int64", "sha256": "string", "planned_at": "time", "batch_id": "Int64", "kind": "string",
    "attempts": "Int64", "sent_at": "time", "reference": "string", "task_id": "string", "codes_affected": "Int64",
    "origins": "object",
}  # fmt: skip
"""Columns of `history` with their types: ``data`` and ``before`` hold dicts, ``columns`` and ``origins`` tuples."""
ROWS = ("read", "new", "changed", "unchanged", "duplicate", "invalid", "held")
STATUS = {
    "run_id": "Int64", "job": "string", "state": "string", "exit_code": "Int64", "started_at": "time",
    "ended_at": "time", **dict.fromkeys((f"rows_{name}" for name in ROWS), "Int64"),
    **dict.fromkeys((f"values_{bucket.value}" for bucket in Bucket), "Int64"),
    "sync_calls": "Int64", "async_calls": "Int64", "minimum_updates": "Int64", "mode": "string", "key": "object",
    "discarded_fields": "object", "stopped_by": "string", "program": "string",
}  # fmt: skip
"""Columns of `status` with their types; ``key`` and ``discarded_fields`` hold a tuple per row."""


def history(
    value: str | Sequence[str] | None = None,
    *,
    where: Mapping[str, str] | None = None,
    since: str | dt.date | None = None,
    until: str | dt.date | None = None,
    job: str | None = None,
    run: int | None = None,
    config: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """Return what was ever sent, a row per upload of a key value (`HISTORY` has the columns), oldest first.

    ``value``: only this key value (of a composite key its parts, in any order). The others choose among all, as
    ``syncer audit export`` does: values that were ever sent with these fields, changes from ``since`` to before
    ``until`` (ISO times, datetimes or days; without an offset UTC), a job, a run. They do not go with ``value``. Raises
    `SyncerError` for what there is not; a value of which nothing was ever sent gives no rows.
    """
    _require_fields(where)
    settings = settings_of(config)
    begin, end = _moment(since, "since"), _moment(until, "until")
    request = HistoryRequest(where=tuple((where or {}).items()), since=begin, until=end, job=job, run_id=run)
    if value is not None:
        if request != HistoryRequest():
            raise TypeError("name a value, or choose among all: not both")
        stories, _ = ledger.audit_show(settings, (value,) if isinstance(value, str) else tuple(value))
        return _history(entry for story in stories for entry in story.entries)
    with ledger.audit_export(settings, request) as (_, stream):
        return _history(stream)


def status(*, last: int = 100, config: str | PathLike[str] | None = None) -> pd.DataFrame:
    """Return the last runs, newest first, a row per run with its counts (`STATUS` has the columns).

    Raises `SyncerError`, as ``syncer status`` does.
    """
    return _frame((_status_row(one) for one in status_of(settings_of(config), most=last).runs), STATUS)


def _require_fields(where: object) -> None:
    if where is not None and not isinstance(where, Mapping):
        words = f"where is {where!r}, and must name each field with its value"
        raise UsageError(words, remedy='give a dict: where={"lot": "L1"}')


def _moment(value: object, name: str) -> str | None:
    """Return a moment or a day as the command line takes it; raise `UsageError` for what is neither."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if not isinstance(value, dt.date) or pd.isna(value):
        words = f"{name} is {value!r}, which is no moment and no day"
        raise UsageError(words, remedy='give a datetime, a date, or a text like "2026-11-20T05:00:00Z"')
    return f"{value:%Y-%m-%dT%H:%M:%S.%f%z}" if isinstance(value, dt.datetime) else value.isoformat()


def _history(entries: Iterable[HistoryEntry]) -> pd.DataFrame:
    return _frame((_history_row(entry) for entry in entries), HISTORY)


def _history_row(entry: HistoryEntry) -> dict[str, Any]:
    return {**asdict(entry), "key": shown_key(entry.key), "data": json.loads(entry.data)}


AS_RECORDED = ("state", "exit_code", "started_at", "ended_at", "minimum_updates", "mode", "discarded_fields", "program")


def _status_row(summary: RunSummary) -> dict[str, Any]:
    run = summary.run
    return {
        "run_id": run.id,
        "job": run.job.name,
        "key": run.job.key,
        "stopped_by": run.error,
        "sync_calls": summary.kinds.get("sync", 0),
        "async_calls": summary.kinds.get("async", 0),
        **{f"rows_{name}": run.rows.get(name) for name in ROWS},
        **{f"values_{bucket.value}": summary.values.get(bucket, 0) for bucket in Bucket},
        **{name: getattr(run, name) for name in AS_RECORDED},
    }


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as columns of declared types: nothing is guessed, whatever a text looks like."""
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:
        for name in columns:
            cells[name].append(row[name])
    made = {}
    for name, kind in columns.items():
        if kind == "time":
            made[name] = pd.to_datetime(pd.Series(cells[name], dtype="object"), utc=True, format="ISO8601")
        else:
            made[name] = pd.Series(cells[name], dtype=kind)
    return pd.DataFrame(made)
