"""The ledger: everything ever planned, sent and answered, in one database. A leaf: it knows neither files nor the API.

`Ledger.open_to_write` takes the lock (one writer at a time); `Ledger.open_to_read` does not, and changes
nothing but what a dead run left unfinished, which it rolls back.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import bindparam, insert, select, update

from syncer.errors import LedgerError, LedgerUnfinishedError
from syncer.ledger import (
    archives,
    audit,
    buckets,
    check,
    chosen,
    endings,
    identity,
    known_keys,
    migrate,
    night,
    past_runs,
    pictures,
    plans,
    proofs,
    reads,
    rejections,
    seals,
    story,
    unproven,
    upload_reads,
    uploads,
    works,
)
from syncer.ledger import schema as t
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.database import (
    create_file,
    ledger_path,
    open_engine,
    refuse_empty,
    refuse_planted,
    roll_back,
    transaction,
)
from syncer.ledger.evidence import Evidence, evidence
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.lock import LedgerLock, Stamp, borrowed, read_stamp, was_whole
from syncer.ledger.schema import SCHEMA_REVISION
from syncer.ledger.values import CallEnd, UpgradeResult
from syncer.ledger.writer import Writer
from syncer.lifecycle.batch import Bucket, State
from syncer.model import PastRun, Plan, RunState, SourceInfo
from syncer.safe.trust import quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection

    from syncer.ledger.unproven import Unproven, ValuesSeen
    from syncer.ledger.values import Batch, HistoryEntry, Item, Job, Run, SourceRecord
    from syncer.process.clock import Uptime
    from syncer.rejections import Rejection
    from syncer.request import HistoryRequest


UNFINISHED_LOOKS, UNFINISHED_LOOK_S = 50, 0.1
"""How often, and with which pause, a reader looks whether a new run has rolled back what a dead one left."""
# Statements are made once: making one costs more than running it.
_NEW_SPACE = insert(t.spaces).prefix_with("OR IGNORE")
_SPACE = select(t.spaces.c.id).where(t.spaces.c.key == bindparam("key"))
_NEW_JOB = insert(t.jobs)
_NEW_RUN = insert(t.runs).returning(t.runs.c.id)
_NEW_SOURCE = insert(t.sources).returning(t.sources.c.id)
_REACH = select(t.jobs.c.reach).where(t.jobs.c.id == bindparam("job_id"))
_STOPPED = (
    update(t.runs)
    .where(t.runs.c.id != bindparam("run_id"), t.runs.c.ended_at.is_(None))
    .values(state=RunState.STOPPED.value, ended_at=bindparam("at"), error="the process died before it could record why")
    .returning(t.runs.c.id)
)


class Ledger:
    """An open ledger. Methods that read may be called at any time; those that write need `open_to_write`."""

    def __init__(
        self, path: Path, connection: Connection, lock: LedgerLock | None, *, stamp: Stamp | None = None
    ) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock
        self._stamp = stamp

    @classmethod
    def open_to_write(cls, url: str, *, at: str, wait_s: float = 0.0) -> Ledger:
        """Open the ledger, creating it where there is none, and hold its lock until `close`.

        Raises `LedgerBusyError` when another run still holds it after ``wait_s``, `LedgerSchemaError` when its schema
        is another program's, and `LedgerOldError` when it is a backup or an older copy.
        """
        path = ledger_path(url)
        if not path.parent.is_dir():
            raise LedgerError(
                f"the folder of the ledger does not exist: {path.parent}", next=f"mkdir -p {quoted(path.parent)}"
            )
        refuse_planted(path)
        lock = LedgerLock(path, since=at, wait_s=wait_s)
        try:
            create_file(path, may_be_empty=not lock.ledger_was_whole)
            connection = open_engine(path, before_writing=lock.require_held).connect()
            with transaction(connection):
                is_new = migrate.revision(connection) is None
                if is_new:
                    migrate.upgrade(connection)
                migrate.require_current(connection)
                identity.require_in_time(connection, None if is_new else lock.stamp, path)
                found = identity.read(connection)
            lock.set_stamp(Stamp(found.id, found.position))
        except BaseException:
            lock.release()
            raise
        return cls(path, connection, lock)

    @classmethod
    def open_to_read(cls, url: str) -> Ledger | None:
        """Open the ledger for reading; None where there is none yet.

        What a run that died inside a commit had begun to write is rolled back first, under the lock; a run that holds
        the lock does that itself, and is waited for.
        """
        path = ledger_path(url)
        for _ in range(UNFINISHED_LOOKS):
            try:
                return cls._open_to_read(path)
            except LedgerUnfinishedError as error:
                unfinished = error
            with borrowed(path) as held:
                if held:
                    roll_back(path)
            if not held:
                time.sleep(UNFINISHED_LOOK_S)
        raise unfinished

    @classmethod
    def _open_to_read(cls, path: Path) -> Ledger | None:
        if not path.exists():
            return None
        refuse_planted(path)
        if path.stat().st_size == 0:
            refuse_empty(path, may_be_empty=not was_whole(path))
            return None
        stamp = read_stamp(path)  # before the ledger is read: a run may begin meanwhile
        connection = open_engine(path, read_only=True).connect()
        ledger = cls(path, connection, None, stamp=stamp)
        try:
            with ledger.transaction():
                migrate.require_current(connection)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    @contextmanager
    def reading(cls, url: str, *, whole: bool = False) -> Iterator[Ledger | None]:
        """Give the ledger for reading, None where there is none yet, and close it.

        ``whole``: with the history that was moved to archives; raises `LedgerArchiveError` when one is not there.
        """
        ledger = cls.open_to_read(url)
        try:
            if whole and ledger is not None:
                with ledger.transaction() as connection:
                    moved = archives.known(raw_cursor(connection))
                driver = ledger.connection.connection.driver_connection
                archives.attach(cast("sqlite3.Connection", driver), ledger.path, moved)
            yield ledger
        finally:
            if ledger is not None:
                ledger.close()

    def close(self) -> None:
        """Let go of the database, then of the lock."""
        self.connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction: all that is read is of one moment, all that is written is kept or not."""
        with transaction(self.connection) as connection:
            yield connection

    # ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────

    def require_in_time(self) -> None:
        """Raise `LedgerOldError` for a backup or an older copy: for who reads the ledger to say what would be sent."""
        with self.transaction() as connection:
            identity.require_in_time(connection, self._stamp, self.path)

    def advance(self) -> None:
        """Let the ledger's place in time grow, at the begin and at the end of what sends; then tell the lock file."""
        with self.transaction() as connection:
            position = identity.advance(connection)
            ledger_id = identity.read(connection).id
        if self._lock is not None:
            self._lock.set_stamp(Stamp(ledger_id, position))

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────

    def payload_ids(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ledger's ids of payloads, -1 for data it has never seen."""
        with self.transaction() as connection:
            return pictures.payload_ids(connection, texts)

    @contextmanager
    def knowledge(self, space_id: int, *, disjoint: Sequence[str] = ()) -> Iterator[Knowledge]:
        """Give what is known, open and wanted in a code space, all of one moment.

        ``disjoint`` names jobs that never reach the same codes: what they wrote is another matter.
        """
        with self.transaction() as connection:
            yield Knowledge(connection, space_id, reads.spaces_of(connection, disjoint) - {space_id})

    def proofs(self, campaign: int | None) -> dict[str, bool]:
        """Return the fields that a campaign was asked about, and whether it was ever seen to take them."""
        with self.transaction() as connection:
            return proofs.read(connection, campaign)

    def unproven(self, run: Run, fields: Collection[str] | None) -> list[Unproven]:
        """Return values of a run to be read back, since no answer named their fields (`unproven.unproven`)."""
        with self.transaction() as connection:
            return unproven.unproven(connection, run, fields)

    def record_read_back(self, run: Run, seen: Mapping[int | None, ValuesSeen], at: str) -> list[str]:
        """Record what values showed that were read back; return fields that are taken again (`unproven.record`)."""
        with self.transaction() as connection:
            return unproven.record(connection, run, seen, at)

    def forget_proofs(self, campaign: int | None, fields: Collection[str]) -> None:
        """Forget that a campaign takes fields (`unproven.forget`)."""
        with self.transaction() as connection:
            unproven.forget(connection, campaign, fields)

    def refusing(self, *, ever: bool = False) -> dict[int | None, frozenset[str]]:
        """Return per campaign the fields that some value did not take when it was last asked (`proofs.refusing`)."""
        with self.transaction() as connection:
            return proofs.refusing(connection, ever=ever)

    def told_campaigns(self, batch: Batch) -> dict[int, int]:
        """Return the campaigns of a batch's items, as far as their products tell (`proofs.told`)."""
        with self.transaction() as connection:
            return proofs.told(connection, batch.first_item_id, batch.size)

    def waiting(self, space_id: int | None = None) -> int:
        """Count the values of a code space (None: of all) that wait for a plan, since an older upload was open."""
        with self.transaction() as connection:
            return buckets.waiting(connection, space_id)

    def waiting_runs(self) -> list[Run]:
        """Return, per code space in which values wait or failed, the newest run that wants one."""
        with self.transaction() as connection:
            found = [reads.run(connection, run_id) for run_id in buckets.waiting_runs(connection)]
        return [run for run in found if run is not None]

    def job(self, name: str, key: Sequence[str]) -> Job | None:
        """Return a job; None when no run of it was ever recorded."""
        with self.transaction() as connection:
            return reads.job(connection, name, key)

    def job_like(self, name: str, key: Sequence[str]) -> Job | None:
        """Return a job, or another one with the same key columns: what is known is theirs together."""
        found = self.job(name, key)
        return found or next((job for job in self.jobs() if job.key == tuple(sorted(key))), None)

    def jobs(self) -> list[Job]:
        """Return every job that was ever recorded."""
        with self.transaction() as connection:
            return reads.jobs(connection)

    def known_count(self, job: Job, most: int | None = None) -> int:
        """Count the keys of a job's code space of which something is known, up to ``most`` (None: all of them)."""
        with self.transaction() as connection:
            return known_keys.known_count(connection, job.space_id, most)

    def known_alike(self, job: Job, folded: str) -> list[str]:
        """Return known keys that are `folded` up to leading zeros and letter case."""
        with self.transaction() as connection:
            return known_keys.known_alike(connection, job.space_id, folded)

    def past_runs(self, job: Job, *, most: int) -> list[PastRun]:
        """Return the newest completed runs of a job, newest first."""
        with self.transaction() as connection:
            return past_runs.past_runs(connection, job.id, most)

    def runs_of_content(self, job: Job, contents: Sequence[str]) -> list[tuple[int, str, str]]:
        """Return which completed runs of a job read files of these contents: run, moment, SHA-256; newest first."""
        with self.transaction() as connection:
            return past_runs.runs_of_content(connection, job.id, contents)

    def run(self, run_id: int) -> Run | None:
        """Return one run."""
        with self.transaction() as connection:
            return reads.run(connection, run_id)

    def runs(self, *, most: int = 20, job_name: str | None = None, planned: bool | None = None) -> list[Run]:
        """Return the newest runs, newest first; ``planned``: only those whose plan is (or is not) stored."""
        with self.transaction() as connection:
            return reads.runs(connection, most=most, job_name=job_name, planned=planned)

    def batches(
        self,
        *,
        states: Sequence[State] = tuple(State),
        job_ids: Sequence[int] | None = None,
        run_id: int | None = None,
        after_id: int = 0,
        most: int | None = None,
    ) -> list[Batch]:
        """Return batches that were not split, oldest first."""
        with self.transaction() as connection:
            return reads.batches_in(
                connection, states=states, job_ids=job_ids, run_id=run_id, after_id=after_id, most=most
            )

    def batch(self, batch_id: int) -> Batch | None:
        """Return one batch; None when there is none with this id."""
        with self.transaction() as connection:
            return reads.batch_if_any(connection, batch_id)

    def items(self, batch: Batch) -> list[Item]:
        """Return the values of a batch with their data."""
        with self.transaction() as connection:
            return reads.items(connection, batch)

    def lost_references(self, batch: Batch) -> dict[str, int]:
        """Return the references of a batch's calls that may have created a task, with their attempts' ids."""
        with self.transaction() as connection:
            return {
                attempt.reference: attempt.id
                for attempt in reads.attempts(connection, batch.id)
                if attempt.verdict in {None, CallEnd.LOST}
            }

    def first_attempt_at(self, batch: Batch) -> str:
        """Return when the first call was made for a batch."""
        with self.transaction() as connection:
            return reads.attempts(connection, batch.id)[0].started_at

    def sent_by_others(self, batch: Batch, account: str | None) -> bool:
        """Tell whether a call that may have created a task was made by another account: its tasks cannot be seen."""
        with self.transaction() as connection:
            return reads.sent_by_others(connection, batch.id, account)

    def attempts_since(self, at: str) -> list[str]:
        """Return when calls were started after `at`: what earlier processes used up of the API's rate."""
        with self.transaction() as connection:
            return reads.attempts_since(connection, at)

    def lost_syncs(self, job_ids: Sequence[int] | None) -> list[tuple[str, Uptime]]:
        """Return when the answers of the last sync calls of some jobs (None: all) were lost: each may be on its way."""
        with self.transaction() as connection:
            return reads.lost_syncs(connection, job_ids)

    def losses(self, batch: Batch) -> list[tuple[str, Uptime]]:
        """Return when the answers of a batch's calls were lost: each call may have been on its way until then."""
        with self.transaction() as connection:
            return reads.losses(connection, batch.id)

    def wanted(self) -> list[buckets.Wanted]:
        """Return, per job, how many values are wanted and not confirmed, and since when the oldest of them is."""
        with self.transaction() as connection:
            return buckets.wanted(connection)

    def bucket_counts(self, run_id: int) -> dict[Bucket, int]:
        """Count the values of a run by where they stand now."""
        with self.transaction() as connection:
            return buckets.bucket_counts(connection, run_id)

    def batch_counts(self, run_id: int) -> dict[tuple[str, State], int]:
        """Count the batches of a run by kind and state."""
        with self.transaction() as connection:
            return reads.batch_counts(connection, run_id)

    def kind_counts(self, run_id: int) -> dict[str, int]:
        """Count the batches that a run's plan made, by kind."""
        with self.transaction() as connection:
            return reads.kind_counts(connection, run_id)

    def concerns(self, run_id: int) -> list[tuple[Bucket, str, int, str]]:
        """Return why values of a run are not confirmed: bucket, reason, how many, and one of their keys."""
        with self.transaction() as connection:
            return buckets.concerns(connection, run_id)

    def planned_outcomes(self, run_id: int) -> Iterator[tuple[str, int, int, Bucket, str]]:
        """Stream where every value of a run ended: key, source id, line, bucket, and what was said about it."""
        with self.transaction() as connection:
            yield from buckets.planned_outcomes(connection, run_id)

    def newest_event(self) -> int:
        """Return the id of the last thing that happened to a batch."""
        with self.transaction() as connection:
            return endings.newest_event(connection)

    def ended_since(self, event_id: int, but: Sequence[int]) -> Iterator[endings.EndedValue]:
        """Stream the values that ended unmatched or rejected after an event, of all runs `but` some."""
        with self.transaction() as connection:
            yield from endings.ended_since(connection, event_id, but)

    def open_runs(self, job_name: str | None = None) -> list[Run]:
        """Return the runs of which something is left to be sent or settled, newest first."""
        with self.transaction() as connection:
            return reads.open_runs(connection, job_name)

    def planless_runs(self, job_name: str | None = None) -> list[Run]:
        """Return, per job, the newest run when it ended before its plan was stored."""
        with self.transaction() as connection:
            return reads.planless_runs(connection, job_name)

    def refused_rows(self, run_id: int) -> tuple[list[buckets.RefusedRow], list[buckets.RefusedRow]]:
        """Return the first rows of a run that our rules refused, and those that the API did not take."""
        with self.transaction() as connection:
            return rejections.read(connection, run_id)

    def works(self, *, most: int, kinds: tuple[str, ...] | None = None) -> list[works.Work]:
        """Return what commands did, newest first; of some kinds, or of all but what only looked (``check``)."""
        with self.transaction() as connection:
            return works.newest(connection, most=most, kinds=kinds)

    def sources(self, run_id: int) -> list[SourceRecord]:
        """Return the input files of a run."""
        with self.transaction() as connection:
            return reads.sources(connection, run_id)

    def history(self, key: str) -> list[HistoryEntry]:
        """Return every upload of one key value, oldest first."""
        with self.transaction() as connection:
            return audit.history(connection, key)

    def stories(
        self, keys: Sequence[str], where: Sequence[tuple[str, str]], *, most: int, else_said: str | None = None
    ) -> tuple[list[story.Story], int]:
        """Return the stories of the first values that are meant, and how many are (`story.stories`)."""
        with self.transaction() as connection:
            return story.stories(connection, keys, where, most=most, else_said=else_said)

    def history_fields(self, request: HistoryRequest) -> list[str]:
        """Return the fields that the entries asked for can have."""
        with self.transaction() as connection:
            return audit.history_fields(connection, request)

    def export(self, request: HistoryRequest) -> Iterator[HistoryEntry]:
        """Stream the uploads that are recorded now, page by page: a slow reader stops no run."""
        with self.transaction() as connection:
            last_id, last_part = audit.last_item_id(connection), audit.last_part_id(connection)
            if request.where:
                chosen.choose_values(connection, (), request.where)
                chosen.choose_items(connection)
        after_id = 0
        while after_id < last_id:
            with self.transaction() as connection:
                page, after_id = audit.export_page(
                    connection, request, after_id=after_id, last_id=last_id, chosen=bool(request.where)
                )
            yield from page
        after: tuple[str, int] | None = ("", 0) if audit.tells_of_own_codes(request) else None
        while after is not None:
            with self.transaction() as connection:
                page, after = audit.uploads_page(connection, request, after=after, last_part=last_part)
            yield from page

    def night_facts(self, run: Run) -> night.NightFacts:
        """Return what a run's page tells beyond its counts."""
        with self.transaction() as connection:
            return night.night_facts(connection, run)

    def not_through(self, *, most: int) -> list[night.NotThrough]:
        """Return what no run has confirmed yet, the oldest first."""
        with self.transaction() as connection:
            return night.not_through(connection, most=most)

    @contextmanager
    def evidence(self, keys: Sequence[str], where: Sequence[tuple[str, str]]) -> Iterator[Evidence]:
        """Give what proves the history of the values that are meant, all of one moment."""
        with self.transaction() as connection:
            yield evidence(connection, keys, where)

    def unsealed(self) -> int:
        """Return how many rows of the history no seal covers yet."""
        with self.transaction() as connection:
            return seals.unsealed(connection)

    def problems(self) -> list[str]:
        """Return everything that is wrong with the ledger; empty when it is whole."""
        with self.transaction() as connection:
            return check.problems(connection) + upload_reads.problems(connection) + seals.verify(connection)

    def newest_seal(self) -> seals.Seal | None:
        """Return the newest seal; None where no run has ended yet."""
        with self.transaction() as connection:
            return seals.newest(connection)

    def seal_digests(self) -> list[str]:
        """Return the seals, oldest first, by their digests."""
        with self.transaction() as connection:
            return seals.digests(connection)

    def verify_seals(self, given: str | None) -> list[str]:
        """Return everything that does not fit the seals; ``given``: a seal that was kept elsewhere."""
        with self.transaction() as connection:
            return seals.verify(connection, given=given)

    def uploads(self) -> uploads.Uploads:
        """Return the uploads of own codes in this ledger."""
        return uploads.Uploads(self)

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────────────

    def ensure_job(self, name: str, key: Sequence[str]) -> Job:
        """Return a job, recording it when it is met for the first time."""
        with self.transaction():
            known = reads.job(self.connection, name, key)
            if known is None:
                space = {"key": json.dumps(sorted(key))}
                self.connection.execute(_NEW_SPACE, space)
                space_id = self.connection.execute(_SPACE, space).scalar_one()
                new = {"space_id": space_id, "name": name, **space, "fields": "[]", "reach": "{}"}
                self.connection.execute(_NEW_JOB, new)
                known = reads.job(self.connection, name, key)
        assert known is not None  # noqa: S101  it was inserted in this transaction
        return known

    def begin_run(self, job: Job, *, at: str, mode: str, campaign: int | None, unique: bool, program: str) -> Run:
        """Record that a run began. It has no plan yet: `store_plan` gives it one."""
        with self.transaction():
            new = {
                "job_id": job.id,
                "state": RunState.RUNNING.value,
                "started_at": at,
                "mode": mode,
                "campaign": campaign,
                "unique_key": unique,
                "rows": "{}",
                "minimum_updates": 0,
                "discarded_fields": "[]",
                "program": program,
            }
            run_id = self.connection.execute(_NEW_RUN, new).scalar_one()
            run = reads.run(self.connection, run_id)
        assert run is not None  # noqa: S101  it was inserted in this transaction
        return run

    def store_plan(self, run: Run, plan: Plan, sources: Sequence[SourceInfo], *, at: str) -> None:
        """Record the files and the whole plan of a run in one transaction; older unsent batches are superseded."""
        with self.transaction():
            ids = [self._store_source(run, source) for source in sources]
            plans.store_plan(self.connection, run, plan, ids, at=at)
            if run.ended_at is not None:  # `resume` adds to a run whose record was sealed when it ended
                seals.add(self.connection, run.id, at)

    def store_rejections(self, run: Run, found: Sequence[Rejection], files: Sequence[str]) -> None:
        """Keep the first rows of a run that our rules refused; `files` are the names that they count by."""
        with self.transaction() as connection:
            rejections.store(connection, run.id, found, files)

    def seal(self, run_id: int, at: str) -> None:
        """Seal what was added to the history though no run ends, in the name of a run; twice adds one seal."""
        with self.transaction() as connection:
            seals.add_what_is_new(connection, run_id, at)

    def _store_source(self, run: Run, source: SourceInfo) -> int:
        form = {
            "encoding": source.dialect.encoding,
            "delimiter": source.dialect.delimiter,
            "quote": source.dialect.quote,
            "escape": source.dialect.escape,
            "confidence": source.dialect.confidence,
            "header": source.header,
            "mtime_s": source.mtime_s,
            "varied": source.varied,
            "approved": source.approved,
        }
        new = {
            "run_id": run.id,
            "name": source.name,
            "sha256": source.sha256,
            "size_bytes": source.size_bytes,
            "rows": source.rows,
            "form": json.dumps(form, ensure_ascii=False),
        }
        return int(self.connection.execute(_NEW_SOURCE, new).scalar_one())

    def reach(self, job: Job) -> dict[str, Any]:
        """Return what was learned about how many codes a value of the job's key selects (`Writer.learn_reach`)."""
        with self.transaction() as connection:
            learned: dict[str, Any] = json.loads(connection.execute(_REACH, {"job_id": job.id}).scalar_one())
            return learned

    def counts_alone(self, job: Job, keys: Sequence[str]) -> dict[str, int]:
        """Return how many codes values had when a call last carried each of them alone."""
        with self.transaction() as connection:
            return buckets.counts_alone(connection, job.key, keys)

    def writer(self, run_id: int) -> Writer:
        """Return the writer of batch states for the run that drives them."""
        return Writer(self.connection, run_id)

    def doubt_interrupted(self, run_id: int, *, at: str, uptime: Uptime) -> int:
        """Put every batch that a dead process left SENDING in doubt; return how many there were.

        Only the holder of the ledger's lock may call this, and only before it sends anything itself: then every
        other run without an end is known to be dead, and is recorded as stopped.
        """
        with self.transaction():
            for dead in self.connection.execute(_STOPPED, {"run_id": run_id, "at": at}).scalars().all():
                seals.add(self.connection, dead, at)
        writer = self.writer(run_id)
        found = self.batches(states=[State.SENDING])
        for batch in found:
            with self.transaction() as connection:
                attempts = reads.attempts(connection, batch.id)
            message = "the process that made this call ended before the answer"
            writer.lost(batch, attempts[-1].id, at, uptime=uptime, message=message)
        return len(found)


def upgrade_ledger(url: str, *, at: str, wait_s: float = 0.0) -> UpgradeResult:
    """Run the migrations that a ledger lacks, after a backup beside it; create the ledger where there is none."""
    path = ledger_path(url)
    refuse_planted(path)
    with LedgerLock(path, since=at, wait_s=wait_s) as lock:
        create_file(path, may_be_empty=not lock.ledger_was_whole)
        with open_engine(path).connect() as connection:
            with transaction(connection):
                before = migrate.revision(connection)
            if before is None:
                lock.stamp = None  # of a ledger that was here before
            saved = None
            if before is not None and before < SCHEMA_REVISION:
                saved = path.with_name(f"{path.name}.{before}.backup")
                if not saved.exists():
                    check.backup(path, saved, marked_at=at)
            with migrate.upgrading(connection):
                if before is None or before < SCHEMA_REVISION:
                    migrate.upgrade(connection)
                migrate.require_current(connection)
        lock.ledger_is_whole()
    return UpgradeResult(path, before, SCHEMA_REVISION, saved)
