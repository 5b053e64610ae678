"""What commands return: frozen results that the reports render. No text, no JSON, no terminal in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, SyncerError
from syncer.lifecycle.batch import Bucket
from syncer.model import RowCounts, RunState, Target
from syncer.process.owner import Life

if TYPE_CHECKING:
    from pathlib import Path

    from syncer.ledger.buckets import RefusedRow
    from syncer.ledger.products import ProductRecord, PullRecord
    from syncer.ledger.recovery import Recovery
    from syncer.ledger.values import Batch, LedgerIdentity, Run, SourceRecord
    from syncer.ledger.works import Work
    from syncer.lifecycle.batch import State
    from syncer.rejections import Rejections
    from syncer.rows.changes import FieldChanges

SHOWN_REJECTIONS_MAX = 100
"""Rejected rows that a document lists (docs/json.md); the results folder has them all."""
SHOWN_CHANGES_MAX = 100
"""Changes of one field's values that a document lists."""


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


MEANING: Mapping[Bucket, str] = {
    Bucket.UNMATCHED: "the API has no code with this value: correct the key in the source system",
    Bucket.REJECTED: "the API refused it or its task failed: correct the data, or run again",
    Bucket.IN_DOUBT: "nobody knows yet whether it was applied: run again, or syncer resume",
    Bucket.PENDING: "its task was still at work: syncer resume",
    Bucket.UNSENT: "not sent yet: syncer resume",
}
"""What it means that values ended there, and what helps."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Some values of a run that are not confirmed, for one reason; ``example`` is one of their keys.

    ``message`` is what was said of these very values; empty where nobody said anything.
    """

    bucket: Bucket
    message: str
    values: int
    example: str

    @property
    def reason(self) -> str:
        """What was said of these values, else what it means that they ended there."""
        return self.message or MEANING.get(self.bucket, "no reason was given")


@dataclass(frozen=True, slots=True)
class CallSample:
    """A call as it would be sent: its size and its first values with their data."""

    kind: str
    values: int
    first: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of a field that a plan makes. ``old`` is None where nothing is known of it.

    ``uncertain``: something of ours may have changed it. ``example`` is one of the ``values`` keys, ``place`` its file
    and line; empty for what an earlier run left wanted.
    """

    field: str
    old: str | None
    uncertain: bool
    new: str
    values: int
    example: str
    place: str


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The outcome of ``plan``, ``sync`` or ``resume``.

    ``values`` sums to the values planned. ``runs`` are all of them when `resume` finished several. ``earlier`` counts
    values of earlier runs that ended unmatched or rejected in this one; ``unplanned`` are runs that only their
    files can finish, so that these have to be synced again. ``earlier_in_doubt`` counts values of earlier runs
    that are still not settled, or of which this one saw that nobody can tell what they hold. ``fields`` counts, per
    field, the values that the plan changes in it; ``waiting`` are wanted values that no plan could take up yet,
    since an older upload of theirs is open; ``goes_again``: there are some whose task failed, or that were let go of,
    which the next run and `resume` send again. ``unproven_fields`` are those of which no answer showed that they were
    taken. ``named`` are the files that were to be read (of a query: none), ``files`` what they came to (of a ZIP
    file: its members), for ``job`` (empty: not one alone); ``options`` say how (`runs.paste.options_of`). ``error`` is
    what stopped the command; None when it came to its end.
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
    unproven_fields: tuple[str, ...] = ()
    rejections: Rejections | tuple[()] = ()
    files: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    job: str = ""
    samples: tuple[CallSample, ...] = ()
    concerns: tuple[Concern, ...] = ()
    changes: tuple[FieldChanges, ...] = ()
    notes: tuple[str, ...] = ()
    earlier_in_doubt: int = 0
    earlier: Mapping[Bucket, int] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    unplanned: tuple[Run, ...] = ()
    fields: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    goes_again: bool = False
    differences: tuple[Difference, ...] | None = None
    target: Target | None = None
    ledger: LedgerIdentity | None = None
    error: SyncerError | None = None
    before: tuple[SyncResult, ...] = ()
    """What the same command did with the files before this one's, where each has a run of its own."""

    @property
    def exit_code(self) -> int:
        """The exit code of the contract; of several runs the gravest."""
        own = self.own_exit_code
        if own == EXIT_OK and any(one.exit_code == EXIT_NOT_CONFIRMED for one in self.before):
            return EXIT_NOT_CONFIRMED
        return own

    @property
    def own_exit_code(self) -> int:
        """The same, whatever the runs ``before`` came to."""
        if self.error is not None:
            return self.error.status
        unsettled = sum(count for bucket, count in self.values.items() if bucket not in _FINE)
        if self.command == "plan":
            unsettled = 0
        held = self.rows.held if self.command == "plan" else self.waiting
        of_rows = self.rows.invalid or held or unsettled or self.discarded_fields or self.unproven_fields
        of_others = self.earlier_in_doubt or any(self.earlier.values()) or self.unplanned
        return EXIT_NOT_CONFIRMED if of_rows or of_others else EXIT_OK

    def lacking(self, error: SyncerError) -> SyncResult:
        """Return the same, of which something could not be left behind."""
        return replace(self, error=error)

    @property
    def state(self) -> str:
        """The run's state: ``complete``, ``incomplete`` (exit 3) or ``stopped`` (any other)."""
        ended = {EXIT_OK: RunState.COMPLETE, EXIT_NOT_CONFIRMED: RunState.INCOMPLETE}
        return ended.get(self.own_exit_code, RunState.STOPPED).value


_FINE = frozenset({Bucket.CONFIRMED, Bucket.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list: its record, its values by bucket, its batches by kind."""

    run: Run
    values: Mapping[Bucket, int]
    kinds: Mapping[str, int]
    life: Life | None = None
    """Of its process, while the run has no end; None: it ended. A run that died has the state ``dead``."""


@dataclass(frozen=True, slots=True)
class WorkSummary:
    """What one command did or does; ``life`` as in `RunSummary`."""

    work: Work
    life: Life | None


@dataclass(frozen=True, slots=True)
class StatusResult:
    """What ``status`` lists: runs, and the works that are no run or came to none."""

    runs: tuple[RunSummary, ...]
    works: tuple[WorkSummary, ...]

    @property
    def is_going_on(self) -> bool:
        """Whether a process of this machine is at work."""
        lives = [*(one.life for one in self.runs), *(one.life for one in self.works)]
        return Life.ALIVE in lives


@dataclass(frozen=True, slots=True)
class RefusedRows:
    """Rows of a run that our rules refused (``invalid``) and whose values the API did not take, the first ones."""

    summary: RunSummary
    invalid: tuple[RefusedRow, ...]
    untaken: tuple[RefusedRow, ...]

    @property
    def invalid_left_out(self) -> int:
        """How many invalid rows the ledger has not kept."""
        return max(0, self.summary.run.rows.get("invalid", 0) - len(self.invalid))

    @property
    def untaken_left_out(self) -> int:
        """How many values the API did not take beyond those that are listed."""
        not_taken = sum(self.summary.values.get(bucket, 0) for bucket in (Bucket.UNMATCHED, Bucket.REJECTED))
        return max(0, not_taken - len(self.untaken))


@dataclass(frozen=True, slots=True)
class RunDetails:
    """One run with its files, batches (the first ones; ``batch_counts`` has all) and what is not confirmed."""

    summary: RunSummary
    sources: tuple[SourceRecord, ...]
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
class LedgerInfo:
    """Whose ledger it is. ``adopted``: since just now; ``forgotten`` is then what it no longer believes."""

    path: Path
    identity: LedgerIdentity
    base_url: str
    adopted: bool = False
    forgotten: Recovery | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that ``check`` looked at: what it found, and the error when it is not right."""

    what: str
    found: str
    error: SyncerError | None = None


@dataclass(frozen=True, slots=True)
class ProductsPullResult:
    """What ``products pull`` read. ``new`` were not in the copy before; ``gone`` are in it and not listed any more."""

    pull: PullRecord
    new: int
    gone: int
    requests: Requests
    out: Path | None = None
    format: str | None = None
    error: SyncerError | None = None
    """None, always: a pull that something stops raises, and keeps nothing."""

    @property
    def came_to(self) -> dict[str, int]:
        """The products of the list, and what was different from the copy."""
        return {"products": self.pull.products, "new": self.new, "gone": self.gone}

    @property
    def exit_code(self) -> int:
        """0: a pull that returns has read everything."""
        return EXIT_OK


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product of the copy. ``listed``: the last whole list that should have shown it did."""

    product: ProductRecord
    listed: bool


@dataclass(frozen=True, slots=True)
class ProductsView:
    """What ``products list`` shows: products (the first ones), how many there are, the last whole pull."""

    products: tuple[ProductView, ...]
    total: int
    pull: PullRecord | None


GRAVITY = (130, 143, 129, 1, 13, 12, 2, 4, 14, 11, 5, 10, 3, 0)
"""Exit codes of a night's steps, the gravest first: interrupted; then what needs a person (a defect, the ledger,
access, the configuration, a guard, a file that has not come); then what mends itself when it is run again (busy,
unreachable, deadline); then finished with rows to look at; then all well. A code that is not listed counts as the
defect 1."""


@dataclass(frozen=True, slots=True)
class PackResult:
    """What a pack of evidence holds: values, their uploads; how many of theirs no seal covers; the newest seal."""

    values: int
    uploads: int
    unsealed: int
    seal: str


class StepResult(Protocol):
    """What any command returns that a night has as a step."""

    @property
    def exit_code(self) -> int:
        """The exit code of the contract."""

    @property
    def error(self) -> SyncerError | None:
        """What stopped the command; None when it came to its end."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of one step of a night: its result, or the error that came instead; both None: it was skipped."""

    step: str
    exit_code: int | None = None
    seconds: float = 0.0
    result: StepResult | None = None
    error: SyncerError | None = None


@dataclass(frozen=True, slots=True)
class NightResult:
    """The outcome of ``run``, step by step."""

    steps: tuple[StepOutcome, ...]
    on_failure: str
    lacks: SyncerError | None = None
    """Why the night's page or numbers could not be left behind."""

    def lacking(self, error: SyncerError) -> NightResult:
        """Return the same, of which something could not be left behind."""
        return replace(self, lacks=error)

    @property
    def gravest(self) -> StepOutcome:
        """The step (the first of those) with the gravest exit code."""
        done = [step for step in self.steps if step.exit_code is not None]
        return min(done, key=lambda step: GRAVITY.index(step.exit_code if step.exit_code in GRAVITY else 1))

    @property
    def exit_code(self) -> int:
        """The gravest exit code of the steps, or that of what is lacking, where no step failed."""
        return self.error.status if self.error is not None else self.gravest.exit_code or EXIT_OK

    @property
    def error(self) -> SyncerError | None:
        """What stopped the gravest step, else what is lacking."""
        return self.gravest.error or self.lacks
