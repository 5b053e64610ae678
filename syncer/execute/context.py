"""What the parts of the engine share: the ledger, time, the limits, the lanes, and what stopped the run.

Every call to the API is started through `Context.start_update` or `Context.start_read`, and every answer is noted by
`Context.note`: so limits, counts, throttling, trouble and refusals of access are handled in one place.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from syncer.api.classify import Verdict
from syncer.api.health import Health
from syncer.api.reading import RequestCounts
from syncer.errors import AccessError, SyncerError, UnreachableError
from syncer.execute.fields import Fields
from syncer.execute.reconcile import Reach
from syncer.execute.registry import Registry
from syncer.execute.sizes import Sizes
from syncer.ledger.identity import counts_same
from syncer.lifecycle.batch import State
from syncer.model import UNIQUE_KEYS
from syncer.process import spans
from syncer.process.clock import Clock, utc_text
from syncer.process.logs import about
from syncer.process.times import wait_asked

if TYPE_CHECKING:
    from syncer.api.client import Client
    from syncer.api.limits import ReadLimiter, UpdateLimiter
    from syncer.execute.lanes import Call, Lanes
    from syncer.execute.left_out import LeftOut
    from syncer.execute.registry import Odd
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Batch, Job, Run
    from syncer.ledger.writer import Writer

log = logging.getLogger(__name__)
NEVER_S = math.inf
"""Due time of something that waits for an answer, not for the clock."""
UNAUTHENTICATED = 401
MAY_BE_AWAY = frozenset({Verdict.UNKNOWN, Verdict.NOT_PROCESSED})
"""Verdicts that say nothing of the question as long as no other one is answered: perhaps the API is away."""
PREPARE_S = 0.05
"""How long before its slot a call is recorded and handed to a lane, so that commits do not cost rate."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine behaves; the meaning of each is in docs/configuration.md under the same name."""

    settle_s: float = 30.0
    poll_s: float = 2.0
    task_timeout_s: float = 3600.0
    give_up_after_s: float = 900.0
    max_reach_factor: float = 10.0
    """Stop when a batch reaches more than this many times the codes per value ever seen; 0 turns the guard off."""
    max_codes_affected: int = 0
    """Stop when a batch by a key of many codes reaches more codes than this; 0 turns the guard off."""


@dataclass(slots=True)
class Tally:
    """Values whose outcome this process has seen, for progress."""

    confirmed: int = 0
    unmatched: int = 0
    rejected: int = 0


class AnswerLike(Protocol):
    """What every answer and look has in common."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def message(self) -> str: ...
    @property
    def status_code(self) -> int | None: ...
    @property
    def retry_after_s(self) -> float | None: ...
    @property
    def calls(self) -> int: ...


@dataclass(slots=True)
class Context:
    """Shared by the parts of one engine, which all run in one thread."""

    ledger: Ledger
    run: Run
    writer: Writer
    clock: Clock
    lanes: Lanes
    updates: UpdateLimiter
    reads: ReadLimiter
    settings: EngineSettings
    new_suffix: Callable[[], str]
    """Makes a reference unlike any other: random, from outside, so that a simulation can repeat itself."""
    jobs: Sequence[int] | None = None
    """The jobs whose open batches this engine drives, by id; None: all."""
    expect: Callable[[str, Sequence[str]], Mapping[str, int]] = lambda job, keys: {}
    """Gives, per key value of a job, how many codes it is declared to select."""
    sizes: Sizes = field(default_factory=Sizes)
    counts: RequestCounts = field(default_factory=RequestCounts)
    tally: Tally = field(default_factory=Tally)
    deadline_s: float | None = None
    """The run's deadline on the monotonic clock, which no read outlasts; None: it has none."""
    stop: SyncerError | None = None
    registry: Registry = field(init=False)
    fields: Fields = field(init=False)
    health: Health = field(init=False)
    """Of update calls: what reads say would hide that no update gets through."""
    reads_health: Health = field(init=False)
    let_go_health: Health = field(init=False)
    """Of looks at what was let go of: those that fail stop no run, and nothing but more of them."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Batches whose answers left values out that are to be read back."""
    fresh_read: int = 0
    """How many values that were never sent before this run reads back."""
    met: set[tuple[int, str]] = field(default_factory=set)
    """Values, by code space, of which this run saw that a code has them, before it asks for them once more."""
    sync_refused: set[int] = field(default_factory=set)
    """Jobs, by id, of whose key this run takes it that sync calls do not take it."""
    counts_same: bool | None = field(init=False)
    """Whether answers count and name what a call leaves as it was; None: no answer showed that yet."""
    began: int = field(init=False)
    """The last event before this process began: calls of a later one are its own."""
    _owners: dict[int, Run] = field(default_factory=dict)
    _reaches: dict[int, Reach] = field(default_factory=dict)
    _linked: dict[int, Mapping[str, int]] = field(default_factory=dict)
    _handlers: dict[int, tuple[Callable[[Any], None], spans.Open]] = field(default_factory=dict)
    _tickets: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.registry = Registry(self.now_s)
        self.writer.on_change = self.registry.follow
        self.fields = Fields(self.ledger)
        self.began = self.ledger.newest_event()
        self.counts_same = counts_same(self.ledger)
        self.health = Health(self.settings.give_up_after_s)
        self.reads_health = Health(self.settings.give_up_after_s)
        self.let_go_health = Health(self.settings.give_up_after_s)

    def now_s(self) -> float:
        """Return the monotonic time."""
        return self.clock.monotonic_s()

    def at(self) -> str:
        """Return the wall time as the ledger writes it."""
        return utc_text(self.clock.wall_s())

    def owner(self, batch: Batch) -> Run:
        """Return the run that planned a batch: its job's name and key, its campaign and uniqueness are the batch's."""
        if batch.run_id not in self._owners:
            found = self.ledger.run(batch.run_id)
            assert found is not None  # noqa: S101  the ledger holds no batch without its run
            self._owners[batch.run_id] = found
        return self._owners[batch.run_id]

    def reach(self, job: Job) -> Reach:
        """Return how many codes a value of a job's key selects, as far as it was learned."""
        if job.id not in self._reaches:
            known = self.ledger.reach(job)
            self._reaches[job.id] = Reach(**{name: known[name] for name in Reach.__slots__ if name in known})
        return self._reaches[job.id]

    def may_go_by_sync(self, job: Job) -> bool:
        """Tell whether sync calls can name a job's values: one key column, which nothing showed them to refuse."""
        if len(job.key) != 1:
            return False
        return job.key[0] in UNIQUE_KEYS or not (job.id in self.sync_refused or self.reach(job).sync_refused)

    def learn_reach(self, job: Job, learned: Reach) -> None:
        """Remember what a batch taught about the reach of a job's key."""
        if learned != self.reach(job):
            self._reaches[job.id] = learned
            self.writer.learn_reach(job.id, asdict(learned))

    def learn_counts(self, *, same: bool) -> None:
        """Remember whether answers count what a call leaves as it was."""
        if self.counts_same is not same:
            self.counts_same = same
            self.writer.learn_counts(same=same)

    def expected(self, run: Run, keys: Sequence[str], *, unique: bool) -> int | None:
        """Return how many codes values select in all; None when that of any is not known.

        It is declared (``jobs.<name>.expect``), the last count of a call that carried the value alone, or that of the
        codes that other spaces know under it.
        """
        if unique:
            return len(keys)
        counts = self.counts_of(run, keys)
        return sum(counts.values()) if len(counts) == len(keys) else None

    def counts_of(self, run: Run, keys: Sequence[str], *, links: bool = True) -> dict[str, int]:
        """Return how many codes values select, as far as it is known; ``links``: by codes of other spaces, too.

        A value has at least the codes that are known under it: a lesser count is of the time before codes moved there.
        """
        declared = self.expect(run.job.name, keys)
        left = [key for key in keys if key not in declared]
        alone = self.ledger.counts_alone(run.job, left) if left else {}
        shaken = self.ledger.shaken(run.job, [*alone]) if links and alone else set()
        linked = self._linked_counts(run.job) if links and (shaken or len(alone) < len(left)) else {}
        grown = {key: linked[key] for key in alone if key in shaken and linked.get(key, 0) > alone[key]}
        return {**{key: linked[key] for key in left if key in linked}, **alone, **grown, **declared}

    def _linked_counts(self, job: Job) -> Mapping[str, int]:
        """Return how many codes other spaces know under values of a job, as it is when that is first asked for.

        It stays so: whatever they had open or planned then kept all from being told, and nothing is planned here.
        """
        if job.id not in self._linked:
            self._linked[job.id] = self.ledger.linked_counts(job)
        return self._linked[job.id]

    @property
    def in_flight(self) -> int:
        """Calls whose answers are still to come."""
        return len(self._handlers)

    @property
    def successes(self) -> int:
        """How often the API was seen at work, by any call: what was lost since then was not lost with the whole API."""
        return self.health.successes + self.reads_health.successes

    def slot_s(self, now_s: float, limit_s: float, health: Health) -> float:
        """Return when a call that its limit allows at `limit_s` may be made; `NEVER_S`: an answer must come first."""
        if self.lanes.free() == 0 or (health.troubled and self.in_flight):
            return NEVER_S
        return max(now_s, limit_s, health.not_before_s)

    def given_up(self, now_s: float) -> Health | None:
        """Return the health of the calls that have failed for too long; None while there is hope.

        Reads that fail stop nothing as long as updates get through. While no call of a kind waits, none of it fails.
        """
        if not self._waits_for(State.PLANNED, State.SENDING):
            self.health.rest()
        if not self._waits_for(State.IN_DOUBT, State.SUBMITTED, State.ABANDONED):
            self.reads_health.rest()
        if self.health.given_up(now_s):
            return self.health
        sent_s, patience_s = self.health.success_s, self.settings.give_up_after_s
        if self.reads_health.given_up(now_s) and (sent_s is None or now_s - sent_s >= patience_s):
            return self.reads_health
        return None

    def _waits_for(self, *states: State) -> bool:
        return any(self.registry.of(state) for state in states)

    def start_update(self, call: Call, handle: Callable[[Any], None], at_s: float, batch: Batch) -> int:
        """Make an update call for a batch at `at_s`; return the limiter's ticket for it."""
        self.counts.updates += 1
        spanned = spans.begin("update", kind=batch.kind, batch=batch.id, run=batch.run_id, values=batch.size)

        def handle_of_batch(answer: Any) -> None:
            with about(batch=batch.id):
                handle(answer)

        self._start(call, handle_of_batch, at_s, spanned)
        return self.updates.started(at_s)

    def start_read(self, call: Call, handle: Callable[[Any], None], at_s: float) -> None:
        """Make a read at `at_s`."""
        self.reads.started(at_s)
        self._start(partial(_in_time, call, self.deadline_s), handle, at_s, spans.begin("read"))

    def _start(self, call: Call, handle: Callable[[Any], None], at_s: float, spanned: spans.Open) -> None:
        ticket = next(self._tickets)
        self._handlers[ticket] = (handle, spanned)
        self.lanes.start(ticket, call, at_s)

    def answered(self, ticket: int, answer: Any) -> None:
        """Hand an answer to whoever asked for it."""
        handle, spanned = self._handlers.pop(ticket)
        spanned.end(verdict=answer.verdict, status_code=answer.status_code)
        handle(answer)

    def note_read(self, answer: AnswerLike) -> None:
        """Take note of the answer to a read, which may stand for several calls."""
        self.count_read(answer)
        self._note(answer, self.reads_health, self.reads.throttled)

    def note_odd(self, odd: Odd, answer: AnswerLike) -> bool:
        """Take note of the answer to a read, none of which is OK; return whether it is counted in `odd`.

        It is counted, and stops nothing, where others are answered, so it is this one question that the API does not
        take; so is the first one, unless the API may be away. What is about every call never is.
        """
        seen = self.reads_health.successes
        is_away = answer.verdict in MAY_BE_AWAY and not seen
        if is_about_every_call(answer) or is_away or seen <= odd.at:
            self.note_read(answer)
            return False
        self.count_read(answer)
        odd.times += 1
        odd.at = seen
        return True

    def count_read(self, answer: AnswerLike) -> None:
        """Count the calls of a read, whatever it was answered."""
        self.counts.reads += answer.calls
        if answer.calls > 1:  # the first was counted when it was started
            self.reads.started(self.now_s(), answer.calls - 1)

    def note_update(self, answer: AnswerLike) -> None:
        """Take note of the answer to an update call."""
        self._note(answer, self.health, self.updates.throttled)

    def _note(self, answer: AnswerLike, health: Health, throttled: Callable[[float], None]) -> None:
        now_s = self.now_s()
        match answer.verdict:
            case Verdict.OK:
                health.succeeded(now_s)
            case Verdict.REFUSED:  # whether it was the API that spoke, and what it means, is judged elsewhere
                pass
            case Verdict.DENIED:
                self.stop = self.stop or AccessError(f"the API refused access: {answer.message}")
            case Verdict.MISDIRECTED if not self.successes:  # the API said a moment ago whose it is (`runs.target`)
                self.stop = self.stop or UnreachableError(
                    f"other calls are answered, but what answers this one is not the API: {answer.message}",
                    remedy="run again: a deployment may be under way; if it stays so, see what lies between (a proxy, "
                    "a firewall), or correct api.base_url",
                )
            case Verdict.NOT_PROCESSED if answer.retry_after_s is not None:
                self.counts.throttled += 1
                log.warning("throttled: the API asks to wait %s", wait_asked(answer.retry_after_s))
                throttled(now_s + health.throttled(now_s, answer.retry_after_s))
            case _:  # not processed, unknown, or pages of a deployment in place of the API that was there before
                log.warning("a call failed (%s): %s", answer.verdict, answer.message)
                health.failed(now_s, answer.message)


def _in_time(call: Call, deadline_s: float | None, client: Client) -> object:
    """Make a read that the deadline ends: nothing depends on its answer, as on that of an update."""
    with client.until(deadline_s):
        return call(client)


def is_about_every_call(answer: AnswerLike) -> bool:
    """Tell whether an answer is about more than the question: a token that nobody accepts, or throttling."""
    is_refused = answer.verdict is Verdict.DENIED and answer.status_code == UNAUTHENTICATED
    return is_refused or answer.retry_after_s is not None
