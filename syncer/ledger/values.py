"""What the ledger hands out: frozen values, never rows or connections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from syncer.lifecycle.batch import State
from syncer.model import Company


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """Whose ledger this is and where it stands. ``base_url`` None: its target was not seen yet."""

    id: str
    position: int
    base_url: str | None
    company: Company | None
    backup_at: str | None
    """When this backup was made; None: it is none."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger knows it: a name and the key columns it selects codes by, sorted.

    Jobs with the same key columns share one code space, whatever their names.
    """

    id: int
    space_id: int
    name: str
    key: tuple[str, ...]
    fields: tuple[str, ...]
    """Every SCM field it ever planned to write."""


@dataclass(frozen=True, slots=True)
class SeenFields:
    """What an answer showed of fields, for the values of one campaign: which some value took; by item, those taken."""

    taken: Mapping[str, bool]
    accepted: Mapping[int, Collection[str]]
    refused: frozenset[str]
    """Those that some value did not take."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as recorded. ``rows`` and ``values`` are by bucket; ``ended_at`` is None while it goes on or died."""

    id: int
    job: Job
    state: str
    planned: bool
    started_at: str
    ended_at: str | None
    exit_code: int | None
    error: str | None
    mode: str
    campaign: int | None
    unique: bool
    rows: Mapping[str, int]
    minimum_updates: int
    discarded_fields: tuple[str, ...]
    program: str


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """An input file of a run, as recorded."""

    id: int
    name: str
    sha256: str
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, as it stands in the ledger when it is read or right after a change of state."""

    id: int
    run_id: int
    job_id: int
    space_id: int
    parent_id: int | None
    kind: str
    state: State
    split: bool
    wanted: bool
    campaign: int | None
    unique: bool
    payload_id: int | None
    varying: int
    first_item_id: int
    size: int
    attempts: int
    task_id: str | None
    codes_affected: int | None
    unmatched: int
    message: str | None
    changed_at: str
    settled: int | None
    """The event of its end: the place of its values in the ledger's time."""


class CallEnd(StrEnum):
    """What became of a call, as the ledger keeps it (``attempts.verdict``). Of an open one nobody knows yet: None."""

    ACCEPTED = "accepted"
    """The API answered with a task."""
    APPLIED = "applied"
    """It accounts for every value."""
    MISCOUNTED = "miscounted"
    """It was processed, and does not account for every value."""
    REFUSED = "refused"
    NOT_PROCESSED = "not_processed"
    LOST = "lost"
    """Nobody will ever know from the answer: it may have been processed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that was made for a batch; ``verdict`` is None while nobody knows what became of it."""

    id: int
    batch_id: int
    reference: str
    started_at: str
    ended_at: str | None
    verdict: CallEnd | None
    status_code: int | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a batch; ``data`` is canonical JSON."""

    id: int
    key: str
    data: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One upload of one key value, from file to outcome: a line of the audit.

    Of an own code ``kind`` is ``own code``; it has neither job, run, batch nor attempts, and its task is its record.
    """

    job: str
    key: str
    columns: tuple[str, ...]
    """The key columns, sorted: whose value, or values, the key is."""
    data: str
    run_id: int | None
    file: str
    sha256: str
    line: int
    planned_at: str
    batch_id: int | None
    kind: str
    attempts: int | None
    sent_at: str | None
    reference: str | None
    task_id: str | None
    outcome: str
    outcome_at: str
    codes_affected: int | None
    """Codes that this value selected; None where only the batch's sum is known."""
    message: str | None
    confirmed_now: bool
    """Whether everything that this upload said is what Scantrust is known to hold now."""
    before: Mapping[str, str | None]
    """What was known of its fields when it was planned; None: uncertain. A field that is missing was never heard of."""
    origins: tuple[Mapping[str, object], ...]
    """Which fields came from other files and lines: ``{file, line, fields}``."""


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What ``ledger upgrade`` did: the schema revisions before (None: no ledger) and after, and the backup made."""

    ledger: Path
    before: str | None
    after: str
    backup: Path | None
