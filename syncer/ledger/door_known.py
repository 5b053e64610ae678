"""What is known, and what is wanted: the mirror, proofs of fields, and how many codes a key selects. Reads alone."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from syncer.ledger import buckets, counted, known_keys, linked, pictures, proofs, reads, unproven
from syncer.ledger import schema as t
from syncer.ledger.door import Door
from syncer.ledger.knowledge import Knowledge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from syncer.ledger.unproven import Unproven
    from syncer.ledger.values import Batch, Job, Run

_REACH = select(t.jobs.c.reach).where(t.jobs.c.id == bindparam("job_id"))


class KnownDoor(Door):
    """What Scantrust is known to hold, and what a plan asks about it."""

    def payload_ids(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ledger's ids of payloads, -1 for data it has never seen."""
        with self.transaction() as connection:
            return pictures.payload_ids(connection, texts)

    @contextmanager
    def knowledge(self, space_id: int) -> Iterator[Knowledge]:
        """Give what is known, open and wanted in a code space, all of one moment."""
        with self.transaction() as connection:
            yield Knowledge(connection, space_id, self.disjoint)

    def proofs(self, campaign: int | None) -> dict[str, bool]:
        """Return the fields that a campaign was asked about, and whether it was ever seen to take them."""
        with self.transaction() as connection:
            return proofs.read(connection, campaign)

    def taken_lately(self, campaign: int | None, wall_s: float) -> frozenset[str]:
        """Return the fields that a campaign was seen to take of late (`proofs.taken_lately`)."""
        with self.transaction() as connection:
            return proofs.taken_lately(connection, campaign, wall_s)

    def unproven(
        self,
        run: Run,
        fields: Collection[str] | None,
        named: Mapping[int | None, Collection[str]],
        declared: Collection[str],
        begun: int,
    ) -> list[Unproven]:
        """Return values of a run to be read back, since no answer named their fields (`unproven.unproven`)."""
        with self.transaction() as connection:
            return unproven.unproven(connection, run, fields, named, declared, begun, self.disjoint)

    def refusing(self, *, ever: bool = False) -> dict[int | None, frozenset[str]]:
        """Return per campaign the fields that some value did not take when it was last asked (`proofs.refusing`)."""
        with self.transaction() as connection:
            return proofs.refusing(connection, ever=ever)

    def begun_before(self, batch: Batch, since: int) -> bool:
        """Tell whether no call of a batch was begun after the event `since` (`counted.begun_before`)."""
        with self.transaction() as connection:
            return counted.begun_before(connection, batch.id, since)

    def told_campaigns(self, batch: Batch) -> dict[int, int]:
        """Return the campaigns of a batch's items, as far as their products tell (`proofs.told`)."""
        with self.transaction() as connection:
            return proofs.told(connection, batch.first_item_id, batch.size)

    def written_before(self, space_id: int, keys: Sequence[str]) -> frozenset[str]:
        """Return those of some values that something of ours has written, or may have (`known_keys.written_before`)."""
        with self.transaction() as connection:
            return known_keys.written_before(connection, space_id, keys)

    def earlier_words(self, space_id: int, items: Iterable[tuple[str, int]]) -> dict[str, dict[str, list[str]]]:
        """Return what values were given before some items, by key and field (`known_keys.earlier_words`)."""
        with self.transaction() as connection:
            return known_keys.earlier_words(connection, space_id, items)

    def waiting(self, space_id: int | None = None) -> int:
        """Count the values of a code space (None: of all) that wait for a plan, since an older upload was open."""
        with self.transaction() as connection:
            return buckets.waiting(connection, space_id)

    def failed_wanted(self, space_id: int) -> bool:
        """Tell whether a batch of a code space failed, or was let go of, and no plan has taken its values up."""
        with self.transaction() as connection:
            return buckets.failed_wanted(connection, space_id)

    def waiting_runs(self) -> list[Run]:
        """Return, per code space in which values wait or failed, the newest run that wants one."""
        with self.transaction() as connection:
            found = [reads.run(connection, run_id) for run_id in buckets.waiting_runs(connection)]
        return [run for run in found if run is not None]

    def known_count(self, job: Job, most: int | None = None) -> int:
        """Count the keys that the mirror has of a job's code space, up to ``most`` (None: all of them)."""
        with self.transaction() as connection:
            return known_keys.known_count(connection, job.space_id, most)

    def any_known(self, space_id: int) -> str | None:
        """Return a key of a code space of which all is known (`known_keys.any_known`)."""
        with self.transaction() as connection:
            return known_keys.any_known(connection, space_id)

    def known_alike(self, job: Job, folded: str) -> list[str]:
        """Return known keys that are `folded` up to leading zeros and letter case."""
        with self.transaction() as connection:
            return known_keys.known_alike(connection, job.space_id, folded)

    def reach(self, job: Job) -> dict[str, Any]:
        """Return what was learned about how many codes a value of the job's key selects (`Writer.learn_reach`)."""
        with self.transaction() as connection:
            learned: dict[str, Any] = json.loads(connection.execute(_REACH, {"job_id": job.id}).scalar_one())
            return learned

    def counts_alone(self, job: Job, keys: Sequence[str]) -> dict[str, int]:
        """Return how many codes values had when a call last carried each of them alone."""
        with self.transaction() as connection:
            return buckets.counts_alone(connection, job.key, keys)

    def linked_counts(self, job: Job) -> dict[str, int]:
        """Return how many codes other spaces know under each value of a job's key (`linked.linked_counts`)."""
        with self.transaction() as connection:
            return linked.linked_counts(connection, job.space_id, job.key, self.disjoint)

    def shaken(self, job: Job, keys: Sequence[str]) -> set[str]:
        """Return the values under which codes may have come since they were counted (`linked.shaken`)."""
        with self.transaction() as connection:
            return linked.shaken(connection, job.space_id, keys, self.disjoint)

    def wanted(self) -> list[buckets.Wanted]:
        """Return, per job, how many values are wanted and not confirmed, and since when the oldest of them is."""
        with self.transaction() as connection:
            return buckets.wanted(connection)
