"""What can be told and proven later: the history of values, the night's facts, seals, and faults. Reads alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncer.ledger import audit, check, chosen, night, seals, story, upload_reads
from syncer.ledger.door import Door
from syncer.ledger.evidence import Evidence, evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncer.ledger.values import HistoryEntry, Run
    from syncer.request import HistoryRequest


class HistoryDoor(Door):
    """What was ever sent, how it ended, and whether anybody changed the record of it."""

    def history(self, key: str) -> list[HistoryEntry]:
        """Return every upload of one key value, oldest first."""
        with self.transaction() as connection:
            return audit.history(connection, key, self.disjoint)

    def stories(
        self, keys: Sequence[str], where: Sequence[tuple[str, str]], *, most: int, else_said: str | None = None
    ) -> tuple[list[story.Story], int]:
        """Return the stories of the first values that are meant, and how many are (`story.stories`)."""
        with self.transaction() as connection:
            return story.stories(connection, keys, where, most=most, else_said=else_said, disjoint=self.disjoint)

    def history_fields(self, request: HistoryRequest) -> list[str]:
        """Return the fields that the entries asked for can have."""
        with self.transaction() as connection:
            return audit.history_fields(connection, request)

    def export(self, request: HistoryRequest) -> Iterator[HistoryEntry]:
        """Stream the uploads that are recorded now, page by page: a slow reader stops no run.

        Raises `UsageError` for a field that the ledger has never met, before the first of them is taken.
        """
        with self.transaction() as connection:
            last_id, last_part = audit.last_item_id(connection), audit.last_part_id(connection)
            if request.where:
                chosen.choose_values(connection, (), request.where)
                chosen.choose_items(connection)
        return self._pages(request, last_id, last_part)

    def _pages(self, request: HistoryRequest, last_id: int, last_part: int) -> Iterator[HistoryEntry]:
        """Stream the uploads that are asked for (those of ``where`` are chosen), up to the last one at the begin."""
        after_id = 0
        while after_id < last_id:
            with self.transaction() as connection:
                page, after_id = audit.export_page(
                    connection,
                    request,
                    after_id=after_id,
                    last_id=last_id,
                    chosen=bool(request.where),
                    disjoint=self.disjoint,
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
            yield evidence(connection, keys, where, self.disjoint)

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
