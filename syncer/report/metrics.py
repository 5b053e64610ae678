"""Numbers for Prometheus, as its text file: per job when a run began and ended, how, with how many calls. Pure.

Ages are given as the moments that they count from, as Prometheus wants it: ``time() - syncer_…_timestamp_seconds``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK

if TYPE_CHECKING:
    from syncer.ledger.buckets import Wanted
    from syncer.ledger.values import Run
    from syncer.ledger.works import Work
    from syncer.lifecycle.batch import Bucket


def metrics_text(
    runs: Mapping[str, Sequence[Run]],
    values: Mapping[str, Mapping[Bucket, int]],
    wanted: Sequence[Wanted],
    works: Sequence[Work],
) -> bytes:
    """Return the file's content. ``runs`` and ``works`` are newest first, ``values`` those of each job's last run."""
    registry = CollectorRegistry()

    def gauge(name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"syncer_{name}", words, ("job", *labels), registry=registry)

    began = gauge("last_run_start_timestamp_seconds", "When the last run of the job began.")
    ended = gauge("last_run_end_timestamp_seconds", "When the last run of the job ended; absent while it has no end.")
    seconds = gauge("last_run_duration_seconds", "How long the last run took.")
    exit_code = gauge("last_run_exit_code", "How the last run ended.")
    good = gauge("last_good_run_timestamp_seconds", "When a run of the job ended well (0 or 3) for the last time.")
    rows = gauge("last_run_rows", "Rows of the last run, by bucket.", "bucket")
    of_values = gauge("last_run_values", "Values that the last run planned, by where they stand.", "bucket")
    calls = gauge("last_run_calls", "Calls of the last command that drove the run, by kind.", "kind")
    open_values = gauge("wanted_values", "Values that are wanted and not confirmed.")
    oldest = gauge(
        "oldest_wanted_timestamp_seconds", "Since when the oldest of those is wanted; absent: there is none."
    )
    for job, found in runs.items():
        if not found:
            continue
        run = found[0]
        began.labels(job).set(_seconds(run.started_at))
        if run.ended_at is not None and run.exit_code is not None:
            ended.labels(job).set(_seconds(run.ended_at))
            seconds.labels(job).set(_seconds(run.ended_at) - _seconds(run.started_at))
            exit_code.labels(job).set(run.exit_code)
        well = (one.ended_at for one in found if one.exit_code in {EXIT_OK, EXIT_NOT_CONFIRMED} and one.ended_at)
        for at in list(well)[:1]:
            good.labels(job).set(_seconds(at))
        for bucket, count in run.rows.items():
            rows.labels(job, bucket).set(count)
        for where, count in values.get(job, {}).items():
            of_values.labels(job, where.value).set(count)
        drove = next((work for work in works if work.run_id == run.id), None)
        for kind, count in (drove.counts if drove is not None else {}).items():
            calls.labels(job, kind).set(count)
        open_values.labels(job).set(0)
    for one in wanted:
        open_values.labels(one.job).set(one.values)
        oldest.labels(one.job).set(_seconds(one.since))
    return generate_latest(registry)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
