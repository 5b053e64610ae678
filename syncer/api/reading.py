"""Asking the API outside an engine, one call after the other: the one place that maps an answer to wait, error or stop.

What always holds: the API's limit for reads is kept and its throttling obeyed; a call that failed is made again until
the API has failed for ``give_up_after_s`` without one success; a refusal of access stops at once; a signal or the
deadline ends every wait, and every call that `Reader.ask` makes, within a moment. Only calls that may be made
again go through it: reads, and the making of an empty record. Whoever makes another call asks for its `turn` and takes
`note` of its answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from syncer.api.classify import JUDGED, Verdict
from syncer.api.health import Health
from syncer.errors import AGAIN, AccessError, DeadlineError, SignalError, SyncerError, UnreachableError
from syncer.process.clock import Clock, utc_text
from syncer.process.times import duration, wait_asked

if TYPE_CHECKING:
    from syncer.api.answers import Answer, Speaker
    from syncer.api.limits import ReadLimiter
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
A = TypeVar("A", bound="Answer")
C = TypeVar("C", bound="Speaker")
UNAUTHENTICATED = 401
FORBIDDEN = 403
ON_THE_WAY = frozenset({301, 302, 303, 307, 308, 407})
"""What the API itself never says: a redirect, a proxy that wants a password."""
_UNTRUSTED = (
    "correct api.base_url, or have the certificate mended; an authority of your own network is named in api.ca_file"
)
WAIT_STEP_S = 0.1
"""Waits are cut into steps of this length, between which a signal is looked for."""


class ForbiddenError(AccessError):
    """The token works, but lacks the permission for this read (403)."""


@dataclass(slots=True)
class RequestCounts:
    """Calls made by this process, as ``requests`` of the contract counts them."""

    updates: int = 0
    reads: int = 0
    throttled: int = 0
    retries: int = 0


@dataclass(slots=True)
class Reader(Generic[C]):
    """Asks a client's API. ``deadline_s`` is monotonic; ``counts`` may be shared with an engine, so that all add up.

    ``poll_s`` is how long to wait, at first, before a list that changed is read again. ``again`` is what goes on after
    a stop, ``during`` what a stop interrupts, and ``needs`` the permission that a refusal of access names.
    """

    client: C
    clock: Clock
    limiter: ReadLimiter
    interrupt: Interrupt
    give_up_after_s: float
    poll_s: float = 2.0
    deadline_s: float | None = None
    counts: RequestCounts = field(default_factory=RequestCounts)
    again: str = AGAIN
    during: str = "while reading; nothing was changed"
    needs: str = ""
    worked: bool = False
    """Whether any call was answered: the API was there."""
    is_new: bool = False
    """Whether nothing was ever answered at this address: a certificate that cannot be verified does not pass then."""
    _health: Health = field(init=False)

    def __post_init__(self) -> None:
        self._health = Health(self.give_up_after_s)

    def ask(self, call: Callable[[C], A], *, takes: Collection[Verdict | int] = ()) -> A:
        """Return the first answer that was processed; raise `SyncerError` when there will be none.

        ``takes`` are verdicts and status codes that are answers, too; a token that nobody accepts is never one.
        """
        while True:  # bounded by `give_up_after_s`, by the deadline, or by the first answer
            self.turn()
            answer = self._answer(call)
            if self.note(answer, takes=takes):
                return answer

    def _answer(self, call: Callable[[C], A]) -> A:
        """Make a call. A signal ends it at once, the deadline soon, before ``api.timeout_s``: it may be made again."""
        before, self.interrupt.graceful = self.interrupt.graceful, False
        try:
            self.interrupt.check(self.during)
            with self.client.until(self.deadline_s):
                return call(self.client)
        except SignalError as error:
            words = f"stopped by signal {error.signal_number} {self.during}"
            raise SignalError(words, signal_number=error.signal_number, next=self.again) from None
        finally:
            self.interrupt.graceful = before

    def turn(self) -> None:
        """Wait until a call may be made, and count it against the limit."""
        self._wait(max(self.limiter.next_s(self.clock.monotonic_s()), self._health.not_before_s))
        self.limiter.started(self.clock.monotonic_s())

    def note(self, answer: Answer, *, takes: Collection[Verdict | int] = ()) -> bool:
        """Take note of an answer; return whether it is one, else the call may be made again. Raises what stops."""
        self.counts.reads += answer.calls
        now_s = self.clock.monotonic_s()
        if answer.calls > 1:  # `turn` counted the first
            self.limiter.started(now_s, answer.calls - 1)
        if answer.verdict is Verdict.OK:
            self.succeeded()
            return True
        if answer.status_code != UNAUTHENTICATED and (answer.verdict in takes or answer.status_code in takes):
            return True
        match answer.verdict:
            case Verdict.NOT_PROCESSED if answer.retry_after_s is not None:
                self.counts.throttled += 1
                log.warning("throttled: the API asks to wait %s", wait_asked(answer.retry_after_s))
                self.limiter.throttled(now_s + self._health.throttled(now_s, answer.retry_after_s))
                self._stop_if_given_up(now_s)
            case Verdict.DENIED | Verdict.REFUSED:
                raise fault_of(answer, needs=self.needs)
            case Verdict.MISDIRECTED if not (self.worked and _by_another(answer)):
                raise fault_of(answer)
            case Verdict.NOT_PROCESSED if self.is_new and not self.worked and _is_untrusted(answer.message):
                raise fault_of(answer)
            case _:
                self.failed(answer.message)
        return False

    def succeeded(self) -> None:
        """Take note that the other side is at work."""
        self.worked = True
        self._health.succeeded()

    def failed(self, words: str) -> None:
        """Take note of a failure: the next turn comes later, or never: then raise."""
        log.warning("a call failed: %s", words)
        now_s = self.clock.monotonic_s()
        self._health.failed(now_s, words)
        self.counts.retries += 1
        self._stop_if_given_up(now_s)

    def _stop_if_given_up(self, now_s: float) -> None:
        if self._health.given_up(now_s):
            words = self._health.last_failure
            self._health = Health(self.give_up_after_s)  # who goes on nevertheless waits as long again
            raise UnreachableError(
                f"the API has failed for {duration(self.give_up_after_s)} (api.give_up_after_s) without one success, "
                f"or asks for a longer wait than that; the last failure: {words}",
                remedy=_UNTRUSTED if _is_untrusted(words) else "see whether the API answers (syncer check)",
                next=self.again,
            )

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def rest(self) -> None:
        """Wait while the API is failing, for a call that the limit does not count."""
        self._wait(self._health.not_before_s)

    def pause(self, seconds: float) -> None:
        """Wait, unless a signal or the deadline comes first, which raises."""
        self._wait(self.clock.monotonic_s() + seconds)

    def at(self) -> str:
        """Return the wall time as the ledger writes it."""
        return utc_text(self.clock.wall_s())

    def check(self) -> None:
        """Raise when a signal or the deadline has come."""
        try:
            self.interrupt.check(self.during)
        except SignalError as error:
            error.next = self.again
            raise
        if self.deadline_s is not None and self.clock.monotonic_s() >= self.deadline_s:
            raise DeadlineError(f"the deadline came {self.during}", next=self.again)

    def _wait(self, until_s: float) -> None:
        while True:  # bounded: every step but the last takes `WAIT_STEP_S`
            self.check()
            now_s = self.clock.monotonic_s()
            if now_s >= until_s:
                return
            self.clock.sleep_s(min(until_s - now_s, WAIT_STEP_S))


def _by_another(answer: Answer) -> bool:
    """Tell whether something on the way spoke: where the API was a moment ago, that is a deployment, and it passes."""
    return answer.page or answer.status_code in ON_THE_WAY


def _is_untrusted(words: str) -> bool:
    """Tell whether a call was not made since the certificate of whoever answers cannot be verified."""
    return "certificate verify failed" in words


def fault_of(answer: Answer, *, needs: str = "") -> SyncerError:
    """Return the error of an answer that is none, when it is not asked for again."""
    match answer.verdict:
        case Verdict.DENIED:
            kind = ForbiddenError if answer.status_code == FORBIDDEN else AccessError
            return kind(f"the API refused access: {answer.message}" + (f" (it needs {needs})" if needs else ""))
        case Verdict.MISDIRECTED:
            return UnreachableError(
                f"what answers at api.base_url is not the API: {answer.message}",
                remedy="correct api.base_url",
                next="syncer check",
            )
        case Verdict.REFUSED if answer.page or answer.status_code not in JUDGED:
            return UnreachableError(
                f"the API takes no call: {answer.message}", remedy="see what the API refuses (syncer check)", next=AGAIN
            )
        case Verdict.REFUSED:
            return SyncerError(f"the API refused a read: {answer.message}")
        case _ if answer.retry_after_s is not None:
            return UnreachableError(
                f"the API is throttling, and asks to wait {wait_asked(answer.retry_after_s)}: {answer.message}",
                remedy="wait, and see which other programs use the token",
            )
        case _:
            return UnreachableError(
                f"the API does not answer as it should: {answer.message}",
                remedy=_remedy_of(answer),
                next="syncer check",
            )


def _remedy_of(answer: Answer) -> str:
    """Return what helps where no answer came, or one that says nothing of the call."""
    if _is_untrusted(answer.message):
        return _UNTRUSTED
    if answer.timed_out:
        return "wait until the API is quicker, or give it more time (api.timeout_s)"
    if answer.status_code is not None:
        return "wait until what answers there is well again; if it never is, correct api.base_url"
    return "correct api.base_url or the network"
