"""Which jobs never reach the same codes, as the configuration declares (`disjoint`): judged job by job.

The one rule for plans, for what a confirmation folds in, for what is held, for audits, and for words that are wanted
again. What always holds: two jobs are apart only where these very two are declared so. A job that is configured no more
is declared nothing: what it wrote counts until newer words are confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from syncer.ledger.bulk import raw_cursor

if TYPE_CHECKING:
    from sqlalchemy import Connection

Disjoint = Mapping[str, Sequence[str]]
"""By the name of a job, the jobs that never reach its codes, though they write the same fields (configuration)."""


class FieldStamp(NamedTuple):
    """What was known of a field at `settled` or before is uncertain. ``field`` empty: of every field.

    ``through`` is the space that wrote it, ``by`` the field that tells which of its values is meant; None: all are.
    ``counted``: where a count alone said so, since names showed that not all values take the field. ``marked``: the
    values that are meant were known, and their pictures tell; it says that others, too, wrote the field. ``job`` wrote
    it; None: no job did, or it is not known which one of that space.
    """

    settled: int
    field: str
    through: int | None = None
    by: str | None = None
    counted: bool = False
    marked: bool = False
    job: int | None = None


class Apart:
    """The jobs of one ledger, and which of them never reach the same codes."""

    def __init__(self, connection: Connection, disjoint: Disjoint) -> None:
        self._disjoint = disjoint
        self._jobs: dict[int, tuple[int, str]] = {}
        if disjoint:
            rows = raw_cursor(connection).execute("SELECT id, space_id, name FROM jobs").fetchall()
            self._jobs = {job_id: (space_id, name) for job_id, space_id, name in rows}

    def from_job(self, job_id: int) -> frozenset[int]:
        """Return the jobs (ids) of other code spaces that never reach the codes of one job."""
        space_id, name = self._jobs.get(job_id, (0, ""))
        return frozenset(
            other
            for other, (theirs, their_name) in self._jobs.items()
            if theirs != space_id and self._declared(name, their_name)
        )

    def _declared(self, one: str, other: str) -> bool:
        return other in self._disjoint.get(one, ()) or one in self._disjoint.get(other, ())

    def names(self, job_id: int) -> frozenset[str]:
        """Return the names of the jobs that never reach the codes of one job."""
        _, name = self._jobs.get(job_id, (0, ""))
        found = {other for other, names in self._disjoint.items() if name in names}
        return frozenset(found.union(self._disjoint.get(name, ())))

    def concerning(self, stamps: Sequence[FieldStamp], job_id: int) -> list[FieldStamp]:
        """Return those of some stamps that may be about the values of a job: whoever wrote them may reach its codes.

        A stamp that names no job may be of any job of its code space.
        """
        apart = self.from_job(job_id) if self._disjoint else frozenset[int]()
        return [stamp for stamp in stamps if not apart or not self._wrote(stamp) <= apart]

    def _wrote(self, stamp: FieldStamp) -> frozenset[int]:
        if stamp.job is not None:
            return frozenset([stamp.job])
        found = frozenset(job_id for job_id, (space_id, _) in self._jobs.items() if space_id == stamp.through)
        return found or frozenset([0])
