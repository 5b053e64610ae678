"""What commands return: frozen results that the reports render. No text, no JSON, no terminal in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, SyncerError
from syncer.lifecycle import Bucket
from syncer.model import Rejection, RowCounts

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.values import Batch, Run, Source
    from syncer.lifecycle import State

SHOWN_REJECTIONS_MAX = 100
"""Rejected rows that a document lists (contract.md); the results folder has them all."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Calls of one command. ``minimum_updates`` is the least number of update calls that could carry its plan."""

    updates: int = 0
    reads: int = 0
    throttled: int = 0
    retries: int = 0
    minimum_updates: int = 0


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the time went."""

    plan: float = 0.0
    send: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Concern:
    """Some values of a run that are not confirmed, for one reason; ``example`` is one of their keys."""

    bucket: Bucket
    message: str
    values: int
    example: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A call as it would be sent: its size and its first values with their data."""

    kind: str
    values: int
    first: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The outcome of ``plan``, ``sync`` or ``resume``.

    ``values`` sums to the values planned. ``earlier_in_doubt`` counts values of earlier runs that are still not
    settled. ``error`` is what stopped the command; None when it came to its end.
    """

    command: str
    run: Run | None = None
    rows: RowCounts = RowCounts()
    values: Mapping[Bucket, int] = field(default_factory=dict)
    sync_batches: int = 0
    async_batches: int = 0
    requests: Requests = Requests()
    seconds: Seconds = Seconds()
    minimum_send_s: float = 0.0
    discarded_fields: tuple[str, ...] = ()
    rejections: Sequence[Rejection] = ()
    files: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    concerns: tuple[Concern, ...] = ()
    notes: tuple[str, ...] = ()
    earlier_in_doubt: int = 0
    error: SyncerError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the contract."""
        if self.error is not None:
            return self.error.status
        unsettled = sum(count for bucket, count in self.values.items() if bucket not in _FINE)
        if self.command == "plan":
            unsettled = 0
        unclear = self.rows.invalid or self.rows.held or unsettled or self.discarded_fields or self.earlier_in_doubt
        return EXIT_NOT_CONFIRMED if unclear else EXIT_OK

    @property
    def state(self) -> str:
        """The run's state: ``complete``, ``incomplete`` (exit 3) or ``stopped`` (any other)."""
        return {EXIT_OK: "complete", EXIT_NOT_CONFIRMED: "incomplete"}.get(self.exit_code, "stopped")


_FINE = frozenset({Bucket.CONFIRMED, Bucket.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list: its record, its values by bucket, its batches by kind."""

    run: Run
    values: Mapping[Bucket, int]
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunDetails:
    """One run with its files, batches (the first ones; ``batch_counts`` has all) and what is not confirmed."""

    summary: RunSummary
    sources: tuple[Source, ...]
    batch_counts: Mapping[tuple[str, State], int]
    concerns: tuple[Concern, ...]
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class InitResult:
    """What ``init`` found and made."""

    config: Path
    wrote_config: bool
    ledger: Path
    made_ledger: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ``check`` looked at: what it found, and the error when it is not right."""

    what: str
    found: str
    error: SyncerError | None = None
