"""Jobs, runs and their batches: what ran, what is open, and where every value stands now. Reads alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.ledger import buckets, endings, past_runs, reads, rejections, works
from syncer.ledger.door import Door
from syncer.ledger.values import CallEnd
from syncer.lifecycle.batch import Bucket, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncer.ledger.past_runs import Reading
    from syncer.ledger.values import Batch, Item, Job, Run, SourceRecord
    from syncer.ledger.writer import Writer
    from syncer.model import PastRun
    from syncer.process.clock import Uptime


class RunsDoor(Door):
    """What commands did: jobs, runs, batches, and the calls that were made for them."""

    def job(self, name: str, key: Sequence[str]) -> Job | None:
        """Return a job; None when no run of it was ever recorded."""
        with self.transaction() as connection:
            return reads.job(connection, name, key)

    def job_like(self, name: str, key: Sequence[str]) -> Job | None:
        """Return a job, or another one with the same key columns, by this name: what is known is theirs together."""
        found = self.job(name, key)
        alike = (replace(job, name=name) for job in self.jobs() if job.key == tuple(sorted(key)))
        return found or next(alike, None)

    def jobs(self) -> list[Job]:
        """Return every job that was ever recorded."""
        with self.transaction() as connection:
            return reads.jobs(connection)

    def past_runs(self, job: Job, *, most: int) -> list[PastRun]:
        """Return the newest completed runs of a job, newest first."""
        with self.transaction() as connection:
            return past_runs.past_runs(connection, job.id, most)

    def readings(self, names: Sequence[str], contents: Sequence[str]) -> dict[str, Reading]:
        """Return, by content (SHA-256), what the jobs of these names have read, and the ledger has not forgotten."""
        with self.transaction() as connection:
            return past_runs.readings(connection, names, contents)

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

    def open_runs(self, job_name: str | None = None) -> list[Run]:
        """Return the runs of which something is left to be sent or settled, newest first."""
        with self.transaction() as connection:
            return reads.open_runs(connection, job_name)

    def fileless_runs(self, job_name: str | None = None) -> list[Run]:
        """Return, per job, the newest run when only its file can finish it: no plan is stored, or it was dropped."""
        with self.transaction() as connection:
            return reads.fileless_runs(connection, job_name)

    def sources(self, run_id: int) -> list[SourceRecord]:
        """Return the input files of a run."""
        with self.transaction() as connection:
            return reads.sources(connection, run_id)

    def refused_rows(self, run_id: int) -> tuple[list[buckets.RefusedRow], list[buckets.RefusedRow]]:
        """Return the first rows of a run that our rules refused, and those that the API did not take."""
        with self.transaction() as connection:
            return rejections.read(connection, run_id)

    def bucket_counts(self, run_id: int) -> dict[Bucket, int]:
        """Count the values of a run by where they stand now."""
        with self.transaction() as connection:
            return buckets.bucket_counts(connection, run_id)

    def counts_moved(self, runs: Sequence[Run]) -> bool:
        """Tell whether the counts of some runs need what was moved to an archive (`Ledger.add_archives`)."""
        with self.transaction() as connection:
            return buckets.counts_moved(connection, [run.id for run in runs])

    def kind_counts(self, run_id: int) -> dict[str, int]:
        """Count the batches that a run's plan made, by kind."""
        with self.transaction() as connection:
            return reads.kind_counts(connection, run_id)

    def batch_counts(self, run_id: int) -> dict[tuple[str, State], int]:
        """Count the batches of a run by kind and state."""
        with self.transaction() as connection:
            return reads.batch_counts(connection, run_id)

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

    def told_until(self) -> int:
        """Return the last event before the newest end of a run (`endings.told_until`)."""
        with self.transaction() as connection:
            return endings.told_until(connection)

    def ended_since(self, told: int, begun: int, but: Sequence[int]) -> Iterator[endings.EndedValue]:
        """Stream the values that ended unmatched or rejected, and that nobody told yet (`endings.ended_since`)."""
        with self.transaction() as connection:
            yield from endings.ended_since(connection, told, begun, but)

    def works(self, *, most: int, kinds: tuple[str, ...] | None = None) -> list[works.Work]:
        """Return what commands did, newest first; of some kinds, or of all but what only looked (``check``)."""
        with self.transaction() as connection:
            return works.newest(connection, most=most, kinds=kinds)

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

    def counted_in_parts(self, parent: Batch) -> int:
        """Return how many codes the parts of a batch were counted to affect, as far as they are settled."""
        with self.transaction() as connection:
            return reads.counted_in_parts(connection, parent)

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

    def sent_by_others(self, batch: Batch, writer: Writer) -> bool:
        """Tell whether a call that may have created a task was made by another account than makes calls now."""
        with self.transaction() as connection:
            return reads.sent_by_others(connection, batch.id, writer.account, sees_unsigned=writer.sees_unsigned)

    def attempts_since(self, at: str) -> list[str]:
        """Return when calls were started after `at`: what earlier processes used up of the API's rate."""
        with self.transaction() as connection:
            return reads.attempts_since(connection, at)

    def lost_unheld(self, job_ids: Sequence[int] | None) -> list[tuple[str, Uptime]]:
        """Return when the answers of the last calls of some jobs (None: all) were lost that hold no newer data back.

        Each may be on its way.
        """
        with self.transaction() as connection:
            return reads.lost_unheld(connection, job_ids)

    def losses(self, batch: Batch) -> list[tuple[str, Uptime]]:
        """Return when the answers of a batch's calls were lost: each call may have been on its way until then."""
        with self.transaction() as connection:
            return reads.losses(connection, batch.id)
