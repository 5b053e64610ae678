"""The JSON documents of the contract: ``--json`` prints exactly one of these."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from syncer.errors import GuardError, LedgerCorruptError
from syncer.lifecycle.batch import Bucket
from syncer.model import KEY_SEPARATOR
from syncer.process.help import next_of
from syncer.report.unknown import unknown_members
from syncer.results import SHOWN_CHANGES_MAX, SHOWN_REJECTIONS_MAX, SyncResult
from syncer.rows.faults import by_kind
from syncer.runs.paste import of_job

if TYPE_CHECKING:
    from syncer.errors import SyncerError
    from syncer.ledger.values import Batch, HistoryEntry, Run
    from syncer.model import Target
    from syncer.results import CheckResult, Concern, RunDetails, RunSummary
    from syncer.rows.changes import FieldChanges
    from syncer.rows.faults import FaultKind

SCHEMA = 1
"""Version of the documents: rises only when a member is renamed or goes."""
_COUNTED = frozenset({"plan", "sync", "resume"})
"""Commands whose results are counts: a new one says that nothing was counted."""
_VALUES = (Bucket.CONFIRMED, Bucket.UNMATCHED, Bucket.REJECTED, Bucket.IN_DOUBT, Bucket.PENDING, Bucket.UNSENT)


def _values(result: SyncResult) -> dict[str, int]:
    return {bucket.value: result.values.get(bucket, 0) for bucket in _VALUES}


def sync_document(result: SyncResult) -> dict[str, Any]:
    """Return the document of ``plan``, ``sync`` and ``resume`` (docs/json.md)."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "command": result.command,
        "exit_code": result.exit_code,
        "run": run_document(result.run) if result.run else None,
        "rows": asdict(result.rows),
        "values": _values(result),
        "batches": {"sync": result.sync_batches, "async": result.async_batches},
        "requests": asdict(result.requests),
        "seconds": {name: round(value, 3) for name, value in asdict(result.seconds).items()},
        "discarded_fields": list(result.discarded_fields),
        "unproven_fields": list(result.unproven_fields),
        "notes": list(result.notes),
        "earlier_in_doubt": result.earlier_in_doubt,
        "earlier": {bucket.value: result.earlier.get(bucket, 0) for bucket in (Bucket.UNMATCHED, Bucket.REJECTED)},
        "fields": dict(result.fields),
        "waiting": result.waiting,
        "target": target_document(result.target),
        "ledger": {"id": result.ledger.id, "position": result.ledger.position} if result.ledger else None,
        "error": error_document(result.error) if result.error else None,
    }
    if result.command == "plan" or result.rejections:
        document["rejected"] = [
            {"file": result.files[row.source], "line": row.line, "code": row.code, "message": row.message}
            for row in result.rejections[:SHOWN_REJECTIONS_MAX]
        ]
        document["faults"] = [_fault_document(kind, result) for kind in by_kind(result.rejections)]
    if result.before:
        document["before"] = [
            {
                "run": run_document(one.run) if one.run else None,
                "exit_code": one.exit_code,
                "files": list(one.files),
                "rows": asdict(one.rows),
                "values": _values(one),
                "requests": asdict(one.requests),
            }
            for one in result.before
        ]
    if result.changes:
        document["changes"] = [_changes_document(one) for one in result.changes]
    if result.command == "plan":
        document["minimum_send_s"] = result.minimum_send_s
        if result.differences is not None:
            document["differences"] = [asdict(one) for one in result.differences]
        document["samples"] = [asdict(sample) for sample in result.samples]
    else:
        worked_on = [run for one in (*result.before, result) for run in one.runs or (one.run,)]
        document["runs"] = [run_document(run) for run in worked_on if run is not None]
        document["unplanned"] = [run_document(run) for run in result.unplanned]
        document["concerns"] = [_concern_document(one) for one in result.concerns]
    return document


def _concern_document(concern: Concern) -> dict[str, Any]:
    return {**asdict(concern), "message": concern.reason}


def _fault_document(kind: FaultKind, result: SyncResult) -> dict[str, Any]:
    """Return the rejected rows of one code, counted by value."""
    return {
        "code": kind.code,
        "remedy": of_job(kind.remedy, result.job),
        "rows": kind.rows,
        "file": result.files[kind.first.source],
        "line": kind.first.line,
        "values": [
            {"value": one.value, "rows": one.rows, "file": result.files[one.first.source], "line": one.first.line}
            for one in kind.values
        ],
        "others": kind.others,
    }


def _changes_document(changes: FieldChanges) -> dict[str, Any]:
    """Return what became of the cells of one field; ``from`` is null for a constant."""
    shown = changes.values[:SHOWN_CHANGES_MAX]
    return {
        "field": changes.field,
        "column": changes.origin or None,
        "rows": changes.rows,
        "values": [{"from": one.before, "to": one.after, "rows": one.rows} for one in shown],
        "complete": changes.complete and len(shown) == len(changes.values),
    }


def target_document(target: Target | None) -> dict[str, Any] | None:
    """Return whom a ledger belongs to; its company is null until the API has named it."""
    if target is None:
        return None
    return {"base_url": target.base_url, "company": asdict(target.company) if target.company else None}


def failure_document(command: str, error: SyncerError) -> dict[str, Any]:
    """Return the document of a command that failed before it had a result of its own: all its members all the same."""
    if command in _COUNTED:
        return sync_document(SyncResult(command, error=error))
    head = {"schema": SCHEMA, "command": command, "exit_code": error.status}
    known = error.members if isinstance(error, LedgerCorruptError) else {}
    return {**head, **unknown_members(command), **known, "error": error_document(error)}


def check_document(findings: Sequence[CheckResult], exit_code: int) -> dict[str, Any]:
    """Return the document of ``check``."""
    first = next((finding.error for finding in findings if finding.error is not None), None)
    return {
        "schema": SCHEMA,
        "command": "check",
        "exit_code": exit_code,
        "findings": [
            {
                "what": one.what,
                "ok": one.error is None,
                "found": one.error.message if one.error else one.found,
                "next": next_of(one.error) if one.error else None,
            }
            for one in findings
        ],
        "error": error_document(first) if first else None,
    }


def summary_document(summary: RunSummary) -> dict[str, Any]:
    """Return a run with its counts, as ``status`` lists it."""
    run = summary.run
    return {
        **run_document(run),
        "exit_code": run.exit_code,
        "key": run.job.key,
        "mode": run.mode,
        "stopped_by": run.error,
        "rows": dict(run.rows),
        "values": {bucket.value: count for bucket, count in summary.values.items()},
        "batches": {kind: summary.kinds.get(kind, 0) for kind in ("sync", "async")},
        "minimum_updates": run.minimum_updates,
        "discarded_fields": list(run.discarded_fields),
        "program": run.program,
    }


def run_details_document(details: RunDetails) -> dict[str, Any]:
    """Return one run with its files, batches and concerns."""
    return {
        "run": summary_document(details.summary),
        "sources": [asdict(source) for source in details.sources],
        "concerns": [_concern_document(one) for one in details.concerns],
        "batch_counts": [
            {"kind": kind, "state": state.value, "batches": count}
            for (kind, state), count in details.batch_counts.items()
        ],
        "batches": [batch_document(batch) for batch in details.batches],
    }


def batch_document(batch: Batch) -> dict[str, Any]:
    """Return a batch as it stands in the ledger."""
    return asdict(batch)


def entry_document(entry: HistoryEntry) -> dict[str, Any]:
    """Return one upload of a value, its data as a mapping."""
    return {**asdict(entry), "key": entry.key.split(KEY_SEPARATOR), "data": json.loads(entry.data)}


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as documents show it."""
    return {
        "id": run.id,
        "job": run.job.name,
        "state": run.state,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def error_document(error: SyncerError) -> dict[str, Any]:
    """Return what happened and what to do next; of the guards against a bad export, also what each found."""
    document: dict[str, Any] = {"code": error.code, "message": error.words, "next": next_of(error)}
    if isinstance(error, GuardError) and error.stops:
        document["stops"] = [{**asdict(stop), "next": document["next"]} for stop in error.stops]
    return document
