"""What a run writes beside the states of its batches: jobs, begin, plan, refused rows, what was read back, seals.

Every method needs a ledger that is open to write, and is kept whole or not at all. States change by `Writer` alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from syncer.ledger import dropping, plans, reads, rejections, seals, unproven
from syncer.ledger import schema as t
from syncer.ledger.door_runs import RunsDoor
from syncer.ledger.writer import Writer
from syncer.lifecycle.batch import State
from syncer.model import Plan, RunState, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from syncer.ledger.unproven import ValuesSeen
    from syncer.ledger.values import Job, Run
    from syncer.process.clock import Uptime
    from syncer.rejections import Rejection

# Statements are made once: making one costs more than running it.
_NEW_SPACE = insert(t.spaces).prefix_with("OR IGNORE")
_SPACE = select(t.spaces.c.id).where(t.spaces.c.key == bindparam("key"))
_NEW_JOB = insert(t.jobs)
_NEW_RUN = insert(t.runs).returning(t.runs.c.id)
_NEW_SOURCE = insert(t.sources).returning(t.sources.c.id)
_STOPPED = (
    update(t.runs)
    .where(t.runs.c.id != bindparam("run_id"), t.runs.c.ended_at.is_(None))
    .values(state=RunState.STOPPED.value, ended_at=bindparam("at"), error="the process died before it could record why")
    .returning(t.runs.c.id)
)


class WritesDoor(RunsDoor):
    """What is recorded beside the states of batches."""

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

    def store_rejections(self, run: Run, found: Sequence[Rejection], files: Sequence[str]) -> None:
        """Keep the first rows of a run that our rules refused; `files` are the names that they count by."""
        with self.transaction() as connection:
            rejections.store(connection, run.id, found, files)

    def seal(self, run_id: int, at: str) -> None:
        """Seal what was added to the history though no run ends, in the name of a run; twice adds one seal."""
        with self.transaction() as connection:
            seals.add_what_is_new(connection, run_id, at)

    def drop_words(self, fields: Collection[str], at: str) -> int:
        """Drop what waits to be sent of some fields; return how many values named them (`dropping`)."""
        with self.transaction() as connection:
            dropped, runs = dropping.drop_words(connection, fields, at)
            for run_id in runs:
                seals.add(connection, run_id, at)
            return dropped

    def record_read_back(self, run: Run, seen: Mapping[int | None, ValuesSeen], at: str) -> list[str]:
        """Record what values showed that were read back; return fields that are taken again (`unproven.record`)."""
        with self.transaction() as connection:
            return unproven.record(connection, run, seen, at, self.disjoint)

    def forget_proofs(self, campaign: int | None, fields: Collection[str]) -> None:
        """Forget that a campaign takes fields (`unproven.forget`)."""
        with self.transaction() as connection:
            unproven.forget(connection, campaign, fields)

    def writer(self, run_id: int) -> Writer:
        """Return the writer of batch states for the run that drives them."""
        return Writer(self.connection, run_id, self.disjoint)

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
